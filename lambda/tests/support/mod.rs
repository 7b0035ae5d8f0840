//! A small pure world on virtual time: scripted EC2 and media servers, records applied as a store
//! would apply them, and a reconciler that can crash between any two steps of a pass.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses its own part of the world"
)]

pub mod chaos;
pub mod clients;
pub mod ec2;
mod fleets;
mod laws;
pub mod media;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wakecast::protocol::ServerMessage;
use wakecast_lambda::config::FleetConfig;
use wakecast_lambda::guards::Guards;
use wakecast_lambda::lifecycle::{
    Alarm, Answer, Decision, Next, Observation, Power, Question, Reply, Snapshot, Transition,
    decide, payers, probes,
};
use wakecast_lambda::model::{
    Counters, Day, Fence, FleetKey, FleetRecords, InstanceId, InstanceStatus, Lock, Row, RowKey,
    Timestamp,
};
use wakecast_lambda::ports::{Ec2State, MediaError};
use wakecast_lambda::store::Commit;

use ec2::Ec2;
use media::Media;

pub use fleets::{config, elastic};

/// Where a pass ends without a trace of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    BeforeCommit,
    AfterCommit,
    AfterRows,
    AfterGrants,
    /// The calls took effect, their answers are lost.
    AfterCalls,
}

/// Looks at what each decision has seen and what it was.
pub type Witness = Box<dyn FnMut(&Snapshot<'_>, &Decision)>;

/// A look at the load that is not surely of this boot at its proved address, or not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    OtherAddress,
    OtherInstance,
    /// Each look shows a server that has just begun.
    OtherBoot,
    NoCounts,
}

pub struct World {
    pub now: Timestamp,
    pub config: FleetConfig,
    pub fleet: FleetKey,
    pub records: FleetRecords,
    pub rows: BTreeMap<RowKey, Row>,
    pub ec2: Ec2,
    pub media: BTreeMap<InstanceId, Media>,
    /// What every new server starts as.
    pub next_media: Media,
    /// What is wrong with every look at the load.
    pub stray: Option<Stray>,
    /// The next pass ends here.
    pub crash: Option<Crash>,
    pub told: Vec<(Timestamp, String, ServerMessage)>,
    pub calls: Vec<(Timestamp, Power)>,
    pub alarms: Vec<(Timestamp, Alarm)>,
    pub transitions: Vec<Transition>,
    pub timeline: Vec<String>,
    pub last: Option<Decision>,
    pub charges: Vec<(Timestamp, bool)>,
    /// Starts that were charged to a subject.
    pub charged: Vec<(Timestamp, String)>,
    /// The tenant's running time as it was counted; tests add what other fleets run.
    pub ran: BTreeMap<Day, Duration>,
    /// Commits so far.
    pub commits: usize,
    /// How long instances have been up, as the passes saw it.
    pub up: Duration,
    /// Whose rows the next acquires are; a subject of its own for each id by default.
    pub subject: Option<String>,
    /// What a law's breach was.
    pub breaches: Vec<String>,
    /// Instances that an operator started: they may exceed the maximum for a while.
    pub foreign: u32,
    /// When everything was mended and everybody had gone.
    pub end_of_heal: Option<Timestamp>,
    pub witness: Option<Witness>,
    lock: Option<Lock>,
    fence: u64,
    answers: Vec<Answer>,
    /// Running time that a test has set, as if other fleets had run.
    pub ran_before: Duration,
    /// Since when this many instances have been up.
    up_since: Option<(Timestamp, u32)>,
    in_flight: bool,
    next_pass: Timestamp,
    next_tick: Timestamp,
}

