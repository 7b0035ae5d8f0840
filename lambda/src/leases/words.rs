//! A row in the protocol's words.

use std::time::Duration;

use wakecast::ErrorCode;
use wakecast::protocol::{
    Endpoint, EndpointPush, LeaseReport, LeaseState, LostReason, Moved, Ready, RequestReport,
    RequestState, ServerMessage,
};

use super::states::millis;
use crate::config::Timing;
use crate::model::{Instance, InstanceStatus, Row, RowEnd, RowState, Timestamp, WaitKind};

/// Words a grant as the row's owner expects it: `ready`, `endpoint` or `moved`.
#[must_use]
pub fn granted(row: &Row, endpoint: Endpoint, verify_spread: Duration) -> ServerMessage {
    let (id, rev) = (row.key.id.clone(), row.rev);
    match &row.state {
        RowState::Held {
            owed: WaitKind::Endpoint { request },
            ..
        } => {
            let request = Some(request.clone());
            ServerMessage::Endpoint(EndpointPush {
                id: request,
                lease: id,
                rev,
                endpoint,
            })
        }
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
        RowEnd::Released | RowEnd::Lost(_) => ErrorCode::LeaseLost,
    }
}

/// Words the end of a lease.
#[must_use]
pub fn lost_reason(end: &RowEnd) -> LostReason {
    match end {
        RowEnd::Lost(reason) => *reason,
        RowEnd::Failed(_) => LostReason::StartFailed,
        RowEnd::Cancelled | RowEnd::Released => LostReason::Released,
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
        (RowState::Held { .. }, None) => draining_report(row, instance, timing, now),
    }
}

/// Reports a lease whose instance is not ready: it drains, or the reconciler is about to say what
/// became of it; either way nothing is asked of the client.
#[must_use]
pub fn draining_report(
    row: &Row,
    instance: Option<&Instance>,
    timing: &Timing,
    now: Timestamp,
) -> LeaseReport {
    let left = match instance.map(|instance| &instance.status) {
        Some(InstanceStatus::Draining { since, .. }) => now.until(*since + timing.settle()),
        _ => Duration::ZERO,
    };
    LeaseReport {
        id: row.key.id.clone(),
        state: LeaseState::Draining,
        rev: Some(row.rev),
        endpoint: None,
        deadline_ms: Some(millis(left)),
        reason: None,
    }
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
