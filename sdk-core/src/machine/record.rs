//! What the machine remembers of what happened: small typed records, fit to keep when they are made.

use std::time::Duration;

use serde::Serialize;

use super::gateways::GatewayIndex;
use super::input::{Refusal, TransportEnd};
use super::links::LinkEnd;
use super::output::{LeaseStatus, TokenReason};
use super::scrub;
use super::state::StateKind;
use super::words::{in_millis, words};
use crate::protocol::{LostReason, Outcome, Phase, Purpose};
use crate::{ErrorCode, Stage};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// How long ago; of several in a row, the last.
    #[serde(rename = "ago_ms", with = "in_millis")]
    pub ago: Duration,
    /// How often it happened in a row.
    pub times: u32,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened. It holds no token, no URL and no text of a server or token provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// The app asked for something.
    Asked {
        /// What.
        wish: Wish,
        /// The acquisition or lease that it named.
        id: Option<Box<str>>,
    },
    /// The system said something of the network, the app's place on the screen or the clock.
    Environment {
        /// What.
        change: EnvironmentChange,
    },
    /// The token provider was asked.
    TokenAsked {
        /// Why.
        reason: TokenReason,
    },
    /// The token provider gave a token that can be used.
    TokenCame {
        /// How long it lives, as far as it is known.
        #[serde(rename = "life_ms", serialize_with = "in_millis::option")]
        life: Option<Duration>,
    },
    /// Something was wrong with a token or its provider.
    TokenFault {
        /// What.
        fault: TokenFault,
    },
    /// A transport is being opened.
    Opening {
        /// Number of the transport.
        epoch: u64,
        /// The gateway that it goes to.
        gateway: GatewayIndex,
    },
    /// A transport is open, and `hello` was sent.
    Opened {
        /// Number of the transport.
        epoch: u64,
    },
    /// `welcome` came.
    Welcomed {
        /// Number of the transport.
        epoch: u64,
        /// Time since it began to open.
        #[serde(rename = "took_ms", with = "in_millis")]
        took: Duration,
    },
    /// A transport ended.
    Ended {
        /// Number of the transport.
        epoch: u64,
        /// Whether `welcome` had come.
        welcomed: bool,
        /// Why.
        cause: EndCause,
        /// What that means.
        code: Option<ErrorCode>,
        /// What else is known.
        detail: Option<Detail>,
    },
    /// The next attempt waits.
    Waiting {
        /// How long.
        #[serde(rename = "delay_ms", with = "in_millis")]
        delay: Duration,
        /// Whether the server asked for a wait.
        asked: bool,
    },
    /// The service is asked over HTTP why an attempt was refused.
    AccessAsked {
        /// The gateway that refused.
        gateway: GatewayIndex,
    },
    /// The access check was answered.
    AccessAnswered {
        /// The HTTP status; `None` without an answer.
        status: Option<u16>,
    },
    /// A message was sent. Pings are only counted.
    Sent {
        /// Its kind.
        message: &'static str,
    },
    /// A message came. Pongs, acknowledgements and progress are only counted.
    Received {
        /// Its kind; `unknown` for one that this version does not know.
        message: &'static str,
    },
    /// An acquisition, or a lease that moves, came into another phase.
    Phase {
        /// Its id.
        id: Box<str>,
        /// The phase.
        phase: Phase,
    },
    /// An endpoint is tried from this device's network.
    Probing,
    /// A try of an endpoint ended.
    Probed {
        /// Why it failed; `None` if it succeeded.
        failure: Option<Detail>,
    },
    /// A lease was granted.
    Granted {
        /// Its id.
        id: Box<str>,
    },
    /// A lease changed.
    Lease {
        /// Its id.
        id: Box<str>,
        /// Its status after the change.
        status: LeaseStatus,
        /// Why it was lost.
        reason: Option<LostReason>,
    },
    /// A request or an acquisition failed.
    Failed {
        /// The acquisition.
        id: Option<Box<str>>,
        /// What that means.
        code: ErrorCode,
        /// How far it was.
        stage: Stage,
        /// What is known about it at the server.
        outcome: Outcome,
    },
    /// Something went wrong that belongs to no request.
    Reported {
        /// What.
        code: ErrorCode,
        /// Where.
        stage: Stage,
    },
    /// The connection state changed.
    State {
        /// The state.
        state: StateKind,
        /// Why, where something is wrong.
        code: Option<ErrorCode>,
    },
}

/// What else is known about a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// The HTTP status of the answer.
    Http(u16),
    /// The close code of the WebSocket.
    CloseCode(u16),
    /// Why the server took a lease back.
    Lost(LostReason),
    /// What had kept it from succeeding until then.
    Code(ErrorCode),
    /// The words of the local network stack: at most 200 bytes, without anything that might
    /// be a secret.
    Text(Box<str>),
}

impl Detail {
    /// Keeps the words of the local network stack.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(scrub::text(text))
    }
}

