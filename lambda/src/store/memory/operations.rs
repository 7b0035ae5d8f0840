//! Each operation of the table as one transaction.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::super::{
    Commit, NoRoom, Released, Room, RowCount, Store, StoreError, SubjectLinks, TicketUse, keys,
};
use super::table::{Item, LockItem, Starts, Transaction};
use super::{MemoryStore, counters};
use crate::config::LinkCaps;
use crate::guards::Guard;
use crate::model::{
    Connection, ConnectionId, Counters, Day, Fence, FleetKey, FleetRecords, Grants, Instance,
    InstanceId, Lock, Row, RowEnd, RowKey, RowState, Timestamp,
};

#[async_trait]
impl Store for MemoryStore {
    async fn put_connection(
        &self,
        connection: &Connection,
        caps: &LinkCaps,
    ) -> Result<(), StoreError> {
        self.operate("put_connection", |table| {
            let partition = keys::connection(&connection.id);
            if table.get(&partition, keys::CONNECTION).is_none() {
                counters::admit_link(table, connection, caps)?;
                table.put(
                    &partition,
                    keys::CONNECTION,
                    Item::Connection(connection.clone()),
                );
                let window = keys::connection_window(connection.connected_at);
                let count = connection_count(table, &window);
                count_connections(table, window, count.saturating_add(1));
            }
            Ok(())
        })
    }

    async fn subject_links(
        &self,
        tenant: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<SubjectLinks, StoreError> {
        self.operate("subject_links", |table| {
            Ok(counters::subject_links(table, (tenant, subject), now))
        })
    }

    async fn drop_links(
        &self,
        tenant: &str,
        subject: &str,
        links: &BTreeSet<ConnectionId>,
    ) -> Result<(), StoreError> {
        self.operate("drop_links", |table| {
            counters::drop_links(table, (tenant, subject), links);
            Ok(())
        })
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.operate("connection", |table| {
            if let Some(Item::Garbage) = table.get(&keys::connection(id), keys::CONNECTION) {
                return Err(StoreError::Unreadable(keys::connection(id)));
            }
            Ok(connection(table, id).cloned())
        })
    }

    async fn renew_connection(&self, id: &ConnectionId, grants: &Grants) -> Result<(), StoreError> {
        self.operate("renew_connection", |table| {
            let mut connection = connection(table, id).ok_or(StoreError::NotFound)?.clone();
            connection.grants = grants.clone();
            table.put(
                &keys::connection(id),
                keys::CONNECTION,
                Item::Connection(connection),
            );
            Ok(())
        })
    }

    async fn claim(
        &self,
        id: &ConnectionId,
        client_id: &str,
        rows: &BTreeSet<RowKey>,
    ) -> Result<(), StoreError> {
        self.operate("claim", |table| {
            let mut connection = connection(table, id).ok_or(StoreError::NotFound)?.clone();
            connection.client_id = Some(client_id.to_owned());
            connection.rows.extend(rows.iter().cloned());
            table.put(
                &keys::connection(id),
                keys::CONNECTION,
                Item::Connection(connection),
            );
            Ok(())
        })
    }

    async fn disclaim(&self, id: &ConnectionId, rows: &BTreeSet<RowKey>) -> Result<(), StoreError> {
        self.operate("disclaim", |table| {
            let mut connection = connection(table, id).ok_or(StoreError::NotFound)?.clone();
            connection.rows.retain(|row| !rows.contains(row));
            table.put(
                &keys::connection(id),
                keys::CONNECTION,
                Item::Connection(connection),
            );
            Ok(())
        })
    }

    async fn delete_connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        self.operate("delete_connection", |table| {
            let Some(connection) = connection(table, id).cloned() else {
                return Ok(None);
            };
            table.delete(&keys::connection(id), keys::CONNECTION);
            let window = keys::connection_window(connection.connected_at);
            let count = connection_count(table, &window);
            if count > 0 && window >= keys::oldest_connection_window(now) {
                count_connections(table, window, count.saturating_sub(1));
            }
            let grants = &connection.grants;
            counters::drop_links(table, (&grants.tenant, &grants.subject), [id]);
            Ok(Some(connection))
        })
    }

