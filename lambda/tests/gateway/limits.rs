//! How much one link may have at the table.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wakecast::Outcome;
use wakecast::protocol::ServerMessage;
use wakecast_lambda::model::{ConnectionId, RowKey};
use wakecast_lambda::store::Store as _;

use crate::world::{World, acquire, acquire_for, assert_ack, at_once, error_code, message};

/// A link with as many rows as it may have: waits, watches and tombstones.
fn full() -> World {
    let world = World::new();
    world.link("s1", "tab");
    for number in 0..128 {
        let (id, other) = (format!("a{number}"), format!("c{number}"));
        let (message, id) = match number % 3 {
            0 => (acquire(&id), id),
            1 => (acquire_for(&id, "watch"), id),
            _ => (message("cancel", &other, "acquire", &id), other),
        };
        assert_ack(&world.send("s1", &message), &id);
    }
    world
}

fn claimed(world: &World, socket: &str) -> BTreeSet<RowKey> {
    let connection = at_once(world.table.connection(&ConnectionId::new(socket)));
    connection.expect("a read").expect("the connection").rows
}

fn new_rows() -> [Value; 4] {
    [
        acquire("new"),
        acquire_for("new", "watch"),
        message("cancel", "c", "acquire", "new"),
        message("release", "r", "lease", "new"),
    ]
}

#[test]
fn full_link_gets_no_further_row() {
    let world = full();
    let before = (world.table.keys(), world.demand(), world.wakes.count());
    for message in new_rows() {
        match world.send("s1", &message) {
            ServerMessage::Error(error) => {
                assert_eq!(error.code.as_str(), "throttled", "{message}");
                assert!(error.retryable && error.retry_after_ms == Some(5_000));
                assert_eq!(error.outcome, Outcome::Rejected);
                assert_eq!(error.id.as_deref(), message["id"].as_str());
            }
            other => panic!("{message}: {other:?}"),
        }
    }
    let after = (world.table.keys(), world.demand(), world.wakes.count());
    assert_eq!(before, after, "something was written");
    assert_eq!(claimed(&world, "s1").len(), 128);
    // Another link has room of its own.
    world.link("s2", "other-tab");
    assert_ack(&world.send("s2", &acquire("new")), "new");
}

#[test]
fn full_link_keeps_what_it_has() {
    let world = full();
    assert_ack(&world.send("s1", &acquire("a0")), "a0");
    assert_ack(
        &world.send("s1", &message("cancel", "c", "acquire", "a0")),
        "c",
    );
    assert_eq!(error_code(&world.send("s1", &acquire("a0"))), "cancelled");
    // A row that exists is none that this link creates, even if it is claimed by another.
    world.link("s2", "tab");
    assert_ack(&world.send("s2", &acquire("other")), "other");
    assert_ack(&world.send("s1", &acquire("other")), "other");
    let cancel = message("cancel", "c", "acquire", "other");
    assert_ack(&world.send("s1", &cancel), "c");
    assert_eq!(
        error_code(&world.send("s2", &acquire("other"))),
        "cancelled"
    );
}

#[test]
fn flood_on_a_full_link_reads_its_rows_once() {
    let world = full();
    assert_eq!(error_code(&world.send("s1", &acquire("new"))), "throttled");
    world.advance(4);
    world.store.calm();
    for _ in 0..100 {
        assert_eq!(error_code(&world.send("s1", &acquire("new"))), "throttled");
    }
    let passed = world.store.passed();
    assert!(passed.len() <= 300, "{} operations", passed.len());
}

#[test]
fn rows_that_are_forgotten_make_room() {
    let world = full();
    // The tombstones are forgotten after 15 minutes; what waits stays.
    world.advance(899);
    assert_eq!(error_code(&world.send("s1", &acquire("new"))), "throttled");
    world.advance(5);
    assert_ack(&world.send("s1", &acquire("new")), "new");
    let rows = claimed(&world, "s1");
    assert_eq!(rows.len(), 128 - 42 + 1);
    assert!(rows.iter().any(|key| key.id == "new"));
    assert!(!rows.iter().any(|key| key.id == "a2"), "it was forgotten");
}

#[test]
fn full_link_claims_no_further_row_by_another_hello() {
    let world = full();
    world.link("s2", "tab");
    assert_ack(&world.send("s2", &acquire("other")), "other");
    let hello = |id: &str| {
        json!({
            "action": "hello", "id": "h", "v": 1, "client_id": "tab", "sdk": "test",
            "leases": [], "requests": [{ "id": "a0" }, { "id": id }],
        })
    };
    let version = world.row("other").version;
    assert_eq!(error_code(&world.send("s1", &hello("other"))), "throttled");
    assert_eq!(claimed(&world, "s1").len(), 128);
    assert_eq!(world.row("other").version, version, "it was written");
    // What the link has, and what nobody has, needs no room.
    for id in ["a1", "invented"] {
        let reply = world.send("s1", &hello(id));
        assert!(matches!(reply, ServerMessage::Welcome(_)), "{reply:?}");
    }
}
