//! Incidents of other controllers on the way down, each as a case.

mod support;

use std::time::Duration;

use support::ec2::Fault;
use support::{Crash, World, config};
use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Purpose, ServerMessage};
use wakecast_lambda::config::Counts;
use wakecast_lambda::lifecycle::{Alarm, Power, Stand, Transition};
use wakecast_lambda::model::{RowEnd, RowState, WaitKind};
use wakecast_lambda::ports::Ec2State;

/// A fleet whose one lease has been given back.
fn idle() -> World {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world
}

/// The same with the drain begun.
fn draining() -> World {
    let mut world = idle();
    world.run_until(700, World::is_draining);
    world
}

/// Drains that have begun.
fn drains(world: &World) -> usize {
    let begun = |step: &&Transition| (step.from, step.to) == (Stand::Ready, Stand::Draining);
    world.transitions.iter().filter(begun).count()
}

#[test]
fn i01_a_publisher_that_appears_at_any_second_of_the_drain_survives() {
    for second in 0..75 {
        let mut world = draining();
        world.run(second);
        // After S2 no stream token lives that could begin one.
        if world.is_stopping() {
            assert!(second >= 70, "S2 after {second} s");
            break;
        }
        world.media().streams = 1;
        world.run(600);
        assert!(
            world.is_ready(),
            "{second} s into the drain\n{}",
            world.story()
        );
        assert_eq!(world.stops(), 0);
        world.check();
    }
}

#[test]
fn i01_a_waiter_at_any_second_of_the_drain_is_granted_without_a_stop() {
    for second in 0..70 {
        let mut world = draining();
        world.run(second);
        if world.stops() > 0 {
            break;
        }
        world.acquire("b", Purpose::Publish);
        world.run(5);
        assert!(
            world.is_held("b"),
            "{second} s into the drain\n{}",
            world.story()
        );
        assert_eq!(world.stops(), 0);
    }
}

#[test]
fn i01_a_row_that_comes_between_s2_and_s3_stops_the_stop() {
    let mut world = draining();
    world.run_until(90, World::is_stopping);
    // S2 is committed; the next pass reads the rows.
    world.acquire("b", Purpose::Publish);
    world.run(5);
    assert!(world.is_held("b"), "{}", world.story());
    assert_eq!(world.stops(), 0);
    world.check();
}

#[test]
fn i04_an_instance_that_one_describe_omits_is_neither_stopped_nor_replaced() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.publish("a"));
    let id = world.id();
    for _ in 0..20 {
        world.ec2.omitted.insert(id.clone());
        world.run(45);
        world.ec2.omitted.clear();
        world.run(75);
    }
    assert!(world.is_held("a"), "{}", world.story());
    assert_eq!((world.launches(), world.stops()), (1, 0));
    world.check();
}

#[test]
fn i04_an_instance_that_answers_lives_though_describe_omits_it_for_long() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.publish("a"));
    let id = world.id();
    world.ec2.omitted.insert(id);
    world.run(1800);
    assert!(world.is_held("a"), "{}", world.story());
    assert_eq!((world.launches(), world.stops()), (1, 0));
    world.check();
}

#[test]
fn i04_one_unreadable_sample_never_ends_in_a_stop() {
    for second in 0..70 {
        let mut world = draining();
        world.run(second);
        if world.stops() > 0 || world.is_stopping() {
            break;
        }
        world.media().hangs = true;
        world.run(2);
        world.media().hangs = false;
        assert!(
            world.is_ready(),
            "{second} s into the drain\n{}",
            world.story()
        );
        world.run(120);
        assert_eq!(world.stops(), 0, "the grace starts anew");
    }
}

#[test]
fn i04_an_unreadable_sample_within_the_grace_starts_it_anew() {
    let mut world = idle();
    world.run(200);
    world.media().hangs = true;
    world.run(61);
    world.media().hangs = false;
    let readable = world.now;
    world.run_until(700, World::is_draining);
    assert!(world.now.since(readable) >= Duration::from_secs(300));
}

#[test]
fn i21_an_instance_stays_up_for_its_minimum() {
    let mut config = config();
    config.timing.min_up = Duration::from_secs(1800);
    let mut world = World::with(config);
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    let up = world.run_until(3600, World::is_draining);
    assert!(up >= Duration::from_secs(1800), "{up:?}");
    assert!(up <= Duration::from_secs(1860), "{up:?}");
    assert_eq!(drains(&world), 1);
}

