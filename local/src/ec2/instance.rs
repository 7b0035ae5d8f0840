//! One simulated instance: what it is, and what `describe` shows of it.

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;
use wakecast_lambda::model::{FleetKey, InstanceId, Timestamp};
use wakecast_lambda::ports::{Ec2Instance, Ec2State};

use super::Placement;

/// What runs on the instances. It is called while the model is locked and must not call back.
pub trait Machines: Send + fmt::Debug {
    /// Starts what runs on an instance that has entered `running` for the `start`-th time and
    /// returns its own public address for this run, a host or a host and port.
    fn boot(&mut self, at: Timestamp, instance: &InstanceId, start: u32) -> String;

    /// Ends what runs on an instance that has left `running`.
    fn halt(&mut self, at: Timestamp, instance: &InstanceId, how: Halt);

    /// Leads a fleet's Elastic IP to an instance, or nowhere.
    fn lead(&mut self, elastic_address: &str, to: Option<&InstanceId>) {
        let _ = (elastic_address, to);
    }

    /// Notes what has happened, in order.
    fn note(&mut self, happening: &Happening) {
        let _ = happening;
    }
}

/// How an instance left `running`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A clean shutdown: processes are told to end.
    Stopped,
    /// Terminated: no process gets a say.
    Killed,
}

/// One thing that truly happened, whatever callers were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// To which instance.
    pub instance: InstanceId,
    /// In which fleet.
    pub fleet: FleetKey,
    /// What.
    pub what: Happened,
}

/// What can happen to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// A new instance was made.
    Launched,
    /// A stopped one was started.
    Started,
    /// It entered `running`.
    Running,
    /// A stop was accepted.
    StopAccepted,
    /// It entered `stopped`.
    Stopped,
    /// It began to shut down for good.
    ShuttingDown,
    /// It entered `terminated`.
    Terminated,
    /// The Elastic IP was put on it.
    Associated,
    /// The Elastic IP was taken off it.
    Disassociated,
}

/// The truth about an instance, which `describe` only follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Its id.
    pub id: InstanceId,
    /// What it was made from, with its tags.
    pub placement: Placement,
    /// Its state.
    pub state: Ec2State,
    /// Its own public address while it runs.
    pub own_address: Option<String>,
    /// The Elastic IP that is on it.
    pub elastic_address: Option<String>,
    /// How often it was started, the first launch included.
    pub starts: u32,
    /// Reset at every start.
    pub launched_at: Timestamp,
    /// Tagged `wakecast:hold`.
    pub hold: bool,
    /// The state that comes by itself, and when.
    pub due: Option<(Timestamp, Ec2State)>,
    /// When it entered `terminated`.
    pub terminated_at: Option<Timestamp>,
    views: VecDeque<(Timestamp, Ec2Instance)>,
}

impl Truth {
    pub(super) fn new(id: InstanceId, placement: Placement, now: Timestamp) -> Self {
        Self {
            id,
            state: placement.state,
            placement,
            own_address: None,
            elastic_address: None,
            starts: 0,
            launched_at: now,
            hold: false,
            due: None,
            terminated_at: None,
            views: VecDeque::new(),
        }
    }

    /// Makes the present truth visible from `from` on, and never before what was true earlier:
    /// views are shown in their order.
    pub(super) fn publish(&mut self, from: Timestamp) {
        let view = self.view();
        self.views.push_back((from, view));
    }

    /// Returns what `describe` shows at `now`: `None` while the instance is still unknown.
    pub(super) fn seen_at(&mut self, now: Timestamp) -> Option<&Ec2Instance> {
        while self.views.get(1).is_some_and(|(from, _)| *from <= now) {
            self.views.pop_front();
        }
        self.views
            .front()
            .filter(|(from, _)| *from <= now)
            .map(|(_, view)| view)
    }

    /// Returns the truth in the words of `describe`.
    pub(super) fn view(&self) -> Ec2Instance {
        Ec2Instance {
            id: self.id.clone(),
            state: self.state,
            instance_type: self.placement.offering.instance_type.clone(),
            zone: self.placement.offering.zone.clone(),
            address: self
                .elastic_address
                .clone()
                .or_else(|| self.own_address.clone()),
            elastic: self.elastic_address.is_some(),
            sequence: self.placement.sequence,
            launched_at: self.launched_at,
            hold: self.hold,
        }
    }

    /// Pending or running: what an account limit counts.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, Ec2State::Pending | Ec2State::Running)
    }
}
