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
mod looks;
pub mod media;
mod pass;

use std::collections::BTreeMap;
use std::time::Duration;

use wakecast::protocol::ServerMessage;
use wakecast_lambda::config::FleetConfig;
use wakecast_lambda::lifecycle::{Alarm, Answer, Decision, Next, Power, Snapshot, Transition};
use wakecast_lambda::model::{
    Day, Fence, FleetKey, FleetRecords, InstanceId, InstanceStatus, Lock, Row, RowKey, Timestamp,
};

use ec2::Ec2;
use media::Media;

pub use fleets::{config, elastic};
pub use looks::Stray;

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
