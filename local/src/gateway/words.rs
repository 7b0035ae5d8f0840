//! What goes in and out of the gateway model.

use std::collections::BTreeSet;

use wakecast_lambda::model::{ConnectionId, Timestamp};

/// How messages find their integration, by the route selection expression
/// `$request.body.action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// Routes with an integration of their own.
    pub named: BTreeSet<String>,
    /// There is a `$default` route for everything else.
    pub default: bool,
    /// Routes that a mock integration answers with this text, without any function.
    pub mock: Vec<(String, String)>,
}

impl Default for Routes {
    /// As deployed: a mock `ping`, everything else to the function.
    fn default() -> Self {
        Self {
            named: BTreeSet::new(),
            default: true,
            mock: vec![("ping".to_owned(), r#"{"type":"pong"}"#.to_owned())],
        }
    }
}

/// One call of an integration, to be answered by its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The gateway's own id of the request.
    pub request_id: RequestId,
    /// Which connection it is for.
    pub connection: ConnectionId,
    /// When that connection was made.
    pub connected_at: Timestamp,
    /// `$connect`, a route's name or `$default`.
    pub route: String,
    /// An answer after this moment is dropped.
    pub deadline: Timestamp,
}

/// The gateway's id of a request: clients never sent it and cannot match it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub String);

/// How an integration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integration {
    /// The function returned a response.
    Answered(FunctionResponse),
    /// It crashed, or returned nothing that can be read.
    Failed,
}

/// What a function returns to the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionResponse {
    /// The HTTP status: of the handshake for `$connect`.
    pub status: u16,
    /// Headers: of a handshake only `Sec-WebSocket-*` pass.
    pub headers: Vec<(String, String)>,
    /// The route response, if any.
    pub body: Option<String>,
}

/// What becomes of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// 101, with the headers that pass.
    Accepted {
        /// `Sec-WebSocket-*` headers of the function's answer.
        headers: Vec<(String, String)>,
    },
    /// Another status, with the headers that pass.
    Refused {
        /// The status.
        status: u16,
        /// `Sec-WebSocket-*` headers of the function's answer.
        headers: Vec<(String, String)>,
    },
}

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message and the size of its largest frame in bytes.
    Text {
        /// The whole message.
        text: &'a str,
        /// Its largest frame.
        largest_frame: usize,
    },
    /// A binary message.
    Binary,
    /// A message or frame that was given up while it was read, for its size.
    TooLarge,
    /// A ping or pong of the WebSocket protocol: answered by the gateway, and no activity.
    Control,
}

/// What the gateway does to one of its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer the handshake.
    Handshake(Handshake),
    /// Send a text message.
    Send(String),
    /// Close the socket; `$disconnect` is due.
    Close(Close),
}

/// A close by the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code; `None` sends a Close frame without one.
    pub code: Option<u16>,
    /// The reason.
    pub reason: &'static str,
}

/// What a received message leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Call the function and tell [`answer`](super::GatewayModel::answer).
    Invoke(Invocation),
    /// Do this to the connection.
    Act(Action),
    /// Nothing.
    Nothing,
}

/// Why `@connections` refused a post or a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagementError {
    /// 410: never there, closed, or still inside `$connect`.
    #[error("410: the connection is gone or not open yet")]
    Gone,
    /// 413: over the message limit.
    #[error("413: the message is over the gateway's limit")]
    TooLarge,
}
