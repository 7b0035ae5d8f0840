//! Who pays for a start, and what a subject with nothing left gets: served by others, or told when.

mod support;

use std::time::Duration;

use support::{World, config};
use wakecast::ErrorCode;
use wakecast::protocol::{ErrorPush, Purpose, ServerMessage};
use wakecast_lambda::config::SubjectCaps;
use wakecast_lambda::leases;
use wakecast_lambda::model::{Pause, RowEnd, Timestamp};

fn ago(world: &World, seconds: u64) -> Timestamp {
    world.now.saturating_sub(Duration::from_secs(seconds))
}

/// Makes the next acquires this subject's.
fn as_subject(world: &mut World, subject: &str) {
    world.subject = Some(subject.to_owned());
}

fn wait_a_second(world: &mut World) {
    world.now = world.now + Duration::from_secs(1);
}

/// Charges `times` starts to a subject, the oldest `oldest` seconds ago.
fn spend(world: &mut World, subject: &str, times: usize, oldest: u64) {
    let at = ago(world, oldest);
    let starts = std::iter::repeat_n((at, subject.to_owned()), times);
    world.charged.extend(starts);
}

#[track_caller]
fn refusal(world: &World, id: &str) -> ErrorPush {
    let told = world
        .heard(id)
        .into_iter()
        .find_map(|message| match message {
            ServerMessage::Error(error) => Some(error.clone()),
            _ => None,
        });
    told.unwrap_or_else(|| panic!("{id} was told no error\n{}", world.story()))
}

/// Runs until the instance is stopped after whatever it did.
fn rest(world: &mut World) {
    world.run_until(2_000, |world| {
        world.is_stopped() && world.ec2.live(world.now).is_empty()
    });
}

#[test]
fn start_is_charged_to_whoever_waits_longest() {
    let mut world = World::new();
    world.acquire("z", Purpose::Publish);
    wait_a_second(&mut world);
    world.acquire("a", Purpose::Publish);
    world.run_until(120, World::is_ready);
    assert_eq!(world.charged.len(), 1, "one start, one payer");
    assert_eq!(world.charged[0].1, "subject-z");
    world.run(5);
    assert!(world.is_held("a") && world.is_held("z"));
    world.check();
}

#[test]
fn subject_without_starts_left_starts_nothing_and_is_told_until_when() {
    let mut world = World::new();
    as_subject(&mut world, "s");
    spend(&mut world, "s", 3, 60);
    world.acquire("a", Purpose::Publish);
    world.run(5);
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::QuotaExceeded))
    );
    let told = refusal(&world, "a");
    assert_eq!(
        (told.retry_after_ms, told.retryable),
        (Some(540_000), false)
    );
    assert!(told.message.contains("ask again later"), "{}", told.message);
    world.run(530);
    assert_eq!(world.launches(), 0);
    world.run(10);
    world.acquire("b", Purpose::Publish);
    world.run_until(120, |world| world.is_held("b"));
    world.check();
}

#[test]
fn next_waiter_pays_where_the_first_has_nothing_left_and_both_are_served() {
    let mut world = World::new();
    as_subject(&mut world, "spent");
    spend(&mut world, "spent", 3, 10);
    world.acquire("first", Purpose::Play);
    wait_a_second(&mut world);
    as_subject(&mut world, "other");
    world.acquire("second", Purpose::Play);
    world.run_until(120, |world| {
        world.is_held("first") && world.is_held("second")
    });
    assert_eq!(world.charged.last().expect("a charge").1, "other");
    world.check();
}

#[test]
fn retry_of_a_failed_boot_is_charged_again_and_ends_with_the_cap() {
    let mut config = config();
    config.caps.subject.starts_per_10_min = Some(1);
    let mut world = World::with(config);
    world.next_media.lose_settings = 9;
    as_subject(&mut world, "s");
    world.acquire("a", Purpose::Publish);
    world.run(400);
    assert_eq!(world.charged.len(), 1, "{}", world.story());
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::QuotaExceeded))
    );
    assert!(refusal(&world, "a").retry_after_ms.is_some());
    world.check();
}

