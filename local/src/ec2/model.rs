//! The simulated EC2 itself.

use std::collections::BTreeMap;
use std::time::Duration;

use wakecast_lambda::model::{FleetKey, InstanceId, Timestamp};
use wakecast_lambda::ports::{Ec2Error, Ec2Instance, Ec2State};

use super::script::{Answer, refusal};
use super::{
    BootFault, CallFault, CallName, Ec2Settings, Halt, Happened, Happening, Launch, Machines,
    Placement, Script, Truth,
};
use crate::random::Dice;

/// EC2's limit on the length of a client token.
const CLIENT_TOKEN_MAX: usize = 64;

/// A pure EC2: every call takes the present moment, first lets happen what was due until then, and
/// answers at once. Times must not go back.
#[derive(Debug)]
pub struct Ec2Model {
    settings: Ec2Settings,
    script: Script,
    dice: Dice,
    machines: Box<dyn Machines>,
    instances: BTreeMap<InstanceId, Truth>,
    /// A client token is good for one zone.
    tokens: BTreeMap<(String, String), (Launch, InstanceId)>,
    /// The Elastic IP of each fleet that has one, and where it is.
    elastic: BTreeMap<FleetKey, (String, Option<InstanceId>)>,
}

impl Ec2Model {
    /// Builds an empty region. Equal seeds and equal calls give equal worlds.
    #[must_use]
    pub fn new(settings: Ec2Settings, seed: u64, machines: Box<dyn Machines>) -> Self {
        Self {
            settings,
            script: Script::default(),
            dice: Dice::new(seed),
            machines,
            instances: BTreeMap::new(),
            tokens: BTreeMap::new(),
            elastic: BTreeMap::new(),
        }
    }

    /// Returns the faults, to be changed at any time.
    pub fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    /// Returns the truth about all instances, terminated ones included.
    pub fn instances(&self) -> impl Iterator<Item = &Truth> {
        self.instances.values()
    }

    /// Returns the truth about one instance.
    #[must_use]
    pub fn instance(&self, id: &InstanceId) -> Option<&Truth> {
        self.instances.get(id)
    }

    /// Draws how long the next call is on its way there and back.
    pub(super) fn trip(&mut self) -> (Duration, Duration) {
        (
            self.dice.within(self.settings.request),
            self.dice.within(self.settings.reply),
        )
    }

    /// Returns when a caller gives up on a lost answer.
    pub(super) fn lost_after(&self) -> Duration {
        self.settings.lost_after
    }

