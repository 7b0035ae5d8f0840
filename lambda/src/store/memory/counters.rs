//! Counters of caps and budgets: read and raised within the transaction of what they count.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Charge, MAX_SUBJECTS, NoRoom, Room, RowCount, StoreError, SubjectLinks, keys};
use super::table::{Item, Starts, Transaction};
use crate::config::LinkCaps;
use crate::model::{Connection, ConnectionId, Day, FleetKey, RowKey, Timestamp};

/// Counts a connect and an open link for the connection's subject.
pub(super) fn admit_link(
    table: &mut Transaction<'_>,
    connection: &Connection,
    caps: &LinkCaps,
) -> Result<(), StoreError> {
    let grants = &connection.grants;
    let partition = keys::subject(&grants.tenant, &grants.subject);
    let at = connection.connected_at;
    admit_connect(table, &partition, at, caps)?;
    if let Some(cap) = caps.open {
        let mut open = open_links(table, &partition);
        if open.len() >= cap as usize {
            return Err(no(NoRoom::Links));
        }
        open.insert(connection.id.clone(), at);
        table.put(&partition, keys::LINKS, Item::Links(open));
    }
    Ok(())
}

/// Counts a connect in its subject's partition.
pub(super) fn admit_connect(
    table: &mut Transaction<'_>,
    partition: &str,
    at: Timestamp,
    caps: &LinkCaps,
) -> Result<(), StoreError> {
    let Some(cap) = caps.connects_per_minute else {
        return Ok(());
    };
    let end = keys::window_end(at, keys::CONNECT_WINDOW);
    raise(table, partition, keys::connects(at), cap, end).map_err(|()| no(NoRoom::Connects))
}

pub(super) fn subject_links(
    table: &Transaction<'_>,
    (tenant, subject): (&str, &str),
    now: Timestamp,
) -> SubjectLinks {
    let partition = keys::subject(tenant, subject);
    SubjectLinks {
        connects: window(table, &partition, &keys::connects(now)),
        open: open_links(table, &partition),
    }
}

/// Counts links as open no longer.
pub(super) fn drop_links<'i>(
    table: &mut Transaction<'_>,
    (tenant, subject): (&str, &str),
    links: impl IntoIterator<Item = &'i ConnectionId>,
) {
    let partition = keys::subject(tenant, subject);
    let mut open = open_links(table, &partition);
    let before = open.len();
    for link in links {
        open.remove(link);
    }
    if open.len() < before {
        table.put(&partition, keys::LINKS, Item::Links(open));
    }
}

/// Reads when a ticket was first used, which its subject's partition remembers.
pub(super) fn ticket_use(
    table: &Transaction<'_>,
    partition: &str,
    ticket: &str,
) -> Result<Option<Timestamp>, StoreError> {
    match table.get(partition, &keys::ticket(ticket)) {
        None => Ok(None),
        Some(Item::Ticket { at, .. }) => Ok(Some(*at)),
        Some(_) => Err(StoreError::Unreadable(keys::ticket(ticket))),
    }
}

/// Counts a row for its subject.
pub(super) fn admit_row(
    table: &mut Transaction<'_>,
    key: &RowKey,
    room: &Room,
) -> Result<(), StoreError> {
    let partition = keys::subject(&key.fleet.tenant, &key.subject);
    let mut count = row_count(table, &key.fleet, &key.subject);
    let seen = count;
    if let Some(cap) = room.live {
        if count.live >= cap {
            return Err(no(NoRoom::Live(seen)));
        }
        count.live = count.live.saturating_add(1);
    }
    if let Some(cap) = room.remembered {
        if count.remembered >= cap {
            return Err(no(NoRoom::Rows(seen)));
        }
        count.remembered = count.remembered.saturating_add(1);
    }
    if let Some(cap) = room.protections {
        let end = keys::window_end(room.at, keys::PROTECTION_WINDOW);
        let sort = keys::protections(&key.fleet, room.at);
        raise(table, &partition, sort, cap, end).map_err(|()| no(NoRoom::Protections))?;
    }
    if room.given_back {
        let end = keys::window_end(room.at, keys::PROTECTION_WINDOW);
        let sort = keys::protections(&key.fleet, room.at);
        let count = window(table, &partition, &sort);
        if let Some(count) = count.checked_sub(1) {
            table.put(&partition, sort, Item::Window { count, end });
        }
    }
    if count != seen {
        put_row_count(table, &key.fleet, &key.subject, count);
    }
    Ok(())
}

pub(super) fn row_count(table: &Transaction<'_>, fleet: &FleetKey, subject: &str) -> RowCount {
    let partition = keys::subject(&fleet.tenant, subject);
    match table.get(&partition, &keys::row_count(fleet)) {
        Some(Item::RowCount(count)) => *count,
        _ => RowCount::default(),
    }
}

