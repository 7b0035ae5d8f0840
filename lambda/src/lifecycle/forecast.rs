//! What whoever asks is told of a fleet, from the reconciler's records alone.

use std::collections::BTreeMap;

use wakecast::protocol::Phase;

use super::eta::Eta;
use super::outlook::Outlook;
use crate::config::FleetConfig;
use crate::model::{
    FleetRecords, FleetState, Instance, InstanceId, InstanceStatus, Intent, Pause, Timestamp,
};

/// How a fleet stands for somebody who might acquire.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Whether an instance grants.
    pub ready: bool,
    /// `ready`, or how far the start under way is; `None` while nothing is under way.
    pub phase: Option<Phase>,
    /// How long it takes until an instance is ready: the whole of a start while none is under way,
    /// nothing while an instance grants or needs only be asked to go on.
    pub eta: Eta,
    /// A boot has failed, and it is tried again.
    pub restarted: bool,
    /// Why nothing is started at present.
    pub refusal: Option<Pause>,
}

impl Forecast {
    /// Reads the records.
    #[must_use]
    pub fn of(records: &FleetRecords, config: &FleetConfig, now: Timestamp) -> Self {
        let instances = || records.instances.values();
        let ready = instances().any(|known| known.status == InstanceStatus::Ready);
        let drains = instances().any(|known| {
            let condemned = known.boot.as_ref().is_some_and(|boot| boot.condemned);
            matches!(known.status, InstanceStatus::Draining { .. }) && !condemned
        });
        let outlook = Outlook::of(records, now);
        let under_way = outlook.boot.is_some()
            || !records.intents.is_empty()
            || records.state.capacity_retry_at.is_some();
        let (phase, eta) = match (ready, drains) {
            (true, _) => (Some(Phase::Ready), Eta::default()),
            // A wake turns it back at once.
            (false, true) => (None, Eta::default()),
            (false, false) => {
                let eta = outlook.eta(&records.history, config, now);
                (under_way.then_some(outlook.phase), eta)
            }
        };
        let pause = refusal(&records.state, &records.instances, &records.intents, now);
        Self {
            ready,
            phase,
            eta,
            restarted: outlook.restarted && under_way && !ready,
            refusal: pause.filter(|_| !ready && !drains).cloned(),
        }
    }
}

/// Returns why those who wait are refused: starts pause, and nothing is on its way.
pub(super) fn refusal<'a>(
    state: &'a FleetState,
    instances: &BTreeMap<InstanceId, Instance>,
    intents: &BTreeMap<u64, Intent>,
    now: Timestamp,
) -> Option<&'a Pause> {
    let pause = state.pause.as_ref().filter(|pause| now < pause.until)?;
    (!coming(instances, intents)).then_some(pause)
}

/// Tells whether an instance is on its way up.
pub(super) fn coming(
    instances: &BTreeMap<InstanceId, Instance>,
    intents: &BTreeMap<u64, Intent>,
) -> bool {
    let booting = |known: &Instance| {
        matches!(
            known.status,
            InstanceStatus::Booting | InstanceStatus::Recovering { .. }
        )
    };
    !intents.is_empty() || instances.values().any(booting)
}