#[test]
fn fleet_that_is_kept_running_charges_nobody() {
    let mut config = config();
    config.min = 1;
    let mut world = World::with(config);
    as_subject(&mut world, "s");
    spend(&mut world, "s", 3, 10);
    world.acquire("a", Purpose::Play);
    world.run_until(120, |world| world.is_held("a"));
    assert_eq!(world.charged.len(), 3, "the operator wants it anyway");
    world.check();
}

#[test]
fn shared_token_without_caps_is_charged_nothing() {
    let mut config = config();
    config.caps.subject = SubjectCaps::OFF;
    let mut world = World::with(config);
    as_subject(&mut world, "guest");
    for round in 0..6 {
        let id = format!("a{round}");
        world.acquire(&id, Purpose::Play);
        world.run_until(120, |world| world.is_held(&id));
        rest(&mut world);
    }
    assert!(world.charged.is_empty() && world.charges.len() == 6);
    world.check();
}

/// Asks under new ids for ever and never streams: what the gateway lets through, each a minute
/// after the other, with the protections of an hour.
fn ask_for_ever(world: &mut World, hours: u64) -> Duration {
    as_subject(world, "idler");
    let mut up = Duration::ZERO;
    for minute in 0..hours * 60 {
        let id = format!("x{minute}");
        world.acquire(&id, Purpose::Play);
        if world.is_held(&id) && minute % 60 >= 10 {
            let row = leases::unprotected(world.row(&id));
            world.rows.insert(row.key.clone(), row);
        }
        for _ in 0..60 {
            world.run(1);
            if !world.ec2.live(world.now).is_empty() {
                up += Duration::from_secs(1);
            }
        }
        if world.is_held(&id) {
            world.release(&id);
        }
    }
    up
}

#[test]
fn whoever_never_streams_keeps_no_instance_by_asking_for_ever() {
    let mut world = World::new();
    let up = ask_for_ever(&mut world, 6);
    let share = up.as_secs_f64() / (6.0 * 3600.0);
    println!(
        "up {:.0} % of the time, {} starts",
        share * 100.0,
        world.charges.len()
    );
    assert!(share < 0.6, "up {:.0} % of the time", share * 100.0);
    assert!(world.charges.len() <= 18 && world.stops() >= 6);
    world.check();
}

#[test]
fn without_the_cap_on_idle_wakes_asking_for_ever_keeps_it() {
    let mut config = config();
    config.caps.subject.idle_wakes_per_hour = None;
    let mut world = World::with(config);
    let up = ask_for_ever(&mut world, 3);
    let share = up.as_secs_f64() / (3.0 * 3600.0);
    assert!(share > 0.9, "up {:.0} % of the time", share * 100.0);
}

/// A world in which `idler` has woken the instance three times in vain.
fn woken_in_vain() -> World {
    let mut world = World::new();
    as_subject(&mut world, "idler");
    for round in 0..3 {
        let id = format!("v{round}");
        world.acquire(&id, Purpose::Play);
        world.run_until(120, |world| world.is_held(&id));
        world.release(&id);
        rest(&mut world);
    }
    assert_eq!(world.records.state.idle_wakes.len(), 3);
    world
}

#[test]
fn idle_wakes_are_told_with_the_time_of_the_next_one() {
    let mut world = woken_in_vain();
    let starts = world.charges.len();
    world.acquire("a", Purpose::Play);
    world.run(5);
    let told = refusal(&world, "a");
    assert_eq!(told.code, ErrorCode::QuotaExceeded);
    let wait = told.retry_after_ms.expect("a time");
    assert!((1..3_600_000).contains(&wait), "{wait}");
    assert_eq!(world.charges.len(), starts);
    // Somebody else wakes it, and the idler is served along.
    world.acquire("b", Purpose::Play);
    as_subject(&mut world, "other");
    world.acquire("c", Purpose::Play);
    world.run_until(120, |world| world.is_held("b") && world.is_held("c"));
    world.release("b");
    world.release("c");
    rest(&mut world);
    // The time that was told holds.
    world.run(wait / 1_000);
    as_subject(&mut world, "idler");
    world.acquire("d", Purpose::Play);
    world.run_until(120, |world| world.is_held("d"));
    world.check();
}

