//! An observer that checks the seven laws after every input, from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wakecast::machine::{
    Answer, Effect, Epoch, Event, GatewayIndex, Input, Machine, Output, RequestKey,
};
use wakecast::protocol::{ClientMessage, ServerMessage};
use wakecast::{ConnectionState, ErrorCode, Instant, Outcome};

use super::CANARY;

/// Outputs of one input that no number of requests may exceed: four for each row and request.
const MOST_OUTPUTS: usize = 4 * (128 + 256);

/// What somebody waits for, to find its message among those that are sent.
#[derive(PartialEq)]
enum Wish {
    /// An acquire; its id once the machine has one.
    Acquire(Option<String>),
    Endpoint(String),
    Release(String),
    Status(Option<String>),
}

/// What the observer remembers.
#[derive(Default)]
pub struct Laws {
    open: BTreeMap<Epoch, GatewayIndex>,
    last_epoch: u64,
    last_generation: u64,
    waiting: BTreeMap<RequestKey, Instant>,
    /// What is waited for, and whether it was ever in a `Send`.
    wishes: BTreeMap<RequestKey, (Wish, bool)>,
    /// Ids of messages that were sent.
    sent: BTreeSet<String>,
    late: Option<RequestKey>,
    /// The acquire that is being handled: it may be sent and settled before its id can be asked for.
    acquiring: Option<RequestKey>,
    closing_since: Option<Instant>,
    closed: bool,
    state: Option<ConnectionState>,
    now: Instant,
    /// Where the last acquire was written or granted: a transport that was only opened put no row
    /// anywhere.
    gateway: GatewayIndex,
    /// Acquires that were sent: whether the last copy is unanswered, and whether one may stand.
    acquires: BTreeMap<String, (bool, bool)>,
}

impl Laws {
    /// Notes an input before the machine sees it.
    pub fn before(&mut self, machine: &Machine, now: Instant, input: &Input) {
        self.now = self.now.max(now);
        self.state.get_or_insert_with(|| machine.state().clone());
        self.late = None;
        self.acquiring = match input {
            Input::Acquire { key, .. } if !self.waiting.contains_key(key) => Some(*key),
            _ => None,
        };
        let hidden = format!("{input:?}");
        assert!(
            !hidden.contains(CANARY),
            "law 7: an input prints a secret: {hidden}"
        );
        let (key, life) = match input {
            Input::Acquire { key, acquire } => (*key, acquire.waits_at_most()),
            Input::Endpoint { key, .. }
            | Input::Release { key, .. }
            | Input::Status { key, .. } => (*key, Duration::from_secs(30)),
            Input::TransportClosed { epoch, .. } | Input::Refused { epoch, .. } => {
                self.open.remove(epoch);
                return;
            }
            Input::Frame { epoch, text } if self.open.contains_key(epoch) => {
                self.note_answer(text.expose());
                return;
            }
            Input::Close | Input::Detach | Input::HandlesGone => {
                self.closing_since.get_or_insert(self.now);
                return;
            }
            _ => return,
        };
        self.late = self.closed.then_some(key);
        self.waiting.entry(key).or_insert(self.now + life);
        let wish = match input {
            Input::Endpoint { lease, .. } => Wish::Endpoint(lease.clone()),
            Input::Release { lease, .. } => Wish::Release(lease.clone()),
            Input::Status { fleet, .. } => Wish::Status(fleet.clone()),
            _ => Wish::Acquire(None),
        };
        self.wishes.entry(key).or_insert((wish, false));
    }