#[test]
fn i05_only_a_look_at_the_instance_itself_can_stop_it() {
    let mut world = idle();
    // The address answers with zeros, but it is not the one that was proved.
    world.run_until(200, |world| {
        world.records.instances.values().any(|known| {
            known
                .boot
                .as_ref()
                .is_some_and(|boot| boot.zero_since.is_some())
        })
    });
    let id = world.id();
    world.ec2.machines.get_mut(&id).expect("an instance").starts += 1;
    world.run(3600);
    assert_eq!(world.stops(), 0);
    assert!(world.alarms.iter().any(|(_, alarm)| *alarm
        == Alarm::AddressChanged {
            instance: id.clone()
        }));
}

#[test]
fn i12_a_ready_server_that_hangs_is_an_alarm_and_stays_on() {
    let mut world = idle();
    let id = world.id();
    world.media().hangs = true;
    world.run(4 * 3600);
    assert_eq!(world.stops(), 0);
    let unknown = Alarm::Unknown { instance: id };
    assert_eq!(
        world
            .alarms
            .iter()
            .filter(|(_, alarm)| *alarm == unknown)
            .count(),
        1
    );
}

#[test]
fn i13_an_instance_terminated_from_outside_is_closed_and_its_clients_are_told() {
    let mut world = World::new();
    world.acquire("used", Purpose::Publish);
    world.acquire("gone", Purpose::Play);
    world.run_until(60, |world| world.is_held("used") && world.is_held("gone"));
    assert!(world.publish("used"));
    world.leave("gone");
    let id = world.id();
    world.ec2.terminate(world.now, &id);
    world.run(61);
    assert_eq!(
        world.end("gone"),
        Some(RowEnd::Lost(LostReason::InstanceGone))
    );
    let Some(ServerMessage::Progress(progress)) = world
        .heard("used")
        .into_iter()
        .rfind(|message| matches!(message, ServerMessage::Progress(_)))
    else {
        panic!("the lease in use is told that it moves\n{}", world.story());
    };
    assert_eq!(progress.id, "used");
    world.run_until(120, |world| world.is_held("used"));
    assert!(
        !world.records.instances.contains_key(&id),
        "the item is closed"
    );
    assert_eq!(world.launches(), 2);
    world.check();
}

#[test]
fn i13_at_a_second_death_within_an_hour_every_lease_is_lost() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    for death in 0..2 {
        assert!(world.publish("a"));
        let id = world
            .records
            .instances
            .keys()
            .next()
            .expect("an instance")
            .clone();
        world.ec2.terminate(world.now, &id);
        world.run(61);
        let lost = world.end("a") == Some(RowEnd::Lost(LostReason::InstanceGone));
        assert_eq!(lost, death == 1, "death {death}\n{}", world.story());
    }
    world.run(600);
    assert_eq!(world.launches(), 2, "nothing is started for a lost lease");
}

#[test]
fn i13_leases_are_told_though_the_reconciler_crashes_first() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world.acquire("b", Purpose::Watch);
    let id = world.id();
    world.ec2.terminate(world.now, &id);
    world.crash = Some(Crash::AfterCommit);
    world.run(180);
    assert_eq!(
        world.end("b"),
        Some(RowEnd::Lost(LostReason::InstanceGone)),
        "{}",
        world.story()
    );
    assert!(world.records.instances.is_empty());
}

#[test]
fn i14_a_held_instance_is_neither_drained_nor_stopped() {
    let mut world = idle();
    let id = world.id();
    world.ec2.machines.get_mut(&id).expect("an instance").hold = true;
    world.run(2 * 3600);
    assert_eq!((world.is_ready(), world.stops()), (true, 0));
    assert_eq!(
        drains(&world),
        0,
        "nobody is told of a drain that cannot be"
    );
    world.ec2.machines.get_mut(&id).expect("an instance").hold = false;
    world.run_until(700, World::is_draining);
    world.ec2.machines.get_mut(&id).expect("an instance").hold = true;
    world.run(300);
    assert_eq!(
        (world.is_ready(), world.stops()),
        (true, 0),
        "a hold undoes a drain"
    );
    world.check();
}

