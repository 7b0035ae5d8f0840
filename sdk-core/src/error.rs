//! The one public error.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::Outcome;

/// What failed, what that means for the request, and what can be done about it.
///
/// ```
/// use wakecast::{Error, ErrorCode, Outcome, Stage, UserAction};
///
/// # fn failed() -> Error {
/// #     Error::new(ErrorCode::TokenRejected, Outcome::Rejected, Stage::Connect)
/// # }
/// let error = failed();
/// match error.user_action() {
///     UserAction::SignIn => println!("please sign in again"),
///     UserAction::Wait => println!("one moment: {:?}", error.retry_after()),
///     _ => println!("{error}"),
/// }
/// // `unknown` may have been carried out: asking again with the same id is safe.
/// assert_ne!(error.outcome(), Outcome::Unknown);
/// assert!(error.to_string().starts_with("token_rejected: "));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    code: ErrorCode,
    retryable: bool,
    retry_after: Option<Duration>,
    outcome: Outcome,
    stage: Stage,
    /// What to say in place of the code's own remedy.
    message: Option<String>,
    cause: Option<Cause>,
}

impl Error {
    /// Makes an error with the code's own remedy as its message.
    pub fn new(code: ErrorCode, outcome: Outcome, stage: Stage) -> Self {
        let retryable = code.retryable();
        Self(Box::new(Inner {
            code,
            retryable,
            retry_after: None,
            outcome,
            stage,
            message: None,
            cause: None,
        }))
    }

    /// Replaces the message, which must say what was wrong and how to mend it.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Adds the original cause in its own words.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(Cause(cause.into()));
        self
    }

    /// Says before when trying again is useless.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Replaces the code's own word on whether trying again can help.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Says what is known about another request that failed for the same reason.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Returns the stable code.
    pub fn code(&self) -> &ErrorCode {
        &self.0.code
    }

    /// Returns what the person in front of the app can do.
    pub fn user_action(&self) -> UserAction {
        self.0.code.user_action()
    }

    /// Returns whether the same request can succeed later.
    pub fn retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns how long to wait at least before trying again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns what is known about the request.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Returns how far things had come.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// Returns the plain message, which names the remedy.
    pub fn message(&self) -> &str {
        self.own_message().unwrap_or_else(|| self.0.code.remedy())
    }

    /// Returns the message if it says more than the code's own remedy. For bindings that keep the
    /// remedies in their own language; others want [`message`](Self::message).
    pub fn own_message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Writes it with its cause, for an error that this one is the cause of.
    pub(crate) fn in_full(&self) -> String {
        match self.cause() {
            Some(cause) => format!("{self} ({cause})"),
            None => self.to_string(),
        }
    }

    /// Returns the original cause in its own words.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_ref().map(|cause| cause.0.as_str())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

/// The original cause, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// How far things had come when they failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Before anything was tried: the arguments, the queue, or a closed client.
    Local,
    /// The token provider was asked.
    Token,
    /// The socket was being opened.
    Connect,
    /// The link waited for `welcome`, or was used.
    Link,
    /// A request was under way.
    Request,
    /// An instance was being started.
    Boot,
    /// The endpoint was being proved.
    Verify,
    /// A lease was held.
    Lease,
}

/// What the person in front of the app can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum UserAction {
    /// Nothing: it is not theirs to mend, or nothing is broken.
    None,
    /// Wait; it is tried again.
    Wait,
    /// Try again.
    Retry,
    /// Check the network.
    CheckNetwork,
    /// Sign in again.
    SignIn,
    /// Update the app.
    UpdateApp,
    /// Tell the operator of the service.
    ContactOperator,
}

/// Declares the codes: one table of word, retryable, user action and remedy.
macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $text:literal, $retryable:literal, $action:ident, $remedy:literal;)+) => {
        /// A stable error code, the same in every language.
        ///
        /// ```
        /// use wakecast::{ErrorCode, UserAction};
        ///
        /// let code = ErrorCode::parse("capacity_unavailable");
        /// assert_eq!(code, ErrorCode::CapacityUnavailable);
        /// assert!(code.retryable());
        /// assert_eq!(code.user_action(), UserAction::Wait);
        /// for code in ErrorCode::ALL {
        ///     println!("{code}: {}", code.remedy());
        /// }
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* $variant,)+
            /// A code that this version does not know; the server's `retryable` decides.
            Other(Box<str>),
        }

        impl ErrorCode {
            /// Every code that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the code as it is written on the wire.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $text,)+ Self::Other(text) => text }
            }

            /// Reads a code; an unknown one becomes `Other`.
            pub fn parse(text: &str) -> Self {
                match text { $($text => Self::$variant,)+ _ => Self::Other(text.into()) }
            }

            /// Returns whether the same request can succeed later, unless the server says otherwise.
            pub const fn retryable(&self) -> bool {
                match self { $(Self::$variant => $retryable,)+ Self::Other(_) => false }
            }

            /// Returns what the person in front of the app can do.
            pub const fn user_action(&self) -> UserAction {
                match self { $(Self::$variant => UserAction::$action,)+ Self::Other(_) => UserAction::None }
            }

            /// Returns what was wrong and how to mend it, in plain words.
            pub const fn remedy(&self) -> &'static str {
                match self {
                    $(Self::$variant => $remedy,)+
                    Self::Other(_) => "the server reported an error that this version does not know: update the SDK to read it",
                }
            }
        }
    };
}

