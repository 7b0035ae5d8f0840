//! A publisher or player at the media server, over its signalling socket.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast::{Endpoint, Secret};

/// A session description, of which the stand-in reads only that it is there.
const SDP: &str = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n";

/// A stream that is published or played until it is dropped.
pub(super) struct Media(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Media {
    /// Publishes. The error says what came instead.
    pub(super) async fn publish(endpoint: &Endpoint, stream: &str) -> Result<Self, String> {
        let mut media = Self::open(endpoint).await?;
        let token = endpoint.stream_token.as_ref().map(Secret::expose);
        media
            .send(
                json!({ "command": "publish", "streamId": stream, "token": token, "video": true }),
            )
            .await?;
        media.until("start").await?;
        media.describe(stream, "offer").await?;
        media.until("notification").await?;
        Ok(media)
    }

    /// Plays. The error says what came instead.
    pub(super) async fn play(endpoint: &Endpoint, stream: &str) -> Result<Self, String> {
        let mut media = Self::open(endpoint).await?;
        let token = endpoint.stream_token.as_ref().map(Secret::expose);
        media
            .send(json!({ "command": "play", "streamId": stream, "token": token }))
            .await?;
        media.until("takeConfiguration").await?;
        media.describe(stream, "answer").await?;
        media.until("notification").await?;
        Ok(media)
    }

    async fn open(endpoint: &Endpoint) -> Result<Self, String> {
        match connect_async(&endpoint.websocket_url).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(_) => Err("not opened".to_owned()),
        }
    }

    async fn describe(&mut self, stream: &str, kind: &str) -> Result<(), String> {
        self.send(json!({
            "command": "takeConfiguration", "streamId": stream, "type": kind, "sdp": SDP,
        }))
        .await
    }

    async fn send(&mut self, message: Value) -> Result<(), String> {
        let text = Message::text(message.to_string());
        self.0.send(text).await.map_err(|_| "cut".to_owned())
    }

    /// Reads on until this command; an `error` is its definition.
    async fn until(&mut self, command: &str) -> Result<(), String> {
        loop {
            let Some(Ok(Message::Text(text))) = self.0.next().await else {
                return Err("cut".to_owned());
            };
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            let said = message["command"].as_str();
            if said == Some("error") {
                let definition = message["definition"].as_str();
                return Err(definition.unwrap_or("error").to_owned());
            }
            if said == Some(command) {
                return Ok(());
            }
        }
    }
}
