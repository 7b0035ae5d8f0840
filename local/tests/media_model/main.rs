//! The media server stand-in on virtual time: what was observed of a real server, case by case.

mod boot;
mod counts;
mod ends;
mod properties;
mod rest;
mod signalling;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use wakecast_local::media::{
    AppConfig, MediaConfig, MediaModel, Opening, Output, Reply, Request, Response, SocketId,
};

/// The box's wall clock at the driver's zero, in seconds.
const UNIX_S: u64 = 1_795_363_000;
/// A moment at which the observed boot is long over.
const LATER: u64 = 10_000;
const SERVER_SECRET: &str = "the-server-secret-of-32-characters";
const STREAM_SECRET: &str = "the-stream-secret-of-32-characters";

/// A server under test, its clock, and what it sent so far.
struct Bench {
    model: MediaModel,
    now: u64,
    outputs: Vec<Output>,
}

impl Bench {
    fn new(config: MediaConfig) -> Self {
        let config = config.with_unix_ms_at_zero(UNIX_S * 1_000);
        let model = MediaModel::start(config, 0).expect("a sound configuration");
        Self {
            model,
            now: 0,
            outputs: Vec::new(),
        }
    }

    /// An Enterprise Edition with the server's JWT control on, at its very start.
    fn enterprise() -> Self {
        Self::new(MediaConfig::enterprise().with_server_secret(SERVER_SECRET))
    }

    /// The same with stream tokens on.
    fn with_stream_tokens() -> Self {
        let live = AppConfig::new("live").with_stream_tokens(STREAM_SECRET);
        let config = MediaConfig::enterprise().with_server_secret(SERVER_SECRET);
        Self::new(config.with_apps([live]))
    }

    fn community() -> Self {
        Self::new(MediaConfig::community().with_server_secret(SERVER_SECRET))
    }

    fn at(mut self, now: u64) -> Self {
        self.advance_to(now);
        self
    }

    /// Moves the clock as a driver would: stopping at each timeout on the way.
    fn advance_to(&mut self, now: u64) {
        assert!(now >= self.now, "time does not go back");
        while let Some(due) = self.model.next_timeout(self.now).filter(|due| *due <= now) {
            assert!(
                due > self.now,
                "a timeout must lie ahead: {due} at {}",
                self.now
            );
            self.now = due;
            self.model.tick(due);
            self.collect();
        }
        self.now = now;
    }

    fn advance(&mut self, by: u64) {
        self.advance_to(self.now + by);
    }

    fn collect(&mut self) {
        while let Some(output) = self.model.poll() {
            self.outputs.push(output);
        }
    }

    fn reply(&mut self, request: &Request) -> Reply {
        let reply = self.model.http(self.now, request);
        self.collect();
        reply
    }

    fn answer(&mut self, request: &Request) -> Response {
        let reply = self.reply(request);
        reply
            .clone()
            .answer()
            .unwrap_or_else(|| panic!("{request:?} got {reply:?}"))
    }

    /// Status and body of a bare `GET`.
    fn get(&mut self, target: &str) -> (u16, String) {
        let response = self.answer(&Request::get(target));
        (response.status, response.body)
    }

    /// The JSON of a `GET` with the server's token.
    fn root(&mut self, path: &str) -> Value {
        let request = Request::get(&format!("/rest/v2/{path}"))
            .with_server_token(&sign(SERVER_SECRET, &json!({})));
        let response = self.answer(&request);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        serde_json::from_str(&response.body).expect("JSON")
    }

    fn opening(&mut self, target: &str) -> Opening {
        let opening = self.model.ws_open(self.now, &Request::get(target));
        self.collect();
        opening
    }

    fn open(&mut self) -> SocketId {
        match self.opening("/live/websocket") {
            Opening::Accepted(socket) => socket,
            other => panic!("no socket: {other:?}"),
        }
    }

    /// Sends a text and returns what came back on the same socket.
    fn say(&mut self, socket: SocketId, text: &str) -> Vec<String> {
        self.model.ws_text(self.now, socket, text);
        self.heard(socket)
    }

    /// Sends a message and expects one in return.
    fn ask(&mut self, socket: SocketId, message: &Value) -> Value {
        let heard = self.say(socket, &message.to_string());
        assert_eq!(heard.len(), 1, "{message} got {heard:?}");
        serde_json::from_str(&heard[0]).expect("JSON")
    }

    /// What was sent to `socket` since it was last asked.
    fn heard(&mut self, socket: SocketId) -> Vec<String> {
        self.collect();
        let mut texts = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Send { socket: to, text } if *to == socket => {
                texts.push(text.clone());
                false
            }
            _ => true,
        });
        texts
    }

    /// Publishes a stream over its own socket, through the whole negotiation.
    fn publish(&mut self, stream: &str) -> SocketId {
        let socket = self.open();
        let started = self.ask(socket, &json!({ "command": "publish", "streamId": stream }));
        assert_eq!(started["command"], "start");
        let offer = json!({
            "command": "takeConfiguration", "streamId": stream, "type": "offer", "sdp": "v=0",
        });
        let heard = self.say(socket, &offer.to_string());
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[1].contains("publish_started"), "{heard:?}");
        socket
    }

    /// Plays a stream over its own socket, through the whole negotiation.
    fn play(&mut self, stream: &str) -> SocketId {
        let socket = self.open();
        let offer = self.ask(socket, &json!({ "command": "play", "streamId": stream }));
        assert_eq!(
            (&offer["command"], &offer["type"]),
            (&json!("takeConfiguration"), &json!("offer"))
        );
        let answer = json!({
            "command": "takeConfiguration", "streamId": stream, "type": "answer", "sdp": "v=0",
        });
        let started = self.ask(socket, &answer);
        assert_eq!(started["definition"], "play_started");
        socket
    }
}

fn sign(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), claims, &key).expect("a token")
}

fn is_page(response: &Response, status: u16, message: &str) {
    assert_eq!(response.status, status, "{}", response.body);
    assert_eq!(response.content_type, Some("text/html;charset=utf-8"));
    assert!(
        response.body.contains(&format!("<b>Message</b> {message}")),
        "{}",
        response.body
    );
}
