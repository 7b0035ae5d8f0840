//! How much one link and one subject may have at the table. Checked in this one place.
//!
//! A link's rows are counted on its own item. What a subject has over all its links is counted in
//! the same request that writes it, so that two links cannot both take the last place.

use std::time::Duration;

use futures_util::FutureExt as _;
use wakecast::protocol::Purpose;

use super::Gateway;
use super::recall::FULL_LIFE;
use super::rows::together;
use crate::config::{FleetConfig, Timing};
use crate::leases;
use crate::model::{Connection, ConnectionId, Row, RowKey, RowState, Timestamp};
use crate::store::keys::{CONNECT_WINDOW, CONNECTION_LIFE, PROTECTION_WINDOW, window_end};
use crate::store::{NoRoom, Room, RowCount, StoreError, SubjectLinks};

/// Most rows of one link, in a `hello` and at any time, ended ones that are still remembered
/// included: a client of ours holds and waits for at most as many.
pub(super) const MAX_ROWS: usize = 128;

/// Rows of a subject that are remembered for each one that may wait or hold: who changes streams
/// every few seconds leaves that many ended ones within the 15 minutes of their memory.
const REMEMBERED_PER_LIVE: u32 = 4;

/// A subject with too many open links is told to come back after this long: one of them may have
/// closed, or a dead one may have been noticed.
const LINKS_WAIT: Duration = Duration::from_secs(60);

/// Whether a link may be opened.
pub(super) type Wait = Option<Duration>;

impl Gateway {
    /// Stores a connection, or returns how long its subject has to wait: it connects too often, or
    /// has too many links. A refused subject is remembered, so that a storm of connects costs no
    /// further calls.
    pub(super) async fn open_link(&self, connection: &Connection) -> Result<Wait, StoreError> {
        let now = self.ports.clock.now();
        let grants = &connection.grants;
        let who = (grants.tenant.as_str(), grants.subject.as_str());
        if let Some(until) = self.recall.refused_until(who, now) {
            return Ok(Some(now.until(until)));
        }
        let store = &self.ports.store;
        let mut stored = store.put_connection(connection, &self.config.links).await;
        if stored == Err(StoreError::NoRoom(NoRoom::Links))
            && self.drop_dead_links(who, now).await?
        {
            stored = store.put_connection(connection, &self.config.links).await;
        }
        let (until, sure_until) = match stored {
            Ok(()) => return Ok(None),
            Err(StoreError::NoRoom(NoRoom::Connects)) => {
                let end = window_end(connection.connected_at, CONNECT_WINDOW);
                (end, end)
            }
            // A link may close at any moment.
            Err(StoreError::NoRoom(_)) => (now + LINKS_WAIT, now + FULL_LIFE),
            Err(error) => return Err(error),
        };
        self.recall.remember_refused(who, until, sure_until);
        Ok(Some(now.until(until)))
    }

    /// Says what a connect of this subject would meet now.
    pub(super) fn link_wait(&self, links: &SubjectLinks, now: Timestamp) -> Wait {
        let caps = &self.config.links;
        let spent = |cap: Option<u32>, used: usize| cap.is_some_and(|cap| used >= cap as usize);
        if spent(caps.connects_per_minute, links.connects as usize) {
            return Some(now.until(window_end(now, CONNECT_WINDOW)));
        }
        let living = links.open.values().filter(|at| !is_dead(**at, now));
        spent(caps.open, living.count()).then_some(LINKS_WAIT)
    }

    /// Stops counting links that the API Gateway must have cut; true if there was one.
    async fn drop_dead_links(
        &self,
        (tenant, subject): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let store = &self.ports.store;
        let links = store.subject_links(tenant, subject, now).await?;
        let dead = links.open.into_iter().filter(|(_, at)| is_dead(*at, now));
        let dead: std::collections::BTreeSet<ConnectionId> = dead.map(|(id, _)| id).collect();
        if dead.is_empty() {
            return Ok(false);
        }
        store.drop_links(tenant, subject, &dead).await?;
        Ok(true)
    }

