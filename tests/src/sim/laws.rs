//! The laws of the client, judged from outside the machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wakecast::Instant;
use wakecast::machine::{
    ConnectionState, Effect, Epoch, Event, Generation, Input, Machine, Output, RequestKey,
    StateKind,
};
use wakecast::protocol::ServerMessage;

use super::executor::VirtualClock;
use super::farm::Farm;
use super::observer::Observer;
use super::timeline::Timeline;
use super::world::Surroundings;
use crate::judge::Fact;

/// Every token of a world is a JWT, and every JWT begins like this.
const TOKEN_CANARY: &str = "eyJ";

/// Requests that are no acquires end after this time.
const REQUEST_ENDS: Duration = Duration::from_secs(30);

/// A token provider that has not answered by then is given up.
const TOKEN_WAITS: Duration = Duration::from_secs(15);

/// Links that a client opens at most within [`STORM_WITHIN`], whatever its app and its server do: a
/// wait is cut once in 5 s at most, and the backoff alone makes some thirty attempts in that time.
const STORM: usize = 100;
/// See [`STORM`].
const STORM_WITHIN: Duration = Duration::from_mins(5);

/// An input that must not change anything, as far as it is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stale {
    /// Of a transport that is over, or an answer to a question that is: nothing follows.
    Wholly,
    /// It says less than is known of these rows: the app is told nothing about them.
    Rows(BTreeSet<String>),
}

/// Watches one machine.
#[derive(Debug)]
pub struct ClientLaws {
    client: String,
    timeline: Timeline,
    observer: Observer,
    farm: Farm,
    clock: VirtualClock,
    open: BTreeSet<Epoch>,
    /// Open waiters and when each must be settled at the latest.
    asked: BTreeMap<RequestKey, Instant>,
    told: Option<ConnectionState>,
    state_events: u32,
    closed: bool,
    /// The question that the token provider has not answered yet, and since when.
    question: Option<(Generation, Instant)>,
    /// The newest revision of each row that has come in.
    revs: BTreeMap<String, u64>,
    /// How far the input under way is stale.
    stale: Option<Stale>,
    /// When the last links were opened.
    opened: VecDeque<Instant>,
    /// Every change of state so far.
    pub taken: BTreeSet<(StateKind, StateKind)>,
}

