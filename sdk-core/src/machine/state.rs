//! The public connection state: every transition is here, top to bottom. `states.md` beside the
//! crate holds the same table, and a test compares them.
//!
//! Inside there are four orthogonal dimensions (intent, transport, auth, environment). The public
//! state is a pure function of them, so it can never disagree with what the machine does.

use std::time::Duration;

use serde::Serialize;

use super::dial::Dial;
use super::links::LinkStage;
use super::output::Event;
use super::{Intent, Machine};
use crate::{Error, ErrorCode};

/// The state of the connection, as an app sees it.
///
/// ```
/// use wakecast::{ConnectionState, UserAction};
///
/// /// What a banner says; nothing while all is well.
/// fn banner(state: &ConnectionState) -> Option<String> {
///     match state {
///         ConnectionState::Reconnecting { retry_in, .. } if !retry_in.is_zero() => {
///             Some(format!("offline, next try in {} s", retry_in.as_secs()))
///         }
///         ConnectionState::Failed { error } if error.user_action() == UserAction::SignIn => {
///             Some("please sign in again".to_owned())
///         }
///         ConnectionState::Failed { error } => Some(error.message().to_owned()),
///         _ => None,
///     }
/// }
/// assert_eq!(banner(&ConnectionState::Idle), None);
/// ```
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

/// A state without its data, for tables and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the name of a `ConnectionState`")]
pub enum StateKind {
    Idle,
    Connecting,
    Connected,
    Reconnecting,
    Paused,
    Failed,
    Closed,
}

use StateKind::{Closed, Connected, Connecting, Failed, Idle, Paused, Reconnecting};

/// Every transition from one kind of state to another, with what causes it.
pub const TRANSITIONS: &[(StateKind, StateKind, &str)] = &[
    (Idle, Connecting, "acquire, or connect in the foreground"),
    (Idle, Paused, "connect in the background"),
    (Idle, Closed, "close or detach"),
    (Connecting, Connected, "welcome"),
    (Connecting, Reconnecting, "the attempt failed"),
    (
        Connecting,
        Paused,
        "background with nothing held or waited for",
    ),
    (
        Connecting,
        Failed,
        "the server or the token provider refused for good",
    ),
    (Connecting, Closed, "close or detach"),
    (Connected, Reconnecting, "the link ended"),
    (
        Connected,
        Paused,
        "background with nothing held or waited for",
    ),
    (Connected, Failed, "the server refused for good"),
    (Connected, Closed, "close or detach"),
    (Reconnecting, Connected, "welcome"),
    (
        Reconnecting,
        Paused,
        "background with nothing held or waited for",
    ),
    (
        Reconnecting,
        Failed,
        "the server or the token provider refused for good",
    ),
    (Reconnecting, Closed, "close or detach"),
    (Paused, Connecting, "acquire, or foreground"),
    (
        Paused,
        Reconnecting,
        "acquire or foreground, while a wait from before goes on",
    ),
    (Paused, Failed, "acquire after fresh tokens were refused"),
    (Paused, Closed, "close or detach"),
    (Failed, Connecting, "retry"),
    (
        Failed,
        Paused,
        "retry in the background with nothing held or waited for",
    ),
    (Failed, Closed, "close or detach"),
];

impl ConnectionState {
    /// Returns the state without its data.
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::Idle => Idle,
            Self::Connecting { .. } => Connecting,
            Self::Connected { .. } => Connected,
            Self::Reconnecting { .. } => Reconnecting,
            Self::Paused => Paused,
            Self::Failed { .. } => Failed,
            Self::Closed => Closed,
        }
    }
}

impl Machine {
    /// Reads the public state off the four dimensions.
    fn derived_state(&self) -> ConnectionState {
        // Intent. While closing the app sees the last state until everything is given back.
        match self.intent {
            Intent::Closed => return ConnectionState::Closed,
            Intent::Closing => return self.state.clone(),
            Intent::Idle => return ConnectionState::Idle,
            Intent::Open => {}
        }
        // Auth.
        if let Some(error) = &self.failed {
            return ConnectionState::Failed {
                error: error.clone(),
            };
        }
        // Environment.
        if self.paused() {
            return ConnectionState::Paused;
        }
        // Transport.
        if self.link_live() {
            return ConnectionState::Connected {
                session: self.session.clone(),
            };
        }
        match &self.attempts.reason {
            None => ConnectionState::Connecting {
                stage: self.connect_stage(),
            },
            Some(code) => ConnectionState::Reconnecting {
                attempt: self.attempts.made.max(1),
                retry_in: match self.dial {
                    Dial::Wait { .. } => self.attempts.shown_wait,
                    _ => Duration::ZERO,
                },
                reason: if self.environment.offline {
                    ReconnectReason::Offline
                } else {
                    ReconnectReason::Failure(code.clone())
                },
            },
        }
    }

    fn connect_stage(&self) -> ConnectStage {
        match self.links.active.as_ref().map(|link| &link.stage) {
            Some(LinkStage::Hello { .. }) => ConnectStage::Hello,
            Some(_) => ConnectStage::Socket,
            None if self.dial == Dial::Token => ConnectStage::Token,
            None => ConnectStage::Socket,
        }
    }

    /// Tells the app the state if it changed: once per input, after everything else.
    pub(super) fn publish_state(&mut self) {
        let state = self.derived_state();
        if state != self.state {
            self.state = state.clone();
            self.emit(Event::State(state));
        }
    }
}
