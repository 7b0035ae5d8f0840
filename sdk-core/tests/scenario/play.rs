//! Plays a scenario: a machine, the stand-in around it, and one virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use serde_json::{Map, Value, json};
use wakecast::machine::{Config, Effect, Epoch, Event, Input, Machine, Output, Seed};
use wakecast::{Instant, Secret};

use super::failure::Failure;
use super::file::{Scenario, Step, Verb, Wake, When};
use super::peer::{Memory, Peer};
use super::seen;
use super::words::difference;
use crate::support::laws::Laws;

/// Inputs within one instant: more mean that machine and stand-in answer each other for ever.
const BUSY: usize = 10_000;

/// Outputs that a failure shows.
const SHOWN: usize = 15;

/// The newest of what effects name.
#[derive(Debug, Default)]
pub struct Newest {
    pub generation: u64,
    pub check: u64,
    pub probe: u64,
    link: u64,
}

/// A scenario while it is played.
pub struct Play {
    machine: Machine,
    laws: Laws,
    /// The driver's clock at the beginning: no machine may care.
    epoch: u64,
    pub now: u64,
    settings: Map<String, Value>,
    pub peer: Peer,
    pub memory: Memory,
    inbox: BTreeMap<(u64, u64), Input>,
    order: u64,
    /// Ids of the last message of each action.
    pub sent_ids: BTreeMap<String, String>,
    pub newest: Newest,
    leases: BTreeSet<String>,
    /// What came out, and when; what lies before the cursor has been looked at.
    log: Vec<(u64, Value)>,
    cursor: usize,
    /// When the given state was reached, and when the last step happened.
    zero: u64,
    last: u64,
    /// When a marked step happened, and what came out up to it.
    marks: BTreeMap<String, (u64, usize)>,
}

/// Plays a scenario with each of its seeds.
pub fn play(scenario: &Scenario) -> Result<(), Box<Failure>> {
    (0..scenario.seeds).try_for_each(|seed| play_seed(scenario, seed))
}

fn play_seed(scenario: &Scenario, seed: u64) -> Result<(), Box<Failure>> {
    let mut play = Play::new(seed, scenario.gateways, scenario.peer.clone());
    let mut place = None;
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        play.steps(&scenario.given, &mut place)?;
        (play.zero, play.last) = (play.now, play.now);
        play.marks.clear();
        play.steps(&scenario.steps, &mut place)
    }));
    let (expected, seen) = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(wrong)) => wrong,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("a panic without a text").to_owned();
            ("that the laws of the machine hold".to_owned(), text)
        }
    };
    let since = play.log.len().saturating_sub(SHOWN);
    let outputs = play.log.get(since..).unwrap_or_default().iter();
    Err(Box::new(Failure {
        scenario: scenario.name.clone(),
        file: scenario.file.clone(),
        step: place.map(|step| (step.place.clone(), step.source.clone())),
        seed,
        at: play.since_zero(play.now),
        expected,
        seen,
        outputs: outputs
            .map(|(at, output)| (play.since_zero(*at), output.clone()))
            .collect(),
    }))
}

/// What was expected, and what was seen instead.
type Wrong = (String, String);

impl Play {
    fn new(seed: u64, gateways: u8, settings: Map<String, Value>) -> Self {
        let config = Config::new("test/1").client_id("client").access_check(true);
        let config = (1..gateways).fold(config, |config, _| config.fallback(true));
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut play = Self {
            machine: Machine::new(config, Seed(bytes)),
            laws: Laws::default(),
            epoch: seed * 86_400_007,
            now: 0,
            settings,
            peer: Peer::default(),
            memory: Memory::default(),
            inbox: BTreeMap::new(),
            order: 0,
            sent_ids: BTreeMap::new(),
            newest: Newest::default(),
            leases: BTreeSet::new(),
            log: Vec::new(),
            cursor: 0,
            zero: 0,
            last: 0,
            marks: BTreeMap::new(),
        };
        play.memory.rev = 1;
        play.set_peer(Map::new());
        play
    }

