//! Who pays for a start: the first waiter whose subject has something left.
//!
//! A subject whose caps are spent starts nothing. Its waiters are served by what somebody else's
//! demand starts, and are refused once nobody else's does. What it woke without any use counts
//! until somebody streams or plays; then the server was worth its while, whoever woke it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Snapshot;
use super::pass::Pass;
use crate::leases;
use crate::model::{IdleWake, InstanceStatus, Row, Timestamp};
use crate::store::keys::SUBJECT_WINDOW;
use crate::store::{MAX_SUBJECTS, SubjectCharge};

/// Idle wakes count for this long.
const IDLE_WINDOW: Duration = Duration::from_secs(3600);

/// Lists the subjects whose spent starts the next decision needs: those that wait longest, while
/// no instance serves or boots and no intent is open. Usually there are none.
#[must_use]
pub fn payers(snapshot: &Snapshot<'_>) -> BTreeSet<String> {
    let (config, records) = (snapshot.config, snapshot.records);
    let coming = records.instances.values().any(|known| {
        matches!(
            known.status,
            InstanceStatus::Booting | InstanceStatus::Ready | InstanceStatus::Recovering { .. }
        )
    });
    let capped = config.caps.subject.starts_per_10_min.is_some() && config.min == 0;
    if !capped || coming || !records.intents.is_empty() {
        return BTreeSet::new();
    }
    let mut since: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let waiting = |row: &&Row| leases::waits(row, &config.timing, snapshot.now);
    for row in snapshot.rows.iter().filter(waiting) {
        let oldest = since.entry(&row.key.subject).or_insert(row.created_at);
        *oldest = row.created_at.min(*oldest);
    }
    let mut oldest_first: Vec<_> = since.into_iter().collect();
    oldest_first.sort_by_key(|(subject, since)| (*since, *subject));
    let subjects = oldest_first.into_iter().map(|(subject, _)| subject);
    subjects.take(MAX_SUBJECTS).map(str::to_owned).collect()
}

/// Whether a start can be paid for.
pub(super) enum Payer {
    /// The operator wants an instance, or subjects are not charged.
    Nobody(Option<String>),
    /// The first waiter whose caps have room.
    Subject(SubjectCharge),
    /// Only subjects wait whose caps are spent.
    Spent,
    /// Somebody waits whose spent starts were not read: the next pass has them.
    Unread,
}

/// Finds who pays for a start.
pub(super) fn payer(pass: &Pass<'_>) -> Payer {
    if pass.config.min > 0 {
        return Payer::Nobody(None);
    }
    let mut waiters: Vec<&Row> = pass.rows().filter(|row| pass.demands(row)).collect();
    waiters.sort_by_key(|row| (row.created_at, &row.key));
    let Some(cap) = pass.caps().subject.starts_per_10_min else {
        let first = waiters.first();
        return match first {
            Some(row) => Payer::Nobody(Some(row.key.subject.clone())),
            None => Payer::Spent,
        };
    };
    let mut unread = false;
    for row in waiters {
        let subject = &row.key.subject;
        if !pass.snapshot.counters.by_subject.contains_key(subject) {
            unread = true;
        } else if starts_room_at(pass, subject).is_none() {
            return Payer::Subject(SubjectCharge {
                subject: subject.clone(),
                cap,
            });
        }
    }
    if unread { Payer::Unread } else { Payer::Spent }
}

/// Returns when a subject may wake something again, if its caps are spent now.
pub(super) fn spent_until(pass: &Pass<'_>, subject: &str) -> Option<Timestamp> {
    starts_room_at(pass, subject).max(idle_room_at(pass, subject))
}

/// Returns when the subject's idle wakes leave room again, if they leave none.
pub(super) fn idle_room_at(pass: &Pass<'_>, subject: &str) -> Option<Timestamp> {
    let cap = pass.caps().subject.idle_wakes_per_hour?;
    let own = pass.state.idle_wakes.iter();
    let mut times: Vec<Timestamp> = own
        .filter(|wake| wake.subject == subject && pass.now.since(wake.at) < IDLE_WINDOW)
        .map(|wake| wake.at)
        .collect();
    times.sort_unstable_by(|one, two| two.cmp(one));
    room_at(&times, cap, IDLE_WINDOW)
}

/// Notes that a subject has woken the instance; it counts until somebody uses it.
pub(super) fn woke(pass: &mut Pass<'_>, subject: String) {
    let now = pass.now;
    let wakes = &mut pass.state.idle_wakes;
    wakes.retain(|wake| now.since(wake.at) < IDLE_WINDOW);
    wakes.push(IdleWake { subject, at: now });
}

/// Notes that a drain is undone because somebody waits.
pub(super) fn undid(pass: &mut Pass<'_>) {
    let waiters = pass.rows().filter(|row| pass.demands(row));
    let first = waiters.min_by_key(|row| (row.created_at, &row.key));
    if let Some(subject) = first.map(|row| row.key.subject.clone()) {
        woke(pass, subject);
    }
}

fn starts_room_at(pass: &Pass<'_>, subject: &str) -> Option<Timestamp> {
    let cap = pass.caps().subject.starts_per_10_min?;
    let times = pass.snapshot.counters.by_subject.get(subject)?;
    let lately: Vec<Timestamp> = times
        .iter()
        .copied()
        .filter(|at| pass.now.since(*at) < SUBJECT_WINDOW)
        .collect();
    room_at(&lately, cap, SUBJECT_WINDOW)
}

/// When the `cap`-th newest of these times leaves the window; `None` if there are fewer.
fn room_at(newest_first: &[Timestamp], cap: u32, window: Duration) -> Option<Timestamp> {
    let last = usize::try_from(cap).unwrap_or(usize::MAX).checked_sub(1)?;
    newest_first.get(last).map(|at| *at + window)
}