#[test]
fn i14_a_held_boot_is_not_stopped_at_its_limit() {
    let mut world = World::new();
    world.next_media.hangs = true;
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.launches() == 1);
    let id = world.id();
    world.ec2.machines.get_mut(&id).expect("an instance").hold = true;
    world.run(1200);
    assert_eq!(world.stops(), 0);
    let stuck = Alarm::BootStuck { instance: id };
    assert_eq!(
        world
            .alarms
            .iter()
            .filter(|(_, alarm)| *alarm == stuck)
            .count(),
        1
    );
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::StartTimeout))
    );
}

#[test]
fn i24_viewers_alone_keep_a_server_and_bring_it_back_from_a_drain() {
    let mut world = idle();
    world.media().viewers = 1;
    world.run(7200);
    assert_eq!((world.is_ready(), world.stops()), (true, 0));
    world.media().viewers = 0;
    world.run_until(700, World::is_draining);
    world.media().viewers = 3;
    world.run(700);
    assert_eq!((world.is_ready(), world.stops()), (true, 0));
    world.check();
}

#[test]
fn i28_viewers_over_webrtc_are_counted_where_they_are_measured() {
    let mut world = idle();
    world.media().viewers = 2;
    world.run(3600);
    assert_eq!(world.stops(), 0);
    // A count that should be measured but is missing reads as unknown, never as zero.
    let mut world = idle();
    world.media().webrtc = false;
    world.run(3600);
    assert_eq!(world.stops(), 0);
    // The Community Edition measures none, and says so in its configuration.
    let mut config = config();
    config.counts = Counts::COMMUNITY;
    let mut world = World::with(config);
    world.next_media.webrtc = false;
    world.acquire("a", Purpose::Play);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world.run_until(900, World::is_stopped);
}

#[test]
fn i29_our_own_probes_and_pings_are_no_activity() {
    let mut world = idle();
    let time = world.run_until(1200, |world| world.stops() == 1);
    // Grace, settle, two looks and two ticks.
    assert!(time <= Duration::from_secs(300 + 65 + 15 + 120), "{time:?}");
    world.check();
}

#[test]
fn i30_an_idle_socket_holds_nothing_and_a_lease_only_until_its_protection_ends() {
    let mut world = World::new();
    world.acquire("tab", Purpose::Play);
    world.acquire("watcher", Purpose::Watch);
    world.run_until(60, |world| world.is_held("tab") && world.is_held("watcher"));
    // Never played: two minutes of protection, then the grace.
    let time = world.run_until(1200, |world| world.stops() == 1);
    assert!(time <= Duration::from_secs(300 + 65 + 15 + 120), "{time:?}");
    assert!(time >= Duration::from_secs(300));
    world.run(60);
    assert_eq!(world.end("tab"), Some(RowEnd::Lost(LostReason::Stopped)));
    // Who only watches starts nothing.
    world.acquire_for("watcher-2", Purpose::Watch, Duration::from_secs(86_400));
    world.run(3600);
    assert!(world.is_stopped());
    assert!(world.is_waiting("watcher-2"));
    world.check();
}

#[test]
fn i30_a_publisher_that_prepares_is_protected_until_it_is_seen() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.run(890);
    assert!(world.is_ready(), "15 minutes to set up an encoder");
    assert_eq!(drains(&world), 0);
    world.run_until(200, World::is_draining);
    // Seen and gone: from then on the counts and the grace rule.
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.publish("a"));
    world.run(120);
    world.media().streams = 0;
    world.run_until(420, World::is_draining);
}

#[test]
fn i47_a_stop_that_changes_nothing_is_an_alarm_and_is_sent_again_after_new_looks() {
    let mut world = draining();
    let id = world.id();
    world.ec2.stop_faults = [Fault::LostUndone].into();
    world.run_until(90, |world| world.stops() == 1);
    let first = world.now;
    world.run_until(120, |world| world.stops() == 2);
    assert!(
        world.now.since(first) >= Duration::from_secs(65),
        "a minute, then two looks"
    );
    assert!(world.now.since(first) <= Duration::from_secs(75));
    let alarm = Alarm::StopNotSeen { instance: id };
    assert_eq!(world.alarms.iter().filter(|(_, a)| *a == alarm).count(), 1);
    world.run_until(60, World::is_stopped);
    world.check();
}

