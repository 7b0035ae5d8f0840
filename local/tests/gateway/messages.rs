//! Messages: what the function gets, and what comes back.

use std::time::Duration;

use futures::SinkExt;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio_tungstenite::tungstenite::Message;
use wakecast_local::gateway::{Crash, FunctionFault, Limits};

use crate::world::{World, close_code, ok, once, text};

#[tokio::test]
async fn a_message_event_has_the_real_shape_and_its_response_is_sent_back() {
    let mut world = World::with(Limits::default(), |event| {
        Ok(json!({ "statusCode": 200, "body": event["body"] }))
    })
    .await;
    let (mut client, id) = world.connect().await;
    let sent = r#"{"action":"hello","id":"h1"}"#;
    client.send(Message::text(sent)).await.unwrap();
    let event = world.event("MESSAGE").await;
    assert_eq!(event["body"], sent);
    assert_eq!(event["isBase64Encoded"], false);
    assert!(event.get("headers").is_none());
    assert_eq!(event["requestContext"]["routeKey"], "$default");
    assert_eq!(event["requestContext"]["connectionId"], id.as_str());
    assert!(event["requestContext"]["messageId"].is_string());
    assert_eq!(text(&mut client).await["id"], "h1");
}

#[tokio::test]
async fn malformed_and_unknown_messages_reach_the_function() {
    let mut world = World::new().await;
    let (mut client, _) = world.connect().await;
    for sent in ["{", r#"{"action":"fly"}"#, "\u{1f980}"] {
        client.send(Message::text(sent)).await.unwrap();
        assert_eq!(world.event("MESSAGE").await["body"], sent);
    }
}

#[tokio::test]
async fn a_ping_is_answered_by_the_gateway_itself() {
    let mut world = World::new().await;
    let (mut client, _) = world.connect().await;
    client
        .send(Message::text(r#"{"action":"ping"}"#))
        .await
        .unwrap();
    assert_eq!(text(&mut client).await, json!({ "type": "pong" }));
    assert!(world.events.try_recv().is_err());
}

#[tokio::test]
async fn invocations_of_one_connection_run_concurrently() {
    let mut world = World::build(
        Limits::default(),
        |event| Ok(json!({ "statusCode": 200, "body": event["body"] })),
        Some(Barrier::new(2)),
    )
    .await;
    let (mut client, _) = world.connect().await;
    client.send(Message::text(r#"{"n":1}"#)).await.unwrap();
    client.send(Message::text(r#"{"n":2}"#)).await.unwrap();
    let mut answers = [
        text(&mut client).await["n"].clone(),
        text(&mut client).await["n"].clone(),
    ];
    answers.sort_by_key(Value::as_u64);
    assert_eq!(answers, [json!(1), json!(2)], "each waited for the other");
}

#[tokio::test]
async fn a_crashed_and_a_slow_integration_give_the_gateways_own_error_frames() {
    let limits = Limits {
        integration: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut world = World::with(limits, |event| match event["body"].as_str() {
        Some(body) if body.contains("crash") => Err(Crash("boom".to_owned())),
        _ => Ok(ok()),
    })
    .await;
    let (mut client, id) = world.connect().await;
    client
        .send(Message::text(r#"{"action":"crash","id":"mine"}"#))
        .await
        .unwrap();
    let frame = text(&mut client).await;
    assert_eq!(frame["message"], "Internal server error");
    assert_eq!(frame["connectionId"], id.as_str());
    assert_ne!(frame["requestId"], "mine");
    world
        .sockets
        .set_faults(|faults| faults.function = Some(once(FunctionFault::Hangs)));
    client
        .send(Message::text(r#"{"action":"hello"}"#))
        .await
        .unwrap();
    assert_eq!(
        text(&mut client).await["message"],
        "Endpoint request timed out"
    );
}

#[tokio::test]
async fn a_lost_response_hides_work_that_was_done() {
    let mut world = World::new().await;
    let (mut client, _) = world.connect().await;
    world
        .sockets
        .set_faults(|faults| faults.function = Some(once(FunctionFault::LosesResponse)));
    client.send(Message::text("{}")).await.unwrap();
    assert_eq!(text(&mut client).await["message"], "Internal server error");
    world.event("MESSAGE").await;
}

#[tokio::test]
async fn binary_closes_with_1003_and_oversize_with_1009_and_disconnect_is_told() {
    let large = "x".repeat(32 * 1024 + 1);
    let huge = "x".repeat(200 * 1024);
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::text(large), 1009),
        (Message::text(huge), 1009),
    ] {
        let mut world = World::new().await;
        let (mut client, id) = world.connect().await;
        // The server may hang up before the last byte is written.
        let _ = client.send(message).await;
        assert_eq!(close_code(&mut client).await, code);
        let event = world.event("DISCONNECT").await;
        assert_eq!(event["requestContext"]["disconnectStatusCode"], code);
        assert_eq!(event["requestContext"]["connectionId"], id.as_str());
    }
}

#[tokio::test]
async fn the_largest_allowed_message_passes() {
    let mut world = World::new().await;
    let (mut client, _) = world.connect().await;
    let largest = "x".repeat(32 * 1024);
    client.send(Message::text(largest.clone())).await.unwrap();
    assert_eq!(world.event("MESSAGE").await["body"], largest);
}
