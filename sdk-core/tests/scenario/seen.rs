//! What the machine puts out, as JSON: the form in which scenarios expect it.

use serde_json::{Map, Value, json};
use wakecast::machine::{
    Answer, ConnectStage, Effect, Event, LeaseChange, LeaseStatus, Output, TokenReason,
};
use wakecast::{ConnectionState, Endpoint, Error, ErrorCode, Progress, ReconnectReason, Stage};

use super::words::{check_conditions, named};
use crate::support::CANARY;

/// The kinds of output, and the fields of each.
const KINDS: [(&str, &[&str]); 12] = [
    ("open", &["token", "gateway"]),
    ("send", &["link", "message"]),
    ("close", &["code"]),
    ("fetch_token", &["reason"]),
    ("check_access", &["token", "gateway"]),
    ("probe", &["url", "stream_token"]),
    ("cancel_probe", &[]),
    (
        "state",
        &[
            "stage",
            "session",
            "attempt",
            "retry_in_ms",
            "reason",
            "error",
        ],
    ),
    (
        "settled",
        &[
            "answer", "lease", "endpoint", "error", "fleet", "ready", "phase",
        ],
    ),
    (
        "progress",
        &[
            "phase",
            "elapsed_ms",
            "eta_p50_ms",
            "eta_p90_ms",
            "fraction",
            "overdue",
            "note",
        ],
    ),
    (
        "lease",
        &["status", "change", "ends_in_ms", "endpoint", "reason"],
    ),
    ("diagnostic", &["error"]),
];

const STATES: [&str; 7] = [
    "idle",
    "connecting",
    "connected",
    "reconnecting",
    "paused",
    "failed",
    "closed",
];

const ERROR_FIELDS: [&str; 7] = [
    "code",
    "outcome",
    "stage",
    "retryable",
    "retry_after_ms",
    "message",
    "cause",
];

const MESSAGE_FIELDS: [&str; 17] = [
    "action",
    "id",
    "v",
    "client_id",
    "sdk",
    "leases",
    "requests",
    "fleet",
    "app",
    "purpose",
    "stream_id",
    "deadline_ms",
    "acquire",
    "lease",
    "reason",
    "token",
    "mode",
];

/// The kind of an output or of an expectation.
pub fn kind(value: &Value) -> Option<&'static str> {
    let fields = value.as_object()?;
    let kinds = KINDS.iter().map(|(kind, _)| *kind);
    kinds.into_iter().find(|kind| {
        // `lease` is a field of `settled` as well.
        fields.contains_key(*kind) && !(*kind == "lease" && fields.contains_key("settled"))
    })
}

/// Checks that an expectation can be met at all: a misspelt one would make a `never` that always
/// holds.
pub fn check(expected: &Value) -> Result<(), String> {
    if *expected == json!("*") {
        return Ok(());
    }
    check_conditions(expected)?;
    let kinds = || {
        let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        kinds.join(", ")
    };
    let kind = kind(expected)
        .ok_or_else(|| format!("{expected} names no output: expected one of {}", kinds()))?;
    let (_, fields) = KINDS.iter().find(|(name, _)| *name == kind).unwrap();
    known(expected, &[&[kind], *fields].concat())?;
    let value = &expected[kind];
    match kind {
        "send" => words(value, wakecast::protocol::ClientMessage::ACTIONS)?,
        "state" => words(value, &STATES)?,
        "diagnostic" => code(value)?,
        _ => {}
    }
    if let Some(message) = expected.get("message") {
        known(message, &MESSAGE_FIELDS)?;
    }
    if let Some(error) = expected.get("error") {
        known(error, &ERROR_FIELDS)?;
        code(error.get("code").unwrap_or(&Value::Null))?;
        let outcomes = ["not_sent", "unknown", "rejected"];
        words(error.get("outcome").unwrap_or(&Value::Null), &outcomes)?;
    }
    if let ("state", Some(reason)) = (kind, expected.get("reason"))
        && named(reason) != ["offline"]
    {
        code(reason)?;
    }
    if let ("fetch_token", Some(reason)) = (kind, expected.get("reason")) {
        words(reason, &["initial", "expiring", "rejected"])?;
    }
    Ok(())
}

