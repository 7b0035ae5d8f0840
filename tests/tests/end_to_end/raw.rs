//! A client of the wire, with no machine behind it: it says whatever it is told.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast_local::TokenRequest;

use crate::cloud::{APP, Cloud, within};

pub(crate) struct Raw {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Raw {
    /// Connects with a fresh token; says nothing yet.
    pub(crate) async fn connect(cloud: &Cloud, subject: &str) -> Self {
        let token = cloud.token(&TokenRequest::new(subject)).unwrap().secret;
        let mut request = cloud.websocket_url.as_str().into_client_request().unwrap();
        let headers = request.headers_mut();
        let bearer = format!("Bearer {}", token.expose());
        headers.insert("authorization", bearer.parse().unwrap());
        headers.insert("sec-websocket-protocol", "wakecast.v1".parse().unwrap());
        let (socket, _) = within("a socket", connect_async(request)).await.unwrap();
        Self { socket }
    }

    /// Connects and says hello.
    pub(crate) async fn hello(cloud: &Cloud, subject: &str) -> Self {
        let mut raw = Self::connect(cloud, subject).await;
        raw.send(&json!({
            "action": "hello", "id": "hello", "v": 1, "client_id": subject, "sdk": "raw/1",
        }))
        .await;
        assert_eq!(raw.answer("hello").await["type"], "welcome");
        raw
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.text(&message.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn binary(&mut self, bytes: &[u8]) {
        self.socket
            .send(Message::binary(bytes.to_vec()))
            .await
            .unwrap();
    }

    /// Sends one text message in two frames.
    pub(crate) async fn fragmented(&mut self, text: &str) {
        let (first, second) = text.as_bytes().split_at(text.len() / 2);
        let frames = [
            Frame::message(first.to_vec(), OpCode::Data(Data::Text), false),
            Frame::message(second.to_vec(), OpCode::Data(Data::Continue), true),
        ];
        for frame in frames {
            self.socket.send(Message::Frame(frame)).await.unwrap();
        }
    }

    pub(crate) async fn acquire(&mut self, id: &str, purpose: &str) {
        self.send(&json!({
            "action": "acquire", "id": id, "app": APP, "purpose": purpose,
            "stream_id": "match-1", "deadline_ms": 600_000,
        }))
        .await;
    }

    /// Reads the next message.
    pub(crate) async fn next(&mut self) -> Value {
        match within("a message", self.socket.next()).await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("no message but {other:?}"),
        }
    }

    /// Reads on until a message with this id.
    pub(crate) async fn answer(&mut self, id: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Reads on until a message of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Reads on to the end and returns the close code; 1006 without a Close frame.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match within("the close", self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => {
                    return frame.map_or(1005, |frame| frame.code.into());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return 1006,
            }
        }
    }
}
