//! The laws of the client, judged from outside the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wakecast::Instant;
use wakecast::machine::{
    ConnectionState, Effect, Epoch, Event, Input, Machine, Output, RequestKey, StateKind,
};

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
            taken: BTreeSet::new(),
        }
    }

    /// Sees an input before the machine does.
    pub fn before(&mut self, now: Instant, input: &Input) {
        self.state_events = 0;
        match input {
            Input::Acquire { key, acquire } => self.asks(now, *key, acquire.waits_at_most()),
            Input::Endpoint { key, .. } => self.asks(now, *key, REQUEST_ENDS),
            Input::Release { key, lease } => {
                self.asks(now, *key, REQUEST_ENDS);
                self.leaves(Some(lease.clone()));
            }
            // What was promised for it is not known by its number: nothing is held against a stop.
            Input::Cancel { .. } | Input::Close | Input::Detach => self.leaves(None),
            Input::Frame { text, .. } => self.observer.frame(&self.farm, &self.client, text),
            Input::Refused { epoch, .. } | Input::TransportClosed { epoch, .. } => {
                self.open.remove(epoch);
                self.link_ended();
            }
            _ => {}
        }
    }

    /// Sees an output as it is polled.
    pub fn output(&mut self, _now: Instant, output: &Output, machine: &Machine) {
        if self.closed {
            self.broken(
                "client law 6",
                format!("an output after Closed: {output:?}"),
            );
        }
        if format!("{output:?}").contains(TOKEN_CANARY) {
            self.broken("client law 7", "a token is readable in an output");
        }
        match output {
            Output::Effect(Effect::OpenTransport { epoch, .. }) => {
                self.open.insert(*epoch);
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

    fn broken(&self, law: &str, what: impl std::fmt::Display) {
        self.timeline
            .violation(law, format!("{}: {what}", self.client));
    }
}