#[test]
fn i47_a_lost_stop_is_not_repeated_under_a_new_stream_or_waiter() {
    for stream in [true, false] {
        let mut world = draining();
        world.ec2.stop_faults = [Fault::LostUndone].into();
        world.run_until(90, |world| world.stops() == 1);
        if stream {
            world.media().streams = 1;
        } else {
            world.acquire("b", Purpose::Publish);
        }
        world.run(120);
        assert!(world.is_ready(), "{}", world.story());
        assert_eq!(world.stops(), 1);
        assert!(stream || world.is_held("b"));
        world.check();
    }
}

#[test]
fn i47_a_failed_boot_is_stopped_again_while_ec2_shows_it_running() {
    let mut world = World::new();
    world.next_media.hangs = true;
    world.ec2.stop_faults = [Fault::LostUndone, Fault::LostUndone].into();
    world.acquire("a", Purpose::Publish);
    world.run_until(800, |world| world.stops() == 3);
    world.run_until(60, |world| {
        world
            .ec2
            .machines
            .values()
            .all(|m| m.state(world.now) != Some(Ec2State::Running))
    });
}

#[test]
fn i48_every_waiter_gets_an_answer_by_its_deadline() {
    // Never live: the boot limits speak.
    let mut world = World::new();
    world.next_media.hangs = true;
    world.acquire_for("a", Purpose::Publish, Duration::from_secs(3000));
    world.acquire_for("b", Purpose::Play, Duration::from_secs(120));
    world.run(200);
    assert_eq!(
        world.end("b"),
        Some(RowEnd::Failed(ErrorCode::StartTimeout))
    );
    world.run(2000);
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::StartFailed)),
        "{}",
        world.story()
    );
    assert_eq!(world.stops(), 2, "one retry");
    assert!(
        world
            .alarms
            .iter()
            .any(|(_, alarm)| matches!(alarm, Alarm::StartFailed { .. }))
    );
    // Unreadable for good: the deadline speaks.
    let mut world = World::new();
    world.ec2.unreadable = true;
    world.acquire("a", Purpose::Publish);
    world.run(661);
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::StartTimeout))
    );
    world.check();
}

#[test]
fn a_reconciler_that_crashes_anywhere_in_the_stop_still_stops_once_and_kills_nothing() {
    let points = [
        Crash::BeforeCommit,
        Crash::AfterCommit,
        Crash::AfterRows,
        Crash::AfterGrants,
        Crash::AfterCalls,
    ];
    for point in points {
        for second in (0..80).step_by(3) {
            let mut world = draining();
            world.run(second);
            world.crash = Some(point);
            world.run_until(600, World::is_stopped);
            let stops = world.count(|power| matches!(power, Power::Stop { .. }));
            assert!(stops <= 2, "{stops} stops\n{}", world.story());
            world.check();
        }
    }
}

#[test]
fn a_grant_that_falls_into_the_stop_waits_for_the_next_boot() {
    let mut world = draining();
    world.run_until(120, |world| world.stops() == 1);
    // A gateway that believed the boot to be ready has put G1; its G2 has not come yet.
    world.acquire("late", Purpose::Publish);
    let known = world
        .records
        .instances
        .values()
        .next()
        .expect("an instance");
    let boot = known.boot.as_ref().expect("a boot").id;
    let held = RowState::Held {
        instance: known.id.clone(),
        boot,
        granted_at: world.now,
        protected_until: world.now + Duration::from_secs(900),
        wait_ms: 600_000,
        draining: false,
        owed: WaitKind::Acquire,
    };
    let key = world.key("late");
    world.rows.get_mut(&key).expect("a row").state = held;
    world.run_until(300, World::is_stopped);
    world.run_until(120, |world| world.is_held("late"));
    assert!(world.is_held("late"), "{}", world.story());
    let lost = |message: &&ServerMessage| matches!(message, ServerMessage::Lost(_));
    assert_eq!(world.heard("late").into_iter().find(lost), None);
    let RowState::Held { boot: next, .. } = world.state("late") else {
        panic!("{}", world.story());
    };
    assert!(*next > boot);
    world.check();
}
