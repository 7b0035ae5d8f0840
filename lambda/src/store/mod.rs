//! The table, as domain operations. Each is one atomic request.

#[cfg(feature = "memory")]
pub mod conformance;
pub mod keys;
#[cfg(feature = "memory")]
pub mod memory;

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::model::{
    BootHistory, Connection, ConnectionId, Counters, FleetKey, FleetRecords, FleetState, Grants,
    Instance, InstanceId, Intent, Lock, Row, RowKey, Timestamp, Unavailable,
};

/// The one table. Reads are consistent unless a method says otherwise.
///
/// Every method is one request to the table: one read of an item, one query, one conditional
/// write, or one transaction. Expired items may still be there: a method that takes `now` leaves
/// them out, every other caller compares the time itself.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    // Connections: written by the gateway.

    /// Puts a connection at `$connect` and counts it for the reconnect spread, in one transaction.
    /// A connection that is already there is neither replaced nor counted again.
    async fn put_connection(&self, connection: &Connection) -> Result<(), StoreError>;

    /// Reads a connection.
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError>;

    /// Replaces what the token allows, or returns [`StoreError::NotFound`] if the connection is
    /// gone.
    async fn renew_connection(&self, id: &ConnectionId, grants: &Grants) -> Result<(), StoreError>;

    /// Names the client behind the connection and adds rows that it claimed, or returns
    /// [`StoreError::NotFound`] if the connection is gone.
    async fn claim(
        &self,
        id: &ConnectionId,
        client_id: &str,
        rows: &BTreeSet<RowKey>,
    ) -> Result<(), StoreError>;

    /// Removes rows from those that a connection claimed, or returns [`StoreError::NotFound`] if the
    /// connection is gone. The rows themselves are left as they are.
    async fn disclaim(&self, id: &ConnectionId, rows: &BTreeSet<RowKey>) -> Result<(), StoreError>;

    /// Removes a connection and returns it as it was last; nobody else gets it then.
    ///
    /// Its count is taken back where its window still counts at `now`. A table that cannot return
    /// what a transaction removes takes it back in a second request; should that be lost, the
    /// spread is too wide by one connection until the window is two hours old.
    async fn delete_connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError>;

    /// Counts open connections of the windows that can still hold one (two hours). May lag.
    async fn open_connections(&self, now: Timestamp) -> Result<u64, StoreError>;

    // Demand: written by the gateway; the reconciler moves phases.

    /// Reads one row, expired or not.
    async fn row(&self, key: &RowKey) -> Result<Option<Row>, StoreError>;

    /// Reads all rows of a fleet that have not expired at `now`, all pages, in the order of their
    /// keys. A row whose write ended before this read began is among them.
    async fn rows(&self, fleet: &FleetKey, now: Timestamp) -> Result<Vec<Row>, StoreError>;

    /// Writes a row if the table still holds `expected` (its version; `None`: no row), with the
    /// version raised by one; returns the row as written, or [`StoreError::Conflict`] with the row
    /// that is there. An expired row is there until it is deleted, and is replaced by its version.
    async fn put_row(&self, row: &Row, expected: Option<u64>) -> Result<Row, StoreError>;

    /// Writes a row as [`Store::put_row`] does and notes it among the rows of a connection, in one
    /// transaction: either both take place or none, so that no row is left by a link that has gone
    /// meanwhile. Returns [`StoreError::NotFound`] if the connection is gone.
    async fn put_claimed_row(
        &self,
        connection: &ConnectionId,
        row: &Row,
        expected: Option<u64>,
    ) -> Result<Row, StoreError>;

    /// Raises the fleet's demand and returns it. It is written after the row that it announces and
    /// before the lock is read.
    async fn raise_demand(&self, fleet: &FleetKey) -> Result<u64, StoreError>;

    /// Reads the fleet's demand, zero if it was never raised. The reconciler reads it before
    /// anything else of a pass: whatever was written before a raise that it sees, it sees as well.
    async fn demand(&self, fleet: &FleetKey) -> Result<u64, StoreError>;

    // The fleet: written by the reconciler; the gateway reads.

    /// Reads the lock as it was last taken or extended, if it was not released since. Whether it
    /// has run out is for the caller to compare.
    async fn lock(&self, fleet: &FleetKey) -> Result<Option<Lock>, StoreError>;

    /// Takes the lock if it is free, has run out at `now` or is `owner`'s already, and raises the
    /// fence; else returns [`StoreError::LockHeld`].
    async fn take_lock(
        &self,
        fleet: &FleetKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError>;

    /// Extends the lock if `lock`'s owner and fence still hold it at `now`, else returns
    /// [`StoreError::LockLost`]; stores `lock.demand_seen` beside it.
    async fn extend_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError>;

    /// Releases the lock if demand is still `demand_seen`, in one transaction; else the lock stays
    /// and the answer is [`Released::DemandRose`]. Returns [`StoreError::LockLost`] if owner and
    /// fence do not hold it.
    async fn release_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        demand_seen: u64,
    ) -> Result<Released, StoreError>;

    /// Reads everything the reconciler keeps of the fleet but the lock.
    async fn fleet(&self, fleet: &FleetKey) -> Result<FleetRecords, StoreError>;

    /// Reads one instance: G2.
    async fn instance(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<Instance>, StoreError>;

    /// Reads the instances of a fleet: what the gateway needs to find one that is ready.
    async fn instances(&self, fleet: &FleetKey) -> Result<Vec<Instance>, StoreError>;

    /// Applies the changes in one transaction, if owner and fence of `lock` hold it at `now`, the
    /// state's version is `commit.expected` and every cap has room. Where several of these fail,
    /// the first in this order is returned: [`StoreError::LockLost`], [`StoreError::Stale`],
    /// [`StoreError::CapSpent`].
    async fn commit(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        commit: &Commit,
    ) -> Result<(), StoreError>;

    /// Reads the spent caps of the hour before `now`.
    async fn counters(&self, fleet: &FleetKey, now: Timestamp) -> Result<Counters, StoreError>;
}