pub(super) fn put_row_count(
    table: &mut Transaction<'_>,
    fleet: &FleetKey,
    subject: &str,
    count: RowCount,
) {
    let partition = keys::subject(&fleet.tenant, subject);
    table.put(&partition, keys::row_count(fleet), Item::RowCount(count));
}

pub(super) fn starts(table: &Transaction<'_>, fleet: &FleetKey) -> Starts {
    match table.get(&keys::caps(fleet), keys::STARTS) {
        Some(Item::Starts(starts)) => starts.clone(),
        _ => Starts::default(),
    }
}

/// The starts of the last ten minutes that each subject is charged for, newest first.
pub(super) fn charged<'s>(
    table: &Transaction<'_>,
    tenant: &str,
    subjects: impl IntoIterator<Item = &'s String>,
    now: Timestamp,
) -> BTreeMap<String, Vec<Timestamp>> {
    let subjects = subjects.into_iter().take(MAX_SUBJECTS);
    let charged = subjects.map(|subject| {
        let mut times = charged_to(table, tenant, subject);
        times.retain(|time| now.since(*time) < keys::SUBJECT_WINDOW);
        (subject.clone(), times)
    });
    charged.collect()
}

pub(super) fn ran(table: &Transaction<'_>, tenant: &str, day: Day) -> Duration {
    match table.get(&keys::ran(tenant), &keys::day(day)) {
        Some(Item::Ran { time, .. }) => *time,
        _ => Duration::ZERO,
    }
}

/// Adds running time to a day of the tenant.
pub(super) fn add_ran(table: &mut Transaction<'_>, tenant: &str, day: Day, time: Duration) {
    let time = ran(table, tenant, day).saturating_add(time);
    let item = Item::Ran { day, time };
    table.put(&keys::ran(tenant), keys::day(day), item);
}

/// Adds a start, and a launch where it is one, for the fleet and for the subject, or nothing.
pub(super) fn charge(
    table: &mut Transaction<'_>,
    fleet: &FleetKey,
    charge: &Charge,
) -> Result<(), StoreError> {
    let today = ran(table, &fleet.tenant, Day::of(charge.at));
    if charge.tenant_budget.is_some_and(|budget| today >= budget) {
        return Err(StoreError::CapSpent);
    }
    let mut times = starts(table, fleet);
    add_time(
        &mut times.starts,
        charge.start_cap,
        charge.at,
        keys::CAP_WINDOW,
    )?;
    if charge.launch {
        let cap = charge.launch_cap;
        add_time(&mut times.launches, cap, charge.at, keys::CAP_WINDOW)?;
    }
    table.put(&keys::caps(fleet), keys::STARTS, Item::Starts(times));
    if let Some(charged) = &charge.subject {
        let mut times = charged_to(table, &fleet.tenant, &charged.subject);
        add_time(&mut times, charged.cap, charge.at, keys::SUBJECT_WINDOW)?;
        let partition = keys::charged(&fleet.tenant, &charged.subject);
        table.put(&partition, keys::STARTS, Item::Charged(times));
    }
    Ok(())
}

pub(super) fn within(times: &[Timestamp], now: Timestamp, window: Duration) -> u32 {
    let recent = times.iter().filter(|time| now.since(**time) < window);
    u32::try_from(recent.count()).unwrap_or(u32::MAX)
}

fn charged_to(table: &Transaction<'_>, tenant: &str, subject: &str) -> Vec<Timestamp> {
    match table.get(&keys::charged(tenant, subject), keys::STARTS) {
        Some(Item::Charged(times)) => times.clone(),
        _ => Vec::new(),
    }
}

fn add_time(
    times: &mut Vec<Timestamp>,
    cap: u32,
    at: Timestamp,
    window: Duration,
) -> Result<(), StoreError> {
    if within(times, at, window) >= cap {
        return Err(StoreError::CapSpent);
    }
    times.retain(|time| at.since(*time) < window);
    times.insert(0, at);
    Ok(())
}

fn open_links(table: &Transaction<'_>, partition: &str) -> BTreeMap<ConnectionId, Timestamp> {
    match table.get(partition, keys::LINKS) {
        Some(Item::Links(open)) => open.clone(),
        _ => BTreeMap::new(),
    }
}

fn window(table: &Transaction<'_>, partition: &str, sort: &str) -> u32 {
    match table.get(partition, sort) {
        Some(Item::Window { count, .. }) => *count,
        _ => 0,
    }
}

/// Raises the counter of a window that ends at `end`.
fn raise(
    table: &mut Transaction<'_>,
    partition: &str,
    sort: String,
    cap: u32,
    end: Timestamp,
) -> Result<(), ()> {
    let count = window(table, partition, &sort);
    if count >= cap {
        return Err(());
    }
    let count = count.saturating_add(1);
    table.put(partition, sort, Item::Window { count, end });
    Ok(())
}

const fn no(room: NoRoom) -> StoreError {
    StoreError::NoRoom(room)
}
