//! Every waiter gets a grant or a clear error.

use wakecast::ErrorCode;
use wakecast::protocol::{ErrorPush, LostReason, Outcome, Phase, ServerMessage};

use super::ends;
use super::forecast;
use super::pass::Pass;
use crate::leases;
use crate::model::{Row, RowEnd, RowState, WaitKind};

pub(super) fn step(pass: &mut Pass<'_>) {
    let rows = pass.rows().cloned().collect::<Vec<_>>();
    let refusal = forecast::refusal(&pass.state, &pass.instances, &pass.intents, pass.now)
        .map(|pause| pause.code.clone());
    let ready = pass
        .ready()
        .and_then(|ready| ready.boot.as_ref())
        .map(|boot| boot.id);
    for row in rows {
        match &row.state {
            RowState::Waiting { phase, .. } => {
                let phase = *phase;
                if leases::past_deadline(&row, &pass.config.timing, pass.now) {
                    let code = late(pass, phase);
                    fail(pass, row, code);
                } else if !leases::grantable(&row, &pass.config.timing, pass.now) {
                    // Nobody listens; a return revives it.
                } else if ready.is_some() {
                    grant(pass, row);
                } else if let Some(code) = refusal.clone().filter(|_| leases::wakes(&row)) {
                    fail(pass, row, code);
                }
            }
            RowState::Held {
                boot,
                draining: true,
                ..
            } if Some(*boot) == ready => grant(pass, row),
            RowState::Held { .. } | RowState::Ended { .. } => {}
        }
    }
}

/// A row that this pass has changed is granted in the next, with the version that it has then.
fn grant(pass: &mut Pass<'_>, row: Row) {
    pass.stay();
    if !pass.touched(&row) {
        pass.grants.push(row);
    }
}

fn late(pass: &Pass<'_>, phase: Phase) -> ErrorCode {
    if phase == Phase::WaitingForCapacity || pass.state.capacity_retry_at.is_some() {
        ErrorCode::CapacityUnavailable
    } else {
        ErrorCode::StartTimeout
    }
}

/// Ends a wait: an acquire with the error, a lease as lost.
fn fail(pass: &mut Pass<'_>, mut row: Row, code: ErrorCode) {
    let RowState::Waiting { kind, .. } = &row.state else {
        return;
    };
    if *kind != WaitKind::Acquire {
        return ends::lose(pass, row, LostReason::StartFailed);
    }
    let pause = pass.state.pause.as_ref().filter(|pause| pause.code == code);
    let retry_after_ms = pause
        .map(|pause| pause.until.as_millis().saturating_sub(pass.now.as_millis()))
        .filter(|left| *left > 0);
    row.rev = row.rev.saturating_add(1);
    row.expires_at = pass.now + pass.config.timing.row_memory;
    row.state = RowState::Ended {
        end: RowEnd::Failed(code.clone()),
        at: pass.now,
    };
    pass.why(format!("{} waits no longer: {code}", row.key.id));
    let error = ErrorPush {
        id: Some(row.key.id.clone()),
        message: code.remedy().to_owned(),
        retryable: code.retryable(),
        retry_after_ms,
        outcome: Outcome::Rejected,
        code,
    };
    pass.change(row, Some(ServerMessage::Error(error)));
}
