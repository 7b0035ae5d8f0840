//! Messages from server to client, told apart by `type`.

use serde::{Deserialize, Serialize};

use super::fields::{Fields, FromFields as _};
use super::status::Status;
use super::words::{LeaseState, LostReason, Outcome, Phase, RequestState};
use super::{DecodeError, MAX_SERVER_MESSAGE, Tree, read_object};
use crate::{ErrorCode, Secret};

/// A message from server to client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerMessage {
    /// Answers `hello`.
    Welcome(Welcome),
    /// The request has arrived.
    Ack(Ack),
    /// An instance comes nearer.
    Progress(ProgressPush),
    /// An acquisition is granted.
    Ready(Ready),
    /// A lease's endpoint, asked for or changed.
    Endpoint(EndpointPush),
    /// A lease's instance drains.
    Draining(Draining),
    /// A lease has a new endpoint.
    Moved(Moved),
    /// A lease is gone.
    Lost(Lost),
    /// Answers `renew`.
    Renewed(Renewed),
    /// Answers `status`.
    Status(Status),
    /// Answers `ping`.
    Pong(Pong),
    /// Refuses a request, or reports something that belongs to none.
    Error(ErrorPush),
    /// The server is about to end the link.
    Bye(Bye),
    /// A message of a newer protocol. It is skipped, and never sent.
    #[serde(skip_serializing)]
    Unknown {
        /// Its tag.
        kind: String,
    },
    /// API Gateway's own error frame. It has no `type` and never belongs to a request.
    #[serde(untagged)]
    Gateway(GatewayError),
}

/// Where and how to reach the media server.
///
/// ```
/// # use wakecast::Endpoint;
/// /// What Ant Media Server is asked first, over `websocket_url`.
/// fn publish(endpoint: &Endpoint, stream: &str) -> serde_json::Value {
///     let token = endpoint.stream_token.as_ref().map(|token| token.expose());
///     serde_json::json!({ "command": "publish", "streamId": stream, "token": token })
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Signalling address, `wss://…/<app>/websocket`.
    pub websocket_url: String,
    /// Base address for HTTP, `https://…/<app>`.
    pub http_url: String,
    /// The media server's application.
    pub app: String,
    /// The stream token to present; absent where none is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_token: Option<Secret>,
    /// How long the stream token still lives, in milliseconds, when this was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_token_expires_in_ms: Option<u64>,
}

/// `welcome`: proves the link and answers with the state of all that `hello` named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Welcome {
    /// Id of the `hello`.
    pub id: String,
    /// Names the session.
    pub session: String,
    /// How long the link's token still lives.
    pub token_expires_in_ms: u64,
    /// Heartbeat of a quiet link.
    pub heartbeat_ms: u64,
    /// Age at which the gateway cuts the link.
    pub max_age_ms: u64,
    /// Over how long reconnects spread.
    pub reconnect_spread_ms: u64,
    /// State of each lease that `hello` named.
    #[serde(default)]
    pub leases: Vec<LeaseReport>,
    /// State of each request that `hello` named.
    #[serde(default)]
    pub requests: Vec<RequestReport>,
}

/// State of one lease in `welcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseReport {
    /// Id of the lease.
    pub id: String,
    /// Its state.
    pub state: LeaseState,
    /// Revision; absent for a lease that the server does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// Its endpoint, while it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// When draining: how long until the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// When lost: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<LostReason>,
}

/// State of one request in `welcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestReport {
    /// Id of the acquisition.
    pub id: String,
    /// Its state.
    pub state: RequestState,
    /// Revision; absent for a request that the server does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// When waiting: how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// When ready: where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// When ended: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
}

/// `ack`: a request has arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ack {
    /// Id of the request.
    pub id: String,
}

/// `progress`: an instance comes nearer. Also sent with a lease's id while it moves.
///
/// The server's own functions hand it to each other as JSON: hence both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressPush {
    /// Id of the acquisition or lease.
    pub id: String,
    /// Revision of the row.
    pub rev: u64,
    /// How far.
    pub phase: Phase,
    /// Time since the demand, in milliseconds.
    pub elapsed_ms: u64,
    /// Median of the remaining time, in milliseconds.
    pub eta_p50_ms: u64,
    /// 90th percentile of the remaining time, in milliseconds.
    pub eta_p90_ms: u64,
    /// Longer than nine starts in ten.
    pub overdue: bool,
    /// A remark, such as `restarting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `ready`: an acquisition is granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Id of the acquisition.
    pub id: String,
    /// Revision of the row.
    pub rev: u64,
    /// Where.
    pub endpoint: Endpoint,
    /// Over how long the first proofs of the endpoint spread.
    pub verify_spread_ms: u64,
}