    /// Writes a row and claims it where there is a link, within what its subject may have. A subject that has protected
    /// enough gets its lease without protection. [`NoRoom::Live`] is sure: the rows were counted.
    pub(super) async fn put_within(
        &self,
        link: Option<&ConnectionId>,
        timing: &Timing,
        row: &Row,
        expected: Option<u64>,
        mut room: Room,
    ) -> Result<Row, StoreError> {
        let store = &self.ports.store;
        let mut row = row.clone();
        if room.protections.is_some() && self.recall.is_unprotected(&row.key, room.at) {
            (row, room.protections) = (leases::unprotected(&row), None);
        }
        let mut counted = false;
        loop {
            let put = match link {
                Some(link) => store.put_claimed_row(link, &row, expected, &room),
                None => store.put_counted_row(&row, expected, &room),
            };
            match put.await {
                Err(StoreError::NoRoom(NoRoom::Protections)) => {
                    let end = window_end(room.at, PROTECTION_WINDOW);
                    self.recall.remember_unprotected(&row.key, end);
                    (row, room.protections) = (leases::unprotected(&row), None);
                }
                Err(StoreError::NoRoom(NoRoom::Live(seen) | NoRoom::Rows(seen))) if !counted => {
                    counted = true;
                    if !self.recall.admit_recount(&row.key, room.at) {
                        return Err(StoreError::NoRoom(NoRoom::Rows(seen)));
                    }
                    self.recount(&row.key, timing, &seen, room.at).await?;
                }
                other => return other,
            }
        }
    }

    /// Counts a subject's rows anew: many will have ended, or fallen asleep, since they were counted.
    async fn recount(
        &self,
        key: &RowKey,
        timing: &Timing,
        seen: &RowCount,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let store = &self.ports.store;
        let rows = store.subject_rows(&key.fleet, &key.subject, now).await?;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let live = number(rows.iter().filter(|row| is_live(row, timing, now)).count());
        let remembered = number(rows.len());
        let counted = store.recount_rows(&key.fleet, &key.subject, seen, live, remembered);
        match counted.await {
            // Somebody else has counted, or taken a place: the next write shows it.
            Ok(()) | Err(StoreError::Stale) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tells whether a link has no room for `more` rows that it has not claimed. Rows that are forgotten by now make room:
    /// they are looked for once the link seems full, and no longer counted as claimed.
    pub(super) async fn is_full(
        &self,
        connection: &Connection,
        more: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let fits = |claimed: usize| claimed.saturating_add(more) <= MAX_ROWS;
        if more == 0 || fits(connection.rows.len()) {
            return Ok(false);
        }
        if self.recall.was_full(&connection.id, now) {
            return Ok(true);
        }
        let reads = connection.rows.iter().map(|key| {
            let read = async move {
                let row = self.ports.store.row(key).await?;
                let forgotten = row.is_none_or(|row| row.expires_at <= now);
                Ok(forgotten.then(|| key.clone()))
            };
            read.boxed()
        });
        let forgotten: Result<Vec<Option<RowKey>>, StoreError> =
            together(reads.collect()).await.into_iter().collect();
        let forgotten = forgotten?.into_iter().flatten().collect();
        let left = connection.rows.difference(&forgotten).count();
        if !forgotten.is_empty() {
            let store = &self.ports.store;
            store.disclaim(&connection.id, &forgotten).await?;
        }
        if left >= MAX_ROWS {
            self.recall.remember_full(&connection.id, now);
        }
        Ok(!fits(left))
    }
}

/// Says what a row needs room for that is written over `before`, which has not expired.
pub(super) fn room(config: &FleetConfig, before: Option<&Row>, row: &Row, at: Timestamp) -> Room {
    let (caps, timing) = (&config.caps.subject, &config.timing);
    let begins = is_live(row, timing, at) && !before.is_some_and(|row| is_live(row, timing, at));
    let held = before.is_some_and(|row| matches!(row.state, RowState::Held { .. }));
    Room {
        claimed: before.is_none().then_some(MAX_ROWS),
        live: caps.live_rows.filter(|_| begins),
        remembered: caps
            .live_rows
            .filter(|_| before.is_none())
            .map(|cap| cap.saturating_mul(REMEMBERED_PER_LIVE)),
        protections: caps
            .protections_per_hour
            .filter(|_| !held && is_counted(row)),
        at,
        ..Room::default()
    }
}

/// Tells whether the row's grant counts as one that protects. A publisher's does not: who may
/// publish can keep a server by publishing.
pub(super) fn is_counted(row: &Row) -> bool {
    let plays = row.ask.as_ref().map(|ask| ask.purpose) == Some(Purpose::Play);
    let guards = match &row.state {
        RowState::Held {
            granted_at,
            protected_until,
            ..
        } => protected_until > granted_at,
        RowState::Waiting { .. } | RowState::Ended { .. } => false,
    };
    plays && guards
}

/// A row that waits or holds, and whose owner was heard of lately: a closed tab's sleeps, and takes
/// a place again when it is revived.
fn is_live(row: &Row, timing: &Timing, now: Timestamp) -> bool {
    !matches!(row.state, RowState::Ended { .. }) && !leases::dormant(row, timing, now)
}

fn is_dead(connected_at: Timestamp, now: Timestamp) -> bool {
    now.since(connected_at) > CONNECTION_LIFE
}