codes! {
    /// The network, the name or the host could not be reached.
    NetworkUnreachable = "network_unreachable", true, CheckNetwork,
        "the server could not be reached: check the network and the address; the client keeps trying";
    /// HTTP works, WebSockets do not.
    WebsocketBlocked = "websocket_blocked", true, CheckNetwork,
        "HTTP reaches the server but WebSockets do not: something between blocks them; try another network or allow wss";
    /// The connection was not established in time.
    ConnectTimeout = "connect_timeout", true, CheckNetwork,
        "the server did not answer in time: check the network; the client keeps trying";
    /// The connection broke.
    ConnectionLost = "connection_lost", true, Wait,
        "the connection broke: the client reconnects by itself";
    /// Too many requests.
    Throttled = "throttled", true, Wait,
        "the server asks for fewer requests: wait for the time in retry_after";
    /// The service cannot answer at the moment.
    ServiceUnavailable = "service_unavailable", true, Wait,
        "the service cannot answer at the moment: the client keeps trying";
    /// API Gateway failed by itself.
    GatewayError = "gateway_error", true, Wait,
        "API Gateway reported a failure of its own: the request is sent again or ends at its deadline";
    /// The app's token provider failed.
    TokenProviderFailed = "token_provider_failed", true, Retry,
        "the token provider failed: mend the provider; it is asked again";
    /// The server refused the token.
    TokenRejected = "token_rejected", true, SignIn,
        "the server refused the token: sign in again, then call retry()";
    /// The token has ended.
    TokenExpired = "token_expired", true, SignIn,
        "the token has ended: the provider must return a fresh one";
    /// The token does not allow this.
    Forbidden = "forbidden", false, ContactOperator,
        "the token does not allow this: ask the operator for the right";
    /// The server no longer speaks this version.
    ClientTooOld = "client_too_old", false, UpdateApp,
        "the server no longer speaks this version: update the SDK";
    /// The other side broke the protocol.
    ProtocolError = "protocol_error", false, ContactOperator,
        "the server's answer is not of this protocol: check that the address is a wakecast gateway";
    /// A message was larger than allowed.
    MessageTooLarge = "message_too_large", false, None,
        "the message is larger than 32 KB: send less";
    /// Too much waits for a connection.
    QueueFull = "queue_full", true, Wait,
        "too many requests wait for the connection: wait for some to end";
    /// A request was not answered in time.
    RequestTimeout = "request_timeout", true, Retry,
        "the request was not answered in time: try again";
    /// The app cancelled.
    Cancelled = "cancelled", false, None,
        "the app cancelled the request: acquire again when it is wanted";
    /// The client is closed.
    Closed = "closed", false, None,
        "the client is closed: make a new one";
    /// EC2 has no capacity.
    CapacityUnavailable = "capacity_unavailable", true, Wait,
        "there is no server capacity at the moment: try again later";
    /// The instance could not be started.
    StartFailed = "start_failed", true, ContactOperator,
        "the media server could not be started: try again in ten minutes, or tell the operator";
    /// Nothing was ready by the deadline.
    StartTimeout = "start_timeout", true, Retry,
        "no media server was ready by the deadline: try again, or set a longer deadline";
    /// The endpoint is ready but this network does not reach it.
    EndpointUnreachable = "endpoint_unreachable", true, CheckNetwork,
        "the media server is ready but this network does not reach it: check firewalls for its port";
    /// The lease is gone.
    LeaseLost = "lease_lost", true, Retry,
        "the lease is gone: acquire again";
    /// A quota is used up.
    QuotaExceeded = "quota_exceeded", false, ContactOperator,
        "a quota is used up: ask again after `retry_after` if there is one, or ask the operator for more";
    /// The service is set up wrongly.
    Misconfigured = "misconfigured", false, ContactOperator,
        "the service is set up wrongly: the operator must mend it";
    /// An argument is wrong.
    InvalidArgument = "invalid_argument", false, None,
        "an argument is wrong: see the message";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}
