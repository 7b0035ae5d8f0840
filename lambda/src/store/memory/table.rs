//! Items under a partition and a sort key, and a set of writes that takes place as one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{RowCount, keys};
use crate::model::{
    BootHistory, Connection, ConnectionId, Day, Fence, FleetState, Instance, Intent, Lock, Row,
    Timestamp, Unavailable,
};

/// What an item holds.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Connection(Connection),
    /// Open connections of one window.
    ConnectionCount(u64),
    Demand(u64),
    Row(Row),
    Lock(LockItem),
    State(FleetState),
    Instance(Instance),
    Intent(Intent),
    Unavailable(Vec<Unavailable>),
    Boots(BootHistory),
    /// Nobody can read it.
    Garbage,
    Starts(Starts),
    /// The starts that a subject is charged for, newest first.
    Charged(Vec<Timestamp>),
    /// How long a tenant's instances have run on a day.
    Ran {
        day: Day,
        time: Duration,
    },
    /// The open links of a subject.
    Links(BTreeMap<ConnectionId, Timestamp>),
    RowCount(RowCount),
    /// When a ticket was first used, and when that may be forgotten.
    Ticket {
        at: Timestamp,
        expires_at: Timestamp,
    },
    /// A counter that is of no use after its window.
    Window {
        count: u32,
        end: Timestamp,
    },
}

/// The lock's item outlives its holders, since the fence must never fall.
#[derive(Clone, Debug, Default)]
pub(super) struct LockItem {
    pub(super) fence: Fence,
    pub(super) holder: Option<Lock>,
}

/// Times of the last starts and of those that launched a new instance, newest first: a cap of `n`
/// has room if the `n`-th newest is an hour old, which is one condition on one item.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    pub(super) starts: Vec<Timestamp>,
    pub(super) launches: Vec<Timestamp>,
}

/// Boxed, since a map has room for eleven values from the first on, and most partitions hold one:
/// in place, each connection would take the room of eleven of the largest items.
type Partition = BTreeMap<String, Box<Item>>;

#[derive(Debug, Default)]
pub(super) struct Table {
    partitions: BTreeMap<String, Partition>,
}

impl Table {
    pub(super) fn keys(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (partition, items) in &self.partitions {
            all.extend(items.keys().map(|sort| (partition.clone(), sort.clone())));
        }
        all
    }

    pub(super) fn apply(&mut self, writes: Writes) {
        for ((partition, sort), item) in writes.0 {
            match item {
                Some(item) => {
                    self.partitions
                        .entry(partition)
                        .or_default()
                        .insert(sort, Box::new(item));
                }
                None => {
                    if let Some(items) = self.partitions.get_mut(&partition) {
                        items.remove(&sort);
                        if items.is_empty() {
                            self.partitions.remove(&partition);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn purge(&mut self, now: Timestamp, connection_life: Duration) {
        let oldest_window = keys::oldest_connection_window(now);
        for items in self.partitions.values_mut() {
            items.retain(|sort, item| match &**item {
                Item::Row(row) => row.expires_at > now,
                Item::Connection(connection) => {
                    now.since(connection.connected_at) <= connection_life
                }
                Item::ConnectionCount(_) => *sort >= oldest_window,
                Item::Window { end, .. } => *end > now,
                Item::Ticket { expires_at, .. } => *expires_at > now,
                // Yesterday's may still be added to.
                Item::Ran { day, .. } => day.0.saturating_add(1) >= Day::of(now).0,
                _ => true,
            });
        }
        self.partitions.retain(|_, items| !items.is_empty());
    }
}

/// Reads of the table as it was, and writes to come.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    table: &'a Table,
    writes: Writes,
}

impl<'a> Transaction<'a> {
    pub(super) fn on(table: &'a Table) -> Self {
        Self {
            table,
            writes: Writes::default(),
        }
    }

    pub(super) fn get(&self, partition: &str, sort: &str) -> Option<&'a Item> {
        let item = self.table.partitions.get(partition)?.get(sort)?;
        Some(item)
    }

    /// Items of a partition from the sort key `from` on, in order.
    pub(super) fn query(
        &self,
        partition: &str,
        from: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Item)> + use<'a> {
        let from = from.to_owned();
        self.table
            .partitions
            .get(partition)
            .into_iter()
            .flat_map(move |items| items.range(from.clone()..))
            .map(|(sort, item)| (sort, &**item))
    }

    pub(super) fn put(&mut self, partition: &str, sort: impl Into<String>, item: Item) {
        self.writes
            .0
            .insert((partition.to_owned(), sort.into()), Some(item));
    }

    pub(super) fn delete(&mut self, partition: &str, sort: impl Into<String>) {
        self.writes
            .0
            .insert((partition.to_owned(), sort.into()), None);
    }

    pub(super) fn into_writes(self) -> Writes {
        self.writes
    }
}

/// What a transaction puts (`Some`) and deletes (`None`).
#[derive(Debug, Default)]
pub(super) struct Writes(BTreeMap<(String, String), Option<Item>>);

impl Writes {
    pub(super) fn partitions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|(partition, _)| partition.as_str())
    }
}