/// `endpoint`: answers a request (its `id`), or tells that a drain was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointPush {
    /// Id of the request; absent in a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Id of the lease.
    pub lease: String,
    /// Revision of the row.
    pub rev: u64,
    /// Where.
    pub endpoint: Endpoint,
}

/// `draining`: a lease's instance drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draining {
    /// Id of the lease.
    pub lease: String,
    /// Revision of the row.
    pub rev: u64,
    /// How long until the stop, in milliseconds.
    pub deadline_ms: u64,
}

/// `moved`: a lease has a new endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Id of the lease.
    pub lease: String,
    /// Revision of the row.
    pub rev: u64,
    /// Where.
    pub endpoint: Endpoint,
}

/// `lost`: a lease, or an acquisition that was taken over, is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Id of the lease.
    pub lease: String,
    /// Revision of the row.
    pub rev: u64,
    /// Why.
    pub reason: LostReason,
}

/// `renewed`: the link's token was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renewed {
    /// Id of the `renew`.
    pub id: String,
    /// How long the new token lives, in milliseconds.
    pub expires_in_ms: u64,
    /// Over how long reconnects spread.
    pub reconnect_spread_ms: u64,
}

/// `pong`: the gateway is alive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pong {}

/// `error`: refuses a request, or reports something that belongs to none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorPush {
    /// Id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was wrong.
    pub code: ErrorCode,
    /// In plain words, with the remedy.
    pub message: String,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// Not before this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What is known about the request.
    pub outcome: Outcome,
}

/// `bye`: the server is about to end the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bye {
    /// Why.
    pub code: ErrorCode,
    /// Not before this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether connecting again makes sense.
    pub reconnect: bool,
}

/// API Gateway's own error frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayError {
    /// The gateway's words, such as `Internal server error`.
    pub message: String,
    /// The gateway's name of the connection.
    #[serde(
        rename = "connectionId",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub connection_id: Option<String>,
    /// The gateway's name of the failed call; not one of our ids.
    #[serde(rename = "requestId", default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ServerMessage {
    /// The tags of all messages in this direction.
    pub const TYPES: &'static [&'static str] = &[
        "welcome", "ack", "progress", "ready", "endpoint", "draining", "moved", "lost", "renewed",
        "status", "pong", "error", "bye",
    ];

    /// Returns the message's tag; that of an unknown message as it came, none for API Gateway's.
    pub fn kind(&self) -> Option<&str> {
        Some(match self {
            Self::Welcome(_) => "welcome",
            Self::Ack(_) => "ack",
            Self::Progress(_) => "progress",
            Self::Ready(_) => "ready",
            Self::Endpoint(_) => "endpoint",
            Self::Draining(_) => "draining",
            Self::Moved(_) => "moved",
            Self::Lost(_) => "lost",
            Self::Renewed(_) => "renewed",
            Self::Status(_) => "status",
            Self::Pong(_) => "pong",
            Self::Error(_) => "error",
            Self::Bye(_) => "bye",
            Self::Gateway(_) => return None,
            Self::Unknown { kind } => kind,
        })
    }

    /// Writes the message as JSON text, which may hold a stream token.
    pub fn encode(&self) -> String {
        super::write(self)
    }

    /// Reads a message from JSON text: the tag first, then the structure.
    ///
    /// # Errors
    /// A typed [`DecodeError`]; it never quotes the text.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let mut object = read_object(text, MAX_SERVER_MESSAGE)?;
        let Tree::Text(tag) = object.take("type") else {
            let gateway = GatewayError::from_fields(&mut Fields::new("gateway error", object));
            let missing = DecodeError::MissingTag { field: "type" };
            return gateway.map(Self::Gateway).map_err(|_| missing);
        };
        let known = Self::TYPES.iter().find(|known| **known == tag);
        let Some(known) = known else {
            return Ok(Self::Unknown { kind: tag });
        };
        let fields = &mut Fields::new(known, object);
        Ok(match *known {
            "welcome" => Self::Welcome(Welcome::from_fields(fields)?),
            "ack" => Self::Ack(Ack::from_fields(fields)?),
            "progress" => Self::Progress(ProgressPush::from_fields(fields)?),
            "ready" => Self::Ready(Ready::from_fields(fields)?),
            "endpoint" => Self::Endpoint(EndpointPush::from_fields(fields)?),
            "draining" => Self::Draining(Draining::from_fields(fields)?),
            "moved" => Self::Moved(Moved::from_fields(fields)?),
            "lost" => Self::Lost(Lost::from_fields(fields)?),
            "renewed" => Self::Renewed(Renewed::from_fields(fields)?),
            "status" => Self::Status(Status::from_fields(fields)?),
            "error" => Self::Error(ErrorPush::from_fields(fields)?),
            "bye" => Self::Bye(Bye::from_fields(fields)?),
            _ => Self::Pong(Pong {}),
        })
    }
}
