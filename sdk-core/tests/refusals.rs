//! Refusals that pass by themselves: an acquire is asked again until its deadline.

mod support;

use std::time::Duration;

use support::{MINUTE, SECOND, World};
use wakecast::machine::{Answer, Event, Input, RequestKey, TransportEnd};
use wakecast::protocol::{Ack, ClientMessage, ErrorPush, ServerMessage};
use wakecast::{Acquire, ErrorCode, Outcome, Stage};

/// A connected world whose server refuses so many acquires.
fn refusing(seed: u8, times: u32, refusal: impl FnOnce(&mut ErrorPush)) -> World {
    let mut world = World::connected(seed);
    world.script.refused_acquires = times;
    refusal(&mut world.script.acquire_refusal);
    world
}

fn acquire(world: &mut World, deadline: u64) {
    let acquire = Acquire::publish("live", "match").id("lease");
    world.acquire(1, acquire.deadline(Duration::from_millis(deadline)));
}

/// When each `acquire` was written; all must bear the same id.
fn asked_at(world: &World) -> Vec<u64> {
    (world.sent.iter())
        .filter_map(|(at, _, message)| match message {
            ClientMessage::Acquire(acquire) => {
                assert_eq!(acquire.id, "lease");
                Some(*at)
            }
            _ => None,
        })
        .collect()
}

