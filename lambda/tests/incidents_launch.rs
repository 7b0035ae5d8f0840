//! Incidents of other controllers on the way up, each as a case.

mod support;

use std::time::Duration;

use support::ec2::Fault;
use support::{Crash, World, config};
use wakecast::ErrorCode;
use wakecast::protocol::{Phase, Purpose, ServerMessage};
use wakecast_lambda::lifecycle::{Alarm, Next, Power};
use wakecast_lambda::model::{InstanceId, RowEnd};
use wakecast_lambda::ports::Ec2State;

fn runs(world: &World) -> usize {
    world.count(|power| matches!(power, Power::Run { .. }))
}

fn tokens(world: &World) -> Vec<String> {
    let token = |power: &Power| match power {
        Power::Run { token, .. } => Some(token.clone()),
        _ => None,
    };
    world
        .calls
        .iter()
        .filter_map(|(_, power)| token(power))
        .collect()
}

/// The fleet after a first life: one stopped instance, nobody waits.
fn stopped() -> World {
    let mut world = World::new();
    world.acquire("first", Purpose::Play);
    world.run_until(60, |world| world.is_held("first"));
    world.release("first");
    world.run_until(900, World::is_stopped);
    world.run(61);
    world.calls.clear();
    world
}

#[test]
fn i03_a_server_that_answers_late_within_its_limit_is_kept() {
    let mut world = World::new();
    world.next_media.liveness_after = Duration::from_secs(90);
    world.next_media.app_after = Duration::from_secs(91);
    world.acquire("a", Purpose::Publish);
    world.run_until(120, |world| world.is_held("a"));
    assert_eq!((world.launches(), world.stops()), (1, 0));
    world.check();
}

#[test]
fn i06_a_waiter_and_a_ready_server_launch_nothing() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.calls.clear();
    world.acquire("b", Purpose::Play);
    world.run(120);
    assert!(world.is_held("b"));
    assert!(world.calls.is_empty(), "{:?}", world.calls);
}

#[test]
fn i07_twenty_waiters_launch_once() {
    let mut world = World::new();
    for n in 0..20 {
        world.acquire(&format!("w{n}"), Purpose::Play);
    }
    world.run(60);
    assert!(
        (0..20).all(|n| world.is_held(&format!("w{n}"))),
        "{}",
        world.story()
    );
    assert_eq!(runs(&world), 1);
    world.check();
}

#[test]
fn i08_without_capacity_anywhere_waiters_are_told_and_it_is_tried_again() {
    let mut world = World::new();
    world.ec2.no_capacity = [
        ("c7g.xlarge".into(), "a".into()),
        ("c7g.xlarge".into(), "b".into()),
    ]
    .into_iter()
    .collect();
    world.acquire("a", Purpose::Publish);
    world.run(300);
    assert_eq!(world.phases("a"), [Phase::WaitingForCapacity]);
    assert!(world.is_waiting("a"));
    world.ec2.no_capacity.clear();
    world.run_until(300, |world| world.is_held("a"));
    assert_eq!(world.launches(), 1);
    world.check();
}

#[test]
fn i08_a_deadline_without_capacity_says_so() {
    let mut world = World::new();
    world.ec2.no_capacity = [
        ("c7g.xlarge".into(), "a".into()),
        ("c7g.xlarge".into(), "b".into()),
    ]
    .into_iter()
    .collect();
    world.acquire("a", Purpose::Publish);
    world.run(661);
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::CapacityUnavailable))
    );
    // Nobody waits any more: the launch is withdrawn, and capacity starts nothing.
    world.ec2.no_capacity.clear();
    world.run(900);
    assert_eq!(world.launches(), 0);
    assert!(world.records.intents.is_empty());
    world.check();
}

#[test]
fn i09_a_zone_without_capacity_is_left_within_three_seconds() {
    let mut world = World::new();
    world.ec2.no_capacity = [("c7g.xlarge".into(), "a".into())].into_iter().collect();
    world.acquire("a", Purpose::Publish);
    let time = world.run_until(10, |world| world.launches() == 1);
    assert!(time < Duration::from_secs(3), "{time:?}");
    assert_eq!(world.ec2.machines[&world.id()].offering.zone, "b");
    let tokens = tokens(&world);
    assert_eq!(tokens.len(), 2);
    assert_ne!(
        tokens[0], tokens[1],
        "another candidate needs another token"
    );
    assert_eq!(
        world.charges.len(),
        1,
        "one launch is charged, however many offerings it asked"
    );
}

