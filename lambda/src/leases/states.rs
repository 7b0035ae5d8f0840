//! The moves between the states of a row. Each raises `rev` if the client can tell the difference.

use std::time::Duration;

use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Phase, Purpose};

use super::purpose;
use crate::config::Timing;
use crate::model::{ConnectionId, Row, RowEnd, RowState, Timestamp, WaitKind};
use crate::ports::BootOf;

/// A held row is forgotten this long after it was last touched: a link lives two hours and its
/// `hello` touches the row, so the client of a row that nobody touched for a day is gone.
const HELD_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// What an endpoint's wait lasts when the row does not say: the client's default deadline.
const DEFAULT_WAIT: Duration = Duration::from_secs(600);

/// Moves the row to a boot: G1. On the boot it already holds, the protection is not extended.
#[must_use]
pub fn hold(row: &Row, boot: &BootOf, timing: &Timing, now: Timestamp) -> Row {
    let mut next = row.clone();
    next.expires_at = now + HELD_MEMORY;
    let (instance, id) = boot;
    if let RowState::Held {
        instance: held,
        boot: held_boot,
        ..
    } = &row.state
        && (held, held_boot) == (instance, id)
    {
        return next;
    }
    let protection = match purpose(row) {
        Some(Purpose::Publish) => timing.protect_publish,
        Some(Purpose::Play) => timing.protect_play,
        _ => Duration::ZERO,
    };
    next.rev = row.rev.saturating_add(1);
    next.state = RowState::Held {
        instance: instance.clone(),
        boot: *id,
        granted_at: now,
        protected_until: now + protection,
        wait_ms: millis(wait_of(row)),
        draining: false,
        owed: kind_of(row),
    };
    next
}

/// The same lease without protection: its subject has protected enough.
#[must_use]
pub fn unprotected(row: &Row) -> Row {
    let mut next = row.clone();
    if let RowState::Held {
        granted_at,
        protected_until,
        ..
    } = &mut next.state
    {
        *protected_until = *granted_at;
    }
    next
}

/// The drain of the row's boot was undone: its owner is told by an `endpoint` push with a higher
/// `rev`. `None` if the owner was never told of a drain.
#[must_use]
pub fn undrain(row: &Row, now: Timestamp) -> Option<Row> {
    let mut next = row.clone();
    let RowState::Held { draining, owed, .. } = &mut next.state else {
        return None;
    };
    if !std::mem::replace(draining, false) {
        return None;
    }
    *owed = WaitKind::Endpoint { request: None };
    next.rev = row.rev.saturating_add(1);
    next.expires_at = now + HELD_MEMORY;
    Some(next)
}

/// Notes that the row's owner was told of the drain, so that its end will be told too.
#[must_use]
pub fn tell_draining(row: &Row) -> Row {
    let mut next = row.clone();
    if let RowState::Held { draining, .. } = &mut next.state {
        *draining = true;
    }
    next
}

/// Takes back a G1 that G2 did not confirm: the row is what it was, deadline included, under the
/// `rev` it has reached. A wait is again one that no reconciler has seen.
#[must_use]
pub fn unhold(before: &Row, held: &Row) -> Row {
    let mut next = Row {
        rev: held.rev,
        version: held.version,
        ..before.clone()
    };
    if let RowState::Waiting { phase, .. } = &mut next.state {
        *phase = Phase::Requested;
    }
    next
}

/// Moves the row to waiting for a new answer, with the wait it first asked for.
#[must_use]
pub fn wait_again(row: &Row, kind: WaitKind, timing: &Timing, now: Timestamp) -> Row {
    wait_for(row, kind, wait_of(row), timing, now)
}

/// Moves the row to waiting for `wait` from now on.
pub(super) fn wait_for(
    row: &Row,
    kind: WaitKind,
    wait: Duration,
    timing: &Timing,
    now: Timestamp,
) -> Row {
    let deadline = now + wait;
    Row {
        rev: row.rev.saturating_add(1),
        state: RowState::Waiting {
            phase: Phase::Requested,
            deadline,
            wait_ms: millis(wait),
            kind,
        },
        created_at: now,
        expires_at: deadline + timing.row_memory,
        ..row.clone()
    }
}

/// Ends the row.
#[must_use]
pub fn end(row: &Row, end: RowEnd, timing: &Timing, now: Timestamp) -> Row {
    Row {
        rev: row.rev.saturating_add(1),
        state: RowState::Ended { end, at: now },
        expires_at: now + timing.row_memory,
        ..row.clone()
    }
}

/// Ends a wait whose deadline has passed: an acquire with the reason it was told last, a lease as
/// lost.
#[must_use]
pub fn end_wait(row: &Row, timing: &Timing, now: Timestamp) -> Row {
    let how = match &row.state {
        RowState::Waiting {
            kind: WaitKind::Acquire,
            phase: Phase::WaitingForCapacity,
            ..
        } => RowEnd::Failed(ErrorCode::CapacityUnavailable),
        RowState::Waiting {
            kind: WaitKind::Endpoint { .. } | WaitKind::Moving,
            ..
        } => RowEnd::Lost(LostReason::StartFailed),
        _ => RowEnd::Failed(ErrorCode::StartTimeout),
    };
    end(row, how, timing, now)
}

/// Marks the row absent if the connection that has gone is its link; `None` if nothing changes.
#[must_use]
pub fn disconnect(row: &Row, connection: &ConnectionId, now: Timestamp) -> Option<Row> {
    let is_link = row
        .link
        .as_ref()
        .is_some_and(|link| link.connection == *connection);
    let open = !matches!(row.state, RowState::Ended { .. });
    (is_link && open && row.absent_since.is_none()).then(|| Row {
        absent_since: Some(now),
        ..row.clone()
    })
}

fn wait_of(row: &Row) -> Duration {
    match &row.state {
        RowState::Waiting { wait_ms, .. } | RowState::Held { wait_ms, .. } => {
            Duration::from_millis(*wait_ms)
        }
        RowState::Ended { .. } => DEFAULT_WAIT,
    }
}

fn kind_of(row: &Row) -> WaitKind {
    match &row.state {
        RowState::Waiting { kind, .. } | RowState::Held { owed: kind, .. } => kind.clone(),
        RowState::Ended { .. } => WaitKind::Acquire,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
