//! What the client tells, in the words of the file.

use std::fmt::Debug;

use serde_json::{Map, Value, json};
use wakecast::{
    ConnectionState, Endpoint, Error, LeaseChange, LeaseStatus, Progress, ReconnectReason,
};

/// The kinds of entries: each has exactly one of these fields.
const KINDS: [&str; 8] = [
    "state",
    "progress",
    "lease",
    "settled",
    "endpoint",
    "released",
    "diagnostic",
    "token",
];

pub(crate) fn kind(entry: &Map<String, Value>) -> String {
    let found = KINDS.iter().find(|kind| entry.contains_key(**kind));
    (*found.unwrap_or_else(|| panic!("{entry:?} has none of {KINDS:?}"))).to_owned()
}

pub(crate) fn state(state: &ConnectionState) -> Value {
    match state {
        ConnectionState::Connecting { stage } => {
            json!({ "state": "connecting", "stage": snake(stage) })
        }
        ConnectionState::Connected { .. } => json!({ "state": "connected" }),
        ConnectionState::Reconnecting {
            attempt, reason, ..
        } => {
            let reason = match reason {
                ReconnectReason::Failure(code) => code.as_str(),
                _ => "offline",
            };
            json!({ "state": "reconnecting", "attempt": attempt, "reason": reason })
        }
        ConnectionState::Failed { error: why } => json!({ "state": "failed", "error": error(why) }),
        // Those without data.
        state => json!({ "state": snake(state) }),
    }
}

pub(crate) fn progress(name: &str, progress: &Progress) -> Value {
    json!({
        "progress": name,
        "phase": progress.phase.as_str(),
        "fraction": progress.fraction,
        "overdue": progress.overdue,
        "eta_p50_ms": progress.eta_p50.map(|eta| eta.as_millis() as u64),
        "eta_p90_ms": progress.eta_p90.map(|eta| eta.as_millis() as u64),
        "note": progress.note,
    })
}

pub(crate) fn lease(name: &str, now: LeaseStatus, change: &LeaseChange) -> Value {
    let (what, endpoint, reason) = match change {
        LeaseChange::Draining { .. } => ("draining", None, None),
        LeaseChange::Held { endpoint } => ("held", Some(endpoint), None),
        LeaseChange::Moving => ("moving", None, None),
        LeaseChange::Moved { endpoint } => ("moved", Some(endpoint), None),
        LeaseChange::Lost { reason } => ("lost", None, Some(reason.as_str())),
        LeaseChange::Released => ("released", None, None),
        change => panic!("{change:?} has no words"),
    };
    json!({
        "lease": name,
        "status": status(now),
        "change": what,
        "websocket_url": endpoint.map(|endpoint| &endpoint.websocket_url),
        "reason": reason,
    })
}

pub(crate) fn status(status: LeaseStatus) -> String {
    snake(status)
}

/// Without the token, which is nobody's to read.
pub(crate) fn endpoint(name: &str, endpoint: &Endpoint) -> Value {
    json!({
        "endpoint": name,
        "websocket_url": endpoint.websocket_url,
        "http_url": endpoint.http_url,
        "app": endpoint.app,
    })
}

pub(crate) fn diagnostic(error: &Error) -> Value {
    json!({ "diagnostic": error.code().as_str(), "user_action": snake(error.user_action()) })
}

pub(crate) fn error(error: &Error) -> Value {
    json!({
        "code": error.code().as_str(),
        "user_action": snake(error.user_action()),
        "retryable": error.retryable(),
        "outcome": error.outcome().as_str(),
        "stage": snake(error.stage()),
    })
}

/// The name of a variant without data, as the file spells it.
pub(crate) fn snake(variant: impl Debug) -> String {
    let mut name = String::new();
    for letter in format!("{variant:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}
