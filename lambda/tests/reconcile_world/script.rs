//! A policy that does what a test says.

use std::fmt;
use std::sync::{Arc, Mutex};

use wakecast_lambda::lifecycle::{Answer, Decision, Next, Observation, Probe, Snapshot};
use wakecast_lambda::model::{Row, Timestamp};
use wakecast_lambda::reconcile::Policy;

type Decide = dyn FnMut(usize, &Snapshot<'_>) -> Decision + Send;
type Probes = dyn Fn(&Snapshot<'_>) -> Vec<Probe> + Send + Sync;

/// Decides by a closure, which is told how many decisions went before.
pub struct Script {
    probes: Box<Probes>,
    state: Mutex<(usize, Box<Decide>)>,
    seen: Mutex<Vec<Seen>>,
}

/// What a decision was made on.
#[derive(Clone, Debug)]
pub struct Seen {
    pub now: Timestamp,
    pub rows: Vec<Row>,
    pub answers: Vec<Answer>,
    pub observations: Vec<Observation>,
    pub readable: bool,
    pub lock_left: std::time::Duration,
}

impl Script {
    pub fn new(decide: impl FnMut(usize, &Snapshot<'_>) -> Decision + Send + 'static) -> Arc<Self> {
        Self::probing(|_| Vec::new(), decide)
    }

    pub fn probing(
        probes: impl Fn(&Snapshot<'_>) -> Vec<Probe> + Send + Sync + 'static,
        decide: impl FnMut(usize, &Snapshot<'_>) -> Decision + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            probes: Box::new(probes),
            state: Mutex::new((0, Box::new(decide))),
            seen: Mutex::default(),
        })
    }

    /// What every decision so far was made on.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("the script").clone()
    }
}

impl Policy for Script {
    fn probes(&self, snapshot: &Snapshot<'_>) -> Vec<Probe> {
        (self.probes)(snapshot)
    }

    fn decide(&self, snapshot: &Snapshot<'_>) -> Decision {
        self.seen.lock().expect("the script").push(Seen {
            now: snapshot.now,
            rows: snapshot.rows.to_vec(),
            answers: snapshot.answers.to_vec(),
            observations: snapshot.observations.to_vec(),
            readable: snapshot.ec2.is_ok(),
            lock_left: snapshot.now.until(snapshot.lock.until),
        });
        let mut state = self.state.lock().expect("the script");
        let (number, decide) = &mut *state;
        let decision = decide(*number, snapshot);
        *number += 1;
        decision
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

/// A decision to do nothing but this next.
pub fn decision(next: Next) -> Decision {
    Decision {
        commit: None,
        rows: Vec::new(),
        grants: Vec::new(),
        pushes: Vec::new(),
        calls: Vec::new(),
        next,
        alarms: Vec::new(),
        transitions: Vec::new(),
        why: Vec::new(),
    }
}
