//! A publisher's and a viewer's end of the media server's signalling.
//!
//! No media is sent: the offer and the answer stand where a WebRTC peer connection would be.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast::{Endpoint, Secret};

/// The server is on this machine: what takes this long will not come.
const PATIENCE: Duration = Duration::from_secs(5);

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\n\
    a=rtpmap:96 H264/90000\r\n";

/// One WebSocket to the media server.
pub(crate) struct MediaSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    stream: String,
    token: Option<Secret>,
}

impl MediaSocket {
    /// Opens a socket for one stream with the endpoint's stream token.
    pub(crate) async fn open(endpoint: &Endpoint, stream: &str) -> Result<Self, String> {
        let opening = timeout(PATIENCE, connect_async(endpoint.websocket_url.as_str())).await;
        let (socket, _) = opening
            .map_err(|_| silent("the handshake"))?
            .map_err(|error| format!("the media server cannot be reached: {error}"))?;
        Ok(Self {
            socket,
            stream: stream.to_owned(),
            token: endpoint.stream_token.clone(),
        })
    }

    /// Sends a ping and waits for its pong; returns how long that took.
    pub(crate) async fn ping(&mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.send(json!({ "command": "ping" })).await?;
        self.until("pong", |message| message["command"] == "pong")
            .await?;
        Ok(begun.elapsed())
    }

    /// Publishes the stream: `publish`, `start`, offer, answer, `publish_started`.
    pub(crate) async fn publish(&mut self) -> Result<(), String> {
        self.send(json!({
            "command": "publish", "streamId": self.stream, "token": self.token_text(),
            "video": true, "audio": true,
        }))
        .await?;
        self.until("start", |message| message["command"] == "start")
            .await?;
        self.describe("offer", OFFER).await?;
        self.until("an answer", |message| is_description(message, "answer"))
            .await?;
        self.until("publish_started", |message| {
            is_notification(message, "publish_started")
        })
        .await
        .map(drop)
    }

    /// Plays the stream: `play`, offer, answer, `play_started`. `false` if it is not live yet.
    pub(crate) async fn play(&mut self) -> Result<bool, String> {
        self.send(json!({
            "command": "play", "streamId": self.stream, "token": self.token_text(),
        }))
        .await?;
        let answer = self
            .until("an offer", |message| {
                is_description(message, "offer") || message["definition"] == "no_stream_exist"
            })
            .await?;
        if answer["definition"] == "no_stream_exist" {
            return Ok(false);
        }
        self.describe("answer", &recvonly(&answer)).await?;
        self.until("play_started", |message| {
            is_notification(message, "play_started")
        })
        .await?;
        Ok(true)
    }

    /// Waits, however long, for the end of the stream that this socket plays.
    pub(crate) async fn played_out(&mut self) -> Result<(), String> {
        while let Some(message) = self.socket.next().await {
            let message = read(message)?;
            if is_notification(&message, "play_finished") {
                return Ok(());
            }
        }
        Err("the media server closed the connection under a running stream".to_owned())
    }

    /// Stays connected until `end`. An error if the server ends the connection before that.
    pub(crate) async fn stay_until(&mut self, end: impl Future) -> Result<(), String> {
        let closed = async { while let Some(Ok(_)) = self.socket.next().await {} };
        tokio::select! {
            _ = end => Ok(()),
            () = closed => {
                Err("the media server closed the connection under a live stream".to_owned())
            }
        }
    }

    /// Takes over the stream token of a newer endpoint.
    pub(crate) fn present(&mut self, endpoint: &Endpoint) {
        self.token.clone_from(&endpoint.stream_token);
    }

    /// Ends what this socket publishes.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.send(json!({ "command": "stop", "streamId": self.stream }))
            .await?;
        self.until("publish_finished", |message| {
            is_notification(message, "publish_finished")
        })
        .await
        .map(drop)
    }

    async fn describe(&mut self, kind: &str, sdp: &str) -> Result<(), String> {
        self.send(json!({
            "command": "takeConfiguration", "streamId": self.stream, "type": kind, "sdp": sdp,
        }))
        .await
    }

    fn token_text(&self) -> &str {
        self.token.as_ref().map_or("", Secret::expose)
    }

    async fn send(&mut self, message: Value) -> Result<(), String> {
        let sent = self.socket.send(Message::text(message.to_string())).await;
        sent.map_err(|error| format!("the media server went away: {error}"))
    }

    /// Waits for a message; an error that the server reports instead ends the wait, unless it is
    /// what is waited for.
    async fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let waiting = async {
            while let Some(message) = self.socket.next().await {
                let message = read(message)?;
                if wanted(&message) {
                    return Ok(message);
                }
                if message["command"] == "error" {
                    let definition = message["definition"].as_str().unwrap_or("no reason");
                    return Err(format!(
                        "the media server answered {definition} instead of {what}"
                    ));
                }
            }
            Err(format!("the media server left before it sent {what}"))
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| Err(silent(what)))
    }
}

fn read(message: Result<Message, tokio_tungstenite::tungstenite::Error>) -> Result<Value, String> {
    let message = message.map_err(|error| format!("the media server went away: {error}"))?;
    match message {
        Message::Text(text) => serde_json::from_str(text.as_str())
            .map_err(|error| format!("the media server sent something unreadable: {error}")),
        // Frames of the WebSocket itself, which the library answers.
        _ => Ok(Value::Null),
    }
}

fn is_notification(message: &Value, definition: &str) -> bool {
    message["command"] == "notification" && message["definition"] == definition
}

fn is_description(message: &Value, kind: &str) -> bool {
    message["command"] == "takeConfiguration" && message["type"] == kind
}

/// What a viewer answers to an offer.
fn recvonly(offer: &Value) -> String {
    let sdp = offer["sdp"].as_str().unwrap_or_default();
    sdp.replace("a=sendonly", "a=recvonly")
}

fn silent(what: &str) -> String {
    format!(
        "the media server was silent for {} s where {what} should come",
        PATIENCE.as_secs()
    )
}

#[cfg(test)]
mod tests;
