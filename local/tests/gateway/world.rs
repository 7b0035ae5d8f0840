//! A gateway stand-in with a scripted function behind it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, mpsc};
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast_lambda::model::ConnectionId;
use wakecast_lambda::ports::Clock;
use wakecast_local::Listener;
use wakecast_local::gateway::{
    Counted, Crash, Function, GatewayModel, HttpApi, Limits, Routes, Sockets, WebSocketApi,
};
use wakecast_local::system::SystemClock;

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;
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

pub(crate) struct World {
    pub(crate) api: WebSocketApi,
    pub(crate) sockets: Sockets,
    pub(crate) events: mpsc::UnboundedReceiver<Value>,
}

impl World {
    pub(crate) async fn with(
        limits: Limits,
        script: impl Fn(&Value) -> Result<Value, Crash> + Send + Sync + 'static,
    ) -> Self {
        Self::build(limits, script, None).await
    }

    pub(crate) async fn build(
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

    pub(crate) async fn new() -> Self {
        Self::with(Limits::default(), |_| Ok(ok())).await
    }

    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.events.recv().await.expect("an event");
            if event["requestContext"]["eventType"] == kind {
                return event;
            }
        }
    }

    pub(crate) async fn connect(&mut self) -> (Client, ConnectionId) {
        let (client, _) = connect_async(self.api.url()).await.unwrap();
        let event = self.event("CONNECT").await;
        let id = event["requestContext"]["connectionId"].as_str().unwrap();
        (client, ConnectionId::new(id))
    }
}

pub(crate) fn ok() -> Value {
    json!({ "statusCode": 200 })
}

pub(crate) async fn refused(world: &World) -> Response<Option<Vec<u8>>> {
    match connect_async(world.api.url()).await {
        Err(Error::Http(response)) => *response,
        other => panic!("not refused: {other:?}"),
    }
}

/// Reads until a text message.
pub(crate) async fn text(client: &mut Client) -> Value {
    match client.next().await.expect("a message").expect("no error") {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("not a text: {other:?}"),
    }
}

/// Reads until the end and returns the close code: 1006 without a Close frame.
pub(crate) async fn close_code(client: &mut Client) -> u16 {
    loop {
        match client.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(Message::Close(None))) => return 1005,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return 1006,
        }
    }
}

pub(crate) async fn http_api(
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

async fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap()
}

pub(crate) fn once<T>(what: T) -> Counted<T> {
    Counted {
        what,
        times: Some(1),
    }
}
