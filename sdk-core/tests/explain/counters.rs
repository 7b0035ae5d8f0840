//! The counters, against what is known to have happened.

use std::time::Duration;

use wakecast::machine::{EndCause, Input, Refusal, TransportEnd};
use wakecast::protocol::{ProgressPush, ServerMessage};
use wakecast::{Acquire, Phase};

use crate::support::{Accept, HOUR, MINUTE, SECOND, World};

#[test]
fn attempts_and_links_are_counted_by_how_they_ended() {
    let mut world = World::new(1);
    world.script.accept = Accept::Refuse(Refusal::Http {
        status: 503,
        retry_after: None,
    });
    world.input(Input::Connect);
    world.run(5 * SECOND);
    let refusals = u32::try_from(world.attempts.len()).unwrap();
    world.script.accept = Accept::Yes;
    world.run(MINUTE);
    world.cut(TransportEnd::Code(1001));
    world.run(MINUTE);
    let metrics = world.machine.metrics();
    assert_eq!(
        usize::try_from(metrics.attempts).unwrap(),
        world.attempts.len()
    );
    assert_eq!(metrics.failed_attempts.of(EndCause::HttpStatus), refusals);
    assert_eq!(metrics.failed_attempts.total(), refusals);
    assert_eq!(metrics.drops.of(EndCause::CloseCode), 1);
    assert_eq!(metrics.drops.total(), 1);
    assert_eq!(
        (metrics.welcomes, metrics.reconnects, metrics.rotations),
        (2, 1, 0)
    );
    // One way takes 20 ms: the socket, then `hello` and `welcome`.
    assert_eq!(metrics.time_to_connect.count(), 2);
    assert_eq!(
        metrics.time_to_connect.last(),
        Some(Duration::from_millis(40))
    );
    assert_eq!(
        usize::try_from(metrics.messages_sent).unwrap(),
        world.sent.len()
    );
    assert_eq!(metrics.tokens_asked, metrics.tokens_fetched);
}

#[test]
fn a_round_trip_is_measured_by_pings_alone() {
    let mut world = World::connected(1);
    assert_eq!(world.machine.metrics().round_trip.last(), None);
    world.run(10 * MINUTE);
    let metrics = world.machine.metrics();
    assert_eq!(
        usize::try_from(metrics.round_trip.count()).unwrap(),
        world.count("ping")
    );
    assert_eq!(metrics.round_trip.last(), Some(Duration::from_millis(20)));
    assert_eq!(metrics.round_trip.min(), metrics.round_trip.max());
}

#[test]
fn rotations_are_no_drops() {
    let mut world = World::connected(1);
    world.run(10 * HOUR);
    let metrics = world.machine.metrics();
    assert!(metrics.rotations >= 4, "{metrics:?}");
    assert_eq!(metrics.drops.total(), 0);
    assert_eq!(metrics.reconnects, 0);
    assert_eq!(metrics.welcomes, metrics.rotations + 1);
}

#[test]
fn warm_and_cold_are_told_apart_and_the_estimate_is_held_against_what_came() {
    let mut world = World::connected(1);
    world.acquire(1, Acquire::play("live", "a").id("warm").verify(false));
    world.run(500);
    world.grant("warm");
    world.run(SECOND);
    for (key, id, wait) in [(2, "early", 30), (3, "late", 70)] {
        world.acquire(key, Acquire::play("live", "b").id(id).verify(false));
        world.run(SECOND);
        world.rev += 1;
        world.push(ServerMessage::Progress(ProgressPush {
            id: id.into(),
            rev: world.rev,
            phase: Phase::Booting,
            elapsed_ms: SECOND,
            eta_p50_ms: 50 * SECOND,
            eta_p90_ms: 90 * SECOND,
            overdue: false,
            note: None,
        }));
        world.run(wait * SECOND);
        world.grant(id);
        world.run(SECOND);
    }
    let metrics = world.machine.metrics();
    assert_eq!(
        (
            metrics.acquires,
            metrics.acquires_warm,
            metrics.acquires_cold
        ),
        (3, 1, 2)
    );
    assert_eq!(
        metrics.time_to_ready_warm.last(),
        Some(Duration::from_millis(520))
    );
    assert_eq!(
        metrics.time_to_ready_cold.min(),
        Some(Duration::from_millis(31_020))
    );
    assert_eq!(
        metrics.time_to_ready_cold.max(),
        Some(Duration::from_millis(71_020))
    );
    // Told 50 s at 20 ms, it came after 30 and 70 s.
    assert_eq!(
        metrics.eta_error.early().last(),
        Some(Duration::from_secs(20))
    );
    assert_eq!(
        metrics.eta_error.late().last(),
        Some(Duration::from_secs(20))
    );
    assert_eq!(metrics.eta_error.last_millis(), Some(20_000));
}

#[test]
fn proofs_and_ends_are_counted() {
    let mut world = World::connected(1);
    world.script.endpoint_reachable = false;
    world.acquire(1, Acquire::play("live", "a").id("a"));
    world.run(SECOND);
    world.grant("a");
    world.run(MINUTE);
    world.acquire(2, Acquire::play("live", "b").id("b"));
    world.run(SECOND);
    world.input(Input::Cancel {
        key: wakecast::machine::RequestKey(2),
    });
    let metrics = world.machine.metrics();
    assert_eq!(
        (metrics.acquires_failed, metrics.acquires_cancelled),
        (1, 1)
    );
    assert_eq!(metrics.proofs, metrics.proofs_failed);
    assert!(metrics.proofs > 5, "{metrics:?}");
}