    /// Returns when the next change comes by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        self.instances
            .values()
            .filter_map(|truth| truth.due)
            .map(|(at, _)| at)
            .min()
    }

    /// Lets happen what is due until `now`, in order of time.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.next_due(now) {
            let Some(state) = self
                .instances
                .get_mut(&id)
                .and_then(|truth| truth.due.take())
            else {
                return;
            };
            self.enter(at, &id, state.1);
        }
    }

    /// Lists what is visible of a fleet, by its tags.
    ///
    /// # Errors
    ///
    /// Only scripted and random faults.
    pub fn describe(
        &mut self,
        now: Timestamp,
        stack: &str,
        fleet: &FleetKey,
    ) -> Result<Vec<Ec2Instance>, Ec2Error> {
        let answer = self.begin(now, CallName::Describe)?;
        let listed = self.settings.terminated_listed;
        let shown = self
            .instances
            .values_mut()
            .filter(|truth| truth.placement.stack == stack && truth.placement.fleet == *fleet)
            .filter(|truth| truth.terminated_at.is_none_or(|at| now.since(at) < listed))
            .filter_map(|truth| truth.seen_at(now).cloned())
            .collect();
        answer.deliver(Ok(shown))
    }

    /// `RunInstances` for one instance.
    ///
    /// # Errors
    ///
    /// Capacity, quota, a token that was used with other parameters in this zone, wrong
    /// parameters, and faults.
    pub fn run(
        &mut self,
        now: Timestamp,
        launch: &Launch,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error> {
        let answer = self.begin(now, CallName::Run)?;
        let result = self.run_now(now, launch, token);
        answer.deliver(result)
    }

    /// `StartInstances` for one instance: does nothing to one that is pending or running.
    ///
    /// # Errors
    ///
    /// Capacity, quota, not found (yet), a state other than stopped, and faults.
    pub fn start(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        let answer = self.begin(now, CallName::Start)?;
        let result = self.start_now(now, id);
        answer.deliver(result)
    }

    /// `StopInstances` for one instance: does nothing to one that is stopping or stopped.
    ///
    /// # Errors
    ///
    /// Not found (yet), pending or terminated, and faults.
    pub fn stop(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        let answer = self.begin(now, CallName::Stop)?;
        let result = self.stop_now(now, id);
        answer.deliver(result)
    }

    /// `AssociateAddress`: moves the fleet's Elastic IP, from another instance if need be.
    ///
    /// # Errors
    ///
    /// No Elastic IP, not found (yet), a state other than running or stopped, and faults.
    pub fn associate(
        &mut self,
        now: Timestamp,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<(), Ec2Error> {
        let answer = self.begin(now, CallName::Associate)?;
        let result = self.associate_now(now, fleet, id);
        answer.deliver(result)
    }

    /// `DisassociateAddress`: does nothing if the Elastic IP is on no instance.
    ///
    /// # Errors
    ///
    /// No Elastic IP, and faults.
    pub fn disassociate(&mut self, now: Timestamp, fleet: &FleetKey) -> Result<(), Ec2Error> {
        let answer = self.begin(now, CallName::Disassociate)?;
        let result = if self.elastic.contains_key(fleet) {
            self.take_elastic_off(now, fleet);
            Ok(())
        } else {
            Err(no_elastic(fleet))
        };
        answer.deliver(result)
    }

    /// Gives a fleet an Elastic IP.
    pub fn allocate_elastic(&mut self, fleet: &FleetKey, address: &str) {
        self.elastic
            .insert(fleet.clone(), (address.to_owned(), None));
    }

    /// Puts an instance there that nobody asked for by a token; visible at once.
    pub fn place(&mut self, now: Timestamp, placement: Placement) -> InstanceId {
        let id = self.next_id();
        let state = placement.state;
        let mut truth = Truth::new(id.clone(), placement, now);
        truth.starts = 1;
        if state == Ec2State::Running {
            truth.own_address = Some(self.machines.boot(now, &id, 1));
        }
        truth.publish(now);
        self.instances.insert(id.clone(), truth);
        id
    }

    /// Terminates an instance from outside, whatever its state. Returns whether it was alive.
    pub fn terminate(&mut self, now: Timestamp, id: &InstanceId) -> bool {
        self.advance(now);
        match self.instances.get(id).map(|truth| truth.state) {
            None | Some(Ec2State::ShuttingDown | Ec2State::Terminated) => false,
            Some(_) => {
                self.enter(now, id, Ec2State::ShuttingDown);
                let end = now + self.dice.within(self.settings.shutting_down);
                self.set_due(id, Some((end, Ec2State::Terminated)));
                true
            }
        }
    }

    /// Stops an instance from outside, by somebody with a console.
    ///
    /// # Errors
    ///
    /// As [`Ec2Model::stop`], without faults.
    pub fn stop_outside(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
        self.advance(now);
        self.stop_now(now, id)
    }

    /// Puts the tag `wakecast:hold` on an instance or takes it off.
    pub fn set_hold(&mut self, now: Timestamp, id: &InstanceId, hold: bool) {
        self.advance(now);
        let from = now + self.lag();
        if let Some(truth) = self.instances.get_mut(id) {
            truth.hold = hold;
            truth.publish(from);
        }
    }

    fn begin(&mut self, now: Timestamp, call: CallName) -> Result<Answer, Ec2Error> {
        self.advance(now);
        let Some(fault) = self.script.take_call_fault(call).or_else(|| self.noise()) else {
            return Ok(Answer::Arrives);
        };
        refusal(fault).map_or(Ok(Answer::IsLost), Err)
    }

    fn noise(&mut self) -> Option<CallFault> {
        let noise = self.settings.noise;
        if self.dice.chance(noise.throttled) {
            Some(CallFault::Throttled)
        } else if self.dice.chance(noise.lost_request) {
            Some(CallFault::LostRequest)
        } else if self.dice.chance(noise.lost_reply) {
            Some(CallFault::LostReply)
        } else {
            None
        }
    }

    fn run_now(
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

    fn start_now(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
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

    fn stop_now(&mut self, now: Timestamp, id: &InstanceId) -> Result<(), Ec2Error> {
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

    fn associate_now(
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

    fn take_elastic_off(&mut self, now: Timestamp, fleet: &FleetKey) {
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

    fn check_capacity(
        &mut self,
        offering: &wakecast_lambda::config::Offering,
    ) -> Result<(), Ec2Error> {
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

    fn enter(&mut self, at: Timestamp, id: &InstanceId, state: Ec2State) {
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

    fn lag(&mut self) -> Duration {
        let span = self
            .script
            .describe_lag
            .unwrap_or(self.settings.describe_lag);
        self.dice.within(span)
    }

    fn set_due(&mut self, id: &InstanceId, due: Option<(Timestamp, Ec2State)>) {
        if let Some(truth) = self.instances.get_mut(id) {
            truth.due = due;
        }
    }

    fn next_due(&self, now: Timestamp) -> Option<(Timestamp, InstanceId)> {
        self.instances
            .values()
            .filter_map(|truth| truth.due.map(|(at, _)| (at, truth.id.clone())))
            .filter(|(at, _)| *at <= now)
            .min()
    }

    fn next_id(&mut self) -> InstanceId {
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

fn no_elastic(fleet: &FleetKey) -> Ec2Error {
    Ec2Error::Config(format!(
        "InvalidAllocationID.NotFound: the fleet {fleet} has no Elastic IP."
    ))
}

fn wrong_state(id: &InstanceId, state: Ec2State, verb: &str) -> Ec2Error {
    Ec2Error::State(format!(
        "IncorrectInstanceState: The instance '{id}' is {state:?} and cannot be {verb}."
    ))
}
