//! The table, as domain operations. Each is one atomic request.

#[cfg(feature = "memory")]
pub mod conformance;
pub mod keys;
#[cfg(feature = "memory")]
pub mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::config::LinkCaps;
use crate::model::{
    BootHistory, Connection, ConnectionId, Counters, Day, FleetKey, FleetRecords, FleetState,
    Grants, Instance, InstanceId, Intent, Lock, Row, RowKey, Timestamp, Unavailable,
};

/// The one table. Reads are consistent unless a method says otherwise.
///
/// Every method is one request to the table: one read of an item, one query, one conditional
/// write, or one transaction. Expired items may still be there: a method that takes `now` leaves
/// them out, every other caller compares the time itself.
///
/// What cannot be read is never taken for absent. A row is returned as [`RowEnd::Unreadable`] with
/// what can be read of its key, version and expiry (none: it never expires), so that the other rows
/// of its fleet are served. A connection, an instance, an intent or the state is
/// [`StoreError::Unreadable`]. Memories whose loss costs little (offerings without capacity, the boot
/// history) are read as empty.
///
/// [`RowEnd::Unreadable`]: crate::model::RowEnd::Unreadable
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    // Connections: written by the gateway.

    /// Puts a connection at `$connect` and counts it, for the reconnect spread and for its subject,
    /// in one transaction. A connection that is already there is neither replaced nor counted
    /// again, and meets no cap.
    ///
    /// Returns [`StoreError::NoRoom`] with [`NoRoom::Connects`] or [`NoRoom::Links`], in this order,
    /// where the subject's cap leaves no room for it: then nothing is written. A cap that is off is
    /// not counted.
    async fn put_connection(
        &self,
        connection: &Connection,
        caps: &LinkCaps,
    ) -> Result<(), StoreError>;

    /// Reads what is counted of a subject's links, in one query.
    async fn subject_links(
        &self,
        tenant: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<SubjectLinks, StoreError>;

    /// Counts these links of a subject no longer as open.
    async fn drop_links(
        &self,
        tenant: &str,
        subject: &str,
        links: &BTreeSet<ConnectionId>,
    ) -> Result<(), StoreError>;

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
    /// Its count is taken back where its window still counts at `now`, and it is open no longer for
    /// its subject. A table that cannot return what a transaction removes takes both back in a
    /// second request; should that be lost, one connection too many counts until it would be two
    /// hours old.
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
    ///
    /// The same transaction counts the row for its subject as `room` says. Where a cap has no room
    /// nothing is written, and the answer is [`StoreError::NoRoom`] with [`NoRoom::Claimed`],
    /// [`NoRoom::Live`], [`NoRoom::Rows`] or [`NoRoom::Protections`], in this order and after the
    /// other errors.
    async fn put_claimed_row(
        &self,
        connection: &ConnectionId,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError>;

    /// Writes a row as [`Store::put_claimed_row`] does, for a caller without a connection: it is
    /// counted as `room` says, `claimed` excepted, and noted nowhere.
    async fn put_counted_row(
        &self,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError>;

    /// Notes the first use of a ticket if none is noted, and returns the one that is noted then. A
    /// first use is counted as a connect of its subject, in the same transaction.
    ///
    /// Returns [`StoreError::NoRoom`] with [`NoRoom::Connects`] where the subject's cap leaves no
    /// room for it, and [`StoreError::Unreadable`] where what is noted cannot be read: then nothing
    /// is written.
    async fn use_ticket(
        &self,
        ticket: &TicketUse,
        caps: &LinkCaps,
    ) -> Result<Timestamp, StoreError>;

    /// Reads when a ticket was first used, if that is noted.
    async fn ticket_use(
        &self,
        tenant: &str,
        subject: &str,
        ticket: &str,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Reads the rows of one subject at a fleet that have not expired at `now`.
    async fn subject_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Row>, StoreError>;

    /// Replaces the count of a subject's rows by `live` and `remembered`, if it still is `seen`;
    /// else returns [`StoreError::Stale`]. Rows end and are forgotten without being counted down,
    /// so that the count is never too low, and is taken anew once it leaves no room.
    async fn recount_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        seen: &RowCount,
        live: u32,
        remembered: u32,
    ) -> Result<(), StoreError>;

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
    /// state's version is `commit.expected`, and every cap and budget of its charge has room. Where several of these fail,
    /// the first in this order is returned: [`StoreError::LockLost`], [`StoreError::Stale`],
    /// [`StoreError::CapSpent`].
    async fn commit(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        commit: &Commit,
    ) -> Result<(), StoreError>;

    /// Reads the fleet's caps that are spent at `now`, today's running time of its tenant, and the
    /// starts charged to each of `subjects` (at most [`MAX_SUBJECTS`], further ones are left out):
    /// one transaction of reads.
    async fn counters(
        &self,
        fleet: &FleetKey,
        subjects: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Counters, StoreError>;
}

/// Subjects whose starts are read in one request: a transaction of the table has at most 100 items.
pub const MAX_SUBJECTS: usize = 64;

/// What is counted of a subject's links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectLinks {
    /// Connects of the present minute of the clock.
    pub connects: u32,
    /// Those that are open, and when they connected. One whose end was lost stays until it is
    /// dropped.
    pub open: BTreeMap<ConnectionId, Timestamp>,
}

/// The first use of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUse {
    /// The ticket's tenant.
    pub tenant: String,
    /// Its subject.
    pub subject: String,
    /// Its name.
    pub ticket: String,
    /// When.
    pub at: Timestamp,
    /// When the note may be forgotten: no sooner than the ticket could be used for the first time.
    pub expires_at: Timestamp,
}

/// What a row needs room for at its link and at its subject's counters. `None` is neither counted
/// nor bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The connection notes the row: at most this many are noted there, unless it is one of them.
    pub claimed: Option<usize>,
    /// The row begins to wait or hold: at most this many do.
    pub live: Option<u32>,
    /// The row is new: at most this many are remembered.
    pub remembered: Option<u32>,
    /// The row protects an instance: at most this many do in the hour of the clock around `at`.
    pub protections: Option<u32>,
    /// The row was counted as one that protects and does not: one less is counted in the hour of
    /// the clock around `at`, if any is.
    pub given_back: bool,
    /// When.
    pub at: Timestamp,
}