#[test]
fn i09_a_stopped_instance_without_capacity_is_replaced_in_another_zone() {
    let mut world = stopped();
    world.ec2.no_capacity = [("c7g.xlarge".into(), "a".into())].into_iter().collect();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert_eq!(world.launches(), 2);
    assert!(matches!(world.calls[0].1, Power::Start { .. }));
    assert!(matches!(world.calls[1].1, Power::Run { .. }));
    world.check();
}

#[test]
fn i10_five_throttled_calls_still_make_one_instance() {
    let mut world = World::new();
    world.ec2.launch_faults = [Fault::Throttled; 5].into();
    world.acquire("a", Purpose::Publish);
    world.run_until(90, |world| world.is_held("a"));
    assert_eq!(world.launches(), 1);
    let tokens = tokens(&world);
    assert_eq!(tokens.len(), 6);
    assert!(
        tokens.iter().all(|token| *token == tokens[0]),
        "a throttled call keeps its token"
    );
    assert!(tokens[0].len() <= 64);
}

#[test]
fn i11_a_lost_answer_is_resolved_by_the_identical_request() {
    for fault in [Fault::LostDone, Fault::LostUndone] {
        let mut world = World::new();
        world.ec2.describe_lag = Duration::from_secs(20);
        world.ec2.launch_faults = [fault].into();
        world.acquire("a", Purpose::Publish);
        world.run_until(90, |world| world.is_held("a"));
        let tokens = tokens(&world);
        assert_eq!(tokens.len(), 2, "{fault:?}\n{}", world.story());
        assert_eq!(tokens[0], tokens[1]);
        assert_eq!(world.launches(), 1, "{fault:?}");
        world.check();
    }
}

#[test]
fn i18_at_rest_and_while_only_waiting_for_capacity_the_reconciler_leaves() {
    let mut world = stopped();
    world.run(180);
    let last = world.last.as_ref().expect("a decision");
    assert_eq!(
        (last.next, last.commit.is_none()),
        (Next::Quiet, true),
        "{last:?}"
    );
    world.ec2.no_capacity = [
        ("c7g.xlarge".into(), "a".into()),
        ("c7g.xlarge".into(), "b".into()),
    ]
    .into_iter()
    .collect();
    world.acquire("a", Purpose::Publish);
    world.run(100);
    assert_eq!(world.last.as_ref().expect("a decision").next, Next::Quiet);
}

#[test]
fn i19_a_wake_while_stopping_starts_the_same_instance_again() {
    let mut world = World::new();
    world.acquire("a", Purpose::Play);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    let stopping = |world: &World| {
        world
            .ec2
            .machines
            .values()
            .any(|m| m.state(world.now) == Some(Ec2State::Stopping))
    };
    world.run_until(900, stopping);
    world.acquire("b", Purpose::Publish);
    world.run_until(60, |world| world.is_held("b"));
    assert_eq!(world.launches(), 1);
    world.check();
}

#[test]
fn i19_a_stopping_instance_counts_though_describe_omits_it() {
    let mut world = World::new();
    world.acquire("a", Purpose::Play);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world.run_until(900, World::is_stopping);
    world.run(2);
    let id = world.id();
    world.ec2.omitted.insert(id);
    world.acquire("b", Purpose::Publish);
    world.run(30);
    assert_eq!(world.launches(), 1);
    world.ec2.omitted.clear();
    world.run_until(60, |world| world.is_held("b"));
    assert_eq!(world.launches(), 1);
    world.check();
}

#[test]
fn i19_an_instance_found_stopping_is_waited_for() {
    let mut world = World::new();
    let (foreign, offering) = (
        InstanceId::new("i-foreign"),
        world.config.offerings[0].clone(),
    );
    // It came and went before the reconciler has seen it.
    world.ec2.pending_for = Duration::ZERO;
    world.ec2.add(world.now, foreign.clone(), offering, None);
    world.ec2.take_down(world.now, &foreign).expect("it runs");
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert_eq!(world.launches(), 1);
    assert_eq!(world.count(|power| matches!(power, Power::Start { .. })), 1);
    world.check();
}

