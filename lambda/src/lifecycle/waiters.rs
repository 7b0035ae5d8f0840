//! Every waiter gets a grant or a clear error.

use wakecast::ErrorCode;
use wakecast::protocol::{ErrorPush, LostReason, Outcome, Phase, ServerMessage};

use super::Alarm;
use super::pass::Pass;
use super::subjects::{self, Payer, payer};
use super::{budget, ends, forecast};
use crate::leases;
use crate::model::{Day, Instance, InstanceStatus, Row, RowEnd, RowState, Timestamp, WaitKind};

pub(super) fn step(pass: &mut Pass<'_>) {
    let rows = pass.rows().cloned().collect::<Vec<_>>();
    if rows.iter().any(Row::is_unreadable) {
        pass.alarm(Alarm::UnreadableRow);
    }
    let refusal = refusal(pass);
    let budget = budget_refusal(pass);
    let nobody_pays = nobody_pays(pass);
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
                    fail(pass, row, Refusal::of(code));
                } else if !leases::grantable(&row, &pass.config.timing, pass.now) {
                    // Nobody listens; a return revives it.
                } else if ready.is_some() {
                    grant(pass, row);
                } else if leases::wakes(&row) {
                    let spent = || subject_refusal(pass, &row.key.subject, nobody_pays);
                    let refusal = refusal.clone().or_else(|| budget.clone());
                    if let Some(refusal) = refusal.or_else(spent) {
                        fail(pass, row, refusal);
                    }
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

/// What a waiter is told instead of a grant.
#[derive(Clone)]
struct Refusal {
    code: ErrorCode,
    message: String,
    /// When it makes sense to ask again.
    until: Option<Timestamp>,
}

impl Refusal {
    fn of(code: ErrorCode) -> Self {
        Self {
            message: code.remedy().to_owned(),
            until: None,
            code,
        }
    }

    fn quota(message: &str, until: Timestamp) -> Self {
        Self {
            code: ErrorCode::QuotaExceeded,
            message: message.to_owned(),
            until: Some(until),
        }
    }
}

/// Returns what waiters are told while starts pause and nothing is on its way.
fn refusal(pass: &Pass<'_>) -> Option<Refusal> {
    let pause = forecast::refusal(&pass.state, &pass.instances, &pass.intents, pass.now)?;
    Some(Refusal {
        until: Some(pause.until),
        ..Refusal::of(pause.code.clone())
    })
}

/// Returns what waiters are told once a budget is spent and what ran is down for good.
fn budget_refusal(pass: &mut Pass<'_>) -> Option<Refusal> {
    let cause = budget::spent(pass)?;
    if coming(pass) || pass.instances.values().any(may_return) {
        return None;
    }
    pass.refused_for_budget = pass.awaited();
    let message = format!("{cause}: ask again after midnight UTC, or ask the operator for more");
    Some(Refusal::quota(&message, Day::of(pass.now).end()))
}

/// Tells whether nobody's demand brings an instance up. It is so for the whole pass: who is refused
/// in it could not have paid.
fn nobody_pays(pass: &Pass<'_>) -> bool {
    pass.config.min == 0 && !coming(pass) && matches!(payer(pass), Payer::Spent)
}

/// Returns what the waiters of a subject are told whose caps are spent, while nobody else's demand
/// brings an instance up.
fn subject_refusal(pass: &Pass<'_>, subject: &str, nobody_pays: bool) -> Option<Refusal> {
    if !nobody_pays {
        return None;
    }
    let until = subjects::spent_until(pass, subject)?;
    let idle = subjects::idle_room_at(pass, subject).is_some();
    // Starts that are spent keep nobody from undoing a drain.
    if !idle && pass.instances.values().any(may_return) {
        return None;
    }
    let message = if idle {
        "this server was started for you several times and not used: ask again later, when \
         somebody streams, or ask the operator to raise `idle_wakes_per_hour`"
    } else {
        "your starts of the last ten minutes are used up: ask again later, or ask the operator to \
         raise `starts_per_10_min`"
    };
    Some(Refusal::quota(message, until))
}

fn coming(pass: &Pass<'_>) -> bool {
    forecast::coming(&pass.instances, &pass.intents)
}

/// Tells whether an instance may still serve again in this boot.
fn may_return(known: &Instance) -> bool {
    let condemned = known.boot.as_ref().is_some_and(|boot| boot.condemned);
    let on_its_way_down = matches!(
        known.status,
        InstanceStatus::Draining { .. } | InstanceStatus::Stopping { failed: false, .. }
    );
    on_its_way_down && !condemned
}

fn late(pass: &Pass<'_>, phase: Phase) -> ErrorCode {
    if phase == Phase::WaitingForCapacity || pass.state.capacity_retry_at.is_some() {
        ErrorCode::CapacityUnavailable
    } else {
        ErrorCode::StartTimeout
    }
}

/// Ends a wait: an acquire with the error, a lease as lost.
fn fail(pass: &mut Pass<'_>, mut row: Row, refusal: Refusal) {
    let RowState::Waiting { kind, .. } = &row.state else {
        return;
    };
    if *kind != WaitKind::Acquire {
        return ends::lose(pass, row, LostReason::StartFailed);
    }
    let Refusal {
        code,
        message,
        until,
    } = refusal;
    let left = |until: Timestamp| until.as_millis().saturating_sub(pass.now.as_millis());
    let retry_after_ms = until.map(left).filter(|left| *left > 0);
    row.rev = row.rev.saturating_add(1);
    row.expires_at = pass.now + pass.config.timing.row_memory;
    row.state = RowState::Ended {
        end: RowEnd::Failed(code.clone()),
        at: pass.now,
    };
    pass.why(format!("{} waits no longer: {code}", row.key.id));
    let error = ErrorPush {
        id: Some(row.key.id.clone()),
        message,
        retryable: code.retryable(),
        retry_after_ms,
        outcome: Outcome::Rejected,
        code,
    };
    pass.change(row, Some(ServerMessage::Error(error)));
}
