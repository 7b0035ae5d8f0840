//! The client machine: (state, input, now) → effects and events.
//!
//! A driver calls [`Machine::handle`] with one [`Input`], drains [`Machine::poll`] to `None`,
//! carries the effects out, hands the events to the app, and arms one timer for
//! [`Machine::next_timeout`]. It decides nothing.

mod acquire;
mod acquisitions;
pub mod backoff;
mod close;
mod config;
mod constants;
mod delivery;
mod diagnostics;
mod dial;
mod environment;
mod explain;
mod frames;
mod gateways;
mod grants;
mod guards;
mod handshake;
mod input;
mod journal;
mod jwt;
mod leases;
mod links;
mod liveness;
mod metrics;
mod output;
mod progress;
mod proof;
mod random;
mod record;
mod refusals;
mod renewal;
mod requests;
mod rotation;
mod scrub;
mod sorted;
mod state;
mod status;
mod timers;
mod token;
mod wall;
mod welcome;
mod words;

use std::collections::VecDeque;

pub use acquire::Acquire;
pub use config::Config;
pub use diagnostics::{Diagnostics, Facts};
pub use explain::{
    Condition, Evidence, Explanation, Finding, GatewayAddress, Headline, NextStep, Remedy, Subject,
};
pub use gateways::GatewayIndex;
pub use guards::{Guard, Guards};
pub use input::{
    AccessAnswer, CheckId, Epoch, Generation, Input, ProbeId, Refusal, RequestKey, TokenFailure,
    TransportEnd,
};
pub use metrics::{Causes, EtaError, Metrics, Timing};
pub use output::{Answer, Effect, Event, LeaseChange, LeaseStatus, Output, TokenReason};
pub use progress::Progress;
pub use random::{Ids, Seed};
pub use record::{Detail, EndCause, EnvironmentChange, Happening, Record, TokenFault, Wish};
pub use state::{ConnectStage, ConnectionState, ReconnectReason, StateKind, TRANSITIONS};
pub use status::FleetStatus;
pub use timers::Timer;
pub use wall::WallClock;

use crate::protocol::Endpoint;
use crate::time::millis;
use crate::{Error, Instant};
use acquisitions::Acquisition;
use dial::{Attempts, Dial};
use environment::Environment;
use gateways::Gateways;
use journal::Journal;
use leases::Lease;
use links::Links;
use random::Random;
use requests::Requests;
use sorted::SortedMap;
use token::Tokens;

/// The client machine. It does no I/O and holds every decision.
#[derive(Debug)]
pub struct Machine {
    now: Instant,
    config: Config,
    client_id: String,
    random: Random,
    outputs: VecDeque<Output>,
    /// The state that the app was told last.
    state: ConnectionState,

    // Intent.
    intent: Intent,
    close_until: Option<Instant>,
    /// Boxed, as the entries behind one that goes are moved.
    acquisitions: SortedMap<String, Box<Acquisition>>,
    leases: SortedMap<String, Box<Lease>>,
    requests: Requests,
    /// Since when somebody waits for an answer.
    busy_since: Option<Instant>,
    next_probe: u64,

    // Transport.
    links: Links,
    dial: Dial,
    attempts: Attempts,
    gateways: Gateways,
    session: String,

    // Auth.
    tokens: Tokens,
    failed: Option<Error>,

    // Environment.
    environment: Environment,

    guards: Guards,

    /// What happened. Decides nothing.
    journal: Journal,
}

/// What the app wants of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Idle,
    Open,
    Closing,
    Closed,
}

impl Machine {
    /// Makes a machine. All of its randomness comes from `seed`.
    pub fn new(config: Config, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let client_id = config.client_id.clone().unwrap_or_else(|| random.id());
        Self {
            now: Instant::default(),
            config,
            client_id,
            random,
            outputs: VecDeque::new(),
            state: ConnectionState::Idle,
            intent: Intent::Idle,
            close_until: None,
            acquisitions: SortedMap::default(),
            leases: SortedMap::default(),
            requests: Requests::default(),
            busy_since: None,
            next_probe: 0,
            links: Links::default(),
            dial: Dial::Rest,
            attempts: Attempts::default(),
            gateways: Gateways::default(),
            session: String::new(),
            tokens: Tokens::default(),
            failed: None,
            environment: Environment::default(),
            guards: Guards::ALL,
            journal: Journal::default(),
        }
    }