#[test]
fn i20_no_fixed_wait_adds_to_the_phases_of_a_start() {
    for (pending, app) in [(4, 7), (5, 9), (9, 20)] {
        let mut world = stopped();
        world.ec2.pending_for = Duration::from_secs(pending);
        let media = world.media();
        media.liveness_after = Duration::from_secs(app - 1);
        media.app_after = Duration::from_secs(app);
        world.acquire("a", Purpose::Publish);
        let time = world.run_until(60, |world| world.is_held("a"));
        assert!(time <= Duration::from_secs(pending + app + 1), "{time:?}");
    }
}

#[test]
fn i23_an_exhausted_round_asks_each_offering_once() {
    let mut world = World::new();
    world.ec2.no_capacity = [
        ("c7g.xlarge".into(), "a".into()),
        ("c7g.xlarge".into(), "b".into()),
    ]
    .into_iter()
    .collect();
    world.acquire_for("a", Purpose::Publish, Duration::from_secs(3600));
    world.run(3600);
    // Rounds at ticks, then every 300 s: about 15, never a storm.
    assert!((20..=36).contains(&runs(&world)), "{} calls", runs(&world));
    assert_eq!(
        world.charges.len(),
        1,
        "an exhausted launch is charged once"
    );
    assert_eq!(world.stops(), 0);
}

#[test]
fn i27_a_slow_boot_is_kept_inside_its_limit_and_stopped_once_past_it() {
    for (after, ready) in [(540, true), (660, false)] {
        let mut world = World::new();
        world.next_media.liveness_after = Duration::from_secs(after);
        world.next_media.app_after = Duration::from_secs(after);
        world.acquire_for("a", Purpose::Publish, Duration::from_secs(3000));
        world.run(640);
        assert_eq!(
            (world.is_held("a"), world.stops()),
            (ready, usize::from(!ready))
        );
    }
}

#[test]
fn i36_an_instance_that_describe_does_not_show_yet_is_not_launched_again() {
    let mut world = World::new();
    world.ec2.describe_lag = Duration::from_secs(20);
    world.acquire("a", Purpose::Publish);
    world.run_until(90, |world| world.is_held("a"));
    assert_eq!((runs(&world), world.launches()), (1, 1));
    // The same with the answer lost and the reconciler gone.
    let mut world = World::new();
    world.ec2.describe_lag = Duration::from_secs(20);
    world.crash = Some(Crash::AfterCalls);
    world.acquire("a", Purpose::Publish);
    world.run_until(180, |world| world.is_held("a"));
    assert_eq!(world.launches(), 1);
    world.check();
}

#[test]
fn i36_what_ec2_has_named_is_awaited_for_as_long_as_a_boot_may_be_pending() {
    let mut world = World::new();
    world.ec2.describe_lag = Duration::from_secs(100);
    world.acquire("a", Purpose::Publish);
    world.run_until(200, |world| world.is_held("a"));
    assert_eq!((runs(&world), world.launches()), (1, 1));
    // What never shows is given up after that, and counts as a boot that failed.
    let mut world = World::new();
    world.ec2.describe_lag = Duration::from_secs(3600);
    world.acquire("a", Purpose::Publish);
    world.run(115);
    assert_eq!(world.launches(), 1);
    world.run(15);
    assert_eq!(world.launches(), 2);
}

#[test]
fn i38_a_region_without_an_image_is_reported_once_and_calls_nothing() {
    let mut config = config();
    config.image = String::new();
    let mut world = World::with(config);
    world.acquire("a", Purpose::Publish);
    world.run(5);
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::Misconfigured))
    );
    let Some(ServerMessage::Error(error)) = world.heard("a").pop() else {
        panic!("an error is told");
    };
    assert!(
        !error.retryable && error.retry_after_ms == Some(600_000),
        "{error:?}"
    );
    for n in 0..30 {
        world.acquire(&format!("w{n}"), Purpose::Publish);
        world.run(60);
    }
    assert!(world.calls.is_empty());
    let reported = |(_, alarm): &&(_, Alarm)| matches!(alarm, Alarm::Misconfigured { .. });
    assert_eq!(world.alarms.iter().filter(reported).count(), 1);
}

