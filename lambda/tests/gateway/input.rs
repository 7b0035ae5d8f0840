//! Bad input: a typed answer each, nothing lost, nothing started.

use serde_json::json;
use wakecast::Outcome;
use wakecast::protocol::{ErrorPush, ServerMessage};
use wakecast_lambda::model::ConnectionId;
use wakecast_lambda::store::Store as _;

use crate::world::{Trouble, World, acquire, assert_ack, at_once, error_code, message, row_key};

#[track_caller]
fn refused(world: &World, text: &str) -> ErrorPush {
    let before = world.table.keys();
    let reply = world.send_text("s1", text).expect("a reply");
    assert_eq!(world.table.keys(), before, "something was written");
    assert_eq!(
        (world.demand(), world.wakes.count()),
        (0, 0),
        "something was started"
    );
    match reply {
        ServerMessage::Error(error) => {
            assert_eq!(error.outcome, Outcome::Rejected);
            assert!(!error.message.contains("canary"), "{}", error.message);
            error
        }
        other => panic!("no error but {other:?}"),
    }
}

fn linked() -> World {
    let world = World::new();
    world.link("s1", "tab");
    world
}

#[test]
fn malformed_messages() {
    let world = linked();
    let cases = [
        ("", "protocol_error", None),
        ("canary", "protocol_error", None),
        ("[]", "protocol_error", None),
        ("null", "protocol_error", None),
        ("{\"action\":\"acquire\"", "protocol_error", None),
        ("{}", "protocol_error", None),
        ("{\"action\":7,\"id\":\"x\"}", "protocol_error", Some("x")),
        (
            "{\"action\":\"canary\",\"id\":\"x\"}",
            "protocol_error",
            Some("x"),
        ),
        (
            "{\"action\":\"acquire\",\"id\":\"x\"}",
            "invalid_argument",
            Some("x"),
        ),
        ("{\"action\":\"acquire\"}", "invalid_argument", None),
        (
            "{\"action\":\"release\",\"id\":\"x\",\"lease\":7}",
            "invalid_argument",
            Some("x"),
        ),
        (
            "{\"action\":\"hello\",\"id\":\"x\",\"v\":1}",
            "invalid_argument",
            Some("x"),
        ),
        (
            "{\"action\":\"hello\",\"id\":\"x\",\"v\":2}",
            "client_too_old",
            Some("x"),
        ),
    ];
    for (text, code, id) in cases {
        let error = refused(&world, text);
        assert_eq!(
            (error.code.as_str(), error.id.as_deref()),
            (code, id),
            "{text}"
        );
    }
    let wrong = [
        ("purpose", json!("canary")),
        ("app", json!(7)),
        ("deadline_ms", json!("canary")),
        ("deadline_ms", json!(-1)),
        ("stream_id", json!([])),
    ];
    for (field, value) in wrong {
        let mut message = acquire("a");
        message[field] = value;
        let error = refused(&world, &message.to_string());
        assert_eq!(
            (error.code.as_str(), error.id.as_deref()),
            ("invalid_argument", Some("a"))
        );
    }
    // The link is as good as before.
    assert_ack(&world.send("s1", &acquire("a")), "a");
}

#[test]
fn names_that_do_not_fit() {
    let world = linked();
    let long = "x".repeat(129);
    for id in ["", " ", "a b", "ä", "a\n", &long] {
        assert_eq!(
            refused(&world, &acquire(id).to_string()).code.as_str(),
            "invalid_argument"
        );
    }
    for (field, value) in [("app", ""), ("stream_id", ""), ("stream_id", "a\u{0}b")] {
        let mut message = acquire("a");
        message[field] = json!(value);
        let code = refused(&world, &message.to_string()).code;
        assert_eq!(code.as_str(), "invalid_argument", "{field}");
    }
    let bad = message("release", "r", "lease", "a b");
    assert_eq!(
        refused(&world, &bad.to_string()).code.as_str(),
        "invalid_argument"
    );
}

#[test]
fn oversize_and_binary_messages() {
    let world = linked();
    let mut large = acquire("a");
    large["padding"] = json!("x".repeat(32 * 1024));
    assert_eq!(
        refused(&world, &large.to_string()).code.as_str(),
        "message_too_large"
    );
    let mut binary = world.message("s1", &acquire("a").to_string());
    binary["isBase64Encoded"] = json!(true);
    let response = world.event(&binary);
    let body = response["body"].as_str().expect("a body");
    assert_eq!(
        error_code(&ServerMessage::decode(body).expect("a message")),
        "protocol_error"
    );
    assert!(world.find_row("a").is_none());
}

#[test]
fn unknown_fields_are_ignored() {
    let world = linked();
    let mut newer = acquire("a");
    newer["colour"] = json!({ "deep": [1, 2, 3] });
    assert_ack(&world.send("s1", &newer), "a");
}

#[test]
fn wrong_version_is_told_as_such() {
    let world = World::new();
    world.connect("s1");
    let hello = json!({
        "action": "hello", "id": "h", "v": 2, "client_id": "tab", "sdk": "test",
        "leases": [], "requests": [],
    });
    assert_eq!(error_code(&world.send("s1", &hello)), "client_too_old");
    // Without a hello nothing else is done.
    assert_eq!(
        error_code(&world.send("s1", &acquire("a"))),
        "protocol_error"
    );
    assert!(world.find_row("a").is_none());
}

