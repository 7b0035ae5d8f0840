//! The client machine: (state, input, now) → effects and events.

mod acquire;
mod input;
mod output;
mod progress;
mod random;
mod state;

use std::collections::VecDeque;

pub use acquire::Acquire;
pub use input::{
    AccessAnswer, CheckId, Epoch, Generation, Input, ProbeId, Refusal, RequestKey, TransportEnd,
};
pub use output::{Answer, Effect, Event, LeaseChange, LeaseStatus, Output, TokenReason};
pub use progress::Progress;
pub use random::{Ids, Seed};
pub use state::{ConnectStage, ConnectionState, ReconnectReason};

use crate::Instant;
use crate::protocol::Endpoint;

/// What the machine must know of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name and version of the SDK, such as `wakecast-rust/0.1.0`.
    pub sdk: String,
    /// Names this client; random unless the app sets it.
    pub client_id: Option<String>,
    /// Whether the driver has an access address and so can answer `CheckAccess`.
    pub access_check: bool,
}

/// Which deadline the armed timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The next connection attempt or access check.
    Attempt,
    /// The socket should be open.
    ConnectTimeout,
    /// `welcome` should have come.
    WelcomeTimeout,
    /// The access check should have been answered.
    AccessTimeout,
    /// The token provider should have answered.
    TokenTimeout,
    /// The token provider is asked, for renewal or again.
    TokenFetch,
    /// A ping is due.
    Heartbeat,
    /// An answer to a ping should have come.
    PongTimeout,
    /// A link has reached the age for its rotation.
    Rotation,
    /// The old link of a rotation is closed.
    RotationDrain,
    /// An acknowledgement should have come.
    AckTimeout,
    /// A request ends.
    RequestDeadline,
    /// An acquire, or the `endpoint` of a moving lease, is sent again.
    Resend,
    /// An endpoint's probe is due, late, or has failed for good.
    Proof,
    /// Progress is interpolated.
    Progress,
    /// The flush of `close()` ends.
    CloseFlush,
}

/// The client machine. It does no I/O and holds every decision.
#[derive(Debug)]
pub struct Machine {
    outputs: VecDeque<Output>,
    state: ConnectionState,
}

impl Machine {
    /// Makes a machine. All of its randomness comes from `seed`.
    pub fn new(_config: Config, _seed: Seed) -> Self {
        Self {
            outputs: VecDeque::new(),
            state: ConnectionState::Idle,
        }
    }

    /// Takes one input. Never blocks, never panics, valid in every state.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}

    /// Takes the next output. To be drained to `None` after every [`Machine::handle`].
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Machine::handle`] with [`Input::Timeout`] at the latest, and why.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        None
    }

    /// Returns the connection state.
    pub fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// Returns the id of the open acquire `key`, set by the app or drawn by the machine.
    pub fn acquisition_id(&self, _key: RequestKey) -> Option<&str> {
        None
    }

    /// Returns the status of a lease; `None` for an unknown one.
    pub fn lease_status(&self, _lease: &str) -> Option<LeaseStatus> {
        None
    }

    /// Returns the last known endpoint of a lease, whose stream token may have ended.
    pub fn lease_endpoint(&self, _lease: &str) -> Option<&Endpoint> {
        None
    }

    /// Returns whether any lease is held, draining or moving.
    pub fn holds_leases(&self) -> bool {
        false
    }
}
