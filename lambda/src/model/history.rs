//! How long the last boots took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Boot, BootPath, Timestamp};

/// Boots that are remembered for each path. Nine in ten of 32 are told apart by the three slowest,
/// so that one odd boot moves no figure far; half of them are gone after 16 boots, within days of a
/// change of image or type. Three paths of them are 5 KB, one write for each boot.
const REMEMBERED: usize = 32;

/// How long the last boots that became ready took, for each path. A boot that failed is no sample:
/// those who waited for it wait for the next one, which counts from its own start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootHistory(BTreeMap<BootPath, Vec<BootTimes>>);

/// How long each phase of one boot took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTimes {
    /// From EC2's acceptance to `running`.
    pub launching_ms: u64,
    /// From there to the media server's first sign of life.
    pub booting_ms: u64,
    /// From there to ready.
    pub warming_ms: u64,
}

impl BootHistory {
    /// Returns the boots of a path, the oldest first.
    #[must_use]
    pub fn boots(&self, path: BootPath) -> &[BootTimes] {
        self.0.get(&path).map_or(&[], Vec::as_slice)
    }

    /// Adds a boot; the oldest of its path makes room.
    pub fn remember(&mut self, path: BootPath, times: BootTimes) {
        let boots = self.0.entry(path).or_default();
        boots.push(times);
        let surplus = boots.len().saturating_sub(REMEMBERED);
        boots.drain(..surplus);
    }
}

impl BootTimes {
    /// Measures a boot that becomes ready `now`; `None` if one of its phases was never seen.
    #[must_use]
    pub fn of(boot: &Boot, now: Timestamp) -> Option<Self> {
        let (running, live) = (boot.running_at?, boot.live_at?);
        Some(Self {
            launching_ms: millis(running.since(boot.started_at)),
            booting_ms: millis(live.since(running)),
            warming_ms: millis(now.since(live)),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
