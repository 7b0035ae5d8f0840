//! What comes out of the machine: effects for the driver, events for the app.

use std::time::Duration;

use serde::Serialize;

use super::gateways::GatewayIndex;
use super::input::{CheckId, Epoch, Generation, ProbeId, RequestKey};
use super::progress::Progress;
use super::state::ConnectionState;
use super::status::FleetStatus;
use crate::protocol::{Endpoint, LostReason};
use crate::{Error, Secret};

/// One output, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Something for the driver to do.
    Effect(Effect),
    /// Something for the app to know.
    Event(Event),
}

/// Something for the driver to do. No effect needs a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Open a WebSocket to a gateway, offering `wakecast.v1`; the machine keeps the time.
    /// Answered by `TransportOpened` or `Refused`.
    OpenTransport {
        /// Names the transport.
        epoch: Epoch,
        /// The gateway.
        gateway: GatewayIndex,
        /// The token to present.
        token: Secret,
    },
    /// Send a text frame.
    Send {
        /// The transport.
        epoch: Epoch,
        /// The text; it may hold a token.
        text: Secret,
    },
    /// Close the transport, or give up opening it. No answer is waited for.
    CloseTransport {
        /// The transport.
        epoch: Epoch,
        /// The close code to send.
        code: u16,
    },
    /// Ask the token provider. An earlier question that is still open may be aborted.
    /// Answered by `TokenReady` or `TokenFailed`.
    FetchToken {
        /// Names the question.
        generation: Generation,
        /// Why a token is needed.
        reason: TokenReason,
    },
    /// `GET /v1/access` at a gateway's access address with the token. Answered by `AccessChecked`.
    CheckAccess {
        /// Names the check.
        check: CheckId,
        /// The gateway; one for which [`super::Config`] says that there is an access address.
        gateway: GatewayIndex,
        /// The token to present.
        token: Secret,
    },
    /// Open a WebSocket to an endpoint, send `{"command":"ping"}` and wait for
    /// `{"command":"pong"}`. Answered by `ProbeResult`.
    Probe {
        /// Names the probe.
        probe: ProbeId,
        /// The endpoint's signalling address.
        url: String,
        /// The stream token of the endpoint.
        stream_token: Option<Secret>,
    },
    /// Give up a probe. No answer is waited for.
    CancelProbe {
        /// The probe.
        probe: ProbeId,
    },
}

/// Why a token is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenReason {
    /// The first one.
    Initial,
    /// The current one ends soon or has ended: a cache may answer with a newer one.
    Expiring,
    /// The server refused the last one: a cache must step aside.
    Rejected,
}

/// Something for the app to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The connection state changed; equal to [`super::Machine::state`]. At most one per input.
    State(ConnectionState),
    /// A waiter's one outcome.
    Settled {
        /// The waiter.
        key: RequestKey,
        /// The outcome.
        result: Result<Answer, Error>,
    },
    /// An acquisition, or a lease that moves, came nearer to an instance.
    Progress {
        /// Id of the acquisition or lease.
        id: String,
        /// How near.
        progress: Progress,
    },
    /// A lease changed.
    Lease {
        /// Id of the lease.
        lease: String,
        /// Its status after the change.
        status: LeaseStatus,
        /// The change.
        change: LeaseChange,
    },
    /// Something that belongs to no request and that a developer wants to see.
    Diagnostic(Error),
}

/// How a request succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A lease was granted and its endpoint proved.
    Acquired {
        /// Id of the lease.
        lease: String,
        /// Its endpoint.
        endpoint: Endpoint,
    },
    /// A lease's endpoint, valid now.
    Endpoint(Endpoint),
    /// The lease was given back.
    Released,
    /// What a fleet does.
    Status(Box<FleetStatus>),
}

/// The status of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeaseStatus {
    /// Its endpoint can be used.
    Held,
    /// Its instance will stop; what runs goes on until then.
    Draining,
    /// Its instance died; another one is started for it.
    Moving,
    /// Gone.
    Lost,
    /// Given back by the app.
    Released,
}

/// A change of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseChange {
    /// Its instance will stop.
    Draining {
        /// How long until then.
        ends_in: Duration,
    },
    /// A drain was undone, or its stream token was refreshed by the server.
    Held {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// Its instance died; another one is started for it.
    Moving,
    /// It has another endpoint.
    Moved {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// It is gone.
    Lost {
        /// Why.
        reason: LostReason,
    },
    /// The app gave it back.
    Released,
}
