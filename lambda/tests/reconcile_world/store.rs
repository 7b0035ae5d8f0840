//! The table behind the gates.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::model::{
    Connection, ConnectionId, Counters, FleetKey, FleetRecords, Grants, Instance, InstanceId, Lock,
    Row, RowKey, Timestamp,
};
use wakecast_lambda::store::memory::MemoryStore;
use wakecast_lambda::store::{
    Commit, Released, Room, RowCount, Store, StoreError, SubjectLinks, TicketUse,
};

use super::Gates;

#[derive(Debug)]
pub struct Gated {
    pub table: MemoryStore,
    pub gates: Arc<Gates>,
}

impl Gated {
    async fn pass<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.gates.refuses(name) {
            return Err(StoreError::Unavailable(name.to_owned()));
        }
        self.gates.wait().await;
        let answer = self.gates.around(name.to_owned(), call).await;
        if self.gates.refuses(&format!("{name} done")) {
            return Err(StoreError::Unavailable(name.to_owned()));
        }
        answer
    }
}

#[async_trait]
impl Store for Gated {
    async fn put_connection(
        &self,
        connection: &Connection,
        caps: &LinkCaps,
    ) -> Result<(), StoreError> {
        self.pass(
            "put_connection",
            self.table.put_connection(connection, caps),
        )
        .await
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.pass("connection", self.table.connection(id)).await
    }

    async fn renew_connection(&self, id: &ConnectionId, grants: &Grants) -> Result<(), StoreError> {
        self.pass("renew_connection", self.table.renew_connection(id, grants))
            .await
    }

    async fn claim(
        &self,
        id: &ConnectionId,
        client_id: &str,
        rows: &BTreeSet<RowKey>,
    ) -> Result<(), StoreError> {
        self.pass("claim", self.table.claim(id, client_id, rows))
            .await
    }

    async fn disclaim(&self, id: &ConnectionId, rows: &BTreeSet<RowKey>) -> Result<(), StoreError> {
        self.pass("disclaim", self.table.disclaim(id, rows)).await
    }

    async fn delete_connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        self.pass("delete_connection", self.table.delete_connection(id, now))
            .await
    }

    async fn open_connections(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.pass("open_connections", self.table.open_connections(now))
            .await
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>, StoreError> {
        self.pass("row", self.table.row(key)).await
    }

    async fn rows(&self, fleet: &FleetKey, now: Timestamp) -> Result<Vec<Row>, StoreError> {
        self.pass("rows", self.table.rows(fleet, now)).await
    }

    async fn put_row(&self, row: &Row, expected: Option<u64>) -> Result<Row, StoreError> {
        self.pass("put_row", self.table.put_row(row, expected))
            .await
    }

    async fn put_claimed_row(
        &self,
        id: &ConnectionId,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError> {
        self.pass(
            "put_claimed_row",
            self.table.put_claimed_row(id, row, expected, room),
        )
        .await
    }

    async fn put_counted_row(
        &self,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError> {
        self.pass(
            "put_counted_row",
            self.table.put_counted_row(row, expected, room),
        )
        .await
    }

    async fn use_ticket(
        &self,
        ticket: &TicketUse,
        caps: &LinkCaps,
    ) -> Result<Timestamp, StoreError> {
        self.pass("use_ticket", self.table.use_ticket(ticket, caps))
            .await
    }

    async fn ticket_use(
        &self,
        tenant: &str,
        subject: &str,
        ticket: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let noted = self.table.ticket_use(tenant, subject, ticket);
        self.pass("ticket_use", noted).await
    }

    async fn subject_links(
        &self,
        tenant: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<SubjectLinks, StoreError> {
        let links = self.table.subject_links(tenant, subject, now);
        self.pass("subject_links", links).await
    }

    async fn drop_links(
        &self,
        tenant: &str,
        subject: &str,
        links: &BTreeSet<ConnectionId>,
    ) -> Result<(), StoreError> {
        let dropped = self.table.drop_links(tenant, subject, links);
        self.pass("drop_links", dropped).await
    }

    async fn subject_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.table.subject_rows(fleet, subject, now);
        self.pass("subject_rows", rows).await
    }

    async fn recount_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        seen: &RowCount,
        live: u32,
        remembered: u32,
    ) -> Result<(), StoreError> {
        let counted = self
            .table
            .recount_rows(fleet, subject, seen, live, remembered);
        self.pass("recount_rows", counted).await
    }

    async fn raise_demand(&self, fleet: &FleetKey) -> Result<u64, StoreError> {
        self.pass("raise_demand", self.table.raise_demand(fleet))
            .await
    }

    async fn demand(&self, fleet: &FleetKey) -> Result<u64, StoreError> {
        self.pass("demand", self.table.demand(fleet)).await
    }

    async fn lock(&self, fleet: &FleetKey) -> Result<Option<Lock>, StoreError> {
        self.pass("lock", self.table.lock(fleet)).await
    }

    async fn take_lock(
        &self,
        fleet: &FleetKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError> {
        self.pass("take_lock", self.table.take_lock(fleet, owner, now, until))
            .await
    }

    async fn extend_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError> {
        self.pass(
            "extend_lock",
            self.table.extend_lock(fleet, lock, now, until),
        )
        .await
    }

    async fn release_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        demand_seen: u64,
    ) -> Result<Released, StoreError> {
        self.pass(
            "release_lock",
            self.table.release_lock(fleet, lock, demand_seen),
        )
        .await
    }

    async fn fleet(&self, fleet: &FleetKey) -> Result<FleetRecords, StoreError> {
        self.pass("fleet", self.table.fleet(fleet)).await
    }

    async fn instance(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<Instance>, StoreError> {
        self.pass("instance", self.table.instance(fleet, id)).await
    }

    async fn instances(&self, fleet: &FleetKey) -> Result<Vec<Instance>, StoreError> {
        self.pass("instances", self.table.instances(fleet)).await
    }

    async fn commit(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        commit: &Commit,
    ) -> Result<(), StoreError> {
        self.pass("commit", self.table.commit(fleet, lock, now, commit))
            .await
    }

    async fn counters(
        &self,
        fleet: &FleetKey,
        subjects: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Counters, StoreError> {
        self.pass("counters", self.table.counters(fleet, subjects, now))
            .await
    }
}
