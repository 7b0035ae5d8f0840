//! The gateway stand-in over real sockets, with scripted functions behind it.

#[path = "support/http.rs"]
mod http;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Barrier, mpsc};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast_lambda::model::ConnectionId;
use wakecast_lambda::ports::{Clock, Connections, PostError};
use wakecast_local::Listener;
use wakecast_local::gateway::{
    Counted, Crash, Function, FunctionFault, GatewayModel, HttpApi, Limits, Routes, Sockets,
    WebSocketApi,
};
use wakecast_local::system::SystemClock;

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Script = dyn Fn(&Value) -> Result<Value, Crash> + Send + Sync;

/// A function that reports each event it gets and answers as the test says.
struct Scripted {
    events: mpsc::UnboundedSender<Value>,
    script: Box<Script>,
    together: Option<Barrier>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl Function for Scripted {
    async fn invoke(&self, event: Value) -> Result<Value, Crash> {
        let answer = (self.script)(&event);
        let is_message = event["requestContext"]["eventType"] == "MESSAGE";
        self.events.send(event).ok();
        if let Some(barrier) = self.together.as_ref().filter(|_| is_message) {
            barrier.wait().await;
        }
        answer
    }
}

struct World {
    api: WebSocketApi,
    sockets: Sockets,
    events: mpsc::UnboundedReceiver<Value>,
}

impl World {
    async fn with(
        limits: Limits,
        script: impl Fn(&Value) -> Result<Value, Crash> + Send + Sync + 'static,
    ) -> Self {
        Self::build(limits, script, None).await
    }

    async fn build(
        limits: Limits,
        script: impl Fn(&Value) -> Result<Value, Crash> + Send + Sync + 'static,
        together: Option<Barrier>,
    ) -> Self {
        let clock = Arc::new(SystemClock::start());
        let model = GatewayModel::new(limits, Routes::default(), 7, clock.now());
        let sockets = Sockets::new(model, clock);
        let (sender, events) = mpsc::unbounded_channel();
        let function = Arc::new(Scripted {
            events: sender,
            script: Box::new(script),
            together,
        });
        let api = WebSocketApi::serve(listener().await, "local", sockets.clone(), function);
        Self {
            api,
            sockets,
            events,
        }
    }

    async fn new() -> Self {
        Self::with(Limits::default(), |_| Ok(ok())).await
    }

    async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.events.recv().await.expect("an event");
            if event["requestContext"]["eventType"] == kind {
                return event;
            }
        }
    }

    async fn connect(&mut self) -> (Client, ConnectionId) {
        let (client, _) = connect_async(self.api.url()).await.unwrap();
        let event = self.event("CONNECT").await;
        let id = event["requestContext"]["connectionId"].as_str().unwrap();
        (client, ConnectionId::new(id))
    }
}

fn ok() -> Value {
    json!({ "statusCode": 200 })
}

async fn refused(world: &World) -> Response<Option<Vec<u8>>> {
    match connect_async(world.api.url()).await {
        Err(Error::Http(response)) => *response,
        other => panic!("not refused: {other:?}"),
    }
}

/// Reads until a text message.
async fn text(client: &mut Client) -> Value {
    match client.next().await.expect("a message").expect("no error") {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a text: {other:?}"),
    }
}

/// Reads until the end and returns the close code: 1006 without a Close frame.
async fn close_code(client: &mut Client) -> u16 {
    loop {
        match client.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(Message::Close(None))) => return 1005,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return 1006,
        }
    }
}

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

#[tokio::test]
async fn n47_idle_and_age_close_real_sockets_with_1001() {
    let short = Duration::from_millis(60);
    for limits in [
        Limits {
            idle: short,
            ..Limits::default()
        },
        Limits {
            age: short,
            ..Limits::default()
        },
    ] {
        let mut world = World::with(limits, |_| Ok(ok())).await;
        let (mut client, _) = world.connect().await;
        assert_eq!(close_code(&mut client).await, 1001);
        let event = world.event("DISCONNECT").await;
        assert_eq!(event["requestContext"]["disconnectStatusCode"], 1001);
        assert_eq!(event["requestContext"]["disconnectReason"], "Going away");
    }
}

#[tokio::test]
async fn posts_arrive_and_a_delete_closes_without_a_code() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    world
        .sockets
        .post(&id, r#"{"type":"progress"}"#)
        .await
        .unwrap();
    assert_eq!(text(&mut client).await["type"], "progress");
    world.sockets.delete(&id).await.unwrap();
    assert_eq!(world.sockets.post(&id, "{}").await, Err(PostError::Gone));
    assert_eq!(close_code(&mut client).await, 1005);
    world.event("DISCONNECT").await;
}

#[tokio::test]
async fn a_post_inside_connect_is_gone() {
    let sockets: Arc<OnceLock<Sockets>> = Arc::default();
    let posted: Arc<Mutex<Option<Result<(), PostError>>>> = Arc::default();
    let (inside, note) = (sockets.clone(), posted.clone());
    let mut world = World::with(Limits::default(), move |event| {
        let id = ConnectionId::new(event["requestContext"]["connectionId"].as_str().unwrap());
        *note.lock().unwrap() = inside.get().unwrap().post(&id, "{}").now_or_never();
        Ok(ok())
    })
    .await;
    sockets.set(world.sockets.clone()).unwrap();
    let _client = world.connect().await;
    assert_eq!(*posted.lock().unwrap(), Some(Err(PostError::Gone)));
}