    async fn open_connections(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.operate("open_connections", |table| {
            let oldest = keys::oldest_connection_window(now);
            let windows = table.query(keys::CONNECTION_COUNTS, &oldest);
            Ok(windows.map(|(_, item)| count_of(item)).sum())
        })
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>, StoreError> {
        self.operate("row", |table| Ok(row(table, key).cloned()))
    }

    async fn rows(&self, fleet: &FleetKey, now: Timestamp) -> Result<Vec<Row>, StoreError> {
        self.operate("rows", |table| {
            let items = table.query(&keys::demand(fleet), keys::ROW_PREFIX);
            let rows = items.filter_map(|(_, item)| match item {
                Item::Row(row) if row.expires_at > now => Some(row.clone()),
                _ => None,
            });
            Ok(rows.collect())
        })
    }

    async fn put_row(&self, row: &Row, expected: Option<u64>) -> Result<Row, StoreError> {
        self.operate("put_row", |table| put_row(table, row, expected))
    }

    async fn put_claimed_row(
        &self,
        id: &ConnectionId,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError> {
        self.operate("put_claimed_row", |table| {
            let mut connection = connection(table, id).ok_or(StoreError::NotFound)?.clone();
            let written = put_row(table, row, expected)?;
            let claims = connection.rows.insert(row.key.clone());
            if claims
                && room
                    .claimed
                    .is_some_and(|most| connection.rows.len() > most)
            {
                return Err(StoreError::NoRoom(NoRoom::Claimed));
            }
            counters::admit_row(table, &row.key, room)?;
            table.put(
                &keys::connection(id),
                keys::CONNECTION,
                Item::Connection(connection),
            );
            Ok(written)
        })
    }

    async fn put_counted_row(
        &self,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError> {
        self.operate("put_counted_row", |table| {
            let written = put_row(table, row, expected)?;
            counters::admit_row(table, &row.key, room)?;
            Ok(written)
        })
    }

    async fn use_ticket(
        &self,
        ticket: &TicketUse,
        caps: &LinkCaps,
    ) -> Result<Timestamp, StoreError> {
        self.operate("use_ticket", |table| {
            let partition = keys::subject(&ticket.tenant, &ticket.subject);
            if let Some(at) = counters::ticket_use(table, &partition, &ticket.ticket)? {
                return Ok(at);
            }
            counters::admit_connect(table, &partition, ticket.at, caps)?;
            let item = Item::Ticket {
                at: ticket.at,
                expires_at: ticket.expires_at,
            };
            table.put(&partition, keys::ticket(&ticket.ticket), item);
            Ok(ticket.at)
        })
    }

    async fn ticket_use(
        &self,
        tenant: &str,
        subject: &str,
        ticket: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.operate("ticket_use", |table| {
            counters::ticket_use(table, &keys::subject(tenant, subject), ticket)
        })
    }

    async fn subject_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Row>, StoreError> {
        self.operate("subject_rows", |table| {
            let prefix = keys::rows_of(subject);
            let items = table.query(&keys::demand(fleet), &prefix);
            let own = items.take_while(|(sort, _)| sort.starts_with(&prefix));
            let rows = own.filter_map(|(_, item)| match item {
                Item::Row(row) if row.expires_at > now => Some(row.clone()),
                _ => None,
            });
            Ok(rows.collect())
        })
    }

    async fn recount_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        seen: &RowCount,
        live: u32,
        remembered: u32,
    ) -> Result<(), StoreError> {
        self.operate("recount_rows", |table| {
            if counters::row_count(table, fleet, subject) != *seen {
                return Err(StoreError::Stale);
            }
            let anew = RowCount {
                live,
                remembered,
                taken: seen.taken.saturating_add(1),
            };
            counters::put_row_count(table, fleet, subject, anew);
            Ok(())
        })
    }

    async fn raise_demand(&self, fleet: &FleetKey) -> Result<u64, StoreError> {
        self.operate("raise_demand", |table| {
            let raised = demand(table, fleet).saturating_add(1);
            table.put(&keys::demand(fleet), keys::DEMAND, Item::Demand(raised));
            Ok(raised)
        })
    }

    async fn demand(&self, fleet: &FleetKey) -> Result<u64, StoreError> {
        self.operate("demand", |table| Ok(demand(table, fleet)))
    }

    async fn lock(&self, fleet: &FleetKey) -> Result<Option<Lock>, StoreError> {
        self.operate("lock", |table| Ok(lock_item(table, fleet).holder))
    }

    async fn take_lock(
        &self,
        fleet: &FleetKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError> {
        self.operate("take_lock", |table| {
            let item = lock_item(table, fleet);
            if let Some(holder) = &item.holder
                && holder.owner != owner
                && holder.until > now
            {
                return Err(StoreError::LockHeld {
                    until: holder.until,
                });
            }
            let fence = Fence(item.fence.0.saturating_add(1));
            let lock = Lock {
                owner: owner.to_owned(),
                fence,
                taken_at: now,
                until,
                demand_seen: 0,
            };
            put_lock(table, fleet, fence, Some(lock.clone()));
            Ok(lock)
        })
    }

    async fn extend_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError> {
        self.operate("extend_lock", |table| {
            let held = held_lock(table, fleet, lock)?;
            if held.until <= now {
                return Err(StoreError::LockLost);
            }
            let extended = Lock {
                until,
                demand_seen: lock.demand_seen,
                ..held
            };
            put_lock(table, fleet, lock.fence, Some(extended.clone()));
            Ok(extended)
        })
    }

    async fn release_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        demand_seen: u64,
    ) -> Result<Released, StoreError> {
        self.operate("release_lock", |table| {
            held_lock(table, fleet, lock)?;
            if demand(table, fleet) != demand_seen {
                return Ok(Released::DemandRose);
            }
            put_lock(table, fleet, lock.fence, None);
            Ok(Released::Free)
        })
    }

    async fn fleet(&self, fleet: &FleetKey) -> Result<FleetRecords, StoreError> {
        self.operate("fleet", |table| {
            let mut records = FleetRecords::default();
            for (sort, item) in table.query(&keys::records(fleet), "") {
                match item {
                    Item::Garbage if !matches!(sort.as_str(), keys::BOOTS | keys::UNAVAILABLE) => {
                        return Err(StoreError::Unreadable(sort.clone()));
                    }
                    Item::State(state) => records.state = state.clone(),
                    Item::Instance(instance) => {
                        records
                            .instances
                            .insert(instance.id.clone(), instance.clone());
                    }
                    Item::Intent(intent) => {
                        records.intents.insert(intent.sequence, intent.clone());
                    }
                    Item::Unavailable(offerings) => records.unavailable.clone_from(offerings),
                    Item::Boots(history) => records.history = history.clone(),
                    _ => {}
                }
            }
            Ok(records)
        })
    }

    async fn instance(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<Instance>, StoreError> {
        self.operate("instance", |table| {
            match table.get(&keys::records(fleet), &keys::instance(id)) {
                Some(Item::Instance(instance)) => Ok(Some(instance.clone())),
                Some(Item::Garbage) => Err(StoreError::Unreadable(keys::instance(id))),
                _ => Ok(None),
            }
        })
    }

    async fn instances(&self, fleet: &FleetKey) -> Result<Vec<Instance>, StoreError> {
        self.operate("instances", |table| {
            let items = table.query(&keys::records(fleet), keys::INSTANCE_PREFIX);
            let instances = items.filter_map(|(sort, item)| match item {
                Item::Instance(instance) => Some(Ok(instance.clone())),
                Item::Garbage if sort.starts_with(keys::INSTANCE_PREFIX) => {
                    Some(Err(StoreError::Unreadable(sort.clone())))
                }
                _ => None,
            });
            instances.collect()
        })
    }

    async fn commit(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        commit: &Commit,
    ) -> Result<(), StoreError> {
        self.operate("commit", |table| {
            let held = held_lock(table, fleet, lock).is_ok_and(|held| held.until > now);
            if !held && self.guards.on(Guard::LockOwner) {
                return Err(StoreError::LockLost);
            }
            let partition = keys::records(fleet);
            let version = match table.get(&partition, keys::STATE) {
                Some(Item::State(state)) => state.version,
                _ => 0,
            };
            if version != commit.expected && self.guards.on(Guard::StateVersion) {
                return Err(StoreError::Stale);
            }
            if let Some(charge) = &commit.charge {
                counters::charge(table, fleet, charge)?;
            }
            for (day, time) in &commit.ran {
                counters::add_ran(table, &fleet.tenant, *day, *time);
            }
            let mut state = commit.state.clone();
            state.version = version.saturating_add(1);
            table.put(&partition, keys::STATE, Item::State(state));
            for instance in &commit.put_instances {
                let item = Item::Instance(instance.clone());
                table.put(&partition, keys::instance(&instance.id), item);
            }
            for id in &commit.forget_instances {
                table.delete(&partition, keys::instance(id));
            }
            for intent in &commit.put_intents {
                table.put(
                    &partition,
                    keys::intent(intent.sequence),
                    Item::Intent(intent.clone()),
                );
            }
            for sequence in &commit.forget_intents {
                table.delete(&partition, keys::intent(*sequence));
            }
            if let Some(offerings) = &commit.unavailable {
                table.put(
                    &partition,
                    keys::UNAVAILABLE,
                    Item::Unavailable(offerings.clone()),
                );
            }
            if let Some(history) = &commit.history {
                table.put(&partition, keys::BOOTS, Item::Boots(history.clone()));
            }
            Ok(())
        })
    }

    async fn counters(
        &self,
        fleet: &FleetKey,
        subjects: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Counters, StoreError> {
        self.operate("counters", |table| {
            let Starts { starts, launches } = counters::starts(table, fleet);
            Ok(Counters {
                launches: counters::within(&launches, now, keys::CAP_WINDOW),
                starts: counters::within(&starts, now, keys::CAP_WINDOW),
                by_subject: counters::charged(table, &fleet.tenant, subjects, now),
                tenant_ran: counters::ran(table, &fleet.tenant, Day::of(now)),
            })
        })
    }
}

/// What is left of a row whose item cannot be read.
pub(super) fn unreadable(row: &Row) -> Row {
    Row {
        ask: None,
        link: None,
        absent_since: None,
        state: RowState::Ended {
            end: RowEnd::Unreadable,
            at: row.created_at,
        },
        ..row.clone()
    }
}

fn put_row(
    table: &mut Transaction<'_>,
    row: &Row,
    expected: Option<u64>,
) -> Result<Row, StoreError> {
    let stored = self::row(table, &row.key);
    if stored.map(|stored| stored.version) != expected {
        return Err(StoreError::Conflict(stored.cloned().map(Box::new)));
    }
    let mut written = row.clone();
    written.version = expected.unwrap_or_default().saturating_add(1);
    let item = Item::Row(written.clone());
    table.put(&keys::demand(&row.key.fleet), keys::row(&row.key), item);
    Ok(written)
}

fn connection<'a>(table: &Transaction<'a>, id: &ConnectionId) -> Option<&'a Connection> {
    match table.get(&keys::connection(id), keys::CONNECTION) {
        Some(Item::Connection(connection)) => Some(connection),
        _ => None,
    }
}

fn count_of(item: &Item) -> u64 {
    if let Item::ConnectionCount(count) = item {
        *count
    } else {
        0
    }
}

fn connection_count(table: &Transaction<'_>, window: &str) -> u64 {
    table
        .get(keys::CONNECTION_COUNTS, window)
        .map_or(0, count_of)
}

fn count_connections(table: &mut Transaction<'_>, window: String, count: u64) {
    table.put(
        keys::CONNECTION_COUNTS,
        window,
        Item::ConnectionCount(count),
    );
}

fn row<'a>(table: &Transaction<'a>, key: &RowKey) -> Option<&'a Row> {
    match table.get(&keys::demand(&key.fleet), &keys::row(key)) {
        Some(Item::Row(row)) => Some(row),
        _ => None,
    }
}

fn demand(table: &Transaction<'_>, fleet: &FleetKey) -> u64 {
    match table.get(&keys::demand(fleet), keys::DEMAND) {
        Some(Item::Demand(demand)) => *demand,
        _ => 0,
    }
}

fn lock_item(table: &Transaction<'_>, fleet: &FleetKey) -> LockItem {
    match table.get(&keys::records(fleet), keys::LOCK) {
        Some(Item::Lock(item)) => item.clone(),
        _ => LockItem::default(),
    }
}

/// The stored lock, if owner and fence of `lock` hold it.
fn held_lock(table: &Transaction<'_>, fleet: &FleetKey, lock: &Lock) -> Result<Lock, StoreError> {
    let held = lock_item(table, fleet).holder;
    held.filter(|held| held.owner == lock.owner && held.fence == lock.fence)
        .ok_or(StoreError::LockLost)
}

fn put_lock(table: &mut Transaction<'_>, fleet: &FleetKey, fence: Fence, holder: Option<Lock>) {
    table.put(
        &keys::records(fleet),
        keys::LOCK,
        Item::Lock(LockItem { fence, holder }),
    );
}
