//! What accepted calls do, and how instances change by themselves.

use std::time::Duration;

use wakecast_lambda::config::Offering;
use wakecast_lambda::model::{FleetKey, InstanceId, Timestamp};
use wakecast_lambda::ports::{Ec2Error, Ec2Instance, Ec2State};

use super::{BootFault, Ec2Model, Halt, Happened, Happening, Launch, Placement, Truth};

/// EC2's limit on the length of a client token.
const CLIENT_TOKEN_MAX: usize = 64;

impl Ec2Model {
    pub(super) fn run_now(
        &mut self,
        now: Timestamp,
        launch: &Launch,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error> {
        check_launch(launch, token)?;
        let scope = (launch.offering.zone.clone(), token.to_owned());
        if let Some((first, id)) = self.tokens.get(&scope) {
            if first != launch {
                return Err(Ec2Error::TokenMismatch(
                    "IdempotentParameterMismatch: The client token was used with other \
                     parameters in this zone."
                        .to_owned(),
                ));
            }
            return self
                .instances
                .get(id)
                .map(Truth::view)
                .ok_or_else(|| not_found(id));
        }
        self.check_quota()?;
        self.check_capacity(&launch.offering)?;
        let id = self.next_id();
        let placement = Placement {
            stack: launch.stack.clone(),
            fleet: launch.fleet.clone(),
            sequence: Some(launch.sequence),
            offering: launch.offering.clone(),
            state: Ec2State::Pending,
        };
        self.instances
            .insert(id.clone(), Truth::new(id.clone(), placement, now));
        self.tokens.insert(scope, (launch.clone(), id.clone()));
        self.set_pending(now, &id, Happened::Launched, Ec2State::Terminated);
        self.instances
            .get(&id)
            .map(Truth::view)
            .ok_or_else(|| not_found(&id))
    }

    pub(super) fn start_now(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        let (state, offering) = {
            let truth = self.known(now, id)?;
            (truth.state, truth.placement.offering.clone())
        };
        match state {
            Ec2State::Pending | Ec2State::Running => Ok(()),
            Ec2State::Stopped => {
                self.check_quota()?;
                self.check_capacity(&offering)?;
                self.set_pending(now, id, Happened::Started, Ec2State::Stopped);
                Ok(())
            }
            Ec2State::Stopping | Ec2State::ShuttingDown | Ec2State::Terminated => {
                Err(wrong_state(id, state, "started"))
            }
        }
    }

    pub(super) fn stop_now(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        match self.known(now, id)?.state {
            Ec2State::Stopping | Ec2State::Stopped => Ok(()),
            Ec2State::Running => {
                self.enter(now, id, Ec2State::Stopping);
                let end = now + self.dice.within(self.settings.stopping);
                let sticks = self.script.take_stuck_stop();
                self.set_due(id, (!sticks).then_some((end, Ec2State::Stopped)));
                Ok(())
            }
            state @ (Ec2State::Pending | Ec2State::ShuttingDown | Ec2State::Terminated) => {
                Err(wrong_state(id, state, "stopped"))
            }
        }
    }

    pub(super) fn associate_now(
        &mut self,
        now: Timestamp,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<(), Ec2Error> {
        let (address, on) = self
            .elastic
            .get(fleet)
            .cloned()
            .ok_or_else(|| no_elastic(fleet))?;
        let state = self.known(now, id)?.state;
        if !matches!(state, Ec2State::Running | Ec2State::Stopped) {
            return Err(wrong_state(id, state, "given an address"));
        }
        if on.as_ref() == Some(id) {
            return Ok(());
        }
        self.take_elastic_off(now, fleet);
        self.elastic
            .insert(fleet.clone(), (address.clone(), Some(id.clone())));
        if let Some(truth) = self.instances.get_mut(id) {
            truth.elastic_address = Some(address.clone());
        }
        self.machines.lead(&address, Some(id));
        self.happened(now, id, Happened::Associated);
        Ok(())
    }

    pub(super) fn take_elastic_off(&mut self, now: Timestamp, fleet: &FleetKey) {
        let Some((address, on)) = self.elastic.get_mut(fleet) else {
            return;
        };
        let Some(id) = on.take() else { return };
        self.machines.lead(address, None);
        if let Some(truth) = self.instances.get_mut(&id) {
            truth.elastic_address = None;
        }
        self.happened(now, &id, Happened::Disassociated);
    }

    /// Finds an instance that other calls than run already know.
    fn known(&mut self, now: Timestamp, id: &InstanceId) -> Result<&Truth, Ec2Error> {
        let truth = self.instances.get_mut(id).ok_or_else(|| not_found(id))?;
        if truth.seen_at(now).is_none() {
            return Err(not_found(id));
        }
        Ok(truth)
    }

    fn check_quota(&self) -> Result<(), Ec2Error> {
        let live = self
            .instances
            .values()
            .filter(|truth| truth.is_live())
            .count();
        match self.settings.live_limit {
            Some(limit) if live >= limit => Err(Ec2Error::Quota(format!(
                "InstanceLimitExceeded: {live} instances are live and {limit} are allowed."
            ))),
            _ => Ok(()),
        }
    }

    fn check_capacity(&mut self, offering: &Offering) -> Result<(), Ec2Error> {
        if self.script.take_capacity(offering) {
            return Ok(());
        }
        Err(Ec2Error::Capacity(format!(
            "InsufficientInstanceCapacity: no sufficient {} capacity in {}.",
            offering.instance_type, offering.zone
        )))
    }

    fn set_pending(
        &mut self,
        now: Timestamp,
        id: &InstanceId,
        what: Happened,
        fall_back: Ec2State,
    ) {
        let running = now + self.dice.within(self.settings.pending);
        let due = match self.script.boots.pop_front() {
            None => Some((running, Ec2State::Running)),
            Some(BootFault::FallsBack) => Some((running, fall_back)),
            Some(BootFault::StaysPending) => None,
        };
        if let Some(truth) = self.instances.get_mut(id) {
            truth.state = Ec2State::Pending;
            truth.launched_at = now;
            truth.starts += 1;
            truth.due = due;
        }
        self.happened(now, id, what);
    }

    pub(super) fn enter(&mut self, at: Timestamp, id: &InstanceId, state: Ec2State) {
        let Some(truth) = self.instances.get_mut(id) else {
            return;
        };
        let left = std::mem::replace(&mut truth.state, state);
        let starts = truth.starts;
        let fleet = truth.placement.fleet.clone();
        let what = match state {
            Ec2State::Running => {
                truth.own_address = Some(self.machines.boot(at, id, starts));
                Happened::Running
            }
            Ec2State::Stopping => Happened::StopAccepted,
            Ec2State::Stopped => Happened::Stopped,
            Ec2State::ShuttingDown => Happened::ShuttingDown,
            Ec2State::Terminated => {
                truth.terminated_at = Some(at);
                Happened::Terminated
            }
            // Entered by a call only, which notes it itself.
            Ec2State::Pending => return,
        };
        if left == Ec2State::Running && state != Ec2State::Running {
            truth.own_address = None;
            let how = if state == Ec2State::Stopping {
                Halt::Stopped
            } else {
                Halt::Killed
            };
            self.machines.halt(at, id, how);
        }
        if matches!(state, Ec2State::ShuttingDown | Ec2State::Terminated)
            && self
                .elastic
                .get(&fleet)
                .is_some_and(|(_, on)| on.as_ref() == Some(id))
        {
            self.take_elastic_off(at, &fleet);
        }
        self.happened(at, id, what);
    }

    fn happened(&mut self, at: Timestamp, id: &InstanceId, what: Happened) {
        let from = at + self.lag();
        let Some(truth) = self.instances.get_mut(id) else {
            return;
        };
        truth.publish(from);
        let fleet = truth.placement.fleet.clone();
        self.machines.note(&Happening {
            at,
            instance: id.clone(),
            fleet,
            what,
        });
    }

    pub(super) fn lag(&mut self) -> Duration {
        let span = self
            .script
            .describe_lag
            .unwrap_or(self.settings.describe_lag);
        self.dice.within(span)
    }

    pub(super) fn set_due(&mut self, id: &InstanceId, due: Option<(Timestamp, Ec2State)>) {
        if let Some(truth) = self.instances.get_mut(id) {
            truth.due = due;
        }
    }

    pub(super) fn next_due(&self, now: Timestamp) -> Option<(Timestamp, InstanceId)> {
        self.instances
            .values()
            .filter_map(|truth| truth.due.map(|(at, _)| (at, truth.id.clone())))
            .filter(|(at, _)| *at <= now)
            .min()
    }

    pub(super) fn next_id(&mut self) -> InstanceId {
        InstanceId::new(format!("i-0{:016x}", self.dice.bits()))
    }
}

fn check_launch(launch: &Launch, token: &str) -> Result<(), Ec2Error> {
    if token.is_empty() || token.len() > CLIENT_TOKEN_MAX || !token.is_ascii() {
        return Err(Ec2Error::Config(format!(
            "InvalidParameterValue: the client token has {} bytes; 1 to {CLIENT_TOKEN_MAX} ASCII \
             characters are expected.",
            token.len()
        )));
    }
    if !launch.image.starts_with("ami-") {
        return Err(Ec2Error::Config(format!(
            "InvalidAMIID.Malformed: \"{}\" is no image id; it begins with \"ami-\".",
            launch.image
        )));
    }
    Ok(())
}

fn not_found(id: &InstanceId) -> Ec2Error {
    Ec2Error::NotFound(format!(
        "InvalidInstanceID.NotFound: The instance ID '{id}' does not exist."
    ))
}

pub(super) fn no_elastic(fleet: &FleetKey) -> Ec2Error {
    Ec2Error::Config(format!(
        "InvalidAllocationID.NotFound: the fleet {fleet} has no Elastic IP."
    ))
}

fn wrong_state(id: &InstanceId, state: Ec2State, verb: &str) -> Ec2Error {
    Ec2Error::State(format!(
        "IncorrectInstanceState: The instance '{id}' is {state:?} and cannot be {verb}."
    ))
}