fn known(value: &Value, fields: &[&str]) -> Result<(), String> {
    for name in value.as_object().into_iter().flat_map(Map::keys) {
        if !fields.contains(&name.as_str())
            && !["between", "contains", "not", "one_of", "at_least"].contains(&name.as_str())
        {
            let fields = fields.join(", ");
            return Err(format!(
                "{value} has a field `{name}`: expected one of {fields}"
            ));
        }
    }
    Ok(())
}

fn words(value: &Value, vocabulary: &[&str]) -> Result<(), String> {
    match named(value).iter().find(|word| !vocabulary.contains(word)) {
        Some(word) => Err(format!(
            "`{word}` is none of {}",
            vocabulary.to_vec().join(", ")
        )),
        None => Ok(()),
    }
}

fn code(value: &Value) -> Result<(), String> {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(ErrorCode::as_str).collect();
    match named(value).iter().find(|code| !codes.contains(code)) {
        Some(code) if !code.starts_with("other_") => Err(format!(
            "`{code}` is no error code; one that is to be unknown begins with `other_`"
        )),
        _ => Ok(()),
    }
}

/// One output as JSON. Empty fields are left out.
pub fn output(output: &Output) -> Value {
    let value = match output {
        Output::Effect(effect) => self::effect(effect),
        Output::Event(event) => self::event(event),
        other => json!({"unknown": format!("{other:?}")}),
    };
    strip(value)
}

fn effect(effect: &Effect) -> Value {
    match effect {
        Effect::OpenTransport {
            epoch,
            gateway,
            token,
        } => {
            json!({"open": epoch.0, "gateway": gateway.0, "token": token})
        }
        Effect::Send { epoch, text } => {
            let message: Value = serde_json::from_str(text.expose()).expect("we send JSON");
            json!({"send": message["action"], "link": epoch.0, "message": message})
        }
        Effect::CloseTransport { epoch, code } => json!({"close": epoch.0, "code": code}),
        Effect::FetchToken { generation, reason } => {
            let reason = match reason {
                TokenReason::Initial => "initial",
                TokenReason::Expiring => "expiring",
                TokenReason::Rejected => "rejected",
                _ => "unknown",
            };
            json!({"fetch_token": generation.0, "reason": reason})
        }
        Effect::CheckAccess {
            check,
            gateway,
            token,
        } => {
            json!({"check_access": check.0, "gateway": gateway.0, "token": token})
        }
        Effect::Probe {
            probe,
            url,
            stream_token,
        } => json!({"probe": probe.0, "url": url, "stream_token": stream_token}),
        Effect::CancelProbe { probe } => json!({"cancel_probe": probe.0}),
        other => json!({"unknown": format!("{other:?}")}),
    }
}

fn event(event: &Event) -> Value {
    match event {
        Event::State(state) => self::state(state),
        Event::Settled { key, result } => match result {
            Ok(Answer::Acquired { lease, endpoint }) => {
                json!({"settled": key.0, "answer": "acquired", "lease": lease,
                    "endpoint": self::endpoint(endpoint)})
            }
            Ok(Answer::Endpoint(endpoint)) => {
                json!({"settled": key.0, "answer": "endpoint",
                    "endpoint": self::endpoint(endpoint)})
            }
            Ok(Answer::Released) => json!({"settled": key.0, "answer": "released"}),
            Ok(Answer::Status(status)) => {
                json!({"settled": key.0, "answer": "status", "fleet": status.fleet,
                    "ready": status.ready, "phase": status.phase.map(|phase| phase.as_str())})
            }
            Ok(other) => json!({"settled": key.0, "unknown": format!("{other:?}")}),
            Err(error) => json!({"settled": key.0, "error": self::error(error)}),
        },
        Event::Progress { id, progress } => self::progress(id, progress),
        Event::Lease {
            lease,
            status,
            change,
        } => self::lease(lease, *status, change),
        Event::Diagnostic(error) => {
            json!({"diagnostic": error.code().as_str(), "error": self::error(error)})
        }
        other => json!({"unknown": format!("{other:?}")}),
    }
}

