//! The public connection state.

use std::time::Duration;

use crate::{Error, ErrorCode};

/// The state of the connection, as an app sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nothing is wanted yet.
    Idle,
    /// The first attempt is under way.
    Connecting {
        /// How far it is.
        stage: ConnectStage,
    },
    /// Proved by `welcome`.
    Connected {
        /// The session of the first `welcome` of this connection; it survives a rotation.
        session: String,
    },
    /// The link is down and is tried again, for as long as the client is open.
    Reconnecting {
        /// Number of the attempt that comes next or is under way, from 1.
        attempt: u32,
        /// How long until it, as seen at the event; zero while it is under way.
        retry_in: Duration,
        /// Why the link is down.
        reason: ReconnectReason,
    },
    /// In the background with nothing held or waited for: no attempts.
    Paused,
    /// Trying again is useless until the app has done something and calls `retry()`.
    Failed {
        /// Why.
        error: Error,
    },
    /// Final.
    Closed,
}

/// How far a connection attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConnectStage {
    /// The token provider is asked.
    Token,
    /// The socket is opened.
    Socket,
    /// `hello` was sent.
    Hello,
}

/// Why the link is down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconnectReason {
    /// The system says that there is no network.
    Offline,
    /// What ended the link or the last attempt.
    Failure(ErrorCode),
}
