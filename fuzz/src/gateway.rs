//! A script of events for the gateway, over the table in memory.
//!
//! The input is text, one event a line, so that a seed can be read and written by hand:
//!
//! ```text
//! link S                 a good token opens the socket S, and a `hello` greets on it
//! open S TOKEN           a `$connect` with that token
//! say S TEXT             a message
//! binary S TEXT          the same, in API Gateway's base64 form
//! close S                a `$disconnect`
//! event JSON             an event of the WebSocket API as it stands
//! request JSON           an event of the HTTP API as it stands
//! wait SECONDS           time passes
//! ready BOOT | drain BOOT | stop BOOT
//!                        what the reconciler made of the instance
//! fail N | lose N | crash N | die N
//!                        the table's Nth operation from here fails, loses its reply, or takes the
//!                        function down before or after it
//! ```
//!
//! `TOKEN` in an event is a good token, `OTHER` one of another person, `STALE` one that has ended; in
//! a message only as the value of `token`.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use serde_json::{Value, json};
use wakecast::protocol::{ClientMessage, MAX_SERVER_MESSAGE, ServerMessage};
use wakecast_lambda::model::InstanceStatus;

use crate::world::{HINT, SECRET, Trouble, World, draining, events, stopping};

/// More events find little that fewer do not.
const MOST_LINES: usize = 64;

/// Longest time that one line lets pass: a row is forgotten after minutes, a link after hours.
const LONGEST_WAIT: u64 = 100_000;

/// What the gateway may answer.
const STATUSES: [u64; 10] = [200, 204, 400, 401, 403, 404, 405, 426, 429, 503];

/// Whatever comes in whatever order: an answer each, of the form that API Gateway takes, with no
/// secret in it; one reply to each message, with its id; an endpoint only from a ready instance.
pub fn gateway(bytes: &[u8]) {
    gateway_told(bytes);
}

/// The same; returns which kinds of messages were told.
pub fn gateway_told(bytes: &[u8]) -> BTreeSet<String> {
    let Ok(script) = str::from_utf8(bytes) else {
        return BTreeSet::new();
    };
    let mut play = Play::new(script);
    for line in script.lines().take(MOST_LINES) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        play.line(word, rest);
    }
    play.kinds
}

struct Play {
    world: World,
    /// When each socket was opened.
    sockets: BTreeMap<String, u64>,
    /// Tokens that were presented.
    tokens: BTreeSet<String>,
    /// The script names a secret itself, so that finding it proves nothing.
    told: bool,
    /// An instance can be used.
    ready: bool,
    /// The table may fail, so that the function may crash.
    troubled: bool,
    kinds: BTreeSet<String>,
}

impl Play {
    fn new(script: &str) -> Self {
        Self {
            world: World::new(),
            sockets: BTreeMap::new(),
            tokens: BTreeSet::new(),
            told: script.contains("canary"),
            ready: false,
            troubled: false,
            kinds: BTreeSet::new(),
        }
    }

    fn line(&mut self, word: &str, rest: &str) {
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = first.parse::<u64>().unwrap_or(1);
        match word {
            "link" => {
                self.open(first, "TOKEN");
                let hello = json!({
                    "action": "hello", "id": "hello", "v": 1, "client_id": "tab", "sdk": "fuzz",
                });
                self.say(first, &hello.to_string(), false);
            }
            "open" => self.open(first, second),
            "say" => self.say(first, second, false),
            "binary" => self.say(first, second, true),
            "close" => {
                self.websocket(&events::disconnect(first, self.opened(first)));
            }
            "event" => {
                if let Ok(event) = serde_json::from_str(&self.filled(rest)) {
                    self.websocket(&event);
                }
            }
            "request" => {
                if let Ok(event) = serde_json::from_str(&self.filled(rest)) {
                    let answer = self.world.gateway.http(&event).now_or_never();
                    self.answered(answer);
                }
            }
            "wait" => self.world.advance(number.min(LONGEST_WAIT)),
            "ready" => self.given(number, InstanceStatus::Ready),
            "drain" => self.given(number, draining(self.world.now())),
            "stop" => self.given(number, stopping(self.world.now())),
            "fail" => self.trouble(number, Trouble::Fails),
            "lose" => self.trouble(number, Trouble::ReplyLost),
            "crash" => self.trouble(number, Trouble::CrashBefore),
            "die" => self.trouble(number, Trouble::CrashAfter),
            _ => {}
        }
    }

    /// Puts tokens of this moment in place of their names.
    fn filled(&mut self, text: &str) -> String {
        let now = self.world.now() / 1000;
        let mut filled = text.to_owned();
        for (name, claims) in [
            ("TOKEN", json!({})),
            ("OTHER", json!({ "sub": "bob" })),
            ("STALE", json!({ "exp": now - 1 })),
        ] {
            if filled.contains(name) {
                let token = self.world.token(claims);
                filled = filled.replace(name, &token);
                self.tokens.insert(token);
            }
        }
        filled
    }

    /// Only where a token belongs: the id of a message is told back, whatever it is.
    fn with_token(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in ["TOKEN", "OTHER", "STALE"] {
            let field = format!("\"token\":\"{name}\"");
            if text.contains(&field) {
                let token = self.filled(name);
                text = text.replace(&field, &format!("\"token\":\"{token}\""));
            }
        }
        text
    }

    fn given(&mut self, boot: u64, status: InstanceStatus) {
        self.ready = matches!(status, InstanceStatus::Ready);
        self.world.given(boot, status);
    }

