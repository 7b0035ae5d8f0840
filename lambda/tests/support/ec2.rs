//! A scripted EC2 on virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wakecast_lambda::config::Offering;
use wakecast_lambda::model::{InstanceId, Intent, LaunchKind, Timestamp};
use wakecast_lambda::ports::{Ec2Error, Ec2Instance, Ec2State};

/// What the next power call does instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Capacity,
    Quota,
    Throttled,
    /// It has taken effect, but the answer is lost.
    LostDone,
    /// It has not, and the answer is lost.
    LostUndone,
    Config,
    Auth,
}

#[derive(Clone, Debug)]
pub struct Machine {
    pub id: InstanceId,
    pub offering: Offering,
    /// Every state with the moment it began, newest last; some may lie ahead.
    pub states: Vec<(Timestamp, Ec2State)>,
    pub sequence: Option<u64>,
    pub hold: bool,
    pub elastic: bool,
    pub starts: u32,
    /// When it was started last.
    pub launched_at: Timestamp,
}

impl Machine {
    pub fn state(&self, now: Timestamp) -> Option<Ec2State> {
        self.states
            .iter()
            .rev()
            .find(|(at, _)| *at <= now)
            .map(|(_, state)| *state)
    }

    /// When the running state that holds now began.
    pub fn running_since(&self, now: Timestamp) -> Option<Timestamp> {
        let (at, state) = self.states.iter().rev().find(|(at, _)| *at <= now)?;
        (*state == Ec2State::Running).then_some(*at)
    }

    fn turn(&mut self, now: Timestamp, steps: &[(Duration, Ec2State)]) {
        self.states.retain(|(at, _)| *at <= now);
        self.states
            .extend(steps.iter().map(|(after, state)| (now + *after, *state)));
    }
}

#[derive(Clone, Debug)]
pub struct Ec2 {
    pub machines: BTreeMap<InstanceId, Machine>,
    pub pending_for: Duration,
    pub stopping_for: Duration,
    pub describe_lag: Duration,
    pub unreadable: bool,
    /// What is started falls back to `stopped` after a second, as an encrypted disk without its key
    /// does.
    pub falls_back: bool,
    /// Left out of every describe.
    pub omitted: BTreeSet<InstanceId>,
    pub no_capacity: BTreeSet<(String, String)>,
    pub launch_faults: VecDeque<Fault>,
    pub stop_faults: VecDeque<Fault>,
    tokens: BTreeMap<String, (InstanceId, LaunchKind)>,
    created: u32,
}

impl Ec2 {
    pub fn new() -> Self {
        Self {
            machines: BTreeMap::new(),
            pending_for: Duration::from_secs(5),
            stopping_for: Duration::from_secs(20),
            describe_lag: Duration::ZERO,
            unreadable: false,
            falls_back: false,
            omitted: BTreeSet::new(),
            no_capacity: BTreeSet::new(),
            launch_faults: VecDeque::new(),
            stop_faults: VecDeque::new(),
            tokens: BTreeMap::new(),
            created: 0,
        }
    }

    pub fn describe(&self, now: Timestamp) -> Result<Vec<Ec2Instance>, Ec2Error> {
        if self.unreadable {
            return Err(Ec2Error::Throttled("RequestLimitExceeded".into()));
        }
        let seen = now.saturating_sub(self.describe_lag);
        Ok(self
            .machines
            .values()
            .filter(|machine| !self.omitted.contains(&machine.id))
            .filter_map(|machine| Some(show(machine, machine.state(seen)?)))
            .collect())
    }

