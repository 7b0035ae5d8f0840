//! What this process remembers between events. Nothing rests on it: each memory only saves a read
//! or slows a flood, and a fresh process starts without any.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{ConnectionId, FleetKey, RowKey, Timestamp};
use crate::ports::BootOf;

/// A counted number of connections is good for this long: the spread moves by minutes.
const COUNT_LIFE: Duration = Duration::from_secs(10);

/// Hints of one fleet within this time are one: the reconciler looks once a second by itself
/// while anything moves.
const HINT_GAP: Duration = Duration::from_secs(1);

/// Access checks with a good token that one process answers in a second; each follows a failed handshake, of which the
/// account has at most 500 a second.
const ACCESS_PER_SECOND: u32 = 50;

/// Requests with one ticket that one process lets through to the table in a second: the vendor's SDK
/// asks every 3 s, and several players of a page may share a ticket.
const TICKET_PER_SECOND: u32 = 5;

/// A full link is told to come back after this long, and is taken for full until then: a flood of
/// refused messages then costs no reads. The same goes for the rows and links of a subject.
pub(super) const FULL_LIFE: Duration = Duration::from_secs(5);

/// Full links and subjects that are remembered: some tenths of a megabyte. Beyond, all of a kind are
/// forgotten.
const MAX_FULL: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Recall(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    ready: BTreeMap<FleetKey, BootOf>,
    connections: Option<(Timestamp, u64)>,
    hinted: BTreeMap<FleetKey, Timestamp>,
    access: (Timestamp, u32),
    full: BTreeMap<ConnectionId, Timestamp>,
    /// Tenant and subject, until when their connects are refused, and until when that is sure.
    refused: BTreeMap<(String, String), (Timestamp, Timestamp)>,
    recounted: BTreeMap<(FleetKey, String), Timestamp>,
    tickets: BTreeMap<String, Seen>,
    /// Subjects whose leases protect nothing, and until when.
    unprotected: BTreeMap<(FleetKey, String), Timestamp>,
}

/// A ticket that was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Never changes once it is in the table.
    first_use: Option<Timestamp>,
    since: Timestamp,
    used: u32,
}

impl Recall {
    /// Returns the boot that was last seen ready: G2 decides whether it still is.
    pub(super) fn ready(&self, fleet: &FleetKey) -> Option<BootOf> {
        self.memory().ready.get(fleet).cloned()
    }

    pub(super) fn remember_ready(&self, fleet: &FleetKey, boot: Option<&BootOf>) {
        let mut memory = self.memory();
        match boot {
            Some(boot) => memory.ready.insert(fleet.clone(), boot.clone()),
            None => memory.ready.remove(fleet),
        };
    }

    /// Returns the last count of open connections, and whether it is still fresh.
    pub(super) fn connections(&self, now: Timestamp) -> Option<(u64, bool)> {
        let (at, count) = self.memory().connections?;
        Some((count, now.since(at) < COUNT_LIFE))
    }

    pub(super) fn remember_connections(&self, now: Timestamp, count: u64) {
        self.memory().connections = Some((now, count));
    }

    /// Returns whether a hint for the fleet is passed on.
    pub(super) fn admit_hint(&self, fleet: &FleetKey, now: Timestamp) -> bool {
        let mut memory = self.memory();
        let last = memory.hinted.get(fleet);
        let admitted = last.is_none_or(|last| now.since(*last) >= HINT_GAP);
        if admitted {
            memory.hinted.insert(fleet.clone(), now);
        }
        admitted
    }

    /// Returns `None` if an access check may read the table now, else the seconds until one may.
    pub(super) fn admit_access(&self, now: Timestamp) -> Option<u64> {
        let mut memory = self.memory();
        let (since, used) = &mut memory.access;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *used) = (now, 0);
        }
        *used = used.saturating_add(1);
        (*used > ACCESS_PER_SECOND).then_some(1)
    }

    /// Returns whether a request with this ticket may go on, and its first use if that is known.
    pub(super) fn admit_ticket(&self, id: &str, now: Timestamp) -> Option<Option<Timestamp>> {
        let tickets = &mut self.memory().tickets;
        if tickets.len() >= MAX_FULL && !tickets.contains_key(id) {
            tickets.clear();
        }
        let seen = tickets.entry(id.to_owned()).or_default();
        if now.since(seen.since) >= Duration::from_secs(1) {
            (seen.since, seen.used) = (now, 0);
        }
        seen.used = seen.used.saturating_add(1);
        (seen.used <= TICKET_PER_SECOND).then_some(seen.first_use)
    }

    pub(super) fn remember_first_use(&self, id: &str, at: Timestamp) {
        if let Some(seen) = self.memory().tickets.get_mut(id) {
            seen.first_use = Some(at);
        }
    }

    /// Returns whether the link was found full a moment ago.
    pub(super) fn was_full(&self, id: &ConnectionId, now: Timestamp) -> bool {
        let memory = self.memory();
        let at = memory.full.get(id);
        at.is_some_and(|at| now.since(*at) < FULL_LIFE)
    }

    pub(super) fn remember_full(&self, id: &ConnectionId, now: Timestamp) {
        let full = &mut self.memory().full;
        if full.len() >= MAX_FULL {
            full.clear();
        }
        full.insert(id.clone(), now);
    }

    /// Returns until when connects of a subject are refused, if they surely are.
    pub(super) fn refused_until(
        &self,
        (tenant, subject): (&str, &str),
        now: Timestamp,
    ) -> Option<Timestamp> {
        let key = (tenant.to_owned(), subject.to_owned());
        let (until, sure_until) = self.memory().refused.get(&key).copied()?;
        (now < sure_until).then_some(until)
    }

    pub(super) fn remember_refused(
        &self,
        (tenant, subject): (&str, &str),
        until: Timestamp,
        sure_until: Timestamp,
    ) {
        let refused = &mut self.memory().refused;
        if refused.len() >= MAX_FULL {
            refused.clear();
        }
        let key = (tenant.to_owned(), subject.to_owned());
        refused.insert(key, (until, sure_until));
    }

    /// Returns whether the rows of a row's subject may be counted anew: once in a few seconds, so
    /// that a flood of refused messages costs no queries.
    pub(super) fn admit_recount(&self, row: &RowKey, now: Timestamp) -> bool {
        let recounted = &mut self.memory().recounted;
        let key = (row.fleet.clone(), row.subject.clone());
        let last = recounted.get(&key);
        let admitted = last.is_none_or(|last| now.since(*last) >= FULL_LIFE);
        if admitted {
            if recounted.len() >= MAX_FULL {
                recounted.clear();
            }
            recounted.insert(key, now);
        }
        admitted
    }

    /// Tells whether the row's subject has protected enough: its rows are then written as such at
    /// once, so that they cost no more than others.
    pub(super) fn is_unprotected(&self, row: &RowKey, now: Timestamp) -> bool {
        let key = (row.fleet.clone(), row.subject.clone());
        let until = self.memory().unprotected.get(&key).copied();
        until.is_some_and(|until| now < until)
    }

    pub(super) fn remember_unprotected(&self, row: &RowKey, until: Timestamp) {
        let unprotected = &mut self.memory().unprotected;
        if unprotected.len() >= MAX_FULL {
            unprotected.clear();
        }
        unprotected.insert((row.fleet.clone(), row.subject.clone()), until);
    }

    /// A panic elsewhere leaves each memory whole.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
