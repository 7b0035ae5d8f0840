//! The table in memory: for tests, the simulation and the cloud on one machine.
//!
//! It behaves like the real one: every operation is atomic, every condition is checked against
//! what is stored, expired items stay until they are purged, and a writer that touches a partition
//! of another is refused.

mod counters;
mod operations;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{StoreError, keys};
use crate::guards::Guards;
use crate::model::Timestamp;
use table::{Item, Table, Transaction};

/// One table. Clones share it.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    writer: Writer,
    guards: Guards,
}

/// Who writes. The partition key decides what each may write, as a policy on leading keys does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// Tests and tools: everything.
    Anyone,
    /// The function that the internet can reach: `C#`, `D#`, and of `B#` the connections and what
    /// subjects asked of it.
    Gateway,
    /// The function with power over instances: `D#`, `F#`, and of `B#` what it has started.
    Reconciler,
    /// The function that tells a herd: `D#`.
    Fanout,
}

impl Writer {
    /// Returns whether this writer may write the partition.
    #[must_use]
    pub fn may_write(self, partition: &str) -> bool {
        let own: &[&str] = match self {
            Self::Anyone => return true,
            Self::Gateway => &["C#", "D#", "B#S#", keys::CONNECTION_COUNTS],
            Self::Reconciler => &["D#", "F#", "B#F#", "B#U#", "B#T#"],
            Self::Fanout => &["D#"],
        };
        own.iter().any(|prefix| partition.starts_with(prefix))
    }
}

#[derive(Default)]
struct Shared {
    table: Table,
    calls: BTreeMap<(Writer, &'static str), u64>,
    violations: Vec<String>,
}

impl MemoryStore {
    /// Builds an empty table that anyone may write.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            writer: Writer::Anyone,
            guards: Guards::ALL,
        }
    }

    /// Turns guards off: for tests of what they prevent.
    #[cfg(feature = "ablation")]
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Returns the same table with the gateway's permissions.
    #[must_use]
    pub fn as_gateway(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            writer: Writer::Gateway,
            guards: self.guards,
        }
    }

    /// Returns the same table with the reconciler's permissions.
    #[must_use]
    pub fn as_reconciler(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            writer: Writer::Reconciler,
            guards: self.guards,
        }
    }

    /// Returns the same table with the fan-out's permissions.
    #[must_use]
    pub fn as_fanout(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            writer: Writer::Fanout,
            guards: self.guards,
        }
    }

    /// Returns how often each operation was called by this writer, refused calls included.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        let shared = self.locked();
        let own = shared
            .calls
            .iter()
            .filter(|((writer, _), _)| *writer == self.writer);
        own.map(|((_, operation), count)| (*operation, *count))
            .collect()
    }

    /// Returns how many operations this writer has called.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.calls().values().sum()
    }

    /// Returns every attempt to write another's partition, in order.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.locked().violations.clone()
    }

    /// Returns the keys of all items, partition first.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, String)> {
        self.locked().table.keys()
    }

    /// Makes an item unreadable, as an older or newer version of the program or a hand may have
    /// written it: for tests.
    pub fn spoil(&self, partition: &str, sort: &str) {
        let mut shared = self.locked();
        let mut transaction = Transaction::on(&shared.table);
        let spoilt = match transaction.get(partition, sort) {
            Some(Item::Row(row)) => Item::Row(operations::unreadable(row)),
            _ => Item::Garbage,
        };
        transaction.put(partition, sort, spoilt);
        let writes = transaction.into_writes();
        shared.table.apply(writes);
    }

    /// Deletes what has expired, as the real table does some time later; nothing rests on it.
    ///
    /// A connection whose end nobody told expires `connection_life` after it was made. That is
    /// more than the age at which the gateway cuts it, by what its `$disconnect` may take: that
    /// still finds the rows to mark absent.
    pub fn purge(&self, now: Timestamp, connection_life: Duration) {
        self.locked().table.purge(now, connection_life);
    }

    /// Runs one operation: its writes take place together, if it succeeds and all are permitted.
    fn operate<T>(
        &self,
        operation: &'static str,
        run: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut shared = self.locked();
        *shared.calls.entry((self.writer, operation)).or_default() += 1;
        let mut transaction = Transaction::on(&shared.table);
        let result = run(&mut transaction)?;
        let writes = transaction.into_writes();
        if let Some(foreign) = writes.partitions().find(|key| !self.writer.may_write(key)) {
            let violation = format!("{operation} by {:?} on {foreign}", self.writer);
            shared.violations.push(violation.clone());
            return Err(StoreError::Denied(violation));
        }
        shared.table.apply(writes);
        Ok(result)
    }

    /// A panic elsewhere leaves the table whole: writes are applied in one step.
    fn locked(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
