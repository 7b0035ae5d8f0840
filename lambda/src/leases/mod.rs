//! The rules of a row: what it protects, what it waits for, and how each message moves it.
//!
//! Gateway and lifecycle share them, so that both sides of the grant and of the stop read a row
//! alike. Pure: a row, a message and the time lead to the new row and to what follows; callers
//! read, write and send.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod standing;
mod states;
mod steps;
mod words;

use wakecast::protocol::Purpose;

use crate::config::Timing;
use crate::model::{Boot, Row, RowState, Timestamp};

pub use states::{
    disconnect, end, end_wait, hold, tell_draining, undrain, unhold, unprotected, wait_again,
};
pub use steps::{
    Named, Step, Then, Visit, acquire, endpoint, finish, forbid, greet, missed, poll, refresh, told,
};
pub use words::{drains, end_code, granted, lease_report, lost_boot, lost_reason, request_report};

/// Tells whether the row keeps this boot from being stopped.
///
/// It does from its grant until the first of: its release, `protected_until`, a readable sample
/// that began after the grant and counted its kind, or an absence of `timing.absence`. `watch`
/// never protects. A row that cannot be read protects every boot until it expires.
#[must_use]
pub fn protects(row: &Row, boot: &Boot, timing: &Timing, now: Timestamp) -> bool {
    if row.is_unreadable() {
        return now < row.expires_at;
    }
    let RowState::Held {
        boot: held,
        granted_at,
        protected_until,
        ..
    } = &row.state
    else {
        return false;
    };
    let counted_at = match purpose(row) {
        Some(Purpose::Publish) => boot.published_at,
        Some(Purpose::Play) => boot.played_at,
        _ => return false,
    };
    let counted = counted_at.is_some_and(|at| at > *granted_at);
    *held == boot.id && now < *protected_until && !counted && !dormant(row, timing, now)
}

/// Tells whether the row is demand: a publisher or player that waits, with its deadline ahead.
#[must_use]
pub fn waits(row: &Row, timing: &Timing, now: Timestamp) -> bool {
    wakes(row) && grantable(row, timing, now)
}

/// Tells whether the row is owed a grant once an instance is ready: as [`waits`], and `watch` too.
#[must_use]
pub fn grantable(row: &Row, timing: &Timing, now: Timestamp) -> bool {
    match &row.state {
        RowState::Waiting { deadline, .. } => now < *deadline && !dormant(row, timing, now),
        RowState::Held { .. } | RowState::Ended { .. } => false,
    }
}

/// Tells whether the row's purpose may start and keep instances.
#[must_use]
pub fn wakes(row: &Row) -> bool {
    matches!(purpose(row), Some(Purpose::Publish | Purpose::Play))
}

/// Tells whether the row has been without a link for so long that it neither protects nor waits.
#[must_use]
pub fn dormant(row: &Row, timing: &Timing, now: Timestamp) -> bool {
    row.absent_since
        .is_some_and(|since| now >= since + timing.absence)
}

/// Tells whether the row's wait has ended without an answer. A dormant row's deadline rests: it
/// counts only if it came before the dormancy.
#[must_use]
pub fn past_deadline(row: &Row, timing: &Timing, now: Timestamp) -> bool {
    let RowState::Waiting { deadline, .. } = &row.state else {
        return false;
    };
    let asleep_by_then = row
        .absent_since
        .is_some_and(|since| *deadline >= since + timing.absence);
    now >= *deadline && !asleep_by_then
}

fn purpose(row: &Row) -> Option<Purpose> {
    row.ask.as_ref().map(|ask| ask.purpose)
}