    /// Checks what the machine did.
    pub fn after(&mut self, machine: &Machine, now: Instant, outputs: &[Output]) {
        let now = self.now.max(now);
        assert!(
            outputs.len() <= MOST_OUTPUTS,
            "law 3: {} outputs at once",
            outputs.len()
        );
        self.no_secret(outputs);
        self.nothing_after_closed(outputs);
        self.one_true_state_event(machine, outputs);
        for (key, (wish, _)) in &mut self.wishes {
            if let Wish::Acquire(id @ None) = wish {
                *id = machine.acquisition_id(*key).map(str::to_owned);
            }
        }
        for output in outputs {
            match output {
                Output::Effect(effect) => {
                    self.transports(effect);
                    self.stays_where_rows_live(machine, effect);
                    self.note_sent(effect);
                }
                Output::Event(Event::Settled { key, result }) => {
                    let deadline = self.waiting.remove(key);
                    assert!(
                        deadline.is_some(),
                        "law 5: {key:?} was settled without waiting: {result:?}"
                    );
                    if let Some((Wish::Acquire(Some(id)), _)) = self.wishes.get(key) {
                        self.acquires.remove(id);
                    }
                    let sent = self.wishes.remove(key).is_some_and(|(_, sent)| sent);
                    if let Err(error) = result {
                        assert_eq!(
                            error.outcome() == Outcome::NotSent,
                            !sent,
                            "law 5: {key:?}, sent: {sent}: {error:?}"
                        );
                    }
                    if let Ok(Answer::Acquired { lease, .. }) = result {
                        self.gateway = machine.gateway();
                        assert!(
                            machine.lease_status(lease).is_some(),
                            "granted but not held"
                        );
                    }
                }
                _ => {}
            }
        }
        let two = self.open.len() == 2;
        assert!(
            !two || matches!(machine.state(), ConnectionState::Connected { .. })
                || self.closing_since.is_some(),
            "law 4: two transports and no rotation: {:?}",
            machine.state()
        );
        for (key, deadline) in &self.waiting {
            assert!(*deadline > now, "law 5: {key:?} waits past its deadline");
        }
        if let Some(since) = self.closing_since {
            assert!(self.waiting.is_empty(), "law 6: closing left a waiter");
            let due = now >= since + Duration::from_secs(1);
            let closed = *machine.state() == ConnectionState::Closed;
            assert!(!due || closed, "law 6: closing takes more than a second");
        }
    }

    /// Notes what an answer says of an acquire: `rejected` is the only word that nothing stands.
    fn note_answer(&mut self, text: &str) {
        let told: Vec<(String, bool)> = match ServerMessage::decode(text) {
            Ok(ServerMessage::Error(error)) => {
                let rejected = error.outcome == Outcome::Rejected;
                error.id.map(|id| (id, rejected)).into_iter().collect()
            }
            Ok(ServerMessage::Ack(ack)) => vec![(ack.id, false)],
            Ok(ServerMessage::Progress(push)) => vec![(push.id, false)],
            Ok(ServerMessage::Ready(ready)) => vec![(ready.id, false)],
            _ => return,
        };
        for (id, rejected) in told {
            if let Some((unanswered, stands)) = self.acquires.get_mut(&id) {
                (*unanswered, *stands) = (false, *stands || !rejected);
            }
        }
    }

    /// Rows live in the region of their gateway: while a lease is held, or an acquire may stand, no
    /// transport to another one is opened.
    fn stays_where_rows_live(&self, machine: &Machine, effect: &Effect) {
        let Effect::OpenTransport { gateway, .. } = effect else {
            return;
        };
        if *gateway != self.gateway {
            assert!(
                !machine.holds_leases(),
                "gateways: left {:?} with a lease",
                self.gateway
            );
            for (wish, _) in self.wishes.values() {
                let Wish::Acquire(Some(id)) = wish else {
                    continue;
                };
                let (unanswered, stands) = self.acquires.get(id).copied().unwrap_or_default();
                assert!(
                    !unanswered && !stands,
                    "gateways: left {:?} while `{id}` may stand there",
                    self.gateway
                );
            }
        }
    }