/// A connection state as JSON.
pub fn state(state: &ConnectionState) -> Value {
    let value = match state {
        ConnectionState::Idle => json!({"state": "idle"}),
        ConnectionState::Connecting { stage } => {
            let stage = match stage {
                ConnectStage::Token => "token",
                ConnectStage::Socket => "socket",
                ConnectStage::Hello => "hello",
                _ => "unknown",
            };
            json!({"state": "connecting", "stage": stage})
        }
        ConnectionState::Connected { session } => json!({"state": "connected", "session": session}),
        ConnectionState::Reconnecting {
            attempt,
            retry_in,
            reason,
        } => {
            let reason = match reason {
                ReconnectReason::Offline => "offline",
                ReconnectReason::Failure(code) => code.as_str(),
                _ => "unknown",
            };
            json!({"state": "reconnecting", "attempt": attempt, "reason": reason,
                "retry_in_ms": millis(*retry_in)})
        }
        ConnectionState::Paused => json!({"state": "paused"}),
        ConnectionState::Failed { error } => {
            json!({"state": "failed", "error": self::error(error)})
        }
        ConnectionState::Closed => json!({"state": "closed"}),
        other => json!({"state": format!("{other:?}")}),
    };
    strip(value)
}

/// The status of a lease in one word.
pub fn status(status: LeaseStatus) -> &'static str {
    match status {
        LeaseStatus::Held => "held",
        LeaseStatus::Draining => "draining",
        LeaseStatus::Moving => "moving",
        LeaseStatus::Lost => "lost",
        LeaseStatus::Released => "released",
        _ => "unknown",
    }
}

fn lease(lease: &str, status: LeaseStatus, change: &LeaseChange) -> Value {
    let mut value = json!({"lease": lease, "status": self::status(status)});
    let (name, field, content) = match change {
        LeaseChange::Draining { ends_in } => ("draining", "ends_in_ms", json!(millis(*ends_in))),
        LeaseChange::Held { endpoint } => ("held", "endpoint", self::endpoint(endpoint)),
        LeaseChange::Moving => ("moving", "reason", Value::Null),
        LeaseChange::Moved { endpoint } => ("moved", "endpoint", self::endpoint(endpoint)),
        LeaseChange::Lost { reason } => ("lost", "reason", json!(reason.as_str())),
        LeaseChange::Released => ("released", "reason", Value::Null),
        _ => ("unknown", "reason", Value::Null),
    };
    value["change"] = json!(name);
    value[field] = content;
    value
}

fn progress(id: &str, progress: &Progress) -> Value {
    json!({
        "progress": id,
        "phase": progress.phase.as_str(),
        "elapsed_ms": millis(progress.elapsed),
        "eta_p50_ms": progress.eta_p50.map(millis),
        "eta_p90_ms": progress.eta_p90.map(millis),
        "fraction": (f64::from(progress.fraction) * 1e6).round() / 1e6,
        "overdue": progress.overdue,
        "note": progress.note,
    })
}

fn error(error: &Error) -> Value {
    let stage = match error.stage() {
        Stage::Local => "local",
        Stage::Token => "token",
        Stage::Connect => "connect",
        Stage::Link => "link",
        Stage::Request => "request",
        Stage::Boot => "boot",
        Stage::Verify => "verify",
        Stage::Lease => "lease",
        _ => "unknown",
    };
    strip(json!({
        "code": error.code().as_str(),
        "outcome": error.outcome().as_str(),
        "stage": stage,
        "retryable": error.retryable(),
        "retry_after_ms": error.retry_after().map(millis),
        "message": error.message(),
        "cause": error.cause(),
    }))
}

fn endpoint(endpoint: &Endpoint) -> Value {
    serde_json::to_value(endpoint).expect("an endpoint is JSON")
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Leaves empty fields out, and the mark by which the observer knows secrets.
fn strip(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, strip(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(strip).collect(),
        Value::String(text) => Value::String(text.replace(&format!("{CANARY}."), "")),
        value => value,
    }
}
