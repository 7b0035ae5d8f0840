//! How far a fleet is on its way to a ready instance: what waiters are told, and whoever asks.

use std::collections::BTreeMap;

use wakecast::protocol::Phase;

use super::eta::{self, Eta};
use crate::config::FleetConfig;
use crate::model::{
    Boot, BootHistory, BootPath, FleetRecords, FleetState, Instance, InstanceId, InstanceStatus,
    Intent, LaunchKind, Timestamp,
};

/// What can be told of a fleet in which no instance is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// How far; `requested` while nothing is under way.
    pub phase: Phase,
    /// How the boot began, or would.
    pub path: BootPath,
    /// When the phase began; now while nothing is under way.
    pub since: Timestamp,
    /// A boot for the present demand has failed, and it is tried again.
    pub restarted: bool,
    /// The boot under way.
    pub boot: Option<InstanceId>,
}

impl Outlook {
    /// Looks at what the reconciler has recorded.
    #[must_use]
    pub fn of(records: &FleetRecords, now: Timestamp) -> Self {
        Self::from_parts(&records.state, &records.instances, &records.intents, now)
    }

    pub(super) fn from_parts(
        state: &FleetState,
        instances: &BTreeMap<InstanceId, Instance>,
        intents: &BTreeMap<u64, Intent>,
        now: Timestamp,
    ) -> Self {
        let restarted = state.failed_boots > 0;
        let coming = instances.values().find_map(|known| {
            let boot = known.boot.as_ref()?;
            let (phase, since) = match known.status {
                InstanceStatus::Booting => phase(boot),
                InstanceStatus::Recovering { since } => (Phase::Warming, since),
                _ => return None,
            };
            Some(Self {
                phase,
                path: boot.path,
                since,
                restarted,
                boot: Some(known.id.clone()),
            })
        });
        coming.unwrap_or_else(|| {
            let phase = if state.capacity_retry_at.is_some() {
                Phase::WaitingForCapacity
            } else {
                Phase::Requested
            };
            let new = match intents.values().next() {
                Some(intent) => matches!(intent.kind, LaunchKind::New { .. }),
                None => instances.is_empty(),
            };
            let path = if new {
                BootPath::New
            } else {
                BootPath::Stopped
            };
            Self {
                phase,
                path,
                since: now,
                restarted,
                boot: None,
            }
        })
    }

    /// Returns how long it still takes.
    #[must_use]
    pub fn eta(&self, history: &BootHistory, config: &FleetConfig, now: Timestamp) -> Eta {
        let elapsed = now.since(self.since);
        eta::remaining(history, &config.prior, self.path, self.phase, elapsed)
    }
}

/// `launching` once EC2 has accepted, `booting` while the system starts, `warming` from liveness.
fn phase(boot: &Boot) -> (Phase, Timestamp) {
    match (boot.live_at, boot.running_at) {
        (Some(live), _) => (Phase::Warming, live),
        (None, Some(running)) => (Phase::Booting, running),
        (None, None) => (Phase::Launching, boot.started_at),
    }
}