    /// Notes whose request a message is. Requests of one lease are written in their order.
    fn note_sent(&mut self, effect: &Effect) {
        let Effect::Send { epoch, text } = effect else {
            return;
        };
        let (id, wish) = match ClientMessage::decode(text.expose()).expect("what we send decodes") {
            ClientMessage::Acquire(acquire) => {
                self.gateway = self.open[epoch];
                let (unanswered, stands) = self.acquires.entry(acquire.id.clone()).or_default();
                (*unanswered, *stands) = (true, *stands || *unanswered);
                let wish = Wish::Acquire(Some(acquire.id));
                if !self.wishes.values().any(|(open, _)| *open == wish)
                    && let Some(key) = self.acquiring
                    && let Some((open @ Wish::Acquire(None), _)) = self.wishes.get_mut(&key)
                {
                    *open = wish;
                    self.wishes.entry(key).and_modify(|(_, sent)| *sent = true);
                    return;
                }
                for (_, sent) in self.wishes.values_mut().filter(|(open, _)| *open == wish) {
                    *sent = true;
                }
                return;
            }
            ClientMessage::Endpoint(request) => (request.id, Wish::Endpoint(request.lease)),
            ClientMessage::Release(release) => (release.id, Wish::Release(release.lease)),
            ClientMessage::Status(request) => (request.id, Wish::Status(request.fleet)),
            _ => return,
        };
        if self.sent.insert(id)
            && let Some((_, sent)) =
                (self.wishes.values_mut()).find(|(open, sent)| *open == wish && !sent)
        {
            *sent = true;
        }
    }

    fn no_secret(&self, outputs: &[Output]) {
        for output in outputs {
            let hidden = format!("{output:?}");
            assert!(
                !hidden.contains(CANARY),
                "law 7: an output prints a secret: {hidden}"
            );
            if let Output::Event(
                Event::Settled {
                    result: Err(error), ..
                }
                | Event::Diagnostic(error),
            ) = output
            {
                let shown = format!("{error} {:?}", std::error::Error::source(error));
                assert!(
                    !shown.contains(CANARY),
                    "law 7: an error prints a secret: {shown}"
                );
                assert!(!error.message().is_empty(), "an error says how to mend it");
            }
        }
    }

    fn nothing_after_closed(&mut self, outputs: &[Output]) {
        if !self.closed {
            return;
        }
        for output in outputs {
            let refused = matches!(output, Output::Event(Event::Settled { key, result: Err(error) })
                if Some(*key) == self.late && *error.code() == ErrorCode::Closed);
            assert!(refused, "law 6: something came after Closed: {output:?}");
        }
    }

    fn one_true_state_event(&mut self, machine: &Machine, outputs: &[Output]) {
        let states: Vec<&ConnectionState> = (outputs.iter())
            .filter_map(|output| match output {
                Output::Event(Event::State(state)) => Some(state),
                _ => None,
            })
            .collect();
        assert!(
            states.len() <= 1,
            "law 3: {} state events for one input",
            states.len()
        );
        let before = self.state.replace(machine.state().clone());
        match states.first() {
            Some(state) => assert_eq!(*state, machine.state(), "law 3: the event is not the state"),
            None => assert_eq!(
                before.as_ref(),
                Some(machine.state()),
                "law 3: a silent change"
            ),
        }
        if *machine.state() == ConnectionState::Closed && !self.closed {
            assert!(
                matches!(outputs.last(), Some(Output::Event(Event::State(_)))),
                "law 6: Closed is the last event"
            );
            self.closed = true;
        }
    }

    fn transports(&mut self, effect: &Effect) {
        match effect {
            Effect::OpenTransport { epoch, gateway, .. } => {
                assert!(epoch.0 > self.last_epoch, "law 2: epochs rise");
                self.last_epoch = epoch.0;
                self.open.insert(*epoch, *gateway);
                assert!(self.open.len() <= 2, "law 4: more than two transports");
            }
            Effect::Send { epoch, .. } => {
                assert!(
                    self.open.contains_key(epoch),
                    "law 2: sent to a transport that is gone"
                );
            }
            Effect::CloseTransport { epoch, .. } => {
                assert!(
                    self.open.remove(epoch).is_some(),
                    "law 2: closed a transport that is gone"
                );
            }
            Effect::FetchToken { generation, .. } => {
                assert!(
                    generation.0 > self.last_generation,
                    "law 2: generations rise"
                );
                self.last_generation = generation.0;
            }
            _ => {}
        }
    }
}
