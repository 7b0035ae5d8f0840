//! The simulated EC2 itself.

use std::collections::BTreeMap;
use std::time::Duration;

use wakecast_lambda::model::{FleetKey, InstanceId, Timestamp};
use wakecast_lambda::ports::{Ec2Error, Ec2Instance, Ec2State};

use super::effects::no_elastic;
use super::script::{Answer, refusal};
use super::{CallFault, CallName, Ec2Settings, Launch, Machines, Placement, Script, Truth};
use crate::random::Dice;

/// A pure EC2: every call takes the present moment, first lets happen what was due until then, and
/// answers at once. Times must not go back.
#[derive(Debug)]
pub struct Ec2Model {
    pub(super) settings: Ec2Settings,
    pub(super) script: Script,
    pub(super) dice: Dice,
    pub(super) machines: Box<dyn Machines>,
    pub(super) instances: BTreeMap<InstanceId, Truth>,
    /// A client token is good for one zone.
    pub(super) tokens: BTreeMap<(String, String), (Launch, InstanceId)>,
    /// The Elastic IP of each fleet that has one, and where it is.
    pub(super) elastic: BTreeMap<FleetKey, (String, Option<InstanceId>)>,
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
}
