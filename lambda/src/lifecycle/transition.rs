//! The lives of an instance, as one table.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{FleetRecords, Instance, InstanceId, InstanceStatus};

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// Not known.
    Absent,
    /// Started, not ready yet.
    Booting,
    /// Serves.
    Ready,
    /// The media server restarted by itself.
    Recovering,
    /// Grants nothing.
    Draining,
    /// S2 is committed.
    Stopping,
    /// Never ready, or going down by another's hand.
    Failing,
    /// Stopped.
    Stopped,
    /// Terminated.
    Gone,
}

/// One step of an instance's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Transition {
    /// Where it stood before the pass.
    pub from: Stand,
    /// Where it stands after.
    pub to: Stand,
}

/// Lists every transition that a decision may make.
#[must_use]
pub const fn transitions() -> &'static [Transition] {
    TABLE
}

const fn step(from: Stand, to: Stand) -> Transition {
    Transition { from, to }
}

const TABLE: &[Transition] = &[
    // An accepted launch, or one found without an explanation.
    step(Stand::Absent, Stand::Booting),
    // Found running beside a live one.
    step(Stand::Absent, Stand::Failing),
    // Found stopped.
    step(Stand::Absent, Stand::Stopped),
    step(Stand::Booting, Stand::Ready),
    // A limit, lost settings, wrong secrets, or stopped by another's hand.
    step(Stand::Booting, Stand::Failing),
    // It fell back by itself.
    step(Stand::Booting, Stand::Stopped),
    step(Stand::Booting, Stand::Gone),
    // Idle for the grace.
    step(Stand::Ready, Stand::Draining),
    step(Stand::Ready, Stand::Recovering),
    // Died under its leases.
    step(Stand::Ready, Stand::Failing),
    step(Stand::Ready, Stand::Stopped),
    step(Stand::Ready, Stand::Gone),
    // Proved again.
    step(Stand::Recovering, Stand::Ready),
    // The restart has lost the settings.
    step(Stand::Recovering, Stand::Draining),
    step(Stand::Recovering, Stand::Failing),
    step(Stand::Recovering, Stand::Stopped),
    step(Stand::Recovering, Stand::Gone),
    // A wake, a stream or an unknown sample.
    step(Stand::Draining, Stand::Ready),
    // S2.
    step(Stand::Draining, Stand::Stopping),
    step(Stand::Draining, Stand::Recovering),
    step(Stand::Draining, Stand::Failing),
    step(Stand::Draining, Stand::Stopped),
    step(Stand::Draining, Stand::Gone),
    // S3 has found a lease or a waiter.
    step(Stand::Stopping, Stand::Ready),
    // The media server restarted while the stop was in doubt.
    step(Stand::Stopping, Stand::Recovering),
    // S3 on a condemned boot.
    step(Stand::Stopping, Stand::Draining),
    step(Stand::Stopping, Stand::Stopped),
    step(Stand::Stopping, Stand::Gone),
    step(Stand::Failing, Stand::Stopped),
    step(Stand::Failing, Stand::Gone),
    // An accepted start, or one found without an explanation.
    step(Stand::Stopped, Stand::Booting),
    // Found running beside a live one.
    step(Stand::Stopped, Stand::Failing),
    step(Stand::Stopped, Stand::Gone),
    // Its leases are told.
    step(Stand::Gone, Stand::Absent),
    step(Stand::Booting, Stand::Absent),
    step(Stand::Ready, Stand::Absent),
    step(Stand::Recovering, Stand::Absent),
    step(Stand::Draining, Stand::Absent),
    step(Stand::Stopping, Stand::Absent),
    step(Stand::Failing, Stand::Absent),
    step(Stand::Stopped, Stand::Absent),
];

impl Stand {
    /// Returns where an instance stands.
    #[must_use]
    pub const fn of(instance: &Instance) -> Self {
        match instance.status {
            InstanceStatus::Booting => Self::Booting,
            InstanceStatus::Ready => Self::Ready,
            InstanceStatus::Recovering { .. } => Self::Recovering,
            InstanceStatus::Draining { .. } => Self::Draining,
            InstanceStatus::Stopping { failed: false, .. } => Self::Stopping,
            InstanceStatus::Stopping { failed: true, .. } => Self::Failing,
            InstanceStatus::Stopped => Self::Stopped,
            InstanceStatus::Gone => Self::Gone,
        }
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Booting => "booting",
            Self::Ready => "ready",
            Self::Recovering => "recovering",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        })
    }
}

/// Compares the records before a pass with the instances after it.
pub(super) fn between(
    before: &FleetRecords,
    after: &std::collections::BTreeMap<InstanceId, Instance>,
) -> Vec<Transition> {
    let ids = before
        .instances
        .keys()
        .chain(after.keys())
        .collect::<std::collections::BTreeSet<_>>();
    ids.into_iter()
        .map(|id| Transition {
            from: before.instances.get(id).map_or(Stand::Absent, Stand::of),
            to: after.get(id).map_or(Stand::Absent, Stand::of),
        })
        .filter(|transition| transition.from != transition.to)
        .collect()
}