    fn steps<'a>(&mut self, steps: &'a [Step], place: &mut Option<&'a Step>) -> Result<(), Wrong> {
        for step in steps {
            *place = Some(step);
            if let Verb::Repeat(times, inner) = &step.verb {
                for _ in 0..*times {
                    self.steps(inner, place)?;
                }
                continue;
            }
            self.step(step)?;
            if let Some(mark) = &step.mark {
                self.marks.insert(mark.clone(), (self.last, self.cursor));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        let (base, first) = match &step.since {
            None => (self.last, None),
            Some(mark) => (self.marks.get(mark).map(|(at, first)| (*at, Some(*first))))
                .ok_or_else(|| {
                    (
                        format!("a step before with the mark `{mark}`"),
                        "none".into(),
                    )
                })?,
        };
        let (from, to) = match step.when {
            When::Now => (self.last.max(base), self.last.max(base)),
            When::At(at) => (self.zero + at, self.zero + at),
            When::After(from, to) => (base + from, base + to),
        };
        if let Verb::Expect { wanted, only } = &step.verb {
            for wanted in wanted {
                self.expect(wanted, (from, to), *only)?;
            }
            return Ok(());
        }
        if to < self.now {
            let seen = format!("that time is over at {} ms", self.since_zero(self.now));
            return Err((format!("the step at {} ms", self.since_zero(to)), seen));
        }
        self.run_to(to);
        match &step.verb {
            Verb::Do(inputs) => {
                self.cursor = self.log.len();
                for input in inputs {
                    let input = self.read_input(input).map_err(unreadable)?;
                    self.give(input);
                }
                self.run_to(self.now);
            }
            Verb::Peer(change) => self.set_peer(change.clone()),
            Verb::Wait(span) => {
                self.run_to(self.now + span);
                self.cursor = self.log.len();
            }
            Verb::Sleep(span, wake) => {
                self.cursor = self.log.len();
                self.now += span;
                match wake {
                    Wake::Input(input) => {
                        let input = self.read_input(input).map_err(unreadable)?;
                        self.give(input);
                    }
                    Wake::Messages => self.deliver_due(),
                }
                self.run_to(self.now);
            }
            Verb::Never(unwanted, span) => self.never(unwanted, *span, first)?,
            Verb::Count(wanted, span, range) => self.count(wanted, *span, *range, first)?,
            Verb::Now(wanted) => {
                let seen = self.snapshot();
                if let Some(difference) = difference(wanted, &seen, "") {
                    return Err((format!("now {wanted}"), difference));
                }
            }
            Verb::Expect { .. } | Verb::Repeat(..) => {}
        }
        self.last = self.now;
        Ok(())
    }

    fn expect(&mut self, wanted: &Value, window: (u64, u64), only: bool) -> Result<(), Wrong> {
        let wanted = &self.resolve(wanted).map_err(unreadable)?;
        let (from, to) = window;
        let shown = |play: &Self| {
            let (from, to) = (play.since_zero(from), play.since_zero(to));
            if from == to {
                format!("{wanted} at {from} ms")
            } else {
                format!("{wanted} between {from} and {to} ms")
            }
        };
        let mut scan = self.cursor;
        let mut nearest = None;
        loop {
            while let Some((at, output)) = self.log.get(scan) {
                let (at, shown_at) = (*at, self.since_zero(*at));
                match fits(wanted, output) {
                    None if at < from => {
                        let seen = format!("it came too early, at {shown_at} ms");
                        return Err((shown(self), seen));
                    }
                    None if at > to => break,
                    None => {
                        (self.cursor, self.last) = (scan + 1, at);
                        return Ok(());
                    }
                    Some(_) if only => {
                        let seen = format!("something else first, at {shown_at} ms: {output}");
                        return Err((shown(self), seen));
                    }
                    Some(difference) => {
                        if seen::kind(wanted) == seen::kind(output) && seen::kind(wanted).is_some()
                        {
                            nearest = Some(format!("at {shown_at} ms {difference}"));
                        }
                        scan += 1;
                    }
                }
            }
            if !self.advance(to) {
                self.now = self.now.max(to);
                let seen = match nearest {
                    Some(nearest) => format!("nothing that fits; nearest {nearest}"),
                    None => "nothing of its kind".to_owned(),
                };
                return Err((shown(self), seen));
            }
        }
    }

    fn never(&mut self, unwanted: &[Value], span: u64, first: Option<usize>) -> Result<(), Wrong> {
        self.run_to(self.now + span);
        for unwanted in unwanted {
            let resolved = self.resolve(unwanted).map_err(unreadable)?;
            let seen = self.log[first.unwrap_or(self.cursor)..]
                .iter()
                .find(|(_, output)| fits(&resolved, output).is_none());
            if let Some((at, output)) = seen {
                let seen = format!("it came at {} ms: {output}", self.since_zero(*at));
                return Err((format!("never {unwanted} for {span} ms"), seen));
            }
        }
        self.pass(first);
        Ok(())
    }

    fn count(
        &mut self,
        wanted: &Value,
        span: u64,
        range: (u64, u64),
        first: Option<usize>,
    ) -> Result<(), Wrong> {
        self.run_to(self.now + span);
        let wanted = self.resolve(wanted).map_err(unreadable)?;
        let seen = self.log[first.unwrap_or(self.cursor)..].iter();
        let seen = seen.filter(|(_, output)| fits(&wanted, output).is_none());
        let count = seen.count() as u64;
        let (least, most) = range;
        if !(least..=most).contains(&count) {
            let expected = if least == most {
                format!("{least} times {wanted} within {span} ms")
            } else {
                format!("{least} to {most} times {wanted} within {span} ms")
            };
            return Err((expected, format!("{count} times")));
        }
        self.pass(first);
        Ok(())
    }

    /// What was watched has been looked at, unless it was a look back.
    fn pass(&mut self, first: Option<usize>) {
        if first.is_none() {
            self.cursor = self.log.len();
        }
    }

    /// The state of things at this moment.
    fn snapshot(&self) -> Value {
        let mut now = seen::state(self.machine.state());
        now["gateway"] = json!(self.machine.gateway().0);
        now["links"] = json!(self.memory.links.len());
        let leases = self.leases.iter().filter_map(|id| {
            let status = self.machine.lease_status(id)?;
            Some((id.clone(), json!(seen::status(status))))
        });
        now["leases"] = Value::Object(leases.collect());
        if let Some((at, timer)) = self.machine.next_timeout() {
            now["timer"] = json!(format!("{timer:?} at {} ms", at.as_millis() - self.epoch));
        }
        now
    }

    fn set_peer(&mut self, change: Map<String, Value>) {
        self.settings.extend(change);
        let settings = Value::Object(self.settings.clone());
        self.peer = serde_json::from_value(settings).expect("it was checked when it was read");
    }

    /// Lets time pass; what is due happens exactly then.
    fn run_to(&mut self, end: u64) {
        while self.advance(end) {}
        self.now = self.now.max(end);
    }

    /// Carries out what happens next, if that is not after `end`. Returns whether anything did.
    fn advance(&mut self, end: u64) -> bool {
        let timer = self.machine.next_timeout();
        let timer = timer.map(|(at, _)| at.as_millis().saturating_sub(self.epoch));
        let message = self.inbox.keys().next().map(|(at, _)| *at);
        let cut = self.next_cut();
        let due = [cut, message, timer].into_iter().flatten().min();
        let Some(next) = due.map(|at| at.max(self.now)).filter(|at| *at <= end) else {
            return false;
        };
        self.now = next;
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= next);
        if is_due(cut) {
            if let Some(input) = self.cut_due() {
                self.give(input);
            }
        } else if is_due(message) {
            if let Some((_, input)) = self.inbox.pop_first() {
                self.give(input);
            }
        } else {
            self.give(Input::Timeout);
            let still = self.machine.next_timeout();
            let still = still.filter(|(at, _)| at.as_millis() - self.epoch <= next);
            assert!(
                still.is_none(),
                "a deadline that fired stays due: {still:?}"
            );
        }
        let mut recent = self.log.iter().rev().take(BUSY);
        assert!(
            self.log.len() < BUSY || recent.any(|(at, _)| *at != next),
            "machine and stand-in answer each other for ever"
        );
        true
    }

