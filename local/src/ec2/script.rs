//! What the simulated EC2 is told to do wrong.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wakecast_lambda::config::Offering;
use wakecast_lambda::ports::Ec2Error;

use crate::random::Span;

/// Scripted faults. A rule with `times` is used up; one without stays until it is cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Script {
    /// Faults of calls; the first that matches is taken.
    pub calls: Vec<CallRule>,
    /// Offerings without capacity.
    pub capacity: Vec<CapacityRule>,
    /// Faults of the next boots, one each.
    pub boots: VecDeque<BootFault>,
    /// Instances whose stop does not end by itself.
    pub stuck_stops: u32,
    /// Overrides the describe lag of the settings.
    pub describe_lag: Option<Span>,
}

/// A fault of a kind of call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallRule {
    /// The call; `None` for any.
    pub call: Option<CallName>,
    /// What happens to it.
    pub fault: CallFault,
    /// How often; `None` until cleared.
    pub times: Option<u32>,
}

/// The calls of EC2 that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallName {
    /// `DescribeInstances`.
    Describe,
    /// `RunInstances`.
    Run,
    /// `StartInstances`.
    Start,
    /// `StopInstances`.
    Stop,
    /// `AssociateAddress`.
    Associate,
    /// `DisassociateAddress`.
    Disassociate,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallFault {
    /// Refused as too frequent.
    Throttled,
    /// Refused for an account limit.
    Quota,
    /// Refused for a wrong parameter.
    Config,
    /// Refused for a missing permission.
    Auth,
    /// Lost on the way there: no effect, no answer.
    LostRequest,
    /// Lost on the way back: the effect took place, no answer.
    LostReply,
}

/// A type and zone without capacity; `None` matches any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapacityRule {
    /// The instance type.
    pub instance_type: Option<String>,
    /// The availability zone.
    pub zone: Option<String>,
    /// How many tries it refuses; `None` until cleared.
    pub times: Option<u32>,
}

/// What goes wrong with an accepted boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BootFault {
    /// Stays `pending`.
    StaysPending,
    /// Falls back: a new instance to `terminated`, a started one to `stopped`.
    FallsBack,
}

/// Whether the answer of an accepted call arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Arrives,
    IsLost,
}

impl Answer {
    pub(super) fn deliver<T>(self, result: Result<T, Ec2Error>) -> Result<T, Ec2Error> {
        match self {
            Self::Arrives => result,
            Self::IsLost => Err(lost()),
        }
    }
}

impl Script {
    /// Adds a fault for the next `times` calls of this name.
    pub fn fail(&mut self, call: CallName, fault: CallFault, times: u32) {
        self.calls.push(CallRule {
            call: Some(call),
            fault,
            times: Some(times),
        });
    }

    /// Takes the fault that meets this call, if any.
    pub(super) fn take_call_fault(&mut self, call: CallName) -> Option<CallFault> {
        let at = self
            .calls
            .iter()
            .position(|rule| rule.times != Some(0) && rule.call.is_none_or(|name| name == call))?;
        let rule = self.calls.get_mut(at)?;
        use_up(&mut rule.times);
        Some(rule.fault)
    }

    /// Takes one try at this offering: false if it has no capacity.
    pub(super) fn take_capacity(&mut self, offering: &Offering) -> bool {
        let refusal = self.capacity.iter_mut().find(|rule| {
            rule.times != Some(0)
                && rule
                    .instance_type
                    .as_ref()
                    .is_none_or(|name| *name == offering.instance_type)
                && rule.zone.as_ref().is_none_or(|name| *name == offering.zone)
        });
        match refusal {
            Some(rule) => {
                use_up(&mut rule.times);
                false
            }
            None => true,
        }
    }

    /// Takes the fate of a stop: true if it sticks.
    pub(super) fn take_stuck_stop(&mut self) -> bool {
        let sticks = self.stuck_stops > 0;
        self.stuck_stops = self.stuck_stops.saturating_sub(1);
        sticks
    }
}

/// What the caller of a faulty call is told; `None` where the call still takes effect.
pub(super) fn refusal(fault: CallFault) -> Option<Ec2Error> {
    Some(match fault {
        CallFault::Throttled => {
            Ec2Error::Throttled("RequestLimitExceeded: Request limit exceeded.".to_owned())
        }
        CallFault::Quota => Ec2Error::Quota(
            "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU \
             limit allows."
                .to_owned(),
        ),
        CallFault::Config => {
            Ec2Error::Config("InvalidAMIID.NotFound: The image id does not exist.".to_owned())
        }
        CallFault::Auth => Ec2Error::Auth(
            "UnauthorizedOperation: You are not authorized to perform this operation.".to_owned(),
        ),
        CallFault::LostRequest => lost(),
        CallFault::LostReply => return None,
    })
}

fn lost() -> Ec2Error {
    Ec2Error::Ambiguous("no answer within the call timeout".to_owned())
}

fn use_up(times: &mut Option<u32>) {
    if let Some(left) = times {
        *left = left.saturating_sub(1);
    }
}
