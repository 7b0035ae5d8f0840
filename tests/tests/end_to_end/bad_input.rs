//! Bad input over a real socket: one typed error each, nothing else harmed, nothing started.

use serde_json::{Value, json};
use wakecast_local::ec2::Happened;

use crate::cloud::Cloud;
use crate::raw::Raw;

/// More than a frame of the gateway and less than its largest message.
const FORTY_KB: usize = 40 * 1024;

#[tokio::test]
async fn each_bad_message_gets_a_typed_error_and_harms_nothing() {
    let cloud = Cloud::quick().await;
    let mut raw = Raw::hello(&cloud, "alice").await;
    raw.acquire("w1", "watch").await;
    assert_eq!(raw.answer("w1").await["type"], "ack");

    let nested = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep = format!(r#"{{"action":"acquire","id":"d1","app":{nested}}}"#);
    let acquire = json!({
        "action": "acquire", "id": "x", "app": "live", "purpose": "play", "stream_id": "match-1",
        "deadline_ms": 600_000,
    });
    let with = |field: &str, value: Value| {
        let mut message = acquire.clone();
        message[field] = value;
        message.to_string()
    };
    let bad = [
        ("{".to_owned(), Value::Null, "protocol_error"),
        (String::new(), Value::Null, "protocol_error"),
        ("hello".to_owned(), Value::Null, "protocol_error"),
        ("null".to_owned(), Value::Null, "protocol_error"),
        ("[]".to_owned(), Value::Null, "protocol_error"),
        ("{}".to_owned(), Value::Null, "protocol_error"),
        (deep, Value::Null, "invalid_argument"),
        (with("action", json!(7)), json!("x"), "protocol_error"),
        (with("action", json!("fly")), json!("x"), "protocol_error"),
        (
            with("purpose", json!("steal")),
            json!("x"),
            "invalid_argument",
        ),
        (with("purpose", Value::Null), json!("x"), "invalid_argument"),
        (with("app", json!("")), json!("x"), "invalid_argument"),
        (
            with("stream_id", json!("a".repeat(300))),
            json!("x"),
            "invalid_argument",
        ),
        (
            with("deadline_ms", json!(-1)),
            json!("x"),
            "invalid_argument",
        ),
        (
            with("deadline_ms", json!("soon")),
            json!("x"),
            "invalid_argument",
        ),
        (with("fleet", json!("other")), json!("x"), "forbidden"),
        (with("id", json!("")), json!(""), "invalid_argument"),
        (
            with("id", json!("a b\u{0}")),
            json!("a b\u{0}"),
            "invalid_argument",
        ),
        (with("id", json!(12)), Value::Null, "invalid_argument"),
        (
            json!({ "action": "renew", "id": "r1", "token": "not.a.token" }).to_string(),
            json!("r1"),
            "token_rejected",
        ),
        (
            json!({ "action": "endpoint", "id": "e1", "lease": "unknown" }).to_string(),
            json!("e1"),
            "lease_lost",
        ),
        (
            json!({ "action": "hello", "id": "h2", "v": 99, "client_id": "c", "sdk": "t" })
                .to_string(),
            json!("h2"),
            "client_too_old",
        ),
    ];
    for (text, id, code) in bad {
        let shown: String = text.chars().take(120).collect();
        raw.text(&text).await;
        let error = raw.next().await;
        assert_eq!(error["type"], "error", "{shown}: {error}");
        assert_eq!(error["code"], code, "{shown}: {error}");
        assert_eq!(error["id"], id, "{shown}: {error}");
        assert_eq!(error["outcome"], "rejected", "{shown}: {error}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{shown}: {error}");
        harmless(&mut raw).await;
    }
    raw.fragmented(&padded(FORTY_KB)).await;
    let error = raw.next().await;
    assert_eq!(error["code"], "message_too_large", "{error}");
    harmless(&mut raw).await;

    // The request that was open before all this is still served.
    assert_eq!(started(&cloud), 0);
    let status = cloud.status().await;
    assert_eq!(status["rows"].as_array().unwrap().len(), 1, "{status}");
    raw.acquire("a1", "play").await;
    let mut ready = [raw.until("ready").await, raw.until("ready").await]
        .map(|ready| ready["id"].as_str().unwrap().to_owned());
    ready.sort();
    assert_eq!(ready, ["a1", "w1"]);
    assert_eq!(cloud.connects(), 1);
    cloud.end();
}

#[tokio::test]
async fn what_the_gateway_itself_does_not_take_ends_that_socket_alone() {
    let cloud = Cloud::quick().await;
    let mut other = Raw::hello(&cloud, "bob").await;
    let mut raw = Raw::hello(&cloud, "alice").await;
    raw.acquire("w1", "watch").await;
    assert_eq!(raw.answer("w1").await["type"], "ack");
    raw.binary(&[0, 159, 146, 150]).await;
    assert_eq!(raw.close_code().await, 1003);
    harmless(&mut other).await;

    // A frame above 32 KB, in one piece.
    let mut raw = Raw::hello(&cloud, "alice").await;
    raw.text(&padded(FORTY_KB)).await;
    assert_eq!(raw.close_code().await, 1009);
    harmless(&mut other).await;

    // What was open waits for its client.
    let mut raw = Raw::connect(&cloud, "alice").await;
    raw.send(&json!({
        "action": "hello", "id": "h", "v": 1, "client_id": "alice", "sdk": "raw/1",
        "requests": [{ "id": "w1" }],
    }))
    .await;
    let welcome = raw.answer("h").await;
    assert_eq!(welcome["requests"][0]["state"], "waiting", "{welcome}");
    assert_eq!(started(&cloud), 0);
    cloud.end();
}

#[tokio::test]
async fn a_socket_that_never_says_hello_gets_nothing() {
    let cloud = Cloud::quick().await;
    let mut raw = Raw::connect(&cloud, "alice").await;
    raw.acquire("a1", "publish").await;
    let error = raw.answer("a1").await;
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(error["outcome"], "rejected", "{error}");
    raw.send(&json!({ "action": "hello", "id": "h", "v": 2, "client_id": "c", "sdk": "t" }))
        .await;
    assert_eq!(raw.answer("h").await["code"], "client_too_old");
    assert_eq!(started(&cloud), 0);
    assert_eq!(cloud.status().await["rows"], json!([]));
    cloud.end();
}

/// The socket answers as ever.
async fn harmless(raw: &mut Raw) {
    raw.send(&json!({ "action": "ping" })).await;
    assert_eq!(raw.next().await["type"], "pong");
}

/// An `acquire` that is too long.
fn padded(bytes: usize) -> String {
    json!({
        "action": "acquire", "id": "big", "app": "live", "purpose": "play",
        "stream_id": "a".repeat(bytes), "deadline_ms": 600_000,
    })
    .to_string()
}

fn started(cloud: &Cloud) -> usize {
    cloud.timeline().count(Happened::Launched)
}