/// One transaction over a fleet's own partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Commit {
    /// The state's version that the decision was made on.
    pub expected: u64,
    /// The new state; its version is raised by the store.
    pub state: FleetState,
    /// Instances to put.
    pub put_instances: Vec<Instance>,
    /// Instances to forget.
    pub forget_instances: Vec<InstanceId>,
    /// Intents to put.
    pub put_intents: Vec<Intent>,
    /// Intents to forget.
    pub forget_intents: Vec<u64>,
    /// Offerings without capacity, replacing what is remembered.
    pub unavailable: Option<Vec<Unavailable>>,
    /// How long the last boots took, replacing what is remembered.
    pub history: Option<BootHistory>,
    /// Launches and starts to count, each only while its cap has room.
    pub charge: Option<Charge>,
}

/// What a commit adds to the counters, and up to where. A cap of `n` has room while the `n`-th
/// newest is at least an hour older than `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Charge {
    /// Counted as a launch of a new instance too.
    pub launch: bool,
    /// Launches an hour and fleet.
    pub launch_cap: u32,
    /// Starts an hour and fleet.
    pub start_cap: u32,
    /// When the start is decided.
    pub at: Timestamp,
}

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lock is free.
    Free,
    /// Demand has risen: one more round.
    DemandRose,
}

/// Why an operation of the table did not take place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The row holds something else; here it is, if there is one.
    #[error("the row has changed")]
    Conflict(Option<Box<Row>>),
    /// The lock belongs to somebody else, or has run out.
    #[error("the lock is not held")]
    LockLost,
    /// The lock is held until then.
    #[error("the lock is held")]
    LockHeld {
        /// Its end.
        until: Timestamp,
    },
    /// The state has another version.
    #[error("the fleet's state has changed")]
    Stale,
    /// A cap has no room.
    #[error("a cap is spent")]
    CapSpent,
    /// What was to be changed is not there.
    #[error("not found")]
    NotFound,
    /// This function may not write that partition: a fault of the program or of its role.
    #[error("not permitted: {0}")]
    Denied(String),
    /// The table did not answer: the operation may or may not have taken place.
    #[error("the table did not answer: {0}")]
    Unavailable(String),
}