/// A hello that names these leases and requests.
fn hello(leases: &[String], requests: &[String]) -> serde_json::Value {
    let named = |ids: &[String]| ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>();
    json!({
        "action": "hello", "id": "h", "v": 1, "client_id": "tab", "sdk": "test",
        "leases": named(leases), "requests": named(requests),
    })
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[test]
fn hello_is_bounded() {
    let world = World::new();
    world.connect("s1");
    for (leases, requests, fits) in [(129, 0, false), (64, 65, false), (64, 64, true)] {
        world.store.calm();
        let reply = world.send("s1", &hello(&ids(leases), &ids(requests)));
        if fits {
            assert!(matches!(reply, ServerMessage::Welcome(_)), "{reply:?}");
        } else {
            assert_eq!(error_code(&reply), "invalid_argument");
            assert_eq!(world.store.passed(), ["connection"], "rows were looked at");
        }
    }
}

#[test]
fn hello_looks_once_at_a_row_that_it_names_often() {
    let world = linked();
    for id in ["a", "b"] {
        assert_ack(&world.send("s1", &acquire(id)), id);
    }
    let version = world.row("a").version;
    world.advance(1);
    world.connect("s2");
    world.store.calm();
    let often = ["a", "b", "a", "a"].map(str::to_owned);
    let reply = world.send("s2", &hello(&often, &often));
    let ServerMessage::Welcome(welcome) = reply else {
        panic!("no welcome but {reply:?}");
    };
    assert_eq!(world.row("a").version, version + 1);
    let passed = world.store.passed();
    let count = |name| passed.iter().filter(|passed| **passed == name).count();
    assert_eq!((count("row"), count("put_row")), (2, 2), "{passed:?}");
    // Each name has its answer, and the same one.
    let leases: Vec<&str> = welcome.leases.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(leases, often);
    assert_eq!(welcome.leases[0], welcome.leases[2]);
    assert_eq!(welcome.requests[0], welcome.requests[3]);
    assert_eq!(welcome.requests[0].rev, welcome.leases[0].rev);
}

#[test]
fn hello_claims_only_rows_that_exist() {
    let world = linked();
    assert_ack(&world.send("s1", &acquire("a")), "a");
    world.connect("s2");
    let mut invented = ids(100);
    invented.push("a".to_owned());
    world.send("s2", &hello(&invented, &[]));
    let connection = at_once(world.table.connection(&ConnectionId::new("s2")));
    let rows = connection.expect("a read").expect("the connection").rows;
    assert_eq!(rows.into_iter().collect::<Vec<_>>(), [row_key("a")]);
}

#[test]
fn override_gets_a_typed_answer() {
    let world = linked();
    let text = json!({ "action": "override", "id": "x", "mode": "off" });
    let error = refused(&world, &text.to_string());
    assert_eq!(
        (error.code.as_str(), error.id.as_deref()),
        ("invalid_argument", Some("x"))
    );
}

#[test]
fn ping_that_reaches_the_function_is_answered() {
    let world = linked();
    world.store.calm();
    assert!(matches!(
        world.send("s1", &json!({ "action": "ping" })),
        ServerMessage::Pong(_)
    ));
    assert!(world.store.passed().is_empty(), "a ping costs nothing");
}

#[test]
fn table_that_is_down_is_told_with_what_is_known() {
    let operations = [
        "connection",
        "instances",
        "put_claimed_row",
        "raise_demand",
        "lock",
    ];
    for (place, name) in operations.into_iter().enumerate() {
        for trouble in [Trouble::Fails, Trouble::ReplyLost] {
            let world = linked();
            world.store.next(name, trouble);
            match world.send("s1", &acquire("a")) {
                ServerMessage::Error(error) => {
                    assert_eq!(error.code.as_str(), "service_unavailable");
                    assert!(error.retryable && error.retry_after_ms.is_some());
                    assert_eq!(error.id.as_deref(), Some("a"));
                    let known = if place < 2 {
                        Outcome::Rejected
                    } else {
                        Outcome::Unknown
                    };
                    assert_eq!(error.outcome, known, "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
            // The same message again mends it.
            assert_ack(&world.send("s1", &acquire("a")), "a");
            assert!(world.demand() > 0 && world.wakes.count() > 0, "{name}");
        }
    }
}

#[test]
fn any_text_gets_one_answer() {
    use proptest::prelude::*;
    let world = linked();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let words = prop::sample::select(vec![
        "{",
        "}",
        "\"action\"",
        ":",
        ",",
        "\"acquire\"",
        "\"hello\"",
        "\"id\"",
        "\"a\"",
        "null",
        "1e999",
        "[",
        "]",
        "\"v\"",
        "\\u0000",
        "\"lease\"",
        "\"renew\"",
        "\"token\"",
        "-0",
        "😀",
    ]);
    let texts = prop::collection::vec(words, 0..24).prop_map(|words| words.concat());
    runner
        .run(&texts, |text| {
            let response = world.event(&world.message("s1", &text));
            prop_assert_eq!(&response["statusCode"], 200);
            let body = response["body"].as_str().unwrap_or_default();
            prop_assert!(ServerMessage::decode(body).is_ok(), "{}: {}", text, body);
            Ok(())
        })
        .expect("every text is answered");
}
