//! What a run knows of intents when they are not committed: a test of why they are.

use std::collections::BTreeMap;

use crate::model::{FleetRecords, Intent};
use crate::store::Commit;

/// Intents in this run's memory, which a crash takes along. Empty while
/// [`Guard::Intent`](crate::guards::Guard::Intent) is on.
#[derive(Debug, Default)]
pub(super) struct Unwritten(BTreeMap<u64, Intent>);

impl Unwritten {
    /// Takes the intents out of a commit.
    pub(super) fn keep(&mut self, commit: &Commit) -> Commit {
        let mut rest = commit.clone();
        let put = rest.put_intents.drain(..);
        self.0.extend(put.map(|intent| (intent.sequence, intent)));
        for sequence in rest.forget_intents.drain(..) {
            self.0.remove(&sequence);
        }
        rest
    }

    /// Adds them to what was read.
    pub(super) fn recall(&self, records: &mut FleetRecords) {
        records.intents.extend(self.0.clone());
    }
}
