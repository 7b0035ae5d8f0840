//! Incident 34 at the gateway: what cannot be read is answered once and stops nobody else.

use serde_json::{Value, json};
use wakecast::protocol::ServerMessage;
use wakecast_lambda::model::{ConnectionId, InstanceStatus, RowState};
use wakecast_lambda::store::keys;

use crate::world::{World, acquire, assert_ack, error_code, fleet, is_waiting, message, row_key};

fn spoil_row(world: &World, id: &str) {
    world
        .table
        .spoil(&keys::demand(&fleet()), &keys::row(&row_key(id)));
}

#[test]
fn i34_an_event_that_is_no_event_is_refused_once_and_reads_nothing() {
    let world = World::new();
    world.link("s1", "tab");
    world.store.calm();
    let whole = world.message("s1", r#"{"action":"status","id":"q"}"#);
    let mut garbage = vec![json!(null), json!(7), json!("x"), json!([]), json!({})];
    for field in ["eventType", "connectionId", "connectedAt"] {
        for wrong in [Value::Null, json!([1]), json!({ "x": 1 }), json!(-1.5)] {
            let mut event = whole.clone();
            event["requestContext"][field] = wrong;
            garbage.push(event);
        }
    }
    for event in garbage {
        assert_eq!(world.event(&event)["statusCode"], 400, "{event}");
        assert_eq!(world.http(&event)["statusCode"], 400, "{event}");
    }
    assert!(
        world.store.passed().is_empty(),
        "{:?}",
        world.store.passed()
    );
    // The next one is answered as ever.
    world.given(7, InstanceStatus::Stopped);
    assert!(
        matches!(world.event(&whole)["body"].as_str(), Some(body) if body.contains("\"status\""))
    );
}

#[test]
fn i34_a_row_that_cannot_be_read_begins_anew_with_its_owner() {
    let world = World::new();
    world.link("s1", "tab");
    for id in ["a", "b", "c"] {
        assert_ack(&world.send("s1", &acquire(id)), id);
    }
    for id in ["a", "c"] {
        spoil_row(&world, id);
    }
    // Asked for what it holds, the server does not know; nothing is guessed.
    let lease = message("endpoint", "e", "lease", "a");
    assert_eq!(error_code(&world.send("s1", &lease)), "lease_lost");
    let welcome = world.hello("s1", "tab", &["a"], &["b", "c"]);
    assert_eq!(welcome.leases[0].rev, None, "{welcome:?}");
    assert_eq!(welcome.requests[0].rev, Some(world.row("b").rev));
    assert_eq!(welcome.requests[1].rev, None);
    // The same `acquire` writes it anew, a `cancel` ends it.
    assert_ack(&world.send("s1", &acquire("a")), "a");
    assert!(is_waiting(&world, "a"));
    assert_ack(
        &world.send("s1", &message("cancel", "x", "acquire", "c")),
        "x",
    );
    assert!(
        matches!(world.row("c").state, RowState::Ended { .. }) && !world.row("c").is_unreadable()
    );
    // One that is left alone is not written by a disconnect.
    spoil_row(&world, "b");
    world.disconnect("s1");
    assert!(world.row("b").is_unreadable());
}

#[test]
fn i34_a_connection_that_cannot_be_read_is_ended_and_comes_back() {
    let world = World::new();
    world.link("s1", "tab");
    world.link("s2", "other");
    world.table.spoil(
        &keys::connection(&ConnectionId::new("s1")),
        keys::CONNECTION,
    );
    let text = acquire("a").to_string();
    assert_eq!(
        world.send_text("s1", &text),
        None,
        "no reply: the link ends"
    );
    let bye = world.sockets.take("s1").pop();
    assert!(matches!(bye, Some(ServerMessage::Bye(bye)) if bye.reconnect));
    assert_ack(&world.send("s2", &acquire("b")), "b");
    world.link("s3", "tab");
    assert_ack(&world.send("s3", &acquire("a")), "a");
}

#[test]
fn i34_a_record_that_cannot_be_read_is_told_as_passing() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let instance = keys::instance(&wakecast_lambda::model::InstanceId::new("i-1"));
    world.table.spoil(&keys::records(&fleet()), &instance);
    for text in [acquire("a"), json!({ "action": "status", "id": "q" })] {
        match world.send("s1", &text) {
            ServerMessage::Error(error) => {
                assert_eq!(error.code.as_str(), "service_unavailable", "{text}");
                assert!(error.retryable && error.retry_after_ms.is_some());
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}
