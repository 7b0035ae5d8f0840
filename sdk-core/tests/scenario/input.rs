//! The inputs of a scenario, under the machine's own names.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use wakecast::machine::{
    AccessAnswer, CheckId, Epoch, Generation, Input, ProbeId, Refusal, RequestKey, TokenFailure,
    TransportEnd,
};
use wakecast::{Acquire, Secret};

use super::play::Play;
use super::words::Time;
use crate::support::CANARY;

/// One input, as a file writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Do {
    Connect,
    Acquire {
        key: u64,
        purpose: String,
        #[serde(default = "live")]
        app: String,
        #[serde(default = "some_stream")]
        stream: String,
        id: Option<String>,
        fleet: Option<String>,
        deadline: Option<Time>,
        #[serde(default = "yes")]
        verify: bool,
    },
    Cancel {
        key: u64,
    },
    Endpoint {
        key: u64,
        lease: String,
    },
    Release {
        key: u64,
        lease: String,
    },
    Status {
        key: u64,
        fleet: Option<String>,
    },
    Retry,
    Close,
    Detach,
    HandlesGone,
    Abandon {
        key: u64,
    },
    DetachAcquire {
        key: u64,
    },
    DetachLease {
        lease: String,
    },
    TransportOpened {
        link: Option<u64>,
        subprotocol: Option<String>,
    },
    Refused {
        link: Option<u64>,
        why: Why,
    },
    /// A message on the newest link.
    ServerSays(Value),
    /// A message or any text on a certain link.
    Frame {
        link: Option<u64>,
        message: Option<Value>,
        text: Option<String>,
    },
    BinaryFrame {
        link: Option<u64>,
    },
    TransportClosed {
        link: Option<u64>,
        end: End,
    },
    TokenReady {
        generation: Option<u64>,
        token: String,
        expires_in: Option<Time>,
    },
    TokenFailed {
        generation: Option<u64>,
        message: String,
    },
    AccessChecked {
        check: Option<u64>,
        answer: Access,
    },
    ProbeResult {
        probe: Option<u64>,
        failed: Option<String>,
    },
    NetworkUp,
    NetworkDown,
    NetworkChanged,
    Foreground,
    Background,
    ClockJumped,
    Timeout,
}

/// Why a socket is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Why {
    Unreachable,
    Tls,
    BadHandshake,
    Opaque,
    Http {
        status: u16,
        retry_after: Option<Time>,
    },
}

/// How a link ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum End {
    Dropped,
    Failed,
    Code(u16),
}

/// What an access check brings.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Access {
    Unreachable,
    Hangs,
    Http {
        status: u16,
        retry_after: Option<Time>,
    },
}

impl Why {
    pub fn refusal(&self) -> Refusal {
        let message = "so says the system".to_owned();
        match self {
            Self::Unreachable => Refusal::Unreachable { message },
            Self::Tls => Refusal::Tls { message },
            Self::BadHandshake => Refusal::BadHandshake { message },
            Self::Opaque => Refusal::Opaque,
            Self::Http {
                status,
                retry_after,
            } => Refusal::Http {
                status: *status,
                retry_after: retry_after.map(duration),
            },
        }
    }
}

impl End {
    pub fn end(&self) -> TransportEnd {
        match self {
            Self::Dropped => TransportEnd::Dropped,
            Self::Failed => TransportEnd::Failed {
                message: "so says the system".into(),
            },
            Self::Code(code) => TransportEnd::Code(*code),
        }
    }
}

impl Access {
    /// The answer; none if there is none.
    pub fn answer(&self) -> Option<AccessAnswer> {
        Some(match self {
            Self::Hangs => return None,
            Self::Unreachable => AccessAnswer::Unreachable {
                message: "so says the system".into(),
            },
            Self::Http {
                status,
                retry_after,
            } => AccessAnswer::Http {
                status: *status,
                retry_after: retry_after.map(duration),
            },
        })
    }
}

