//! A scripted peer on loopback: every connection is handed to the test, which answers it as the
//! gateway, the access check or the media server would.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

/// A test that waits longer than this has found a bug: it fails and says what it waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, and fails by name where it would hang.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// A listener of its own port.
pub(crate) struct Peer {
    listener: TcpListener,
    port: u16,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a loopback port");
        let port = listener.local_addr().expect("a bound address").port();
        Self { listener, port }
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/prod", self.port)
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}/prod", self.port)
    }

    /// The next connection, once its request head was read.
    pub(crate) async fn next(&self) -> Incoming {
        within("a connection", async {
            loop {
                let accepted = self.listener.accept().await;
                let (stream, _) = accepted.expect("an accepted connection");
                if let Some(incoming) = Incoming::read(stream).await {
                    return incoming;
                }
            }
        })
        .await
    }

    /// The next connection, accepted as the gateway does, its `hello` answered with nothing held.
    pub(crate) async fn welcome(&self) -> Socket {
        let mut socket = self.next().await.accept().await;
        let hello = socket.receive("hello").await;
        socket.send(welcome(&hello, &[], &[])).await;
        socket
    }
}

/// The answer to `hello`.
pub(crate) fn welcome(hello: &Value, leases: &[Value], requests: &[Value]) -> Value {
    json!({
        "type": "welcome",
        "id": hello["id"],
        "session": "session-1",
        "token_expires_in_ms": 3_600_000,
        "heartbeat_ms": 270_000,
        "max_age_ms": 7_200_000,
        "reconnect_spread_ms": 250,
        "leases": leases,
        "requests": requests,
    })
}

/// One connection whose request was read and not yet answered.
pub(crate) struct Incoming {
    stream: TcpStream,
    pub(crate) target: String,
    headers: BTreeMap<String, String>,
}

impl Incoming {
    /// `None` for a connection that the client gave up before it had asked.
    async fn read(mut stream: TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("a head in UTF-8");
        let mut lines = head.lines();
        let request = lines.next().expect("a request line");
        let target = request.split(' ').nth(1).expect("a target").to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self {
            stream,
            target,
            headers,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Answers with a status and ends the connection.
    pub(crate) async fn refuse(mut self, status: u16, headers: &[(&str, &str)]) {
        let mut answer = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 0\r\n");
        for (name, value) in headers {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        self.stream
            .write_all(answer.as_bytes())
            .await
            .expect("a refusal");
        // The client closes first; a reset here could overtake the answer.
        let _ = self.stream.read(&mut [0; 1]).await;
    }

    /// Answers with bytes of the test's choice and ends the connection.
    pub(crate) async fn answer(mut self, bytes: &str) {
        let _ = self.stream.write_all(bytes.as_bytes()).await;
        let _ = self.stream.read(&mut [0; 1]).await;
    }

    /// Ends the connection without an answer.
    pub(crate) fn hang_up(self) {
        drop(self);
    }

    /// Waits until the client has given this connection up.
    pub(crate) async fn closed(mut self) {
        while matches!(self.stream.read(&mut [0; 64]).await, Ok(1..)) {}
    }

    /// Upgrades with the subprotocol that the gateway echoes.
    pub(crate) async fn accept(self) -> Socket {
        self.upgrade(Some("wakecast.v1")).await
    }

    /// Upgrades as the media server does, which knows no subprotocol.
    pub(crate) async fn accept_plain(self) -> Socket {
        self.upgrade(None).await
    }

    async fn upgrade(self, subprotocol: Option<&str>) -> Socket {
        let echo = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        self.upgrade_with(&echo.unwrap_or_default()).await
    }

    /// Upgrades with these header lines besides the necessary ones.
    pub(crate) async fn upgrade_with(mut self, headers: &str) -> Socket {
        let key = self
            .header("sec-websocket-key")
            .expect("an upgrade request");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n{headers}\r\n",
            derive_accept_key(key.as_bytes())
        );
        self.stream
            .write_all(answer.as_bytes())
            .await
            .expect("an upgrade");
        Socket(WebSocketStream::from_raw_socket(self.stream, Role::Server, None).await)
    }
}

/// The server's end of an open WebSocket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// The next message but heartbeats, which are answered as the gateway does; `None` once the
    /// client has gone.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        within("a message", async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message: Value = serde_json::from_str(&text).expect("JSON");
                        if message["action"] != "ping" {
                            return Some(message);
                        }
                        self.send(json!({ "type": "pong" })).await;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(other)) => panic!("the client sent {other:?}"),
                }
            }
        })
        .await
    }

    /// Waits until the client has read all that was sent; returns what it sent meanwhile.
    pub(crate) async fn settle(&mut self) -> Vec<Value> {
        self.0
            .send(Message::Ping(Vec::new().into()))
            .await
            .expect("a sent ping");
        let mut messages = Vec::new();
        within("a pong", async {
            loop {
                match self
                    .0
                    .next()
                    .await
                    .expect("an open link")
                    .expect("an open link")
                {
                    Message::Pong(_) => return,
                    Message::Text(text) => {
                        let message: Value = serde_json::from_str(&text).expect("JSON");
                        if message["action"] == "ping" {
                            self.send(json!({ "type": "pong" })).await;
                        } else {
                            messages.push(message);
                        }
                    }
                    other => panic!("the client sent {other:?}"),
                }
            }
        })
        .await;
        messages
    }

    /// The next message, which has to be `action`.
    pub(crate) async fn receive(&mut self, action: &str) -> Value {
        let message = self
            .next()
            .await
            .unwrap_or_else(|| panic!("closed instead of {action}"));
        assert_eq!(message["action"], action, "{message}");
        message
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .expect("a sent message");
    }

    /// Sends to a client that may go in the middle of it.
    pub(crate) async fn try_send(&mut self, message: Value) {
        let _ = self.0.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.expect("a sent message");
    }

    /// Waits for the end; the code of the client's close frame if it sent one.
    pub(crate) async fn ended(&mut self) -> Option<u16> {
        within("the end", async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// Acknowledges `message`.
    pub(crate) async fn ack(&mut self, message: &Value) {
        self.send(json!({ "type": "ack", "id": message["id"] }))
            .await;
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "scripted".into(),
        };
        self.0.close(Some(frame)).await.expect("a close frame");
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Ends the connection as a broken network does: no close frame.
    pub(crate) fn cut(self) {
        drop(self);
    }
}