impl World {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: FleetConfig) -> Self {
        config.validate().expect("a valid configuration");
        let now = Timestamp::from_millis(1_800_000_000_000);
        Self {
            now,
            config,
            fleet: FleetKey {
                tenant: "t".into(),
                fleet: "f".into(),
            },
            records: FleetRecords::default(),
            rows: BTreeMap::new(),
            ec2: Ec2::new(),
            media: BTreeMap::new(),
            next_media: Media::new(),
            stray: None,
            crash: None,
            told: Vec::new(),
            calls: Vec::new(),
            alarms: Vec::new(),
            transitions: Vec::new(),
            timeline: Vec::new(),
            last: None,
            charges: Vec::new(),
            charged: Vec::new(),
            ran: BTreeMap::new(),
            commits: 0,
            up: Duration::ZERO,
            up_since: None,
            ran_before: Duration::ZERO,
            subject: None,
            breaches: Vec::new(),
            foreign: 0,
            end_of_heal: None,
            witness: None,
            lock: None,
            fence: 0,
            answers: Vec::new(),
            in_flight: false,
            next_pass: now,
            next_tick: now,
        }
    }

    /// Lets the time pass and the reconciler run as it does.
    pub fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, for at most `seconds`; returns the time that it took.
    pub fn run_until(&mut self, seconds: u64, done: impl Fn(&Self) -> bool) -> Duration {
        let began = self.now;
        let end = self.now + Duration::from_secs(seconds);
        while !done(self) {
            assert!(self.step(end), "not within {seconds} s\n{}", self.story());
        }
        self.now.since(began)
    }

    /// Makes the reconciler run at once, unless it runs.
    pub fn wake(&mut self) {
        if !self.in_flight {
            self.next_pass = self.now;
        }
    }

    pub fn note(&mut self, text: impl AsRef<str>) {
        if self
            .timeline
            .last()
            .is_some_and(|line| line.ends_with(text.as_ref()))
        {
            return;
        }
        let seconds = self.now.as_millis() % 1_000_000_000;
        let line = format!(
            "{:>9}.{:03} {}",
            seconds / 1000,
            seconds % 1000,
            text.as_ref()
        );
        self.timeline.push(line);
    }

    pub fn story(&self) -> String {
        self.timeline.join("\n")
    }

    pub fn id(&self) -> InstanceId {
        self.ec2
            .machines
            .keys()
            .next()
            .expect("an instance")
            .clone()
    }

    pub fn media(&mut self) -> &mut Media {
        let id = self.id();
        self.media.get_mut(&id).expect("a media server")
    }

    pub fn status(&self) -> Option<&InstanceStatus> {
        self.records
            .instances
            .values()
            .next()
            .map(|instance| &instance.status)
    }

    pub fn is_ready(&self) -> bool {
        self.records
            .instances
            .values()
            .any(|known| known.status == InstanceStatus::Ready)
    }

    pub fn is_draining(&self) -> bool {
        matches!(self.status(), Some(InstanceStatus::Draining { .. }))
    }

    pub fn is_stopping(&self) -> bool {
        matches!(self.status(), Some(InstanceStatus::Stopping { .. }))
    }

    pub fn is_stopped(&self) -> bool {
        self.status() == Some(&InstanceStatus::Stopped)
    }

    pub fn count(&self, which: impl Fn(&Power) -> bool) -> usize {
        self.calls.iter().filter(|(_, power)| which(power)).count()
    }

    pub fn launches(&self) -> usize {
        self.ec2.machines.len()
    }

    pub fn stops(&self) -> usize {
        self.count(|power| matches!(power, Power::Stop { .. }))
    }

    /// Fails the test if a law was broken or the app was touched while it was starting.
    pub fn check(&self) {
        assert!(
            self.breaches.is_empty(),
            "{:#?}\n{}",
            self.breaches,
            self.story()
        );
        assert!(
            !self.media.values().any(|media| media.touched_early),
            "{}",
            self.story()
        );
    }

    fn step(&mut self, end: Timestamp) -> bool {
        let at = if self.in_flight {
            self.next_pass
        } else {
            self.next_pass.min(self.next_tick)
        };
        let at = at.max(self.now);
        if at > end {
            return false;
        }
        self.now = at;
        self.boot_media();
        if !self.in_flight {
            self.next_tick = self.now + self.config.timing.tick;
            self.next_pass = self.next_tick;
            if !self.take_lock() {
                return true;
            }
            self.in_flight = true;
            self.answers.clear();
        }
        let next = self.pass();
        self.check_laws();
        match next {
            // A pass costs a little: reads, a commit, a call.
            Some(Next::Now) => self.next_pass = self.now + Duration::from_millis(50),
            Some(Next::After(wait)) => self.next_pass = self.now + wait,
            Some(Next::Quiet) => {
                self.in_flight = false;
                self.lock = None;
                self.next_pass = self.next_tick;
            }
            // The lock stays until it runs out.
            None => {
                self.note("the reconciler crashes");
                self.in_flight = false;
                self.next_pass = self.next_tick;
            }
        }
        true
    }

    fn take_lock(&mut self) -> bool {
        if self.lock.as_ref().is_some_and(|lock| self.now < lock.until) {
            return false;
        }
        self.fence += 1;
        self.lock = Some(Lock {
            owner: format!("r{}", self.fence),
            fence: Fence(self.fence),
            taken_at: self.now,
            until: self.now + self.config.timing.lock,
            demand_seen: 0,
        });
        true
    }

    /// One pass of the reconciler; `None` if it crashed.
    fn pass(&mut self) -> Option<Next> {
        let mut lock = self.lock.clone().expect("the lock is held");
        if self.now.until(lock.until) < Duration::from_secs(20) {
            lock.until = self.now + self.config.timing.lock;
            self.lock = Some(lock.clone());
        }
        let described = self.ec2.describe(self.now);
        let rows = self.rows.values().cloned().collect::<Vec<_>>();
        let records = self.records.clone();
        let blind = Counters::default();
        let answers = std::mem::take(&mut self.answers);
        let (config, fleet) = (self.config.clone(), self.fleet.clone());
        let mut snapshot = Snapshot {
            now: self.now,
            fleet: &fleet,
            config: &config,
            lock: &lock,
            ec2: described.as_deref(),
            records: &records,
            rows: &rows,
            counters: &blind,
            observations: &[],
            answers: &answers,
            guards: Guards::ALL,
        };
        let counters = self.counters(&payers(&snapshot));
        snapshot.counters = &counters;
        let asked = probes(&snapshot);
        let observations = asked
            .into_iter()
            .map(|probe| self.look(probe))
            .collect::<Vec<_>>();
        snapshot.observations = &observations;
        let decision = decide(&snapshot);
        if let Some(witness) = &mut self.witness {
            witness(&snapshot, &decision);
        }
        for why in &decision.why {
            self.note(why);
        }
        if self.crash_at(Crash::BeforeCommit) {
            return None;
        }
        if let Some(commit) = &decision.commit {
            self.commit(commit);
        }
        self.alarms.extend(
            decision
                .alarms
                .iter()
                .map(|alarm| (self.now, alarm.clone())),
        );
        self.transitions.extend(&decision.transitions);
        if self.crash_at(Crash::AfterCommit) {
            return None;
        }
        self.apply_rows(&decision);
        if self.crash_at(Crash::AfterRows) {
            return None;
        }
        for row in &decision.grants {
            self.grant(row.clone());
        }
        for push in &decision.pushes {
            self.tell("push", &push.message);
        }
        if self.crash_at(Crash::AfterGrants) {
            return None;
        }
        for call in &decision.calls {
            let answer = self.call(&call.action, call.not_after);
            self.answers.push(answer);
        }
        let next = decision.next;
        if next == Next::Now && decision.commit.is_none() {
            self.breach(format!(
                "at once again, though nothing changed: {:?}",
                decision.why
            ));
        }
        self.last = Some(decision);
        if self.crash_at(Crash::AfterCalls) {
            return None;
        }
        Some(next)
    }

    fn crash_at(&mut self, point: Crash) -> bool {
        let here = self.crash == Some(point);
        if here {
            self.crash = None;
        }
        here
    }

    fn look(&mut self, probe: wakecast_lambda::lifecycle::Probe) -> Observation {
        let sent_at = self.now;
        let machine = self.ec2.machines.get(&probe.instance);
        let reached = machine.is_some_and(|machine| {
            let own = format!("{}-{}", machine.id, machine.starts);
            let here = if machine.elastic {
                "media.example.com:5443"
            } else {
                &own
            };
            machine.state(self.now) == Some(Ec2State::Running) && probe.address == here
        });
        let result = match self.media.get_mut(&probe.instance).filter(|_| reached) {
            Some(media) => media.answer(self.now, &probe.question),
            None => Err(MediaError::NotYet("refused".into())),
        };
        let observation = Observation {
            probe,
            sent_at,
            result,
        };
        match self.stray {
            Some(stray) => stray.of(observation),
            None => observation,
        }
    }

    /// Adds up how long instances are up, from one commit to the next.
    fn note_up(&mut self) {
        if let Some((since, count)) = self.up_since {
            self.up += self.now.since(since) * count;
        }
        let up = self.records.instances.values().filter(|known| {
            !matches!(known.status, InstanceStatus::Stopped | InstanceStatus::Gone)
        });
        let count = u32::try_from(up.count()).expect("few");
        self.up_since = Some((self.now, count));
    }

    fn commit(&mut self, commit: &Commit) {
        self.note_up();
        assert_eq!(
            commit.expected, self.records.state.version,
            "a commit over another version"
        );
        if let Some(charge) = &commit.charge {
            let spent = self.counters(&charge.subject.iter().map(|c| c.subject.clone()).collect());
            assert!(spent.starts < charge.start_cap, "the start cap is exceeded");
            assert!(
                !charge.launch || spent.launches < charge.launch_cap,
                "the launch cap is exceeded"
            );
            if let Some(charged) = &charge.subject {
                let used = spent.by_subject[&charged.subject].len();
                assert!(used < charged.cap as usize, "a subject's cap is exceeded");
                self.charged.push((self.now, charged.subject.clone()));
            }
            let budget = charge.tenant_budget;
            assert!(
                budget.is_none_or(|budget| spent.tenant_ran < budget),
                "a start after the tenant's budget was spent"
            );
            self.charges.push((self.now, charge.launch));
        }
        for (day, time) in &commit.ran {
            let ran = self.ran.entry(*day).or_default();
            *ran += *time;
        }
        self.commits += 1;
        let version = self.records.state.version + 1;
        self.records.state = commit.state.clone();
        self.records.state.version = version;
        for id in &commit.forget_instances {
            self.records.instances.remove(id);
        }
        for instance in &commit.put_instances {
            self.records
                .instances
                .insert(instance.id.clone(), instance.clone());
        }
        for sequence in &commit.forget_intents {
            self.records.intents.remove(sequence);
        }
        for intent in &commit.put_intents {
            self.records.intents.insert(intent.sequence, intent.clone());
        }
        if let Some(unavailable) = &commit.unavailable {
            self.records.unavailable.clone_from(unavailable);
        }
        self.note_up();
        let counted: Duration = self.ran.values().sum();
        if counted > self.up + self.ran_before {
            self.breach(format!("{counted:?} are counted, {:?} have run", self.up));
        }
        if let Some(history) = &commit.history {
            self.records.history.clone_from(history);
        }
    }

    fn apply_rows(&mut self, decision: &Decision) {
        for change in &decision.rows {
            let current = self.rows.get(&change.row.key).map(|row| row.version);
            if current != Some(change.expected) {
                continue;
            }
            let mut row = change.row.clone();
            row.version += 1;
            self.rows.insert(row.key.clone(), row);
            if let Some(message) = &change.tell {
                self.tell(&change.row.key.id, message);
            }
        }
    }

    fn tell(&mut self, to: &str, message: &ServerMessage) {
        self.note(format!("→ {to}: {}", message.encode()));
        self.told.push((
            self.now,
            message_id(message).unwrap_or(to.to_owned()),
            message.clone(),
        ));
    }

    fn call(&mut self, power: &Power, not_after: Timestamp) -> Answer {
        if self.now > not_after {
            return Answer {
                action: power.clone(),
                result: Ok(None),
                dropped: true,
            };
        }
        if self.ec2.unreadable {
            self.breach(format!("{power:?} while EC2 cannot be read"));
        }
        self.note(format!("call {power:?}"));
        self.calls.push((self.now, power.clone()));
        let now = self.now;
        let result = match power {
            Power::Run { sequence, token } => {
                let intent = self.records.intents[sequence].clone();
                self.ec2.run(now, &intent, token).map(Some)
            }
            Power::Start { instance, .. } => self.ec2.start(now, instance).map(|()| None),
            Power::Stop { instance } => {
                self.check_stop(instance);
                self.ec2.stop(now, instance).map(|()| None)
            }
            Power::Associate { instance } => {
                self.ec2.associate(instance);
                Ok(None)
            }
            Power::Disassociate => {
                self.ec2.disassociate(now);
                Ok(None)
            }
        };
        Answer {
            action: power.clone(),
            result,
            dropped: false,
        }
    }

    fn counters(&self, subjects: &BTreeSet<String>) -> Counters {
        let lately = self
            .charges
            .iter()
            .filter(|(at, _)| self.now.since(*at) < Duration::from_secs(3600))
            .collect::<Vec<_>>();
        Counters {
            launches: u32::try_from(lately.iter().filter(|(_, launch)| *launch).count())
                .expect("few"),
            starts: u32::try_from(lately.len()).expect("few"),
            by_subject: subjects
                .iter()
                .map(|subject| (subject.clone(), self.charged_lately(subject)))
                .collect(),
            tenant_ran: self
                .ran
                .get(&Day::of(self.now))
                .copied()
                .unwrap_or_default(),
        }
    }

    fn charged_lately(&self, subject: &str) -> Vec<Timestamp> {
        let window = Duration::from_secs(600);
        let own = self.charged.iter().rev();
        own.filter(|(at, who)| who == subject && self.now.since(*at) < window)
            .map(|(at, _)| *at)
            .collect()
    }

    /// Starts the server process of every machine that has come to run.
    fn boot_media(&mut self) {
        for machine in self.ec2.machines.values() {
            if let Some(since) = machine.running_since(self.now) {
                let fresh = || {
                    let mut media = self.next_media.clone();
                    media.began = Timestamp::from_millis(0);
                    media
                };
                let media = self.media.entry(machine.id.clone()).or_insert_with(fresh);
                if media.began < since {
                    media.begin(since);
                }
            } else if let Some(media) = self.media.get_mut(&machine.id) {
                media.streams = 0;
                media.viewers = 0;
                media.hls_viewers = 0;
            }
        }
    }
}

/// Returns the row's id that a message is about.
fn message_id(message: &ServerMessage) -> Option<String> {
    match message {
        ServerMessage::Progress(progress) => Some(progress.id.clone()),
        ServerMessage::Draining(draining) => Some(draining.lease.clone()),
        ServerMessage::Lost(lost) => Some(lost.lease.clone()),
        ServerMessage::Error(error) => error.id.clone(),
        _ => None,
    }
}

impl Stray {
    fn of(self, mut look: Observation) -> Observation {
        if look.probe.question != Question::Load {
            return look;
        }
        match (self, &mut look.result) {
            (Self::OtherAddress, _) => look.probe.address = "198.51.100.9".into(),
            (Self::OtherInstance, _) => look.probe.instance = InstanceId::new("i-other"),
            (Self::OtherBoot, Ok(Reply::Load(load))) => {
                load.start_time_ms = Some(look.sent_at.as_millis());
            }
            (Self::NoCounts, Ok(Reply::Load(load))) => load.live_streams = None,
            _ => {}
        }
        look
    }
}
