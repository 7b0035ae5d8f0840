//! What one shard is asked to do, and whose turn it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wakecast::protocol::{Phase, ProgressPush};

use crate::config::Timing;
use crate::leases;
use crate::model::{FleetKey, Row, RowKey, RowState, Timestamp};
use crate::ports::BootOf;

/// Shards of one errand at most. At 64 posts in flight and 30 ms a post, four make 8 500 posts a
/// second; an account's API Gateway takes 10 000, the clients' own messages included.
pub const MOST_SHARDS: u32 = 4;

/// Rows for which one more shard is asked for: a second of work, as much as a cold start costs.
const ROWS_A_SHARD: usize = 1_024;

/// An errand that is older is dropped: what it tells may be over, and the reconciler has taken its
/// rows back by then.
pub const ERRAND_LIFE: Duration = Duration::from_secs(10);

/// One shard's part: the whole of an invocation's event. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// The fleet.
    pub fleet: FleetKey,
    /// What to do.
    pub task: Task,
    /// Which shard, from zero.
    pub shard: u32,
    /// Of how many.
    pub shards: u32,
    /// When the reconciler asked.
    pub asked_at: Timestamp,
}

/// What every row of a shard gets that is owed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A grant on this boot.
    Grant {
        /// The boot that was ready.
        boot: BootOf,
        /// Over how long clients spread their first proof.
        verify_spread: Duration,
    },
    /// A phase, for those that have not reached it.
    Tell {
        /// What to tell, without a row's own id, rev and elapsed time.
        progress: ProgressPush,
        /// For those too that have been told this phase already.
        again: bool,
    },
}

/// What a row is owed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Owed {
    /// A grant.
    Grant,
    /// A write of its new phase, then the message.
    Phase(Box<Row>),
    /// The message alone.
    Words,
}

/// Divides `rows` rows: how many shards they are worth.
pub(crate) fn shards_for(rows: usize) -> u32 {
    let shards = rows.div_ceil(ROWS_A_SHARD).max(1);
    u32::try_from(shards).map_or(MOST_SHARDS, |shards| shards.min(MOST_SHARDS))
}

/// Returns the shard that a row belongs to: the same for everybody who asks (FNV-1a).
pub(crate) fn shard_of(key: &RowKey, shards: u32) -> u32 {
    let bytes = key.subject.bytes().chain([0]).chain(key.id.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of this hash mix badly.
    let mixed = hash ^ (hash >> 32);
    u32::try_from(mixed % u64::from(shards.max(1))).unwrap_or_default()
}

impl Errand {
    /// Picks this shard's rows to which something is owed, the oldest first.
    pub(super) fn due(&self, rows: Vec<Row>, timing: &Timing, now: Timestamp) -> Vec<Row> {
        let mut due: Vec<Row> = rows
            .into_iter()
            .filter(|row| shard_of(&row.key, self.shards) == self.shard)
            .filter(|row| self.task.owed(row, timing, now).is_some())
            .collect();
        // Stable: those of one age keep the order of their keys.
        due.sort_by_key(|row| row.created_at);
        due
    }
}

impl Task {
    /// Returns what a row is owed, if anything.
    pub(super) fn owed(&self, row: &Row, timing: &Timing, now: Timestamp) -> Option<Owed> {
        match (self, &row.state) {
            (Self::Grant { .. }, RowState::Waiting { .. }) => {
                leases::grantable(row, timing, now).then_some(Owed::Grant)
            }
            (
                Self::Grant { boot, .. },
                RowState::Held {
                    instance,
                    boot: held,
                    draining: true,
                    ..
                },
            ) => (boot.0 == *instance && boot.1 == *held).then_some(Owed::Grant),
            (Self::Tell { progress, again }, RowState::Waiting { phase, .. })
                if leases::grantable(row, timing, now) =>
            {
                if *phase < progress.phase {
                    Some(Owed::Phase(Box::new(with_phase(row, progress.phase))))
                } else {
                    (*again && *phase == progress.phase).then_some(Owed::Words)
                }
            }
            _ => None,
        }
    }
}

/// Returns a waiting row as one that has been told `phase`.
pub(crate) fn with_phase(row: &Row, phase: Phase) -> Row {
    let mut next = row.clone();
    if let RowState::Waiting { phase: told, .. } = &mut next.state {
        *told = phase;
    }
    next
}

/// Takes a row's own part out of a message: what is left is the same for many rows.
pub(crate) fn common(progress: &ProgressPush) -> ProgressPush {
    ProgressPush {
        id: String::new(),
        rev: 0,
        elapsed_ms: 0,
        ..progress.clone()
    }
}

/// Puts a row's own part in.
pub(super) fn own(progress: &ProgressPush, row: &Row, now: Timestamp) -> ProgressPush {
    let elapsed = now.since(row.created_at).as_millis();
    ProgressPush {
        id: row.key.id.clone(),
        rev: row.rev,
        elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
        ..progress.clone()
    }
}