#[test]
fn stream_makes_every_wake_worth_its_while() {
    let mut world = World::new();
    as_subject(&mut world, "teacher");
    for round in 0..8 {
        let id = format!("lesson{round}");
        world.acquire(&id, Purpose::Publish);
        world.run_until(120, |world| world.is_held(&id));
        assert!(world.publish(&id));
        world.run(90);
        assert!(world.records.state.idle_wakes.is_empty());
        world.media().streams = 0;
        world.release(&id);
        rest(&mut world);
    }
    world.check();
}

#[test]
fn drain_is_not_undone_by_a_subject_that_woke_in_vain_but_by_others() {
    for other in [false, true] {
        let mut world = woken_in_vain();
        as_subject(&mut world, "other");
        world.acquire("o", Purpose::Play);
        world.run_until(120, |world| world.is_held("o"));
        world.release("o");
        world.run_until(900, World::is_draining);
        as_subject(&mut world, "idler");
        world.acquire("i", Purpose::Play);
        if other {
            as_subject(&mut world, "third");
            world.acquire("t", Purpose::Play);
            world.run_until(30, |world| world.is_held("i") && world.is_held("t"));
        } else {
            world.run(5);
            assert_eq!(refusal(&world, "i").code, ErrorCode::QuotaExceeded);
            assert!(world.is_draining());
            rest(&mut world);
        }
        world.check();
    }
}

#[test]
fn waiter_of_a_spent_subject_between_s2_and_the_stop_is_told_before_the_stop() {
    let mut world = woken_in_vain();
    as_subject(&mut world, "other");
    world.acquire("o", Purpose::Play);
    world.run_until(120, |world| world.is_held("o"));
    world.release("o");
    world.run_until(900, World::is_stopping);
    assert_eq!(world.stops(), 3, "S2 is committed, S4 not sent");
    as_subject(&mut world, "idler");
    world.acquire("i", Purpose::Play);
    rest(&mut world);
    assert_eq!(refusal(&world, "i").code, ErrorCode::QuotaExceeded);
    world.check();
}

/// How long one decision takes that refuses a herd, prepared as the caller says.
#[allow(
    clippy::disallowed_methods,
    reason = "what a decision costs the machine is measured"
)]
fn refuses_a_herd(prepare: impl FnOnce(&mut World)) -> Duration {
    const HERD: usize = 3_000;
    let mut world = World::new();
    as_subject(&mut world, "s");
    for number in 0..HERD {
        world.acquire(&format!("w{number}"), Purpose::Play);
    }
    prepare(&mut world);
    let began = std::time::Instant::now();
    world.run(0);
    let took = began.elapsed();
    let failed = |number: &usize| world.end(&format!("w{number}")).is_some();
    assert_eq!((0..HERD).filter(failed).count(), HERD, "all are refused");
    took
}

/// Who pays is found once, not once for each waiter: both herds are refused row by row, and cost
/// alike. Measured against each other, since machines differ.
#[test]
fn herd_of_a_spent_subject_costs_no_more_than_any_other_refusal() {
    let paused = refuses_a_herd(|world| {
        world.records.state.pause = Some(Pause {
            code: ErrorCode::StartFailed,
            cause: "it never became ready".to_owned(),
            since: world.now,
            until: world.now + Duration::from_secs(600),
        });
    });
    let spent = refuses_a_herd(|world| spend(world, "s", 3, 60));
    println!("paused {paused:?}, spent {spent:?}");
    assert!(spent < paused * 10, "{spent:?}, and {paused:?} in a pause");
}