fn waits(world: &World) -> Vec<u64> {
    let asked = asked_at(world);
    asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn times_settled(world: &World) -> usize {
    (world.events.iter())
        .filter(|(_, event)| matches!(event, Event::Settled { .. }))
        .count()
}

#[test]
fn five_refusals_and_a_grant_make_one_lease() {
    for code in [ErrorCode::ServiceUnavailable, ErrorCode::Throttled] {
        let mut world = refusing(1, 5, |refusal| refusal.code = code);
        acquire(&mut world, 10 * MINUTE);
        world.run(3 * MINUTE);
        assert!(world.settled.is_empty(), "{:?}", world.settled);
        assert_eq!(world.rows.len(), 1);
        world.grant("lease");
        world.run(10 * SECOND);
        assert!(
            matches!(&world.settled[&RequestKey(1)], Ok(Answer::Acquired { lease, .. }) if lease == "lease")
        );
        assert_eq!(times_settled(&world), 1);
        assert!(world.is_connected() && world.attempts.len() == 1);
        // Taken by the sixth, it is from then on sent again every half minute, as any other.
        let asked = asked_at(&world);
        assert!(asked.len() >= 6, "{asked:?}");
        let after: Vec<u64> = waits(&world).split_off(5);
        assert!(after.iter().all(|wait| *wait == 30 * SECOND), "{after:?}");
    }
}

#[test]
fn retry_after_is_the_floor_of_each_wait() {
    for seed in 0..20 {
        let mut world = refusing(seed, 5, |refusal| refusal.retry_after_ms = Some(20_000));
        acquire(&mut world, 10 * MINUTE);
        world.run(5 * MINUTE);
        for wait in &waits(&world)[..5] {
            // A quarter of jitter, or what the backoff drew; and the round trip.
            assert!((20_000..=30_250 + 100).contains(wait), "{wait}");
        }
    }
}

#[test]
fn waits_grow_to_the_cap_and_never_fall_below_the_floor() {
    let (mut first, mut late) = (Vec::new(), Vec::new());
    for seed in 0..40 {
        let mut world = refusing(seed, u32::MAX, |refusal| refusal.retry_after_ms = None);
        acquire(&mut world, 10 * MINUTE);
        world.run(9 * MINUTE);
        let waits = waits(&world);
        assert!(waits.iter().all(|wait| (250..=30_300).contains(wait)));
        first.push(waits[0]);
        late.extend_from_slice(&waits[6..]);
    }
    assert!(first.iter().all(|wait| *wait <= 1_300), "{first:?}");
    let mean = late.iter().sum::<u64>() / u64::try_from(late.len()).unwrap();
    assert!(
        (13_000..18_000).contains(&mean),
        "drawn up to the cap: a mean of {mean} ms"
    );
}

#[test]
fn the_last_refusal_explains_a_deadline() {
    for (outcome, known) in [
        (Outcome::Rejected, Outcome::Rejected),
        (Outcome::Unknown, Outcome::Unknown),
    ] {
        let mut world = refusing(3, u32::MAX, |refusal| {
            refusal.message = "the table is busy".into();
            refusal.outcome = outcome;
        });
        acquire(&mut world, MINUTE);
        let due = world.now + MINUTE;
        world.run(MINUTE - 1);
        assert!(world.settled.is_empty());
        world.run(1);
        assert_eq!(world.now, due);
        let error = world.error_of(1);
        assert_eq!(*error.code(), ErrorCode::StartTimeout);
        assert_eq!(error.stage(), Stage::Boot);
        let cause = error.cause().unwrap();
        assert!(
            cause.contains("service_unavailable") && cause.contains("the table is busy"),
            "{cause}"
        );
        assert_eq!(error.outcome(), known);
        let asked = asked_at(&world).len();
        world.run(5 * MINUTE);
        assert_eq!(asked_at(&world).len(), asked, "the end is the end");
        assert_eq!(times_settled(&world), 1);
        // What no copy of can stand needs no withdrawal.
        assert_eq!(
            world.count("cancel"),
            usize::from(known == Outcome::Unknown)
        );
    }
}

#[test]
fn a_refused_repetition_does_not_hide_what_stands() {
    // The first is taken; only the repetition after half a minute is refused.
    let mut world = refusing(4, 0, |_| {});
    acquire(&mut world, 50 * SECOND);
    world.run(20 * SECOND);
    assert_eq!(world.rows.len(), 1);
    world.script.refused_acquires = u32::MAX;
    world.run(MINUTE);
    assert!(asked_at(&world).len() > 2);
    assert_eq!(world.error_of(1).outcome(), Outcome::Unknown);
    assert_eq!(world.count("cancel"), 1, "it may be booting for us");
}

#[test]
fn a_copy_without_an_answer_may_stand_although_the_next_is_refused() {
    let mut world = refusing(5, 0, |_| {});
    world.script.acks = false;
    acquire(&mut world, 20 * SECOND);
    world.run(SECOND);
    world.script.refused_acquires = u32::MAX;
    world.run(MINUTE);
    assert!(asked_at(&world).len() > 2, "the probed copy was refused");
    assert_eq!(world.error_of(1).outcome(), Outcome::Unknown);
    assert_eq!(world.count("cancel"), 2, "sent, and once more unanswered");
}

#[test]
fn any_other_refusal_is_the_end() {
    let cases = [
        (ErrorCode::ServiceUnavailable, false),
        (ErrorCode::Throttled, false),
        (ErrorCode::Forbidden, true),
        (ErrorCode::CapacityUnavailable, true),
        (ErrorCode::QuotaExceeded, false),
        (ErrorCode::Other("busy".into()), true),
    ];
    for (code, retryable) in cases {
        let mut world = refusing(6, u32::MAX, |refusal| {
            refusal.code = code.clone();
            refusal.retryable = retryable;
        });
        acquire(&mut world, 10 * MINUTE);
        world.run(100);
        assert_eq!(*world.error_of(1).code(), code);
        assert_eq!(world.error_of(1).outcome(), Outcome::Rejected);
        world.run(5 * MINUTE);
        assert_eq!(asked_at(&world).len(), 1, "{code}");
        assert_eq!(times_settled(&world), 1);
    }
}

#[test]
fn a_cancel_while_a_refusal_is_waited_out_asks_no_more() {
    for (outcome, cancels) in [(Outcome::Rejected, 0), (Outcome::Unknown, 1)] {
        let mut world = refusing(7, u32::MAX, |refusal| {
            refusal.retry_after_ms = Some(20_000);
            refusal.outcome = outcome;
        });
        acquire(&mut world, 10 * MINUTE);
        world.run(SECOND);
        assert_eq!(asked_at(&world).len(), 1);
        world.input(Input::Cancel { key: RequestKey(1) });
        assert_eq!(*world.error_of(1).code(), ErrorCode::Cancelled);
        assert_eq!(world.error_of(1).outcome(), outcome);
        world.run(5 * MINUTE);
        assert_eq!(asked_at(&world).len(), 1);
        assert_eq!(times_settled(&world), 1);
        assert_eq!(world.count("cancel"), cancels, "{outcome:?}");
    }
}

#[test]
fn closing_says_that_a_refused_acquire_was_rejected() {
    for end in [Input::Close, Input::Detach] {
        let mut world = refusing(8, u32::MAX, |_| {});
        acquire(&mut world, 10 * MINUTE);
        world.run(500);
        world.input(end);
        assert_eq!(*world.error_of(1).code(), ErrorCode::Closed);
        assert_eq!(world.error_of(1).outcome(), Outcome::Rejected);
    }
}

#[test]
fn a_reconnect_does_not_cut_the_wait() {
    let mut world = refusing(9, u32::MAX, |refusal| {
        refusal.retry_after_ms = Some(60_000);
    });
    acquire(&mut world, 10 * MINUTE);
    world.run(SECOND);
    let asked = asked_at(&world)[0];
    world.cut(TransportEnd::Dropped);
    world.run(10 * SECOND);
    // `welcome` says `unknown`, which else sends it at once.
    assert!(world.is_connected() && world.count("hello") == 2);
    world.run(2 * MINUTE);
    let waits = waits(&world);
    assert!(waits[0] >= 60_000, "asked at {asked}, then {waits:?}");
}

#[test]
fn a_server_that_acknowledges_and_then_refuses_is_not_asked_every_second() {
    let mut world = refusing(10, 0, |_| {});
    world.script.acks = false;
    acquire(&mut world, 10 * MINUTE);
    for _ in 0..600 {
        let asked = asked_at(&world).len();
        world.run(SECOND);
        if asked_at(&world).len() > asked || world.now == 2 * SECOND {
            let refusal = world.script.acquire_refusal.clone();
            world.push(ServerMessage::Ack(Ack { id: "lease".into() }));
            world.push(ServerMessage::Error(ErrorPush {
                id: Some("lease".into()),
                retry_after_ms: None,
                ..refusal
            }));
        }
    }
    let asked = asked_at(&world).len();
    // 600 s at waits drawn up to 30 s are about 45 tries.
    assert!((20..80).contains(&asked), "{asked} times in ten minutes");
}