    fn deliver_due(&mut self) {
        while let Some(entry) = self.inbox.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let input = entry.remove();
            self.give(input);
        }
    }

    /// Gives the machine one input, watches the laws, and carries its effects out.
    fn give(&mut self, input: Input) {
        match &input {
            Input::TransportClosed { epoch, .. } | Input::Refused { epoch, .. } => {
                self.memory.links.remove(&epoch.0);
            }
            Input::Frame { epoch, text } => self.note_frame(*epoch, text),
            _ => {}
        }
        let now = Instant::from_millis(self.epoch + self.now);
        self.laws.before(&self.machine, now, &input);
        self.machine.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.machine.poll()).collect();
        self.laws.after(&self.machine, now, &outputs);
        for output in outputs {
            self.log.push((self.now, seen::output(&output)));
            match output {
                Output::Effect(effect) => self.carry_out(effect),
                Output::Event(Event::Progress { id, .. } | Event::Lease { lease: id, .. }) => {
                    self.leases.insert(id);
                }
                _ => {}
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::OpenTransport {
                epoch,
                gateway,
                token,
            } => {
                self.newest.link = epoch.0;
                self.memory.gateways.insert(epoch.0, gateway.0);
                self.peer_open(epoch, &token);
            }
            Effect::Send { epoch, text } => {
                let message: Value = serde_json::from_str(text.expose()).expect("we send JSON");
                if let (Some(action), Some(id)) =
                    (message["action"].as_str(), message["id"].as_str())
                {
                    self.sent_ids.insert(action.to_owned(), id.to_owned());
                }
                self.peer_receive(epoch, &message);
            }
            Effect::CloseTransport { epoch, .. } => {
                self.memory.links.remove(&epoch.0);
            }
            Effect::FetchToken { generation, .. } => {
                self.newest.generation = generation.0;
                self.peer_fetch(generation);
            }
            Effect::CheckAccess { check, gateway, .. } => {
                self.newest.check = check.0;
                self.peer_check(check, gateway.0);
            }
            Effect::Probe { probe, .. } => {
                self.newest.probe = probe.0;
                self.peer_probe(probe);
            }
            _ => {}
        }
    }

    /// A push is activity too, and tells the newest revision.
    fn note_frame(&mut self, epoch: Epoch, text: &Secret) {
        let now = self.now;
        if let Some((_, heard)) = self.memory.links.get_mut(&epoch.0) {
            *heard = now;
        }
        let message: Value = serde_json::from_str(text.expose()).unwrap_or_default();
        if let Some(rev) = message["rev"].as_u64() {
            self.memory.rev = self.memory.rev.max(rev);
        }
    }

    /// Answers after the stand-in's latency.
    pub fn answer_later(&mut self, input: Input) {
        self.later(self.peer.latency.0, input);
    }

    pub fn later(&mut self, delay: u64, input: Input) {
        self.order += 1;
        self.inbox.insert((self.now + delay, self.order), input);
    }

    /// The newest link that is open, else the newest of all.
    pub fn newest_link(&self) -> u64 {
        let open = self.memory.links.keys().next_back().copied();
        open.unwrap_or(self.newest.link)
    }

    fn since_zero(&self, at: u64) -> i64 {
        at as i64 - self.zero as i64
    }
}

/// How an output differs from what is wanted; `*` is any output.
fn fits(wanted: &Value, output: &Value) -> Option<String> {
    if *wanted == json!("*") {
        return None;
    }
    difference(wanted, output, "")
}

fn unreadable(error: String) -> Wrong {
    ("a step that can be carried out".to_owned(), error)
}
