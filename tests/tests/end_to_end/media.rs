//! A publisher or player at a media server, over its signalling socket.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast::{Endpoint, Secret};

use crate::cloud::within;

/// A session description, of which the stand-in reads only that it is there.
const SDP: &str = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n";

pub(crate) struct Media {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Media {
    pub(crate) async fn open(endpoint: &Endpoint) -> Self {
        let opened = within("the media socket", connect_async(&endpoint.websocket_url)).await;
        Self {
            socket: opened.expect("a media server").0,
        }
    }

    /// Publishes; what the server says against it is the error.
    pub(crate) async fn publish(
        &mut self,
        stream: &str,
        token: Option<&Secret>,
    ) -> Result<(), String> {
        self.send(json!({
            "command": "publish", "streamId": stream, "token": token.map(Secret::expose),
            "video": true, "audio": true,
        }))
        .await;
        self.until("start").await?;
        self.send(json!({
            "command": "takeConfiguration", "streamId": stream, "type": "offer", "sdp": SDP,
        }))
        .await;
        let answer = self.until("takeConfiguration").await?;
        assert_eq!(answer["type"], "answer");
        let started = self.until("notification").await?;
        assert_eq!(started["definition"], "publish_started");
        Ok(())
    }

    /// Plays; what the server says against it is the error.
    pub(crate) async fn play(
        &mut self,
        stream: &str,
        token: Option<&Secret>,
    ) -> Result<(), String> {
        self.send(json!({
            "command": "play", "streamId": stream, "token": token.map(Secret::expose),
        }))
        .await;
        let offer = self.until("takeConfiguration").await?;
        assert_eq!(offer["type"], "offer");
        self.send(json!({
            "command": "takeConfiguration", "streamId": stream, "type": "answer", "sdp": SDP,
        }))
        .await;
        let started = self.until("notification").await?;
        assert_eq!(started["definition"], "play_started");
        Ok(())
    }

    /// Ends what this socket publishes.
    pub(crate) async fn stop(&mut self, stream: &str) {
        self.send(json!({ "command": "stop", "streamId": stream }))
            .await;
    }

    async fn send(&mut self, message: Value) {
        let text = Message::text(message.to_string());
        self.socket.send(text).await.expect("a media server");
    }

    /// Reads on until this command; an `error` is returned as its definition.
    async fn until(&mut self, command: &str) -> Result<Value, String> {
        loop {
            let message = match within(command, self.socket.next()).await {
                Some(Ok(Message::Text(text))) => text,
                other => panic!("no {command} but {other:?}"),
            };
            let message: Value = serde_json::from_str(&message).unwrap();
            if message["command"] == "error" {
                return Err(message["definition"].as_str().unwrap().to_owned());
            }
            if message["command"] == command {
                return Ok(message);
            }
        }
    }
}
