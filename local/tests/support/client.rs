//! A client of the wire, with no machine behind it.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast_local::{LocalCloud, TokenRequest};

/// Longer than any answer takes: a client that waits for what never comes says so.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// Connects with a fresh token and says hello.
    pub(crate) async fn hello(cloud: &LocalCloud, subject: &str) -> Self {
        let token = cloud.token(&TokenRequest::new(subject)).unwrap();
        let mut client = Self::with_token(cloud, token.secret.expose())
            .await
            .unwrap();
        client
            .send(json!({
                "action": "hello", "id": "h", "v": 1, "client_id": subject, "sdk": "test/1",
            }))
            .await;
        let welcome = client.next().await;
        assert_eq!(
            (&welcome["type"], &welcome["id"]),
            (&json!("welcome"), &json!("h"))
        );
        client
    }

    pub(crate) async fn with_token(cloud: &LocalCloud, token: &str) -> Result<Self, Error> {
        let mut request = cloud.websocket_url.as_str().into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        headers.insert("sec-websocket-protocol", "wakecast.v1".parse().unwrap());
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket })
    }

    pub(crate) async fn plain(url: &str) -> Result<Self, Error> {
        Ok(Self {
            socket: connect_async(url).await?.0,
        })
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.text(&message.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn acquire(&mut self, id: &str, purpose: &str, stream: &str) {
        self.send(json!({
            "action": "acquire", "id": id, "app": "live", "purpose": purpose,
            "stream_id": stream, "deadline_ms": 600_000,
        }))
        .await;
    }

    /// Reads the next message.
    pub(crate) async fn next(&mut self) -> Value {
        let next = tokio::time::timeout(PATIENCE, self.socket.next());
        match next.await.expect("a message within a minute") {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("no message but {other:?}"),
        }
    }

    /// Reads on until a message of this type, and returns what came before it as well.
    pub(crate) async fn until(&mut self, kind: &str) -> (Vec<Value>, Value) {
        let mut before = Vec::new();
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return (before, message);
            }
            before.push(message);
        }
    }

    /// Reads on to the end and returns the close code; 1006 without a Close frame.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Close(frame))) => {
                    return frame.map_or(1005, |frame| frame.code.into());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return 1006,
            }
        }
    }

    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
    }
}