#[tokio::test]
async fn a_client_that_closes_or_vanishes_is_told_to_the_function() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    client.close(None).await.unwrap();
    let event = world.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["connectionId"], id.as_str());
    assert_eq!(event["requestContext"]["routeKey"], "$disconnect");
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1005);
    let (client, _) = world.connect().await;
    drop(client);
    let event = world.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(world.sockets.open(), []);
}

#[tokio::test]
async fn a_cut_ends_a_socket_without_a_close_frame() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    world.sockets.cut(&id, false);
    assert_eq!(close_code(&mut client).await, 1006);
    world.event("DISCONNECT").await;
    assert_eq!(world.sockets.post(&id, "{}").await, Err(PostError::Gone));
}

#[tokio::test]
async fn after_a_silent_cut_the_gateway_goes_on_posting_into_the_void() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    world.sockets.cut(&id, true);
    assert_eq!(close_code(&mut client).await, 1006);
    assert_eq!(world.sockets.post(&id, "{}").await, Ok(()));
    assert!(world.events.try_recv().is_err(), "$disconnect never comes");
}

#[tokio::test]
async fn scripted_faults_refuse_connects_and_drop_pushes_as_often_as_told() {
    let mut world = World::new().await;
    world.sockets.set_faults(|faults| {
        faults.refuse_connects = Some(once(503));
        faults.drop_pushes = Some(once(()));
    });
    assert_eq!(refused(&world).await.status(), 503);
    let (mut client, id) = world.connect().await;
    world.sockets.post(&id, r#"{"n":1}"#).await.unwrap();
    world.sockets.post(&id, r#"{"n":2}"#).await.unwrap();
    assert_eq!(text(&mut client).await["n"], 2);
    assert_eq!(world.sockets.faults(), Default::default());
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

async fn http_api(
    script: impl Fn(&Value) -> Result<Value, Crash> + Send + Sync + 'static,
) -> (HttpApi, mpsc::UnboundedReceiver<Value>) {
    let (sender, events) = mpsc::unbounded_channel();
    let function = Scripted {
        events: sender,
        script: Box::new(script),
        together: None,
    };
    let clock = Arc::new(SystemClock::start());
    (
        HttpApi::serve(listener().await, clock, Arc::new(function)),
        events,
    )
}

#[tokio::test]
async fn the_http_event_has_the_real_shape() {
    let (api, mut events) = http_api(|_| Ok(json!({ "statusCode": 204 }))).await;
    let url = format!("{}/v1/hints/secret?x=1&x=2", api.url());
    let headers = [("X-Wakecast", "a"), ("User-Agent", "test/1")];
    let answer = http::send("POST", &url, &headers, r#"{"action":"liveStreamStarted"}"#).await;
    assert_eq!(answer.status, 204);
    let event = events.recv().await.unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["rawPath"], "/v1/hints/secret");
    assert_eq!(event["rawQueryString"], "x=1&x=2");
    assert_eq!(event["queryStringParameters"], json!({ "x": "1,2" }));
    assert_eq!(event["headers"]["x-wakecast"], "a");
    assert_eq!(event["body"], r#"{"action":"liveStreamStarted"}"#);
    let http = &event["requestContext"]["http"];
    assert_eq!(http["method"], "POST");
    assert_eq!(http["path"], "/v1/hints/secret");
    assert_eq!(http["sourceIp"], "127.0.0.1");
    assert_eq!(http["userAgent"], "test/1");
}

#[tokio::test]
async fn http_responses_pass_as_they_are_and_preflights_reach_the_function() {
    let (api, mut events) = http_api(|_| {
        let headers = json!({ "Retry-After": "3", "Access-Control-Allow-Origin": "https://app" });
        Ok(json!({ "statusCode": 429, "headers": headers, "body": "{}" }))
    })
    .await;
    let url = format!("{}/v1/access", api.url());
    for method in ["GET", "OPTIONS"] {
        let answer = http::send(method, &url, &[("Origin", "https://app")], "").await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (429, Some("3"))
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app")
        );
        let event = events.recv().await.unwrap();
        assert_eq!(event["requestContext"]["http"]["method"], method);
        assert_eq!(event["headers"]["origin"], "https://app");
    }
}

#[tokio::test]
async fn a_crashed_http_integration_is_a_500() {
    let (api, _events) = http_api(|_| Err(Crash("boom".to_owned()))).await;
    let answer = http::send("GET", &format!("{}/v1/access", api.url()), &[], "").await;
    assert_eq!(
        (answer.status, answer.json()["message"].clone()),
        (500, json!("Internal Server Error"))
    );
}

async fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap()
}

fn once<T>(what: T) -> Counted<T> {
    Counted {
        what,
        times: Some(1),
    }
}