words! {
    /// What an app can ask for.
    Wish {
        /// The link, with nothing to ask yet.
        Connect = "connect",
        /// An endpoint to publish to.
        Publish = "publish",
        /// An endpoint to play from.
        Play = "play",
        /// To be told when others' demand made an endpoint ready.
        Watch = "watch",
        /// No longer what it acquires.
        Cancel = "cancel",
        /// A lease's endpoint.
        Endpoint = "endpoint",
        /// To give a lease back.
        Release = "release",
        /// What a fleet does.
        Status = "status",
        /// To be tried again after a failure for good.
        Retry = "retry",
        /// The end, with everything given back.
        Close = "close",
        /// The end, with everything kept for a successor.
        Detach = "detach",
    }
}

impl From<Purpose> for Wish {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Publish => Self::Publish,
            Purpose::Play => Self::Play,
            Purpose::Watch => Self::Watch,
        }
    }
}

words! {
    /// What the system says.
    EnvironmentChange {
        /// There is a network.
        NetworkUp = "network_up",
        /// There is no network.
        NetworkDown = "network_down",
        /// The network is another one.
        NetworkChanged = "network_changed",
        /// The app is in front.
        Foreground = "foreground",
        /// The app is not in front.
        Background = "background",
        /// The device slept, or its clock was set.
        ClockJumped = "clock_jumped",
    }
}

words! {
    /// What was wrong with a token or its provider.
    TokenFault {
        /// The provider failed.
        Provider = "provider_failed",
        /// The provider did not answer in time.
        NoAnswer = "no_answer",
        /// The provider gave something that is no token: empty, too long, or with characters that
        /// cannot travel.
        Unusable = "unusable",
        /// The provider gave a token that the server had refused before.
        Stale = "stale",
        /// The server refused the token.
        Refused = "refused",
        /// The token ended before there was another.
        Ended = "ended",
    }
}

words! {
    /// Why a transport ended.
    EndCause {
        /// The server closed it with a code.
        CloseCode = "close_code",
        /// The peer ended it without a code.
        Dropped = "dropped",
        /// The local side failed.
        LocalFailure = "local_failure",
        /// The server no longer answered.
        Silent = "silent",
        /// The server said `bye`.
        Bye = "bye",
        /// The socket was not open in time.
        NotOpened = "not_opened",
        /// `welcome` did not come in time.
        NotWelcomed = "not_welcomed",
        /// The name, the host or the port could not be reached.
        Unreachable = "unreachable",
        /// TLS failed.
        Tls = "tls",
        /// The server answered the handshake with an HTTP status.
        HttpStatus = "http_status",
        /// The answer was not a WebSocket handshake.
        BadHandshake = "bad_handshake",
        /// Nobody says why.
        Unexplained = "unexplained",
        /// The subprotocol was not echoed.
        NoEcho = "no_echo",
        /// `hello` was answered with an error.
        HelloRefused = "hello_refused",
        /// The next link of a rotation failed in a way that ended this one too.
        Rotation = "rotation",
        /// This client ended it: closed, in the background, on another network, or replaced.
        Own = "own",
    }
}

impl LinkEnd {
    /// Why a transport ended; `hello_sent` tells which of two times was missed.
    pub(super) fn cause(&self, hello_sent: bool) -> EndCause {
        match self {
            Self::Transport(TransportEnd::Code(_)) => EndCause::CloseCode,
            Self::Transport(TransportEnd::Dropped) => EndCause::Dropped,
            Self::Transport(TransportEnd::Failed { .. }) => EndCause::LocalFailure,
            Self::Refused(Refusal::Http { .. }) => EndCause::HttpStatus,
            Self::Refused(Refusal::Unreachable { .. }) => EndCause::Unreachable,
            Self::Refused(Refusal::Tls { .. }) => EndCause::Tls,
            Self::Refused(Refusal::BadHandshake { .. }) => EndCause::BadHandshake,
            Self::Refused(Refusal::Opaque) => EndCause::Unexplained,
            Self::TimedOut if hello_sent => EndCause::NotWelcomed,
            Self::TimedOut => EndCause::NotOpened,
            Self::NoEcho => EndCause::NoEcho,
            Self::Silent { .. } => EndCause::Silent,
            Self::HelloRefused { .. } => EndCause::HelloRefused,
            Self::Bye { .. } => EndCause::Bye,
            Self::Successor(_) => EndCause::Rotation,
        }
    }

    /// What else is known about it.
    pub(super) fn detail(&self) -> Option<Detail> {
        match self {
            Self::Transport(TransportEnd::Code(code)) => Some(Detail::CloseCode(*code)),
            Self::Transport(TransportEnd::Failed { message })
            | Self::Refused(
                Refusal::Unreachable { message }
                | Refusal::Tls { message }
                | Refusal::BadHandshake { message },
            ) => Some(Detail::text(message)),
            Self::Refused(Refusal::Http { status, .. }) => Some(Detail::Http(*status)),
            Self::Successor(end) => end.detail(),
            _ => None,
        }
    }
}
