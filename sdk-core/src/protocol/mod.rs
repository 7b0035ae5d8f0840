//! The wire form, version 1: JSON text in both directions, used by client and server alike.
//!
//! `protocol.md` beside the crate documents every message. Unknown fields are ignored in both
//! directions; an unknown `type` becomes [`ServerMessage::Unknown`] and is skipped.
//!
//! ```
//! use wakecast::protocol::{ClientMessage, Phase, ServerMessage};
//!
//! let text = r#"{"type":"progress","id":"9f86d081884c7d659a2feaa0c55ad015","rev":1,
//!     "phase":"booting","elapsed_ms":7000,"eta_p50_ms":41000,"eta_p90_ms":63000,"overdue":false}"#;
//! match ServerMessage::decode(text)? {
//!     ServerMessage::Progress(progress) => assert_eq!(progress.phase, Phase::Booting),
//!     other => panic!("{other:?}"),
//! }
//! let text = r#"{"action":"ping"}"#;
//! assert_eq!(ClientMessage::decode(text)?.encode(), text);
//! # Ok::<(), wakecast::protocol::DecodeError>(())
//! ```

mod client;
mod decode;
mod fields;
mod media;
mod server;
mod status;
mod tree;
mod words;

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use client::{
    Acquire, Cancel, ClientMessage, EndpointRequest, Hello, Override, Ping, Release, Renew, RowRef,
    StatusRequest,
};
pub use media::{MEDIA_PING, is_media_pong};
pub use server::{
    Ack, Bye, Draining, Endpoint, EndpointPush, ErrorPush, GatewayError, LeaseReport, Lost, Moved,
    Pong, ProgressPush, Ready, Renewed, RequestReport, ServerMessage, Welcome,
};
pub use status::{CapReport, InstanceReport, OperatorStatus, PauseReport, Status};
pub(crate) use tree::{Object, Tree};
pub use words::{
    LeaseState, LostReason, Outcome, OverrideMode, Phase, Purpose, ReleaseReason, RequestState,
};

/// The version that `hello` carries.
pub const VERSION: u32 = 1;

/// The WebSocket subprotocol that every client offers and the server echoes.
pub const SUBPROTOCOL: &str = "wakecast.v1";

/// Prefix of the second subprotocol by which browsers carry their token. Never echoed.
pub const BEARER_PREFIX: &str = "wakecast.bearer.";

/// Largest client message in bytes: the gateway's frame limit, since a browser cannot choose how
/// its messages are cut into frames.
pub const MAX_CLIENT_MESSAGE: usize = 32 * 1024;

/// Largest server message in bytes: the gateway's message limit.
pub const MAX_SERVER_MESSAGE: usize = 128 * 1024;

/// Largest access token in bytes, on both sides. API Gateway passes 10 KB of headers in all, of
/// which a browser's own take a good part; the claims need a tenth of it.
pub const MAX_TOKEN: usize = 4 * 1024;

/// Longest wait of a `publish` or `play` acquire, on both sides: a token's life.
pub const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// Longest wait of a `watch` acquire, on both sides: nobody waits for more than a day without
/// asking again.
pub const MAX_WATCH: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest id in bytes, the `client_id` among them: ids of 128 random bits take 22 to 36 characters.
pub const MAX_ID: usize = 128;

/// Whether the server takes a text as an id: 1 to [`MAX_ID`] visible ASCII characters.
pub fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Why a text is not a message. It never quotes the text, which may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Larger than the direction allows.
    TooLarge {
        /// Bytes that came.
        bytes: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// Not a JSON object.
    NotJson {
        /// Column at which reading stopped.
        column: usize,
    },
    /// The field that tells messages apart is missing or not a text.
    MissingTag {
        /// Its name.
        field: &'static str,
    },
    /// A client message of no known kind.
    UnknownTag {
        /// Name of the field that tells messages apart.
        field: &'static str,
    },
    /// A known message with a field of the wrong kind.
    Unfit {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A known message whose fields do not fit.
    Malformed {
        /// The message.
        message: &'static str,
        /// The field that is missing, when that is what was wrong.
        missing: Option<String>,
        /// Column at which reading stopped.
        column: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => write!(
                f,
                "the message has {bytes} bytes, at most {limit} are allowed: send less in one message"
            ),
            Self::NotJson { column } => write!(
                f,
                "not a JSON object (stopped at column {column}): send one JSON object as a text frame"
            ),
            Self::MissingTag { field } => {
                write!(
                    f,
                    "the text field `{field}` is missing: it must name the message"
                )
            }
            Self::UnknownTag { field } => {
                write!(
                    f,
                    "`{field}` names no message of version {VERSION}: see protocol.md"
                )
            }
            Self::Unfit { message, field } => write!(
                f,
                "`{message}` holds a `{field}` of the wrong kind: see protocol.md"
            ),
            Self::Malformed {
                message,
                missing: Some(field),
                ..
            } => {
                write!(f, "`{message}` lacks the field `{field}`: see protocol.md")
            }
            Self::Malformed {
                message,
                missing: None,
                column,
            } => write!(
                f,
                "`{message}` holds a value of the wrong kind near column {column}: see protocol.md"
            ),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads the field that tells client messages apart, and nothing else: the rest may be anything.
fn read_action(text: &str, limit: usize) -> Result<String, DecodeError> {
    #[derive(Deserialize)]
    struct Tag {
        action: Option<Tree>,
    }
    check_length(text, limit)?;
    // An array would be read as a structure by position.
    if !text.trim_start().starts_with('{') {
        return Err(DecodeError::NotJson { column: 1 });
    }
    let tag: Tag = serde_json::from_str(text).map_err(not_json)?;
    match tag.action {
        Some(Tree::Text(action)) => Ok(action),
        _ => Err(DecodeError::MissingTag { field: "action" }),
    }
}

/// Reads the text as one JSON object.
fn read_object(text: &str, limit: usize) -> Result<Object, DecodeError> {
    check_length(text, limit)?;
    match serde_json::from_str(text) {
        Ok(Tree::Object(object)) => Ok(object),
        Ok(_) => Err(DecodeError::NotJson { column: 1 }),
        Err(error) => Err(not_json(error)),
    }
}

fn check_length(text: &str, limit: usize) -> Result<(), DecodeError> {
    let bytes = text.len();
    if bytes > limit {
        return Err(DecodeError::TooLarge { bytes, limit });
    }
    Ok(())
}

fn not_json(error: serde_json::Error) -> DecodeError {
    DecodeError::NotJson {
        column: error.column(),
    }
}

/// Reads the structure once the tag is known.
fn read<T: DeserializeOwned>(text: &str, message: &'static str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| {
        let missing = error
            .to_string()
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`').map(|(field, _)| field.to_owned()));
        DecodeError::Malformed {
            message,
            missing,
            column: error.column(),
        }
    })
}

/// Writes a message. Our types hold only texts, numbers and lists, which always can be written.
fn write<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap_or_default()
}
