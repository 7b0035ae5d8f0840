//! A gateway that does not echo the subprotocol: the cause is named where a developer looks.

mod support;

use std::time::Duration;

use support::{Accept, Provider, SECOND, World};
use wakecast::machine::{Event, Input};
use wakecast::{Acquire, ConnectionState, ErrorCode, ReconnectReason};

const CAUSE: &str = "$connect did not return Sec-WebSocket-Protocol";

fn told(world: &World) -> usize {
    let named = |event: &Event| matches!(event, Event::Diagnostic(error) if *error.code() == ErrorCode::ProtocolError && error.message().contains(CAUSE));
    world
        .events
        .iter()
        .filter(|(_, event)| named(event))
        .count()
}

#[test]
fn n46_a_subprotocol_that_is_not_echoed_is_named_as_the_cause() {
    let mut world = World::new(40);
    world.script.provider = Provider::Fresh(None);
    world.script.accept = Accept::NoEcho;
    world.acquire(
        1,
        Acquire::play("live", "match").deadline(Duration::from_secs(20)),
    );
    world.run(500);
    assert_eq!(told(&world), 1, "at once, not only at the deadline");
    assert!(
        matches!(world.machine.state(), ConnectionState::Reconnecting { reason, .. }
            if *reason == ReconnectReason::Failure(ErrorCode::ProtocolError))
    );
    assert_eq!(world.count("hello"), 0, "nothing is said on such a link");
    world.run(20 * SECOND);
    assert_eq!(told(&world), world.attempts.len(), "once for each attempt");
    assert!(world.error_of(1).cause().unwrap().contains(CAUSE));
}

#[test]
fn n46_a_rotation_without_the_echo_is_named_and_keeps_the_old_link() {
    let mut world = World::connected(41);
    world.script.accept = Accept::NoEcho;
    while told(&world) == 0 {
        world.run(SECOND);
    }
    assert!(world.is_connected());
    world.input(Input::Foreground);
    world.run(5 * SECOND);
    assert!(world.is_connected(), "the old link still answers");
}