impl Play {
    /// Makes the machine's input of a file's. What is not named is the newest.
    pub fn read_input(&self, what: &Do) -> Result<Input, String> {
        let epoch = |link: &Option<u64>| Epoch(link.unwrap_or_else(|| self.newest_link()));
        let frame = |link: &Option<u64>, text: String| Input::Frame {
            epoch: epoch(link),
            text: Secret::new(text),
        };
        Ok(match what.clone() {
            Do::Connect => Input::Connect,
            Do::Acquire {
                key,
                purpose,
                app,
                stream,
                id,
                fleet,
                deadline,
                verify,
            } => {
                let stream = match self.resolve(&json!(stream))? {
                    Value::String(text) => text,
                    other => return Err(format!("{other} is no stream")),
                };
                let mut acquire = match purpose.as_str() {
                    "publish" => Acquire::publish(app, stream),
                    "play" => Acquire::play(app, stream),
                    "watch" => Acquire::watch(app, stream),
                    other => return Err(format!("`{other}` is none of publish, play, watch")),
                }
                .verify(verify);
                if let Some(id) = id {
                    acquire = acquire.id(id);
                }
                if let Some(fleet) = fleet {
                    acquire = acquire.fleet(fleet);
                }
                if let Some(deadline) = deadline {
                    acquire = acquire.deadline(duration(deadline));
                }
                Input::Acquire {
                    key: RequestKey(key),
                    acquire,
                }
            }
            Do::Cancel { key } => Input::Cancel {
                key: RequestKey(key),
            },
            Do::Endpoint { key, lease } => Input::Endpoint {
                key: RequestKey(key),
                lease,
            },
            Do::Release { key, lease } => Input::Release {
                key: RequestKey(key),
                lease,
            },
            Do::Status { key, fleet } => Input::Status {
                key: RequestKey(key),
                fleet,
            },
            Do::Retry => Input::Retry,
            Do::Close => Input::Close,
            Do::Detach => Input::Detach,
            Do::HandlesGone => Input::HandlesGone,
            Do::Abandon { key } => Input::Abandon {
                key: RequestKey(key),
            },
            Do::DetachAcquire { key } => Input::DetachAcquire {
                key: RequestKey(key),
            },
            Do::DetachLease { lease } => Input::DetachLease { lease },
            Do::TransportOpened { link, subprotocol } => Input::TransportOpened {
                epoch: epoch(&link),
                subprotocol,
            },
            Do::Refused { link, why } => Input::Refused {
                epoch: epoch(&link),
                refusal: why.refusal(),
            },
            Do::ServerSays(message) => frame(&None, self.resolve(&message)?.to_string()),
            Do::Frame {
                link,
                message,
                text,
            } => match (message, text) {
                (Some(message), None) => frame(&link, self.resolve(&message)?.to_string()),
                (None, Some(text)) => frame(&link, text),
                _ => return Err("a `frame` has a `message` or a `text`".into()),
            },
            Do::BinaryFrame { link } => Input::BinaryFrame {
                epoch: epoch(&link),
            },
            Do::TransportClosed { link, end } => Input::TransportClosed {
                epoch: epoch(&link),
                end: end.end(),
            },
            Do::TokenReady {
                generation,
                token,
                expires_in,
            } => Input::TokenReady {
                generation: Generation(generation.unwrap_or(self.newest.generation)),
                token: secret(&token),
                expires_in: expires_in.map(duration),
            },
            Do::TokenFailed {
                generation,
                message,
            } => Input::TokenFailed {
                generation: Generation(generation.unwrap_or(self.newest.generation)),
                failure: TokenFailure::new(message),
            },
            Do::AccessChecked { check, answer } => Input::AccessChecked {
                check: CheckId(check.unwrap_or(self.newest.check)),
                answer: answer
                    .answer()
                    .ok_or("an answer that hangs is no input: leave the step out")?,
            },
            Do::ProbeResult { probe, failed } => Input::ProbeResult {
                probe: ProbeId(probe.unwrap_or(self.newest.probe)),
                result: failed.map_or(Ok(()), Err),
            },
            Do::NetworkUp => Input::NetworkUp,
            Do::NetworkDown => Input::NetworkDown,
            Do::NetworkChanged => Input::NetworkChanged,
            Do::Foreground => Input::Foreground,
            Do::Background => Input::Background,
            Do::ClockJumped => Input::ClockJumped,
            Do::Timeout => Input::Timeout,
        })
    }

    /// Replaces what stands for something else: `$hello` is the id of the last `hello` that was
    /// sent, and so with each action; `$endpoint a` an endpoint on the host `a`; `$text 9` nine
    /// letters.
    pub fn resolve(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix('$') {
                None => value.clone(),
                Some(rest) => match rest.split_once(' ') {
                    Some(("endpoint", host)) => endpoint(host),
                    Some(("text", count)) => {
                        let count = count
                            .parse()
                            .map_err(|_| format!("{value} has no number"))?;
                        json!("x".repeat(count))
                    }
                    _ => json!(self.sent_ids.get(rest).ok_or_else(|| {
                        format!("{value}: no `{rest}` with an id has been sent yet")
                    })?),
                },
            },
            Value::Array(items) => items
                .iter()
                .map(|item| self.resolve(item))
                .collect::<Result<_, _>>()?,
            Value::Object(fields) => {
                let resolved = (fields.iter())
                    .map(|(name, value)| Ok((name.clone(), self.resolve(value)?)))
                    .collect::<Result<_, String>>();
                Value::Object(resolved?)
            }
            _ => value.clone(),
        })
    }
}

/// An endpoint whose stream token lives for a minute.
pub fn endpoint(host: &str) -> Value {
    json!({
        "websocket_url": format!("wss://{host}.example/live/websocket"),
        "http_url": format!("https://{host}.example/live"),
        "app": "live",
        "stream_token": format!("stream-{host}"),
        "stream_token_expires_in_ms": 60_000,
    })
}

/// A token, marked so that the observer finds it wherever it is printed.
pub fn secret(token: &str) -> Secret {
    Secret::new(if token.is_empty() {
        String::new()
    } else {
        format!("{CANARY}.{token}")
    })
}

fn duration(time: Time) -> Duration {
    Duration::from_millis(time.0)
}

fn live() -> String {
    "live".into()
}

fn some_stream() -> String {
    "match".into()
}

fn yes() -> bool {
    true
}
