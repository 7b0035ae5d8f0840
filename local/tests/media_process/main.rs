//! The media server stand-in on real sockets, seen through the adapter that probes real servers
//! and through a plain WebSocket client. Boots are stepped through with holds, not by waiting.

mod adapter;
mod sockets;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast_lambda::media::{HttpMediaServer, Limits, Scheme};
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::Clock;
use wakecast_local::media::{
    AppConfig, BootPhase, BootTimeline, Faults, MediaConfig, MediaProcess,
};

const SERVER_SECRET: &str = "the-server-secret-of-32-characters";
const STREAM_SECRET: &str = "the-stream-secret-of-32-characters";
const ANY_PORT: &str = "127.0.0.1:0";

#[derive(Debug)]
struct WallClock;

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock past 1970");
        Timestamp::from_millis(u64::try_from(since.as_millis()).expect("a date in range"))
    }

    async fn sleep_until(&self, _deadline: Timestamp) {
        unreachable!("a probe never sleeps");
    }
}

fn any_port() -> SocketAddr {
    ANY_PORT.parse().expect("an address")
}

/// An Enterprise Edition that boots at once, with the server's JWT control and stream tokens on.
fn config() -> MediaConfig {
    MediaConfig::enterprise()
        .with_boot(BootTimeline::INSTANT)
        .with_server_secret(SERVER_SECRET)
        .with_apps([AppConfig::new("live").with_stream_tokens(STREAM_SECRET)])
}

fn held_at(phase: BootPhase) -> Faults {
    Faults {
        hold_at: Some(phase),
        ..Faults::default()
    }
}

async fn started(config: MediaConfig) -> MediaProcess {
    MediaProcess::start(config, any_port())
        .await
        .expect("a process")
}

async fn started_held_at(phase: BootPhase) -> MediaProcess {
    MediaProcess::start_with(config(), held_at(phase), any_port())
        .await
        .expect("a process")
}

async fn hold(process: &MediaProcess, phase: BootPhase) {
    process.control(|model, now| model.set_faults(now, held_at(phase)));
    process.settled().await;
}

async fn release(process: &MediaProcess) {
    process.control(|model, now| model.set_faults(now, Faults::default()));
    process.settled().await;
}

fn adapter_with(secret: &str) -> HttpMediaServer {
    let adapter = HttpMediaServer::new(secret.into(), Arc::new(WallClock), Scheme::Http);
    adapter.expect("an adapter")
}

fn adapter() -> HttpMediaServer {
    adapter_with(SERVER_SECRET)
}

/// One that gives up on a silent server soon, for tests in which it is silent on purpose.
fn impatient() -> HttpMediaServer {
    let limit = Duration::from_millis(50);
    adapter().with_limits(Limits {
        probe: limit,
        sample: limit,
    })
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(process: &MediaProcess) -> Socket {
    let url = format!("ws://{}/live/websocket", process.address());
    connect_async(url).await.expect("a socket").0
}

async fn send(socket: &mut Socket, message: &Value) {
    socket
        .send(Message::text(message.to_string()))
        .await
        .expect("sent");
}

/// The next message of the server, or how the connection ended.
async fn next(socket: &mut Socket) -> Result<Value, Option<Error>> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Close(frame))) => panic!("a Close frame: {frame:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Some(error)),
            None => return Err(None),
        }
    }
}

async fn ask(socket: &mut Socket, message: &Value) -> Value {
    send(socket, message).await;
    next(socket).await.expect("an answer")
}

/// Publishes `s1` with a good token, through the whole negotiation.
async fn publish(process: &MediaProcess) -> Socket {
    let mut socket = open(process).await;
    let token = wakecast_lambda::media::stream_token(
        &STREAM_SECRET.into(),
        "s1",
        true,
        Timestamp::from_millis(WallClock.now().as_millis() + 60_000),
    );
    let token = token.expect("a token");
    let message = json!({ "command": "publish", "streamId": "s1", "token": token.expose() });
    assert_eq!(ask(&mut socket, &message).await["command"], "start");
    let offer = json!({
        "command": "takeConfiguration", "streamId": "s1", "type": "offer", "sdp": "v=0",
    });
    assert_eq!(ask(&mut socket, &offer).await["type"], "answer");
    assert_eq!(
        next(&mut socket).await.expect("a message")["definition"],
        "publish_started"
    );
    socket
}
