//! Handshakes: what is refused, what the function hears, what the client is answered.

use std::time::Duration;

use futures::SinkExt;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use wakecast_local::gateway::{Crash, FunctionFault, Limits};

use crate::http;
use crate::world::{World, ok, once, refused, text};

#[tokio::test]
async fn a_refused_connect_is_the_status_of_the_handshake_and_its_headers_are_dropped() {
    for status in [401, 403, 426, 429, 503] {
        let world = World::with(Limits::default(), move |_| {
            Ok(json!({ "statusCode": status, "headers": { "Retry-After": "7" }, "body": "why" }))
        })
        .await;
        let response = refused(&world).await;
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("retry-after"));
        assert_eq!(world.sockets.open(), []);
    }
}

#[tokio::test]
async fn over_the_connection_rate_the_handshake_is_429_and_no_function_hears_of_it() {
    let limits = Limits {
        connects_per_second: 0,
        connect_burst: 1,
        ..Limits::default()
    };
    let mut world = World::with(limits, |_| Ok(ok())).await;
    let _first = world.connect().await;
    assert_eq!(refused(&world).await.status(), 429);
    assert!(world.events.try_recv().is_err());
}

#[tokio::test]
async fn a_crashed_connect_is_a_500_and_a_slow_one_a_504() {
    let world = World::with(Limits::default(), |_| Err(Crash("boom".to_owned()))).await;
    assert_eq!(refused(&world).await.status(), 500);
    let limits = Limits {
        integration: Duration::from_millis(30),
        ..Limits::default()
    };
    let world = World::with(limits, |_| Ok(ok())).await;
    world
        .sockets
        .set_faults(|faults| faults.function = Some(once(FunctionFault::Hangs)));
    assert_eq!(refused(&world).await.status(), 504);
}

#[tokio::test]
async fn an_invocation_that_hangs_is_ended_in_the_end() {
    let limits = Limits {
        integration: Duration::from_millis(30),
        ..Limits::default()
    };
    let mut world = World::with(limits, |_| Ok(ok())).await;
    let (mut client, _) = world.connect().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    world
        .sockets
        .set_faults(|faults| faults.function = Some(once(FunctionFault::Hangs)));
    client.send(Message::text("{}")).await.unwrap();
    let said = text(&mut client).await;
    assert_eq!(said["message"], "Endpoint request timed out");
    let ended = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert!(ended.is_ok(), "{} tasks, {before} before", tasks());
}

#[tokio::test]
async fn the_subprotocol_is_echoed_only_if_connect_returns_it() {
    let echo = |_: &Value| {
        let headers = json!({ "Sec-WebSocket-Protocol": "wakecast.v1", "Set-Cookie": "a=b" });
        Ok(json!({ "statusCode": 200, "headers": headers }))
    };
    let offer = |world: &World| {
        let mut request = world.api.url().into_client_request().unwrap();
        let offered = "wakecast.v1, wakecast.bearer.x".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offered);
        request
    };
    let world = World::with(Limits::default(), echo).await;
    let (_client, response) = connect_async(offer(&world)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "wakecast.v1");
    assert!(!response.headers().contains_key("set-cookie"));

    let world = World::new().await;
    let error = connect_async(offer(&world))
        .await
        .expect_err("clients insist on the echo");
    assert!(error.to_string().contains("SubProtocol"), "{error}");
}

#[tokio::test]
async fn the_connect_event_has_the_real_shape() {
    let mut world = World::new().await;
    let mut request = format!("{}?a=1&a=2", world.api.url())
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("authorization", "Bearer t".parse().unwrap());
    let (_client, _) = connect_async(request).await.unwrap();
    let event = world.event("CONNECT").await;
    assert_eq!(event["headers"]["Authorization"], "Bearer t");
    assert_eq!(event["headers"]["Sec-WebSocket-Version"], "13");
    assert_eq!(
        event["multiValueHeaders"]["Authorization"],
        json!(["Bearer t"])
    );
    assert_eq!(event["queryStringParameters"], json!({ "a": "2" }));
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({ "a": ["1", "2"] })
    );
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["routeKey"], "$connect");
    assert_eq!(context["messageDirection"], "IN");
    assert_eq!(context["stage"], "local");
    assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
    for text in [
        "requestId",
        "extendedRequestId",
        "connectionId",
        "domainName",
        "apiId",
    ] {
        assert!(context[text].is_string(), "{text}");
    }
    assert!(context["requestTime"].as_str().unwrap().ends_with(" +0000"));
    assert!(context["connectedAt"].as_u64().unwrap() > 1_700_000_000_000);
    assert!(context["requestTimeEpoch"].as_u64() >= context["connectedAt"].as_u64());
}

#[tokio::test]
async fn what_is_no_websocket_or_no_stage_is_refused() {
    let world = World::new().await;
    let url = world.api.url().replace("ws://", "http://");
    assert_eq!(http::send("GET", &url, &[], "").await.status, 426);
    let elsewhere = url.replace("/local", "/prod");
    assert_eq!(http::send("GET", &elsewhere, &[], "").await.status, 403);
    let ws_elsewhere = elsewhere.replace("http://", "ws://");
    match connect_async(ws_elsewhere).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}
