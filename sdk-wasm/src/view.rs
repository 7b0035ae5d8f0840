//! Events as the JavaScript face reads them: JSON text, with names as on the wire.

use std::time::Duration;

use serde::Serialize;
use wakecast::machine::{Answer, ConnectStage, Event};
use wakecast::protocol::{Endpoint, OperatorStatus};
use wakecast::{
    ConnectionState, Error, FleetStatus, LeaseChange, LeaseStatus, Progress, ReconnectReason,
    Stage, TokenReason, UserAction,
};

/// Writes an event.
pub(crate) fn event(event: &Event) -> String {
    let mut view = View::default();
    match event {
        Event::State(state) => view.state = Some(state_view(state)),
        Event::Settled { key, result } => {
            view.key = Some(key.0);
            match result {
                Ok(answer) => settled(&mut view, answer),
                Err(error) => view.error = Some(error_view(error)),
            }
        }
        Event::Progress { id, progress } => {
            view.id = Some(id);
            view.progress = Some(progress_view(progress));
        }
        Event::Lease {
            lease,
            status,
            change,
        } => {
            view.id = Some(lease);
            view.status = Some(lease_status(*status));
            view.change = Some(change_view(change));
        }
        Event::Diagnostic(error) => view.error = Some(error_view(error)),
        _ => {}
    }
    serde_json::to_string(&view).unwrap_or_default()
}

/// The word for why a token is needed.
pub(crate) fn token_reason(reason: TokenReason) -> &'static str {
    match reason {
        TokenReason::Expiring => "expiring",
        TokenReason::Rejected => "rejected",
        _ => "initial",
    }
}

/// One event. Which fields are there tells which: `state`; `key` for an outcome, with an `error`
/// or without; `progress`; `change` of a lease; `error` alone for a diagnostic.
#[derive(Default, Serialize)]
struct View<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ChangeView<'a>>,
}

#[derive(Default, Serialize)]
struct StateView<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'a str,
    /// Without one the code's remedy is meant, which the face keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    retryable: bool,
    user_action: &'static str,
    outcome: &'static str,
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

#[derive(Serialize)]
struct ProgressView<'a> {
    phase: &'static str,
    elapsed_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_p50_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_p90_ms: Option<u64>,
    /// In thousandths: writing a whole number takes far less code than a fraction.
    permille: u32,
    overdue: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct ChangeView<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct FleetView<'a> {
    fleet: &'a str,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    eta_p50_ms: u64,
    eta_p90_ms: u64,
    overdue: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a OperatorStatus>,
}

fn state_view(state: &ConnectionState) -> StateView<'_> {
    let mut view = StateView::default();
    view.kind = match state {
        ConnectionState::Idle => "idle",
        ConnectionState::Connecting { stage } => {
            view.stage = Some(match stage {
                ConnectStage::Token => "token",
                ConnectStage::Hello => "hello",
                _ => "socket",
            });
            "connecting"
        }
        ConnectionState::Connected { session } => {
            view.session = Some(session);
            "connected"
        }
        ConnectionState::Reconnecting {
            attempt,
            retry_in,
            reason,
        } => {
            view.attempt = Some(*attempt);
            view.retry_in_ms = Some(millis(*retry_in));
            view.reason = match reason {
                ReconnectReason::Failure(code) => Some(code.as_str()),
                _ => Some("offline"),
            };
            "reconnecting"
        }
        ConnectionState::Paused => "paused",
        ConnectionState::Failed { error } => {
            view.error = Some(error_view(error));
            "failed"
        }
        ConnectionState::Closed => "closed",
        _ => "unknown",
    };
    view
}

fn settled<'a>(view: &mut View<'a>, answer: &'a Answer) {
    match answer {
        Answer::Acquired { lease, endpoint } => {
            view.id = Some(lease);
            view.endpoint = Some(endpoint);
        }
        Answer::Endpoint(endpoint) => view.endpoint = Some(endpoint),
        Answer::Status(status) => view.fleet = Some(fleet_view(status)),
        _ => {}
    }
}

fn error_view(error: &Error) -> ErrorView<'_> {
    ErrorView {
        code: error.code().as_str(),
        message: error.own_message(),
        retryable: error.retryable(),
        user_action: match error.user_action() {
            UserAction::Wait => "wait",
            UserAction::Retry => "retry",
            UserAction::CheckNetwork => "check_network",
            UserAction::SignIn => "sign_in",
            UserAction::UpdateApp => "update_app",
            UserAction::ContactOperator => "contact_operator",
            _ => "none",
        },
        outcome: error.outcome().as_str(),
        stage: match error.stage() {
            Stage::Token => "token",
            Stage::Connect => "connect",
            Stage::Link => "link",
            Stage::Request => "request",
            Stage::Boot => "boot",
            Stage::Verify => "verify",
            Stage::Lease => "lease",
            _ => "local",
        },
        retry_after_ms: error.retry_after().map(millis),
        cause: error.cause(),
    }
}

fn progress_view(progress: &Progress) -> ProgressView<'_> {
    ProgressView {
        phase: progress.phase.as_str(),
        elapsed_ms: millis(progress.elapsed),
        eta_p50_ms: progress.eta_p50.map(millis),
        eta_p90_ms: progress.eta_p90.map(millis),
        permille: (progress.fraction * 1000.0) as u32,
        overdue: progress.overdue,
        note: progress.note.as_deref(),
    }
}

fn change_view(change: &LeaseChange) -> ChangeView<'_> {
    let mut view = ChangeView::default();
    view.kind = match change {
        LeaseChange::Draining { ends_in } => {
            view.ends_in_ms = Some(millis(*ends_in));
            "draining"
        }
        LeaseChange::Held { endpoint } => {
            view.endpoint = Some(endpoint);
            "held"
        }
        LeaseChange::Moving => "moving",
        LeaseChange::Moved { endpoint } => {
            view.endpoint = Some(endpoint);
            "moved"
        }
        LeaseChange::Lost { reason } => {
            view.reason = Some(reason.as_str());
            "lost"
        }
        LeaseChange::Released => "released",
        _ => "unknown",
    };
    view
}

fn lease_status(status: LeaseStatus) -> &'static str {
    match status {
        LeaseStatus::Held => "held",
        LeaseStatus::Draining => "draining",
        LeaseStatus::Moving => "moving",
        LeaseStatus::Lost => "lost",
        LeaseStatus::Released => "released",
        _ => "unknown",
    }
}

fn fleet_view(status: &FleetStatus) -> FleetView<'_> {
    FleetView {
        fleet: &status.fleet,
        ready: status.ready,
        phase: status.phase.map(|phase| phase.as_str()),
        eta_p50_ms: millis(status.eta_p50),
        eta_p90_ms: millis(status.eta_p90),
        overdue: status.overdue,
        note: status.note.as_deref(),
        code: status.code.as_ref().map(|code| code.as_str()),
        retry_after_ms: status.retry_after.map(millis),
        operator: status.operator.as_deref(),
    }
}

/// Whole milliseconds, which JavaScript reads exactly up to 285 000 years.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
