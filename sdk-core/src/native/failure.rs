//! Why a connection could not be made, before the machine judges it.

use std::fmt;
use std::io;
use std::time::Duration;

use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, StatusCode};

use crate::machine::Refusal;

/// A failed connect, by stage. Holds no header, no body and no query, so printing it is safe.
#[derive(Debug)]
pub(super) enum ConnectFailure {
    /// The host name was not found.
    Dns(io::Error),
    /// No address accepted a connection.
    Tcp(io::Error),
    /// The server's certificate or TLS version was not acceptable.
    Tls(io::Error),
    /// The server answered the upgrade with a status of its own.
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The wait that it asked for.
        retry_after: Option<Duration>,
    },
    /// There is no way to go: the proxy that the environment names cannot be used.
    Unreachable(String),
    /// The proxy on the way could not be reached, or would not go on.
    Proxy {
        /// Its host and port.
        proxy: String,
        /// Why.
        reason: String,
    },
    /// The connection ended before the answer.
    Cut(String),
    /// The answer was not what was asked for.
    Answer(String),
    /// Nothing was tried: an address or a token that cannot be used.
    Unusable(String),
}

impl ConnectFailure {
    /// The failure of a peer that is no gateway: a proxy, or the app's backend.
    pub(super) fn in_short(self) -> String {
        match self {
            Self::Answer(reason) => format!("its answer is not one of HTTP: {reason}"),
            Self::Cut(reason) => format!("it ended the connection before its answer: {reason}"),
            other => other.to_string(),
        }
    }
}

impl From<hyper::Error> for ConnectFailure {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::Answer(error.to_string())
        } else {
            Self::Cut(error.to_string())
        }
    }
}

impl From<ConnectFailure> for Refusal {
    fn from(failure: ConnectFailure) -> Self {
        let message = failure.to_string();
        match failure {
            ConnectFailure::Status {
                status,
                retry_after,
            } => Self::Http {
                status: status.as_u16(),
                retry_after,
            },
            // Not a status of the service: a proxy's 403 or 503 says nothing about the token or us.
            ConnectFailure::Dns(_)
            | ConnectFailure::Tcp(_)
            | ConnectFailure::Unreachable(_)
            | ConnectFailure::Proxy { .. } => Self::Unreachable { message },
            // A server, or a proxy before it, that hangs up without a word explains nothing.
            ConnectFailure::Cut(_) => Self::Opaque,
            ConnectFailure::Tls(_) => Self::Tls { message },
            ConnectFailure::Answer(_) | ConnectFailure::Unusable(_) => {
                Self::BadHandshake { message }
            }
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(error) => write!(f, "the host name could not be resolved: {error}"),
            Self::Tcp(error) => write!(f, "no TCP connection: {error}"),
            Self::Tls(error) => write!(f, "no TLS session: {error}"),
            Self::Status { status, .. } => write!(f, "refused with HTTP {}", status.as_u16()),
            Self::Proxy { proxy, reason } => write!(f, "the proxy {proxy} does not help: {reason}"),
            Self::Cut(reason) => write!(f, "the connection ended before the answer: {reason}"),
            Self::Answer(reason) => write!(f, "not the answer of a gateway: {reason}"),
            Self::Unreachable(reason) | Self::Unusable(reason) => f.write_str(reason),
        }
    }
}

/// Reads `Retry-After` in seconds. Its other form, a date, is left alone: the wall clock of a
/// device decides nothing.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