    fn trouble(&mut self, number: u64, trouble: Trouble) {
        self.troubled = true;
        self.world.store.at(number as usize, trouble);
    }

    fn open(&mut self, socket: &str, token: &str) {
        let bearer = format!("Bearer {}", self.filled(token));
        let event = events::with_header(events::connect_native(), "Authorization", Some(&bearer));
        let at = self.world.now();
        self.sockets.insert(socket.to_owned(), at);
        self.websocket(&events::on_socket(event, socket, at));
    }

    fn opened(&self, socket: &str) -> u64 {
        let at = self.sockets.get(socket);
        at.copied().unwrap_or_else(|| self.world.now())
    }

    fn say(&mut self, socket: &str, text: &str, binary: bool) {
        let text = self.with_token(text);
        let mut event = events::message(socket, self.opened(socket), &text);
        event["isBase64Encoded"] = json!(binary);
        let Some(answer) = self.websocket(&event) else {
            return;
        };
        assert_eq!(answer["statusCode"], 200, "a message is answered: {answer}");
        let body = answer["body"].as_str().unwrap_or_default();
        if body.is_empty() {
            let deleted = self.world.sockets.deleted();
            assert!(
                deleted.iter().any(|gone| gone == socket),
                "no reply, and the link stays"
            );
            return;
        }
        let reply = ServerMessage::decode(body).expect("a reply can be read");
        if binary {
            assert!(matches!(reply, ServerMessage::Error(_)), "{reply:?}");
        } else if let Ok(message) = ClientMessage::decode(&text) {
            assert!(answers(&reply, &message), "{text}: {reply:?}");
        } else {
            assert!(
                matches!(reply, ServerMessage::Error(_)),
                "{text}: {reply:?}"
            );
        }
        self.may_be_told(&reply);
    }

    /// Answers an event, and looks at what was pushed meanwhile. `None` if the function crashed.
    fn websocket(&mut self, event: &Value) -> Option<Value> {
        let answer = self.world.gateway.websocket(event).now_or_never();
        for (_, text) in self.world.sockets.take_all() {
            let push = ServerMessage::decode(&text).expect("a push can be read");
            self.no_secret(&text);
            self.may_be_told(&push);
        }
        self.answered(answer)
    }

    fn answered(&mut self, answer: Option<Value>) -> Option<Value> {
        let Some(answer) = answer else {
            assert!(self.troubled, "it waits for something that never comes");
            self.world.store.calm();
            return None;
        };
        let status = answer["statusCode"].as_u64().expect("a status");
        assert!(STATUSES.contains(&status), "{answer}");
        let headers = answer["headers"].as_object().expect("headers");
        for (name, value) in headers {
            let value = value.as_str().expect("a header's value is a text");
            let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
            assert!(value.bytes().all(plain), "{name}: {value:?}");
        }
        assert!(answer["isBase64Encoded"] == false, "{answer}");
        let body = answer["body"].as_str().expect("a body");
        assert!(body.len() <= MAX_SERVER_MESSAGE, "{} bytes", body.len());
        self.no_secret(&answer.to_string());
        Some(answer)
    }

    fn no_secret(&self, text: &str) {
        if !self.told {
            assert!(!text.contains(SECRET) && !text.contains(HINT), "{text}");
        }
        for token in &self.tokens {
            assert!(!text.contains(token), "a token is told back");
        }
    }

    /// An endpoint is handed out only while an instance is ready.
    fn may_be_told(&mut self, message: &ServerMessage) {
        if let Some(kind) = message.kind()
            && !self.kinds.contains(kind)
        {
            self.kinds.insert(kind.to_owned());
        }
        let endpoint = match message {
            ServerMessage::Ready(_) | ServerMessage::Endpoint(_) | ServerMessage::Moved(_) => true,
            ServerMessage::Welcome(welcome) => {
                let leases = welcome.leases.iter().any(|row| row.endpoint.is_some());
                leases || welcome.requests.iter().any(|row| row.endpoint.is_some())
            }
            _ => false,
        };
        assert!(
            !endpoint || self.ready,
            "an endpoint of an instance that is not ready: {message:?}"
        );
    }
}

/// A reply bears its message's id; that of a row which is over names the row.
fn answers(reply: &ServerMessage, message: &ClientMessage) -> bool {
    let row = match message {
        ClientMessage::Acquire(acquire) => Some(&acquire.id),
        ClientMessage::Endpoint(request) => Some(&request.lease),
        ClientMessage::Cancel(cancel) => Some(&cancel.acquire),
        ClientMessage::Release(release) => Some(&release.lease),
        _ => None,
    };
    match reply {
        ServerMessage::Lost(lost) => row == Some(&lost.lease),
        _ => id_of(reply) == message.id(),
    }
}

fn id_of(message: &ServerMessage) -> Option<&str> {
    match message {
        ServerMessage::Welcome(welcome) => Some(&welcome.id),
        ServerMessage::Ack(ack) => Some(&ack.id),
        ServerMessage::Progress(push) => Some(&push.id),
        ServerMessage::Ready(ready) => Some(&ready.id),
        ServerMessage::Endpoint(push) => push.id.as_deref(),
        ServerMessage::Renewed(renewed) => Some(&renewed.id),
        ServerMessage::Status(status) => Some(&status.id),
        ServerMessage::Error(error) => error.id.as_deref(),
        _ => None,
    }
}
