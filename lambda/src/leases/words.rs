//! A row in the protocol's words.

use std::time::Duration;

use wakecast::ErrorCode;
use wakecast::protocol::{
    Endpoint, EndpointPush, LeaseReport, LeaseState, LostReason, Moved, Ready, RequestReport,
    RequestState, ServerMessage,
};

use super::states::millis;
use crate::config::Timing;
use crate::model::{BootEnd, Instance, InstanceStatus, Row, RowEnd, RowState, Timestamp, WaitKind};

/// Words a grant as the row's owner expects it: `ready`, `endpoint` or `moved`.
#[must_use]
pub fn granted(row: &Row, endpoint: Endpoint, verify_spread: Duration) -> ServerMessage {
    let (id, rev) = (row.key.id.clone(), row.rev);
    match &row.state {
        RowState::Held {
            owed: WaitKind::Endpoint { request },
            ..
        } => ServerMessage::Endpoint(EndpointPush {
            id: request.clone(),
            lease: id,
            rev,
            endpoint,
        }),
        RowState::Held {
            owed: WaitKind::Moving,
            ..
        } => ServerMessage::Moved(Moved {
            lease: id,
            rev,
            endpoint,
        }),
        _ => {
            let verify_spread_ms = millis(verify_spread);
            ServerMessage::Ready(Ready {
                id,
                rev,
                endpoint,
                verify_spread_ms,
            })
        }
    }
}

/// Words the end of an acquisition.
#[must_use]
pub fn end_code(end: &RowEnd) -> ErrorCode {
    match end {
        RowEnd::Cancelled => ErrorCode::Cancelled,
        RowEnd::Failed(code) => code.clone(),
        RowEnd::Released | RowEnd::Lost(_) | RowEnd::Unreadable => ErrorCode::LeaseLost,
    }
}

/// Words the end of a lease.
#[must_use]
pub fn lost_reason(end: &RowEnd) -> LostReason {
    match end {
        RowEnd::Lost(reason) => *reason,
        RowEnd::Failed(_) => LostReason::StartFailed,
        RowEnd::Cancelled | RowEnd::Released | RowEnd::Unreadable => LostReason::Released,
    }
}

/// Reports a row that `hello` named as a lease. `endpoint` is what the grant confirmed, `instance`
/// what the row's instance looks like where it did not.
#[must_use]
pub fn lease_report(
    row: &Row,
    endpoint: Option<Endpoint>,
    instance: Option<&Instance>,
    timing: &Timing,
    now: Timestamp,
) -> LeaseReport {
    let report = |state| LeaseReport {
        id: row.key.id.clone(),
        state,
        rev: Some(row.rev),
        endpoint: None,
        deadline_ms: None,
        reason: None,
    };
    match (&row.state, endpoint) {
        (RowState::Ended { end, .. }, _) => LeaseReport {
            reason: Some(lost_reason(end)),
            ..report(LeaseState::Lost)
        },
        (RowState::Waiting { .. }, _) => report(LeaseState::Moving),
        (RowState::Held { .. }, Some(endpoint)) => LeaseReport {
            endpoint: Some(endpoint),
            ..report(LeaseState::Held)
        },
        (RowState::Held { .. }, None) => {
            let (state, deadline_ms) = without_grant(row, instance, timing, now);
            LeaseReport {
                deadline_ms,
                ..report(state)
            }
        }
    }
}

/// Says where a lease stands whose instance grants nothing now. Nothing is asked of the client: a
/// server that recovers still serves, one that drains says so, and of one that is over the
/// reconciler is about to say what became of it.
fn without_grant(
    row: &Row,
    instance: Option<&Instance>,
    timing: &Timing,
    now: Timestamp,
) -> (LeaseState, Option<u64>) {
    match live_status(row, instance) {
        Some(InstanceStatus::Recovering { .. } | InstanceStatus::Ready) => (LeaseState::Held, None),
        Some(InstanceStatus::Draining { since, .. }) => {
            let left = now.until(*since + timing.settle());
            (LeaseState::Draining, Some(millis(left)))
        }
        _ => (LeaseState::Draining, Some(0)),
    }
}

/// Tells whether the row's boot drains, so that its owner must be told should it be undone.
#[must_use]
pub fn drains(row: &Row, instance: Option<&Instance>) -> bool {
    matches!(
        live_status(row, instance),
        Some(InstanceStatus::Draining { .. } | InstanceStatus::Stopping { .. })
    )
}

/// Words how a boot that a sleeping lease had held has ended.
#[must_use]
pub fn lost_boot(row: &Row, instance: Option<&Instance>) -> LostReason {
    let end = match (&row.state, instance.and_then(|found| found.boot.as_ref())) {
        (RowState::Held { boot, .. }, Some(found)) if found.id == *boot => found.end,
        _ => return LostReason::InstanceGone,
    };
    match end {
        None | Some(BootEnd::Stopped) => LostReason::Stopped,
        Some(BootEnd::Died | BootEnd::DiedAgain) => LostReason::InstanceGone,
    }
}

/// The status of the row's instance, while it is in the row's boot.
fn live_status<'a>(row: &Row, instance: Option<&'a Instance>) -> Option<&'a InstanceStatus> {
    let RowState::Held { boot, .. } = &row.state else {
        return None;
    };
    let found = instance?;
    let same = found.boot.as_ref().is_some_and(|found| found.id == *boot);
    same.then_some(&found.status)
}

/// Reports a row that `hello` named as a request.
#[must_use]
pub fn request_report(row: &Row, endpoint: Option<Endpoint>) -> RequestReport {
    let report = |state| RequestReport {
        id: row.key.id.clone(),
        state,
        rev: Some(row.rev),
        phase: None,
        endpoint: None,
        code: None,
    };
    match (&row.state, endpoint) {
        (RowState::Ended { end, .. }, _) => RequestReport {
            code: Some(end_code(end)),
            ..report(RequestState::Ended)
        },
        (RowState::Held { .. }, Some(endpoint)) => RequestReport {
            endpoint: Some(endpoint),
            ..report(RequestState::Ready)
        },
        (RowState::Waiting { phase, .. }, _) => RequestReport {
            phase: Some(*phase),
            ..report(RequestState::Waiting)
        },
        (RowState::Held { .. }, None) => report(RequestState::Waiting),
    }
}