    pub fn run(
        &mut self,
        now: Timestamp,
        intent: &Intent,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error> {
        let LaunchKind::New {
            offering, image, ..
        } = &intent.kind
        else {
            panic!("run without a new instance");
        };
        assert!(!image.is_empty(), "run without an image");
        let fault = self.launch_faults.pop_front();
        if let Some((id, kind)) = self.tokens.get(token) {
            // A token that has worked is answered with its instance, whatever is short now.
            if fault == Some(Fault::Throttled) {
                return refuse(fault).map(|()| show(&self.machines[id], Ec2State::Pending));
            }
            if *kind != intent.kind {
                return Err(Ec2Error::TokenMismatch("other parameters".into()));
            }
            return lost(fault).map(|()| show(&self.machines[id], Ec2State::Pending));
        }
        refuse(fault)?;
        self.room(offering)?;
        if fault == Some(Fault::LostUndone) {
            return Err(Ec2Error::Ambiguous("timeout".into()));
        }
        self.created += 1;
        let id = InstanceId::new(format!("i-{:02}", self.created));
        self.add(now, id.clone(), offering.clone(), Some(intent.sequence));
        self.tokens
            .insert(token.to_owned(), (id.clone(), intent.kind.clone()));
        lost(fault).map(|()| show(&self.machines[&id], Ec2State::Pending))
    }

    /// Adds an instance that starts now, as a launch or an operator does.
    pub fn add(
        &mut self,
        now: Timestamp,
        id: InstanceId,
        offering: Offering,
        sequence: Option<u64>,
    ) {
        let mut machine = Machine {
            id: id.clone(),
            offering,
            states: Vec::new(),
            sequence,
            hold: false,
            elastic: false,
            starts: 1,
            launched_at: now,
        };
        let up = [
            (Duration::ZERO, Ec2State::Pending),
            (self.pending_for, Ec2State::Running),
        ];
        machine.turn(now, &up);
        self.machines.insert(id, machine);
    }

    pub fn start(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        let fault = self.launch_faults.pop_front();
        let state = self.machines.get(id).and_then(|machine| machine.state(now));
        let starts = matches!(state, Some(Ec2State::Pending | Ec2State::Running));
        // What starts already asks for no capacity.
        if starts && fault != Some(Fault::Throttled) {
            return lost(fault);
        }
        refuse(fault)?;
        let (pending_for, falls_back) = (self.pending_for, self.falls_back);
        let offering = match self.machines.get(id) {
            Some(machine) => machine.offering.clone(),
            None => return Err(Ec2Error::NotFound(id.to_string())),
        };
        self.room(&offering)?;
        if fault == Some(Fault::LostUndone) {
            return Err(Ec2Error::Ambiguous("timeout".into()));
        }
        let machine = self.machines.get_mut(id).expect("looked up above");
        match machine.state(now) {
            Some(Ec2State::Stopped) => {
                assert!(!machine.elastic, "started with the Elastic IP on");
                machine.starts += 1;
                machine.launched_at = now;
                let then = if falls_back {
                    (Duration::from_secs(1), Ec2State::Stopped)
                } else {
                    (pending_for, Ec2State::Running)
                };
                let up = [(Duration::ZERO, Ec2State::Pending), then];
                machine.turn(now, &up);
            }
            Some(Ec2State::Pending | Ec2State::Running) => {}
            _ => return Err(Ec2Error::State("IncorrectInstanceState".into())),
        }
        lost(fault)
    }

    pub fn stop(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        let fault = self.stop_faults.pop_front();
        refuse(fault)?;
        if fault == Some(Fault::LostUndone) {
            return Err(Ec2Error::Ambiguous("timeout".into()));
        }
        self.take_down(now, id)?;
        lost(fault)
    }

    /// Stops an instance, as S4 or an operator does.
    pub fn take_down(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        let stopping_for = self.stopping_for;
        let machine = self
            .machines
            .get_mut(id)
            .ok_or_else(|| Ec2Error::NotFound(id.to_string()))?;
        match machine.state(now) {
            Some(Ec2State::Running) => {
                let down = [
                    (Duration::ZERO, Ec2State::Stopping),
                    (stopping_for, Ec2State::Stopped),
                ];
                machine.turn(now, &down);
                Ok(())
            }
            Some(Ec2State::Stopping | Ec2State::Stopped) => Ok(()),
            _ => Err(Ec2Error::State("IncorrectInstanceState".into())),
        }
    }

    pub fn terminate(&mut self, now: Timestamp, id: &InstanceId) {
        let down = [
            (Duration::ZERO, Ec2State::ShuttingDown),
            (Duration::from_secs(10), Ec2State::Terminated),
        ];
        if let Some(machine) = self.machines.get_mut(id) {
            machine.elastic = false;
            machine.turn(now, &down);
        }
    }

    pub fn associate(&mut self, id: &InstanceId) {
        for machine in self.machines.values_mut() {
            machine.elastic = machine.id == *id;
        }
    }

    pub fn disassociate(&mut self, now: Timestamp) {
        for machine in self.machines.values_mut() {
            assert!(
                !machine.elastic
                    || matches!(
                        machine.state(now),
                        Some(Ec2State::Stopping | Ec2State::Stopped)
                    ),
                "the Elastic IP was taken off a server that may serve"
            );
            machine.elastic = false;
        }
    }

    /// Instances that live or are on their way up or down.
    pub fn live(&self, now: Timestamp) -> Vec<InstanceId> {
        self.machines
            .values()
            .filter(|machine| {
                matches!(
                    machine.state(now),
                    Some(Ec2State::Pending | Ec2State::Running | Ec2State::Stopping)
                )
            })
            .map(|machine| machine.id.clone())
            .collect()
    }

    fn room(&self, offering: &Offering) -> Result<(), Ec2Error> {
        let pool = (offering.instance_type.clone(), offering.zone.clone());
        if self.no_capacity.contains(&pool) {
            return Err(Ec2Error::Capacity("InsufficientInstanceCapacity".into()));
        }
        Ok(())
    }
}

fn show(machine: &Machine, state: Ec2State) -> Ec2Instance {
    let up = matches!(state, Ec2State::Pending | Ec2State::Running);
    Ec2Instance {
        id: machine.id.clone(),
        state,
        instance_type: machine.offering.instance_type.clone(),
        zone: machine.offering.zone.clone(),
        address: (up && !machine.elastic).then(|| format!("{}-{}", machine.id, machine.starts)),
        elastic: machine.elastic,
        sequence: machine.sequence,
        launched_at: machine.launched_at,
        hold: machine.hold,
    }
}

fn refuse(fault: Option<Fault>) -> Result<(), Ec2Error> {
    match fault {
        Some(Fault::Capacity) => Err(Ec2Error::Capacity("InsufficientInstanceCapacity".into())),
        Some(Fault::Quota) => Err(Ec2Error::Quota("VcpuLimitExceeded".into())),
        Some(Fault::Throttled) => Err(Ec2Error::Throttled("RequestLimitExceeded".into())),
        Some(Fault::Config) => Err(Ec2Error::Config("InvalidAMIID.NotFound".into())),
        Some(Fault::Auth) => Err(Ec2Error::Auth("UnauthorizedOperation".into())),
        Some(Fault::LostDone | Fault::LostUndone) | None => Ok(()),
    }
}

fn lost(fault: Option<Fault>) -> Result<(), Ec2Error> {
    match fault {
        Some(Fault::LostDone) => Err(Ec2Error::Ambiguous("connection reset".into())),
        _ => Ok(()),
    }
}