/// How many rows a subject has at a fleet at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct RowCount {
    /// Rows that wait or hold.
    pub live: u32,
    /// Rows that are remembered.
    pub remembered: u32,
    /// How often it was taken anew: two counts with the same numbers may be different ones.
    pub taken: u64,
}

/// Which of a subject's counters has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Rows that one connection has claimed.
    Claimed,
    /// Connects of the present minute.
    Connects,
    /// Open links.
    Links,
    /// Rows that wait or hold, by a count that may be too high.
    Live(RowCount),
    /// Rows that are remembered, by a count that may be too high.
    Rows(RowCount),
    /// Protecting leases of the present hour.
    Protections,
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
    /// How long instances have run that nobody has counted yet, per day.
    pub ran: BTreeMap<Day, Duration>,
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
    /// The subject that is charged too.
    pub subject: Option<SubjectCharge>,
    /// The budget that the tenant's running time of the day around `at` must be below.
    pub tenant_budget: Option<Duration>,
}

/// A start that is charged to a subject, at all fleets of its tenant together. A cap of `n` has room
/// while the `n`-th newest is at least ten minutes older than the charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectCharge {
    /// Who.
    pub subject: String,
    /// Its starts in ten minutes.
    pub cap: u32,
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
    /// A cap or a budget has no room for a start.
    #[error("a cap is spent")]
    CapSpent,
    /// A subject's cap has no room.
    #[error("a subject's cap has no room: {0:?}")]
    NoRoom(NoRoom),
    /// What was to be changed is not there.
    #[error("not found")]
    NotFound,
    /// This function may not write that partition: a fault of the program or of its role.
    #[error("not permitted: {0}")]
    Denied(String),
    /// This item cannot be read: another version wrote it, or a hand. Asking again brings nothing.
    #[error("the item {0} cannot be read")]
    Unreadable(String),
    /// The table did not answer: the operation may or may not have taken place.
    #[error("the table did not answer: {0}")]
    Unavailable(String),
}
