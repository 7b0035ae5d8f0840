//! Why a connection could not be made, before the machine judges it.

use std::fmt;
use std::io;
use std::time::Duration;

use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, StatusCode};

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
    /// The connection ended or made no sense while the upgrade was under way.
    Http(String),
    /// The server did not answer with the subprotocol that was offered.
    Subprotocol,
    /// The address breaks a rule, such as plain text to a host that was not allowed.
    Address(String),
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(error) => write!(f, "the host name could not be resolved: {error}"),
            Self::Tcp(error) => write!(f, "no TCP connection: {error}"),
            Self::Tls(error) => write!(f, "no TLS session: {error}"),
            Self::Status { status, .. } => write!(f, "refused with HTTP {}", status.as_u16()),
            Self::Http(reason) => write!(f, "the HTTP exchange failed: {reason}"),
            Self::Subprotocol => {
                f.write_str("$connect did not return Sec-WebSocket-Protocol: wakecast.v1")
            }
            Self::Address(reason) => f.write_str(reason),
        }
    }
}

/// Reads `Retry-After` in seconds. Its other form, a date, is left alone: the wall clock of a
/// device decides nothing.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
