//! The table, as domain operations. Each is one atomic request.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;

use crate::model::{
    Connection, ConnectionId, Counters, FleetKey, FleetRecords, FleetState, Grants, Instance,
    InstanceId, Intent, Lock, Row, RowKey, Timestamp, Unavailable,
};

/// The one table. Reads are consistent unless a method says otherwise.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    // Connections: written by the gateway.

    /// Puts a connection at `$connect` and counts it for the reconnect spread.
    async fn put_connection(&self, connection: &Connection) -> Result<(), StoreError>;

    /// Reads a connection.
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError>;

    /// Replaces what the token allows, if the connection still exists.
    async fn renew_connection(&self, id: &ConnectionId, grants: &Grants) -> Result<(), StoreError>;

    /// Names the client behind the connection and adds rows that it claimed.
    async fn claim(
        &self,
        id: &ConnectionId,
        client_id: &str,
        rows: &BTreeSet<RowKey>,
    ) -> Result<(), StoreError>;

    /// Removes a connection and returns it as it was last.
    async fn delete_connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError>;

    /// Counts open connections of the windows that can still hold one (two hours).
    async fn open_connections(&self, now: Timestamp) -> Result<u64, StoreError>;

    // Demand: written by the gateway; the reconciler moves phases.

    /// Reads one row.
    async fn row(&self, key: &RowKey) -> Result<Option<Row>, StoreError>;

    /// Reads all rows of a fleet that `now` still counts as alive, all pages.
    async fn rows(&self, fleet: &FleetKey, now: Timestamp) -> Result<Vec<Row>, StoreError>;

    /// Writes a row if the table still holds `expected` (its version; `None`: no row), with the
    /// version raised by one; returns the row as written, or [`StoreError::Conflict`].
    async fn put_row(&self, row: &Row, expected: Option<u64>) -> Result<Row, StoreError>;

    /// Raises the fleet's demand and returns it.
    async fn raise_demand(&self, fleet: &FleetKey) -> Result<u64, StoreError>;

    // The fleet: written by the reconciler; the gateway reads.

    /// Reads the lock's holder and end, if it is held.
    async fn lock(&self, fleet: &FleetKey) -> Result<Option<Lock>, StoreError>;

    /// Takes the lock if it is free or has run out at `now`, and raises the fence.
    async fn take_lock(
        &self,
        fleet: &FleetKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError>;

    /// Extends the lock if `lock`'s owner and fence still hold it at `now`; notes the demand seen.
    async fn extend_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError>;

    /// Releases the lock if its owner and fence hold it and demand is still `demand_seen`.
    async fn release_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        demand_seen: u64,
    ) -> Result<Released, StoreError>;

    /// Reads the present demand and everything the reconciler keeps of the fleet.
    async fn fleet(&self, fleet: &FleetKey) -> Result<(u64, FleetRecords), StoreError>;

    /// Reads one instance: G2.
    async fn instance(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<Instance>, StoreError>;

    /// Reads the instances of a fleet: what the gateway needs to find one that is ready.
    async fn instances(&self, fleet: &FleetKey) -> Result<Vec<Instance>, StoreError>;

    /// Applies the changes in one transaction, if owner and fence of `lock` hold it at `now`, the
    /// state's version is `commit.expected` and every cap has room.
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
#[derive(Clone, Debug, PartialEq)]
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
    /// Launches and starts to count, each only while its cap has room.
    pub charge: Option<Charge>,
}

/// What a commit adds to the counters, and up to where.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The table did not answer: the operation may or may not have taken place.
    #[error("the table did not answer: {0}")]
    Unavailable(String),
}