#[test]
fn i38_a_wrong_image_is_tried_every_ten_minutes_of_demand() {
    let mut world = World::new();
    world.ec2.launch_faults = [Fault::Config; 4].into();
    for n in 0..30 {
        world.acquire(&format!("w{n}"), Purpose::Publish);
        world.run(60);
    }
    assert_eq!(runs(&world), 3, "30 minutes of demand\n{}", world.story());
    let reported = |(_, alarm): &&(_, Alarm)| matches!(alarm, Alarm::Misconfigured { .. });
    assert_eq!(world.alarms.iter().filter(reported).count(), 1);
    // It is mended: the next try works.
    world.ec2.launch_faults.clear();
    world.run(600);
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.records.state.pause.is_none());
}

#[test]
fn i38_a_stopped_instance_serves_though_the_image_is_gone() {
    let mut world = stopped();
    world.config.image = String::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.check();
}

#[test]
fn i46_while_ec2_cannot_be_read_nothing_is_launched() {
    let mut world = World::new();
    world.ec2.unreadable = true;
    world.acquire("a", Purpose::Publish);
    world.run(300);
    assert!(world.calls.is_empty());
    assert_eq!(world.alarms[0].1, Alarm::Ec2Unreadable);
    assert_eq!(world.alarms.len(), 1);
    world.ec2.unreadable = false;
    world.run_until(120, |world| world.is_held("a"));
    assert_eq!(world.launches(), 1);
}

#[test]
fn i46_an_unreadable_ec2_stops_nothing_either() {
    let mut world = World::new();
    world.acquire("a", Purpose::Play);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world.run_until(700, World::is_draining);
    world.ec2.unreadable = true;
    world.run(3600);
    assert_eq!(world.stops(), 0);
    world.check();
}

#[test]
fn a_spent_cap_tells_waiters_and_starts_nothing() {
    let mut config = config();
    config.caps.launches_per_hour = 1;
    let mut world = World::with(config);
    world.acquire("a", Purpose::Play);
    world.run_until(60, |world| world.is_held("a"));
    let id = world.id();
    world.ec2.terminate(world.now, &id);
    world.run(61);
    // The lease in use waits for a move that the cap does not allow.
    assert!(world.end("a").is_some());
    world.acquire("b", Purpose::Play);
    world.run(61);
    assert_eq!(
        world.end("b"),
        Some(RowEnd::Failed(ErrorCode::QuotaExceeded))
    );
    assert_eq!(runs(&world), 1);
    world.run(3600);
    world.acquire("c", Purpose::Play);
    world.run_until(60, |world| world.is_held("c"));
    world.check();
}

#[test]
fn an_instance_that_an_operator_started_is_warmed_if_none_is_live() {
    let mut world = World::new();
    let offering = world.config.offerings[0].clone();
    world
        .ec2
        .add(world.now, InstanceId::new("i-foreign"), offering, None);
    world.run(90);
    assert!(world.is_ready(), "{}", world.story());
    world.acquire("a", Purpose::Play);
    assert!(world.is_held("a"));
    assert!(world.calls.is_empty());
    world.check();
}

#[test]
fn an_instance_that_nothing_explains_beside_a_live_one_is_stopped() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.publish("a"));
    world.foreign = 1;
    let offering = world.config.offerings[1].clone();
    let foreign = InstanceId::new("i-foreign");
    world.ec2.add(world.now, foreign.clone(), offering, None);
    world.run(120);
    let stops = world.calls.iter().filter_map(|(_, power)| match power {
        Power::Stop { instance } => Some(instance.clone()),
        _ => None,
    });
    assert_eq!(stops.collect::<Vec<_>>(), std::slice::from_ref(&foreign));
    let surplus = Alarm::Surplus { instance: foreign };
    assert!(world.alarms.iter().any(|(_, alarm)| *alarm == surplus));
    assert!(world.is_held("a"));
    world.check();
}
