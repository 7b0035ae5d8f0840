//! Messages from client to server, told apart by `action`.

use serde::{Deserialize, Serialize};

use super::words::{OverrideMode, Purpose, ReleaseReason};
use super::{DecodeError, MAX_CLIENT_MESSAGE, read, read_action};
use crate::Secret;

/// A message from client to server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientMessage {
    /// The first message on every link.
    Hello(Hello),
    /// Asks for an endpoint.
    Acquire(Acquire),
    /// Withdraws an `acquire`.
    Cancel(Cancel),
    /// Asks for a lease's endpoint with a fresh stream token.
    Endpoint(EndpointRequest),
    /// Gives a lease back.
    Release(Release),
    /// Replaces the link's token.
    Renew(Renew),
    /// Asks for a fleet's state.
    Status(StatusRequest),
    /// Sets an operator's override.
    Override(Override),
    /// Proves the gateway alive. The only message without an id.
    Ping(Ping),
}

/// `hello`: names what this client holds and waits for; answered by `welcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Id of this message.
    pub id: String,
    /// Version of the protocol, [`super::VERSION`].
    pub v: u32,
    /// Names the client; random per client unless the app sets it.
    pub client_id: String,
    /// Name and version of the SDK.
    pub sdk: String,
    /// The leases this client holds.
    #[serde(default)]
    pub leases: Vec<RowRef>,
    /// The acquisitions this client waits for.
    #[serde(default)]
    pub requests: Vec<RowRef>,
}

/// Names one lease or request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRef {
    /// Id of the acquisition.
    pub id: String,
    /// Its fleet; without one the token's only fleet is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
}

/// `acquire`: asks for an endpoint; answered by `ack`, `progress`, `ready` or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquire {
    /// Idempotency key; becomes the lease's name.
    pub id: String,
    /// Fleet; without one the token's only fleet is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// The media server's application, such as `live`.
    pub app: String,
    /// What the endpoint is for.
    pub purpose: Purpose,
    /// The stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// How long the client still waits, in milliseconds.
    pub deadline_ms: u64,
}

/// `cancel`: withdraws an `acquire`; answered by `ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Id of this message.
    pub id: String,
    /// Fleet of the acquisition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Id of the acquisition.
    pub acquire: String,
}

/// `endpoint`: asks for a lease's endpoint; answered by `endpoint`, or by `ack` and pushes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRequest {
    /// Id of this message.
    pub id: String,
    /// Fleet of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Id of the lease.
    pub lease: String,
}

/// `release`: gives a lease back; answered by `ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Id of this message.
    pub id: String,
    /// Fleet of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Id of the lease.
    pub lease: String,
    /// Why, if not because the app is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReleaseReason>,
}

/// `renew`: replaces the link's token; answered by `renewed` or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// Id of this message.
    pub id: String,
    /// The new token; its subject must be that of the old one.
    pub token: Secret,
}

/// `status`: asks for a fleet's state; answered by `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    /// Id of this message.
    pub id: String,
    /// Fleet; without one the token's only fleet is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
}

/// `override`: sets what a fleet does regardless of demand; answered by `ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Id of this message.
    pub id: String,
    /// Fleet; without one the token's only fleet is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// What is asked.
    pub mode: OverrideMode,
    /// For how long, in milliseconds; for good without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// `ping`: answered by `pong` without reaching any function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {}

impl ClientMessage {
    /// The tags of all messages in this direction.
    pub const ACTIONS: &'static [&'static str] = &[
        "hello", "acquire", "cancel", "endpoint", "release", "renew", "status", "override", "ping",
    ];

    /// Returns the message's tag.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Acquire(_) => "acquire",
            Self::Cancel(_) => "cancel",
            Self::Endpoint(_) => "endpoint",
            Self::Release(_) => "release",
            Self::Renew(_) => "renew",
            Self::Status(_) => "status",
            Self::Override(_) => "override",
            Self::Ping(_) => "ping",
        }
    }

    /// Returns the id that the answer will carry; `None` for `ping`.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Hello(Hello { id, .. })
            | Self::Acquire(Acquire { id, .. })
            | Self::Cancel(Cancel { id, .. })
            | Self::Endpoint(EndpointRequest { id, .. })
            | Self::Release(Release { id, .. })
            | Self::Renew(Renew { id, .. })
            | Self::Status(StatusRequest { id, .. })
            | Self::Override(Override { id, .. }) => Some(id),
            Self::Ping(_) => None,
        }
    }

    /// Writes the message as JSON text. The text of `renew` holds a token.
    pub fn encode(&self) -> String {
        super::write(self)
    }

    /// Reads a message from JSON text: the tag first, then the structure.
    ///
    /// # Errors
    /// A typed [`DecodeError`]; it never quotes the text.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let tag = read_action(text, MAX_CLIENT_MESSAGE)?;
        Ok(match tag.as_str() {
            "hello" => Self::Hello(read(text, "hello")?),
            "acquire" => Self::Acquire(read(text, "acquire")?),
            "cancel" => Self::Cancel(read(text, "cancel")?),
            "endpoint" => Self::Endpoint(read(text, "endpoint")?),
            "release" => Self::Release(read(text, "release")?),
            "renew" => Self::Renew(read(text, "renew")?),
            "status" => Self::Status(read(text, "status")?),
            "override" => Self::Override(read(text, "override")?),
            "ping" => Self::Ping(read(text, "ping")?),
            _ => return Err(DecodeError::UnknownTag { field: "action" }),
        })
    }
}