impl ClientLaws {
    /// Starts watching.
    #[must_use]
    pub fn new(client: String, around: &Surroundings) -> Self {
        Self {
            client,
            timeline: around.timeline.clone(),
            observer: around.observer.clone(),
            farm: around.farm.clone(),
            clock: around.clock.clone(),
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
            told: None,
            state_events: 0,
            closed: false,
            question: None,
            revs: BTreeMap::new(),
            stale: None,
            opened: VecDeque::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Sees an input before the machine does.
    pub fn before(&mut self, now: Instant, input: &Input, machine: &Machine) {
        self.state_events = 0;
        // A timer that is due at the same moment may have something to say of its own.
        let quiet = machine.next_timeout().is_none_or(|(at, _)| at > now);
        let message = match input {
            Input::Frame { text, .. } => ServerMessage::decode(text.expose()).ok(),
            _ => None,
        };
        let stale = self.staleness(now, input, message.as_ref());
        if let Some(message) = message.filter(|_| stale != Some(Stale::Wholly)) {
            self.observer.frame(&self.farm, &self.client, &message);
        }
        self.stale = stale.filter(|_| quiet);
        match input {
            Input::Acquire { key, acquire } => self.asks(now, *key, acquire.waits_at_most()),
            Input::Endpoint { key, .. } => self.asks(now, *key, REQUEST_ENDS),
            Input::Release { key, lease } => {
                self.asks(now, *key, REQUEST_ENDS);
                self.leaves(Some(lease.clone()));
            }
            // What was promised for it is not known by its number: nothing is held against a stop.
            Input::Cancel { .. } | Input::Close | Input::Detach => self.leaves(None),
            Input::Refused { epoch, .. } | Input::TransportClosed { epoch, .. } => {
                self.open.remove(epoch);
                self.link_ended();
            }
            _ => {}
        }
    }

    /// Sees an output as it is polled.
    pub fn output(&mut self, now: Instant, output: &Output, machine: &Machine) {
        if self.closed {
            self.broken(
                "client law 6",
                format!("an output after Closed: {output:?}"),
            );
        }
        if format!("{output:?}").contains(TOKEN_CANARY) {
            self.broken("client law 7", "a token is readable in an output");
        }
        self.acted_on_stale(output);
        match output {
            Output::Effect(Effect::FetchToken { generation, .. }) => {
                self.question = Some((*generation, now));
            }
            Output::Effect(Effect::OpenTransport { epoch, .. }) => {
                self.open.insert(*epoch);
                self.storm(now);
                if self.open.len() > 2 {
                    let open = format!("{} transports are open", self.open.len());
                    self.broken("client law 4", open);
                }
            }
            Output::Effect(Effect::CloseTransport { epoch, .. }) => {
                self.open.remove(epoch);
                self.link_ended();
            }
            Output::Event(Event::State(state)) => {
                self.state_events += 1;
                if self.state_events > 1 {
                    self.broken("client law 3", "two state events for one input");
                }
                if state != machine.state() {
                    self.broken("client law 3", "the event differs from the state");
                }
                if self.told.as_ref() == Some(state) {
                    self.broken("client law 3", "the same state is told twice");
                }
                let before = self
                    .told
                    .as_ref()
                    .map_or(StateKind::Idle, ConnectionState::kind);
                if before != state.kind() {
                    self.taken.insert((before, state.kind()));
                }
                self.closed |= *state == ConnectionState::Closed;
                self.told = Some(state.clone());
            }
            Output::Event(Event::Settled { key, .. }) => {
                if self.asked.remove(key).is_none() {
                    let text = format!("request {} is settled twice or was never asked", key.0);
                    self.broken("client law 5", text);
                }
                let who = self.client.clone();
                self.observer.tell(&Fact::Answered { who, key: key.0 });
            }
            _ => {}
        }
    }

    /// Sees the machine when its outputs are drained.
    pub fn after(&mut self, now: Instant, machine: &Machine) {
        if let Some((at, timer)) = machine.next_timeout()
            && at < now
            && now.since(at).as_secs() > 60
        {
            self.broken(
                "client law 1",
                format!("{timer:?} has been due for a minute"),
            );
        }
        let late = self.asked.iter().find(|(_, end)| now > **end);
        if let Some((key, end)) = late {
            let late = now.since(*end).as_millis();
            self.broken(
                "client law 5",
                format!("request {} is {late} ms late", key.0),
            );
        }
        if self.closed && !self.asked.is_empty() {
            self.broken("client law 6", "a waiter is left after Closed");
        }
    }

    fn asks(&mut self, now: Instant, key: RequestKey, within: Duration) {
        self.asked.insert(key, now + within);
        self.observer.tell(&Fact::Asked {
            who: self.client.clone(),
            key: key.0,
            until: (self.clock.true_now() + within).as_millis(),
        });
    }

    fn leaves(&self, lease: Option<String>) {
        let who = self.client.clone();
        self.observer.tell(&Fact::Left { who, lease });
    }

    fn link_ended(&self) {
        let who = self.client.clone();
        self.observer.tell(&Fact::LinkEnded { who });
    }

    /// Tells how far an input is over before the machine sees it.
    fn staleness(
        &mut self,
        now: Instant,
        input: &Input,
        message: Option<&ServerMessage>,
    ) -> Option<Stale> {
        match input {
            Input::TransportOpened { epoch, .. }
            | Input::Refused { epoch, .. }
            | Input::BinaryFrame { epoch }
            | Input::TransportClosed { epoch, .. }
            | Input::Frame { epoch, .. }
                if !self.open.contains(epoch) =>
            {
                Some(Stale::Wholly)
            }
            Input::TokenReady { generation, .. } | Input::TokenFailed { generation, .. } => {
                let asked = self.question.filter(|(asked, _)| asked == generation);
                if asked.is_none_or(|(_, at)| now > at + TOKEN_WAITS) {
                    return Some(Stale::Wholly);
                }
                self.question = None;
                None
            }
            // The app may name a row anew that it had before.
            Input::Acquire { .. } => {
                self.revs.clear();
                None
            }
            Input::Frame { .. } => {
                let mut old = BTreeSet::new();
                for (id, rev) in revs_of(message?) {
                    let newest = self.revs.entry(id.clone()).or_insert(rev);
                    if rev < *newest {
                        old.insert(id);
                    }
                    *newest = rev.max(*newest);
                }
                (!old.is_empty()).then_some(Stale::Rows(old))
            }
            _ => None,
        }
    }

    /// Law 2: what is stale is dropped.
    fn acted_on_stale(&mut self, output: &Output) {
        let acted = match (&self.stale, output) {
            (Some(Stale::Wholly), _) => true,
            (
                Some(Stale::Rows(old)),
                Output::Event(Event::Lease { lease: id, .. } | Event::Progress { id, .. }),
            ) => old.contains(id),
            _ => false,
        };
        if acted {
            self.broken("client law 2", format!("a stale input led to {output:?}"));
            self.stale = None;
        }
    }

    /// A storm is no law of the machine's own, but what its backoff is for.
    fn storm(&mut self, now: Instant) {
        self.opened.push_back(now);
        while self
            .opened
            .front()
            .is_some_and(|at| now.since(*at) > STORM_WITHIN)
        {
            self.opened.pop_front();
        }
        if self.opened.len() > STORM {
            let minutes = STORM_WITHIN.as_secs() / 60;
            self.broken("storm", format!("{STORM} links within {minutes} min"));
            self.opened.clear();
        }
    }

    fn broken(&self, law: &str, what: impl std::fmt::Display) {
        self.timeline
            .violation(law, format!("{}: {what}", self.client));
    }
}

/// The rows that a message speaks of, and the revision of each.
fn revs_of(message: &ServerMessage) -> Vec<(String, u64)> {
    let one = |id: &String, rev: u64| vec![(id.clone(), rev)];
    match message {
        ServerMessage::Progress(push) => one(&push.id, push.rev),
        ServerMessage::Ready(push) => one(&push.id, push.rev),
        ServerMessage::Endpoint(push) => one(&push.lease, push.rev),
        ServerMessage::Draining(push) => one(&push.lease, push.rev),
        ServerMessage::Moved(push) => one(&push.lease, push.rev),
        ServerMessage::Lost(push) => one(&push.lease, push.rev),
        ServerMessage::Welcome(welcome) => {
            let leases = welcome.leases.iter().map(|report| (&report.id, report.rev));
            let requests = welcome.requests.iter();
            let requests = requests.map(|report| (&report.id, report.rev));
            leases
                .chain(requests)
                .filter_map(|(id, rev)| Some((id.clone(), rev?)))
                .collect()
        }
        _ => Vec::new(),
    }
}
