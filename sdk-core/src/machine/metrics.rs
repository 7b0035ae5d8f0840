//! Counters of one client, for dashboards and tickets.

use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::Machine;
use super::record::EndCause;
use crate::time::millis;

/// What one client has counted since it was made. Counters stop at their largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// Transports that began to open, those of rotations among them.
    pub attempts: u32,
    /// Attempts that a `welcome` proved, those of rotations among them.
    pub welcomes: u32,
    /// Connections after the first: how often the app saw `Reconnecting` end well.
    pub reconnects: u32,
    /// Rotations: moves to a fresh link that the app did not see.
    pub rotations: u32,
    /// Time from the beginning of an attempt to its `welcome`.
    pub time_to_connect: Timing,
    /// Round trip of a ping.
    pub round_trip: Timing,
    /// Proved links that ended, by cause.
    pub drops: Causes,
    /// Attempts that ended before their `welcome`, by cause.
    pub failed_attempts: Causes,
    /// Access checks.
    pub access_checks: u32,
    /// Questions to the token provider.
    pub tokens_asked: u32,
    /// Tokens that it gave and that can be used.
    pub tokens_fetched: u32,
    /// Questions that brought no usable token, and tokens that the server refused.
    pub token_faults: u32,
    /// Messages sent, pings among them.
    pub messages_sent: u32,
    /// Messages received, pongs and what could not be read among them.
    pub messages_received: u32,
    /// Acquisitions that were taken on.
    pub acquires: u32,
    /// Acquisitions that were granted without a wait for a server.
    pub acquires_warm: u32,
    /// Acquisitions that were granted after they had waited for a server.
    pub acquires_cold: u32,
    /// Acquisitions that failed, cancelled ones not among them.
    pub acquires_failed: u32,
    /// Acquisitions that the app cancelled.
    pub acquires_cancelled: u32,
    /// Time from a warm acquire to its lease.
    pub time_to_ready_warm: Timing,
    /// Time from a cold acquire to its lease.
    pub time_to_ready_cold: Timing,
    /// When servers came, against the median that was told at the beginning of the wait.
    pub eta_error: EtaError,
    /// Tries of endpoints from this device's network.
    pub proofs: u32,
    /// Tries that failed.
    pub proofs_failed: u32,
    /// Leases that moved to another server.
    pub leases_moved: u32,
    /// Leases that were lost.
    pub leases_lost: u32,
}

/// Durations that were measured, in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    total: u64,
    count: u32,
    last: u32,
    min: u32,
    max: u32,
}

impl Timing {
    pub(super) fn note(&mut self, duration: Duration) {
        let value = u32::try_from(millis(duration)).unwrap_or(u32::MAX);
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.last = value;
        self.total = self.total.saturating_add(u64::from(value));
        self.count = self.count.saturating_add(1);
    }

    /// Returns how many there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the last one.
    pub fn last(&self) -> Option<Duration> {
        self.some(self.last.into())
    }

    /// Returns the shortest.
    pub fn min(&self) -> Option<Duration> {
        self.some(self.min.into())
    }

    /// Returns the longest.
    pub fn max(&self) -> Option<Duration> {
        self.some(self.max.into())
    }

    /// Returns the mean.
    pub fn mean(&self) -> Option<Duration> {
        self.some(self.total / u64::from(self.count.max(1)))
    }

    fn some(&self, millis: u64) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_millis(millis))
    }
}

impl Serialize for Timing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("count", &self.count)?;
        if let Some(mean) = self.mean() {
            map.serialize_entry("last_ms", &self.last)?;
            map.serialize_entry("min_ms", &self.min)?;
            map.serialize_entry("max_ms", &self.max)?;
            map.serialize_entry("mean_ms", &millis(mean))?;
        }
        map.end()
    }
}

/// How far servers came from the median that was told when the wait began. A median that is right is
/// missed by half of all servers, on both sides alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EtaError {
    late: Timing,
    early: Timing,
    last_was_late: bool,
}

impl EtaError {
    pub(super) fn note(&mut self, told: Duration, came: Duration) {
        self.last_was_late = came > told;
        if self.last_was_late {
            self.late.note(came.saturating_sub(told));
        } else {
            self.early.note(told.saturating_sub(came));
        }
    }

    /// Returns by how much the servers that came after the median were late.
    pub fn late(&self) -> Timing {
        self.late
    }

    /// Returns by how much the other servers were early.
    pub fn early(&self) -> Timing {
        self.early
    }

    /// Returns the last error in milliseconds: positive for a server that came late.
    pub fn last_millis(&self) -> Option<i64> {
        let side = if self.last_was_late {
            self.late
        } else {
            self.early
        };
        let last = i64::from(side.last);
        (side.count > 0).then_some(if self.last_was_late { last } else { -last })
    }
}

impl Serialize for EtaError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("last_ms", &self.last_millis())?;
        map.serialize_entry("late", &self.late)?;
        map.serialize_entry("early", &self.early)?;
        map.end()
    }
}

/// How often each cause was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes([u32; EndCause::ALL.len()]);

impl Causes {
    pub(super) fn note(&mut self, cause: EndCause) {
        if let Some(count) = self.0.get_mut(cause as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Returns how often a cause was met.
    pub fn of(&self, cause: EndCause) -> u32 {
        self.0.get(cause as usize).copied().unwrap_or(0)
    }

    /// Returns how often any was met.
    pub fn total(&self) -> u32 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns the causes that were met, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (EndCause, u32)> {
        let all = EndCause::ALL.iter().map(|cause| (*cause, self.of(*cause)));
        all.filter(|(_, count)| *count > 0)
    }
}

impl Serialize for Causes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Machine {
    /// Returns what was counted since the machine was made.
    pub fn metrics(&self) -> Metrics {
        self.journal
            .book()
            .map_or_else(Metrics::default, |book| book.metrics)
    }
}

/// Counts one more.
pub(super) fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