    /// Turns guards off: for tests of what they prevent.
    #[cfg(feature = "ablation")]
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Takes one input. Never blocks, never panics, valid in every state. A `now` before the last
    /// one counts as the last one.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        if self.intent == Intent::Closed {
            return self.refuse_late(input);
        }
        self.take(input);
        self.fire();
        self.flushed();
        self.drive();
        self.plan_return();
        self.note_busy();
        self.publish_state();
    }

    /// Takes the next output. To be drained to `None` after every [`Machine::handle`].
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            // A burst must not hold its memory for the life of the client.
            self.outputs.shrink_to(0);
        }
        output
    }

    /// Returns the connection state.
    pub fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// Returns the id of the open acquire `key`, set by the app or drawn by the machine.
    pub fn acquisition_id(&self, key: RequestKey) -> Option<&str> {
        let mut open = self.acquisitions.iter();
        open.find(|(_, acquisition)| acquisition.key == key)
            .map(|(id, _)| id.as_str())
    }

    /// Returns the status of a lease that is held, draining or moving; `None` for any other.
    pub fn lease_status(&self, lease: &str) -> Option<LeaseStatus> {
        self.leases.get(lease).map(|lease| lease.status)
    }

    /// Returns the last known endpoint of a lease, whose stream token may have ended.
    pub fn lease_endpoint(&self, lease: &str) -> Option<&Endpoint> {
        self.leases.get(lease).map(|lease| &lease.endpoint)
    }

    /// Returns whether any lease is held, draining or moving.
    pub fn holds_leases(&self) -> bool {
        !self.leases.is_empty()
    }

    fn take(&mut self, input: Input) {
        self.note_input(&input);
        match input {
            Input::Connect => {
                if self.intent == Intent::Idle {
                    self.intent = Intent::Open;
                }
            }
            Input::Acquire { key, .. }
            | Input::Endpoint { key, .. }
            | Input::Release { key, .. }
            | Input::Status { key, .. }
                if self.key_in_use(key) => {}
            Input::Acquire { key, acquire } => self.acquire(key, acquire),
            Input::Cancel { key } => self.cancel(key),
            Input::Endpoint { key, lease } => self.endpoint(key, lease),
            Input::Release { key, lease } => self.release(key, lease),
            Input::Status { key, fleet } => self.status(key, fleet),
            Input::Retry => self.retry(),
            Input::Close => self.close(),
            Input::Detach => self.detach(),
            Input::HandlesGone => self.handles_gone(),
            Input::Abandon { key } => self.abandon(key),
            Input::DetachAcquire { key } => self.detach_acquire(key),
            Input::DetachLease { lease } => self.detach_lease(&lease),
            Input::TransportOpened { epoch, subprotocol } => {
                self.transport_opened(epoch, subprotocol.as_deref());
            }
            Input::Refused { epoch, refusal } => self.transport_refused(epoch, refusal),
            Input::Frame { epoch, text } => self.frame(epoch, &text),
            Input::BinaryFrame { epoch } => self.binary_frame(epoch),
            Input::TransportClosed { epoch, end } => self.transport_closed(epoch, end),
            Input::TokenReady {
                generation,
                token,
                expires_in,
            } => {
                self.token_ready(generation, token, expires_in);
            }
            Input::TokenFailed {
                generation,
                failure,
            } => {
                self.token_provider_failed(generation, failure);
            }
            Input::AccessChecked { check, answer } => self.access_checked(check, answer),
            Input::ProbeResult { probe, result } => self.probed(probe, result),
            Input::NetworkUp => self.network_up(),
            Input::NetworkDown => self.network_down(),
            Input::NetworkChanged => self.network_changed(),
            Input::Foreground => self.foreground(),
            Input::Background => self.background(),
            Input::ClockJumped => self.clock_jumped(),
            Input::Timeout => {}
        }
    }

    /// After `Closed` there is nothing but the answer that every request gets.
    fn refuse_late(&mut self, input: Input) {
        if let Input::Acquire { key, .. }
        | Input::Endpoint { key, .. }
        | Input::Release { key, .. }
        | Input::Status { key, .. } = input
            && let Err(error) = self.accepts_requests()
        {
            self.settle(key, Err(error));
        }
    }

    fn key_in_use(&self, key: RequestKey) -> bool {
        self.requests.has_waiter(key) || self.acquires(key)
    }

    fn emit(&mut self, event: Event) {
        self.note_event(&event);
        self.outputs.push_back(Output::Event(event));
    }

    fn effect(&mut self, effect: Effect) {
        self.note_effect(&effect);
        self.outputs.push_back(Output::Effect(effect));
    }
}
