//! Incidents in which the wrong thing was believed: another server's sample, another launch's
//! token, a server that says nothing.

mod support;

use std::time::Duration;

use support::ec2::Fault;
use support::{Stray, World};
use wakecast::ErrorCode;
use wakecast::protocol::Purpose;
use wakecast_lambda::lifecycle::{Alarm, Power};
use wakecast_lambda::model::{RowEnd, RowState};

/// A fleet whose one lease has been given back.
fn idle() -> World {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world
}

fn tokens(world: &World) -> Vec<String> {
    let calls = world.calls.iter().filter_map(|(_, power)| match power {
        Power::Run { token, .. } => Some(token.clone()),
        _ => None,
    });
    calls.collect()
}

fn raised(world: &World, which: impl Fn(&Alarm) -> bool) -> usize {
    world
        .alarms
        .iter()
        .filter(|(_, alarm)| which(alarm))
        .count()
}

const STRAYS: [Stray; 4] = [
    Stray::OtherAddress,
    Stray::OtherInstance,
    Stray::OtherBoot,
    Stray::NoCounts,
];

#[test]
fn i02_zeros_of_another_address_instance_or_boot_stop_nothing() {
    for stray in STRAYS {
        let mut world = idle();
        world.stray = Some(stray);
        world.run(3600);
        assert_eq!(world.stops(), 0, "{stray:?}\n{}", world.story());
        assert!(!world.is_draining(), "{stray:?}: nobody is told of a drain");
        if stray != Stray::OtherBoot {
            assert_eq!(
                raised(&world, |alarm| matches!(alarm, Alarm::Unknown { .. })),
                1,
                "{stray:?}"
            );
        }
        // The right one is believed again, from its first zero on.
        world.stray = None;
        let readable = world.now;
        world.run_until(1200, World::is_draining);
        assert!(
            world.now.since(readable) >= Duration::from_secs(300),
            "{stray:?}"
        );
        world.run_until(200, World::is_stopped);
        world.check();
    }
}

#[test]
fn i02_a_sample_that_goes_astray_at_any_second_of_a_drain_ends_it() {
    for stray in STRAYS {
        for second in (0..75).step_by(6) {
            let mut world = idle();
            world.run_until(700, World::is_draining);
            world.run(second);
            if world.is_stopping() || world.is_stopped() {
                assert!(second >= 66, "{stray:?}: S2 after {second} s");
                break;
            }
            world.stray = Some(stray);
            world.run(450);
            assert_eq!(
                world.stops(),
                0,
                "{stray:?} at {second} s\n{}",
                world.story()
            );
            world.check();
        }
    }
}

#[test]
fn i11_another_offering_is_asked_only_after_the_lost_answer_is_resolved() {
    // The identical request is refused in the end: then, and only then, another one is sent.
    for lost in [1, 2, 4] {
        let mut world = World::new();
        world.ec2.launch_faults = [Fault::LostUndone].repeat(lost).into();
        world.ec2.launch_faults.push_back(Fault::Capacity);
        world.acquire("a", Purpose::Publish);
        world.run_until(120, |world| world.is_held("a"));
        let tokens = tokens(&world);
        assert_eq!(tokens.len(), lost + 2, "{}", world.story());
        let (first, last) = (&tokens[0], &tokens[lost + 1]);
        assert!(
            tokens[..=lost].iter().all(|token| token == first),
            "{tokens:?}"
        );
        assert_ne!(first, last, "another candidate, another token");
        assert_eq!(world.launches(), 1);
        assert_eq!(world.ec2.machines[&world.id()].offering.zone, "b");
        world.check();
    }
}

#[test]
fn i11_an_accepted_launch_whose_answer_was_lost_is_kept_though_capacity_has_gone() {
    let mut world = World::new();
    // Describe shows it too late to help: only the identical request can resolve it.
    world.ec2.describe_lag = Duration::from_secs(30);
    world.ec2.launch_faults = [Fault::LostDone, Fault::LostDone].into();
    world.acquire("a", Purpose::Publish);
    world.run_until(10, |world| world.launches() == 1);
    world.ec2.no_capacity = [
        ("c7g.xlarge".into(), "a".into()),
        ("c7g.xlarge".into(), "b".into()),
    ]
    .into_iter()
    .collect();
    world.run_until(120, |world| world.is_held("a"));
    let tokens = tokens(&world);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    assert_eq!(world.launches(), 1);
    world.check();
}

#[test]
fn i12_a_server_that_is_gone_before_it_was_ready_ends_by_the_boot_limit() {
    let mut world = World::new();
    world.next_media.hangs = true;
    world.acquire_for("a", Purpose::Publish, Duration::from_secs(3600));
    // The new volume's limit, then the started one's; a stop takes 20 s, a start 5 s.
    let took = world.run_until(1000, |world| world.end("a").is_some());
    assert_eq!(world.end("a"), Some(RowEnd::Failed(ErrorCode::StartFailed)));
    assert!(
        took >= Duration::from_secs(840) && took <= Duration::from_secs(900),
        "{took:?}"
    );
    world.run(60);
    let starts = world.count(|power| matches!(power, Power::Start { .. }));
    assert_eq!((world.launches(), starts, world.stops()), (1, 1, 2));
    assert_eq!(
        raised(&world, |alarm| matches!(alarm, Alarm::StartFailed { .. })),
        1
    );
    assert!(world.is_stopped(), "nothing runs on that nobody can use");
    world.check();
}

#[test]
fn i12_a_ready_server_that_cannot_be_read_in_any_way_stays_on() {
    let ways: [fn(&mut World); 3] = [
        |world| world.media().hangs = true,
        |world| world.media().forbids = true,
        |world| world.media().webrtc = false,
    ];
    for (nth, break_it) in ways.into_iter().enumerate() {
        let mut world = idle();
        let id = world.id();
        break_it(&mut world);
        world.run(6 * 3600);
        assert_eq!(world.stops(), 0, "way {nth}");
        assert_eq!(
            raised(&world, |alarm| *alarm
                == Alarm::Unknown {
                    instance: id.clone()
                }),
            1
        );
        // It still grants: whoever comes may find it working.
        world.acquire("b", Purpose::Play);
        assert!(world.is_held("b"), "way {nth}");
        world.check();
    }
}

#[test]
fn i34_a_row_that_cannot_be_read_counts_as_busy_and_is_an_alarm_once() {
    let mut world = idle();
    world.acquire("poison", Purpose::Play);
    let key = world.key("poison");
    let row = world.rows.get_mut(&key).expect("the row");
    row.ask = None;
    row.link = None;
    row.state = RowState::Ended {
        end: RowEnd::Unreadable,
        at: row.created_at,
    };
    row.expires_at = world.now + Duration::from_secs(4 * 3600);
    // Nobody knows what it held: nothing is stopped, and the others are served.
    world.run(3 * 3600);
    assert_eq!(world.stops(), 0);
    assert_eq!(raised(&world, |alarm| *alarm == Alarm::UnreadableRow), 1);
    world.acquire("b", Purpose::Publish);
    assert!(world.is_held("b"));
    world.release("b");
    // It is removed, or expires.
    world.rows.remove(&key);
    world.run_until(1200, World::is_stopped);
    assert_eq!(raised(&world, |alarm| *alarm == Alarm::UnreadableRow), 1);
    world.check();
}
