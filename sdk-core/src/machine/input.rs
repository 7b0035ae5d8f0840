//! What goes into the machine: the app's wishes, and what a driver learns.

use std::time::Duration;

use super::acquire::Acquire;
use crate::Secret;

/// A name that the driver gives to a waiter; the waiter gets exactly one
/// [`super::Event::Settled`] with it. It must not be in use by another open request: such an input
/// is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub u64);

/// Names one transport. Callbacks of an older one are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Names one question to the token provider. An answer to an older one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Names one access check. An answer to an older one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u64);

/// Names one probe of an endpoint. An answer to an older one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// One input. Every input is valid in every state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// The app wants the link open with nothing to ask yet.
    Connect,
    /// The app wants an endpoint. Settled with [`super::Answer::Acquired`].
    Acquire {
        /// Names the waiter.
        key: RequestKey,
        /// What is wanted.
        acquire: Acquire,
    },
    /// The app no longer wants what it acquires; the waiter `key` is settled as `cancelled`.
    Cancel {
        /// The key of the acquire.
        key: RequestKey,
    },
    /// The app wants a lease's endpoint, valid now. Settled with [`super::Answer::Endpoint`].
    Endpoint {
        /// Names the waiter.
        key: RequestKey,
        /// Id of the lease.
        lease: String,
    },
    /// The app gives a lease back. Settled with [`super::Answer::Released`].
    Release {
        /// Names the waiter.
        key: RequestKey,
        /// Id of the lease.
        lease: String,
    },
    /// The app asks what a fleet does. Settled with [`super::Answer::Status`].
    Status {
        /// Names the waiter.
        key: RequestKey,
        /// The fleet; without one the token's only fleet is meant.
        fleet: Option<String>,
    },
    /// The app has mended what made the client fail: leaves `Failed` with a fresh token.
    Retry,
    /// The app is done: releases what is held (at most a second), then `Closed`.
    Close,
    /// The app goes away but wants to keep what it holds for a successor with the same ids (the
    /// server keeps it for 120 s): `Closed` at once, nothing is sent.
    Detach,
    /// Nobody is left who could ask for anything: the last handle, acquisition and lease of the app
    /// is gone. What was let go without an end, a lease or a detached acquire, is left to the server
    /// as by `Detach`; without any the client closes as by `Close`.
    HandlesGone,
    /// Whoever waited for an acquire is gone without having taken its outcome: cancels it, or gives
    /// back the lease that it was granted meanwhile. A driver that uses this does not use the key of
    /// an acquire again while its lease is held.
    Abandon {
        /// The key of the acquire.
        key: RequestKey,
    },
    /// The app lets go of an acquire without cancelling it: it goes on, and what it is granted is
    /// held like any lease.
    DetachAcquire {
        /// The key of the acquire.
        key: RequestKey,
    },
    /// The app lets go of a lease without giving it back, so that a successor with the same id can
    /// acquire it, in this client or another. Nothing is sent; the server keeps it until 120 s after
    /// the link that held it has ended.
    DetachLease {
        /// Id of the lease.
        lease: String,
    },

    /// The transport is open.
    TransportOpened {
        /// The transport.
        epoch: Epoch,
        /// The subprotocol that the server echoed.
        subprotocol: Option<String>,
    },
    /// The transport could not be opened. Implies that it is closed.
    Refused {
        /// The transport.
        epoch: Epoch,
        /// Why.
        refusal: Refusal,
    },
    /// A text frame arrived.
    Frame {
        /// The transport.
        epoch: Epoch,
        /// The text; it may hold a stream token.
        text: Secret,
    },
    /// A binary frame arrived. The protocol has none: it is reported and skipped.
    BinaryFrame {
        /// The transport.
        epoch: Epoch,
    },
    /// The transport closed, whoever began it.
    TransportClosed {
        /// The transport.
        epoch: Epoch,
        /// How.
        end: TransportEnd,
    },
    /// The token provider answered.
    TokenReady {
        /// The question.
        generation: Generation,
        /// The token.
        token: Secret,
        /// How long it lives, if the provider knows; else `exp − iat` of a JWT is read.
        expires_in: Option<Duration>,
    },
    /// The token provider failed.
    TokenFailed {
        /// The question.
        generation: Generation,
        /// Why.
        failure: TokenFailure,
    },
    /// The access check was answered, or was not.
    AccessChecked {
        /// The check.
        check: CheckId,
        /// What came back.
        answer: AccessAnswer,
    },
    /// The probe of an endpoint ended.
    ProbeResult {
        /// The probe.
        probe: ProbeId,
        /// Whether `ping` was answered by `pong`; if not, why in plain words.
        result: Result<(), String>,
    },
    /// The system says that there is a network.
    NetworkUp,
    /// The system says that there is no network. A hint: nothing stops for good.
    NetworkDown,
    /// The system says that the network is another one.
    NetworkChanged,
    /// The app came to the foreground.
    Foreground,
    /// The app went to the background.
    Background,
    /// The wall clock moved by more than 5 s against the monotonic clock: the device slept, or
    /// somebody set it.
    ClockJumped,
    /// The armed timer fired. Harmless at any time.
    Timeout,
}

/// Why the token provider has no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFailure {
    /// In the provider's words.
    pub message: String,
    /// Whether the provider refuses this user: asking again is useless until the app has acted.
    pub refused: bool,
    /// Before when the provider wants not to be asked again.
    pub retry_after: Option<Duration>,
}

impl TokenFailure {
    /// A failure that asking again can mend.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            refused: false,
            retry_after: None,
        }
    }

    /// A refusal of this user.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            refused: true,
            ..Self::new(message)
        }
    }

    /// Says before when asking again is useless.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }
}

/// Why a transport could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The server answered the upgrade with another status.
    Http {
        /// The status.
        status: u16,
        /// Its `Retry-After`, if one came through.
        retry_after: Option<Duration>,
    },
    /// The name, the host or the port could not be reached.
    Unreachable {
        /// In the system's words.
        message: String,
    },
    /// TLS failed.
    Tls {
        /// In the library's words.
        message: String,
    },
    /// The answer was not a WebSocket handshake.
    BadHandshake {
        /// In the library's words.
        message: String,
    },
    /// The platform does not say why (browsers never do).
    Opaque,
}

/// How a transport ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportEnd {
    /// The peer closed with a code. Browsers' 1005 and 1006 are told as `Dropped`.
    Code(u16),
    /// The peer ended the connection without a code (FIN or RST).
    Dropped,
    /// The local side failed.
    Failed {
        /// In the system's words.
        message: String,
    },
}

/// What `GET /v1/access` brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessAnswer {
    /// An HTTP status.
    Http {
        /// The status.
        status: u16,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No answer.
    Unreachable {
        /// In the system's words.
        message: String,
    },
}
