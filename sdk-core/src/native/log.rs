//! What is logged, at which level and within which span. The table is in the module's rustdoc.

use tracing::{Span, debug, error, info, info_span, trace, warn};

use super::address::Address;
use crate::machine::{AccessAnswer, Answer, CheckId, Effect, Epoch, Input, ProbeId};
use crate::{ConnectionState, Error, ErrorCode, LeaseChange, Progress, redact_url};

/// The client as a whole.
const CLIENT: &str = "wakecast::client";
/// Transports, one span each.
const CONNECTION: &str = "wakecast::connection";
/// Acquisitions and what they were granted, one span each.
const ACQUISITION: &str = "wakecast::acquisition";

/// The span of a transport.
pub(super) fn connection(epoch: Epoch, address: Option<&Address>, state: &ConnectionState) -> Span {
    let gateway = address.map(Address::authority).unwrap_or_default();
    let attempt = match state {
        ConnectionState::Reconnecting { attempt, .. } => attempt.saturating_add(1),
        _ => 1,
    };
    let span = info_span!(target: CONNECTION, "connection", epoch = epoch.0, gateway, attempt);
    span.in_scope(|| debug!(target: CONNECTION, "opening"));
    span
}

/// What became of an attempt.
pub(super) fn opened(refused: Option<&dyn std::fmt::Display>) {
    match refused {
        None => debug!(target: CONNECTION, "open"),
        Some(failure) => debug!(target: CONNECTION, %failure, "not opened"),
    }
}

/// The other side ended a transport.
pub(super) fn ended(end: &crate::machine::TransportEnd) {
    debug!(target: CONNECTION, ?end, "ended");
}

/// This side ends a transport.
pub(super) fn closing(code: u16) {
    debug!(target: CONNECTION, code, "closing");
}

/// What the machine wants done, where that is no transport's.
pub(super) fn effect(effect: &Effect) {
    if let Effect::FetchToken { generation, reason } = effect {
        debug!(target: CLIENT, generation = generation.0, ?reason, "asking for a token");
    }
}

/// The span of an access check.
pub(super) fn access_check(check: CheckId, address: Option<&Address>) -> Span {
    let gateway = address.map(Address::authority).unwrap_or_default();
    let span = info_span!(target: CONNECTION, "access_check", check = check.0, gateway);
    span.in_scope(|| debug!(target: CONNECTION, "asking why"));
    span
}

/// What became of an access check.
pub(super) fn access_answer(answer: &AccessAnswer) {
    match answer {
        AccessAnswer::Http { status, .. } => debug!(target: CONNECTION, status, "answered"),
        AccessAnswer::Unreachable { message } => {
            debug!(target: CONNECTION, failure = message, "not answered");
        }
    }
}

/// The span of a proof that this device reaches an endpoint.
pub(super) fn probe(probe: ProbeId, url: &str) -> Span {
    let span = info_span!(target: CLIENT, "probe", probe = probe.0, endpoint = redact_url(url));
    span.in_scope(|| debug!(target: CLIENT, "proving"));
    span
}

/// What became of a proof.
pub(super) fn proved(result: &Result<(), String>) {
    match result {
        Ok(()) => debug!(target: CLIENT, "proved"),
        Err(failure) => debug!(target: CLIENT, failure, "not proved"),
    }
}

pub(super) fn timer(timer: crate::machine::Timer) {
    trace!(target: CLIENT, ?timer, "timer");
}

pub(super) fn state(state: &ConnectionState) {
    match state {
        ConnectionState::Failed { error } => {
            error!(target: CLIENT, code = %error.code(), stage = ?error.stage(), "failed");
        }
        ConnectionState::Connecting { stage } => debug!(target: CLIENT, ?stage, "connecting"),
        state => info!(target: CLIENT, ?state, "state"),
    }
}

pub(super) fn diagnostic(error: &Error) {
    warn!(target: CLIENT, code = %error.code(), stage = ?error.stage(), "diagnostic");
}

/// The span of an acquisition.
pub(super) fn acquisition(id: &str, input: &Input) -> Span {
    let Input::Acquire { acquire, .. } = input else {
        return Span::none();
    };
    let (app, stream, purpose) = (&acquire.app, &acquire.stream_id, acquire.purpose.as_str());
    let span = info_span!(target: ACQUISITION, "acquisition", id, app, purpose, stream);
    span.in_scope(|| debug!(target: ACQUISITION, "begun"));
    span
}

pub(super) fn progress(span: &Span, progress: &Progress) {
    let (phase, fraction) = (progress.phase, progress.fraction);
    span.in_scope(|| trace!(target: ACQUISITION, ?phase, fraction, "progress"));
}

pub(super) fn settled(span: &Span, result: &Result<Answer, Error>) {
    span.in_scope(|| match result {
        Ok(_) => info!(target: ACQUISITION, "granted"),
        Err(error) if matches!(error.code(), ErrorCode::Cancelled | ErrorCode::Closed) => {
            debug!(target: ACQUISITION, code = %error.code(), "ended");
        }
        Err(error) => {
            warn!(
                target: ACQUISITION,
                code = %error.code(), stage = ?error.stage(), outcome = ?error.outcome(), "failed"
            );
        }
    });
}

pub(super) fn lease(span: &Span, change: &LeaseChange) {
    let change = match change {
        LeaseChange::Draining { .. } => "draining",
        LeaseChange::Held { .. } => "held",
        LeaseChange::Moving => "moving",
        LeaseChange::Moved { .. } => "moved",
        LeaseChange::Lost { .. } => "lost",
        LeaseChange::Released => "released",
    };
    span.in_scope(|| info!(target: ACQUISITION, change, "lease"));
}
