//! What the server says of a lease that to the client is an acquisition still: its `ready` was lost
//! on the way, came late, or is being proved.

mod support;

use support::{SECOND, World, endpoint};
use wakecast::machine::{Answer, Event, Input, RequestKey};
use wakecast::protocol::{Draining, EndpointPush, Moved, Ready, ServerMessage};
use wakecast::{Acquire, LeaseStatus, Phase};

/// A client that waits for `lease`, which the server has not granted.
fn waiting(seed: u8, acquire: Acquire) -> World {
    let mut world = World::connected(seed);
    world.acquire(1, acquire.id("lease"));
    world.run(SECOND);
    world
}

fn publish() -> Acquire {
    Acquire::publish("live", "match")
}

fn ready(rev: u64) -> ServerMessage {
    ServerMessage::Ready(Ready {
        id: "lease".into(),
        rev,
        endpoint: endpoint("a"),
        verify_spread_ms: 0,
    })
}

fn draining(rev: u64) -> ServerMessage {
    ServerMessage::Draining(Draining {
        lease: "lease".into(),
        rev,
        deadline_ms: 65_000,
    })
}

fn moved(rev: u64, host: &str) -> ServerMessage {
    ServerMessage::Moved(Moved {
        lease: "lease".into(),
        rev,
        endpoint: endpoint(host),
    })
}

fn undrained(rev: u64) -> ServerMessage {
    ServerMessage::Endpoint(EndpointPush {
        id: None,
        lease: "lease".into(),
        rev,
        endpoint: endpoint("a"),
    })
}

fn statuses(world: &World) -> Vec<LeaseStatus> {
    let events = world.events.iter();
    events
        .filter_map(|(_, event)| match event {
            Event::Lease { status, .. } => Some(*status),
            _ => None,
        })
        .collect()
}

fn acquired(world: &World) -> bool {
    matches!(
        world.settled.get(&RequestKey(1)),
        Some(Ok(Answer::Acquired { .. }))
    )
}

#[test]
fn a_ready_that_a_drain_has_overtaken_is_dropped_and_asked_about() {
    for acquire in [publish(), Acquire::watch("live", "match")] {
        let mut world = waiting(1, acquire);
        let asked = world.count("acquire");
        world.push(draining(11));
        world.push(draining(11));
        world.push(ready(10));
        world.run(SECOND);
        assert_eq!(world.count("acquire"), asked + 1, "once, and at once");
        let verifying = |event: &Event| matches!(event, Event::Progress { progress, .. } if progress.phase == Phase::Verifying);
        assert!(
            !world.events.iter().any(|(_, event)| verifying(event)),
            "the ready is older than what is known"
        );
        assert_eq!(world.machine.lease_status("lease"), None);
        world.push(ready(12));
        world.run(SECOND);
        assert!(acquired(&world));
        assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
    }
}

#[test]
fn a_drain_during_the_proof_is_told_once_the_lease_is_there() {
    let mut world = waiting(2, publish());
    world.push(ready(10));
    world.push(draining(11));
    world.run(SECOND);
    assert!(acquired(&world));
    assert_eq!(
        world.machine.lease_status("lease"),
        Some(LeaseStatus::Draining)
    );
    assert_eq!(statuses(&world), [LeaseStatus::Draining]);
    let told =
        |wanted: fn(&Event) -> bool| world.events.iter().position(|(_, event)| wanted(event));
    assert!(
        told(|event| matches!(event, Event::Settled { .. }))
            < told(|event| matches!(event, Event::Lease { .. })),
        "no word on a lease that the app does not have yet"
    );
    // It is the revision of the drain that counts from now on.
    world.push(undrained(10));
    world.run(SECOND);
    assert_eq!(
        world.machine.lease_status("lease"),
        Some(LeaseStatus::Draining)
    );
    world.push(undrained(12));
    world.run(SECOND);
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
}

#[test]
fn a_drain_that_is_undone_during_the_proof_leaves_a_held_lease() {
    let mut world = waiting(3, publish());
    for message in [ready(10), draining(11), undrained(12)] {
        world.push(message);
    }
    world.run(SECOND);
    assert!(acquired(&world));
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
    assert_eq!(statuses(&world), []);
}

#[test]
fn a_lease_that_moves_before_its_ready_has_come_is_granted_where_it_is_now() {
    // The `ready` of the server that died was lost, or its endpoint is being proved in vain.
    for before in [None, Some(ready(10))] {
        let mut world = waiting(4, publish());
        world.script.endpoint_reachable = before.is_none();
        if let Some(before) = before {
            world.push(before);
            world.run(SECOND);
        }
        world.script.endpoint_reachable = true;
        world.push(moved(13, "b"));
        world.run(SECOND);
        assert!(acquired(&world));
        assert_eq!(world.machine.lease_endpoint("lease"), Some(&endpoint("b")));
    }
}

#[test]
fn the_answer_to_an_old_request_is_no_grant() {
    let mut world = waiting(5, publish());
    world.push(ServerMessage::Endpoint(EndpointPush {
        id: Some("another request".into()),
        lease: "lease".into(),
        rev: 10,
        endpoint: endpoint("a"),
    }));
    world.run(SECOND);
    assert!(!acquired(&world));
    world.input(Input::Close);
}
