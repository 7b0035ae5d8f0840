//! What a machine says of itself must agree with what it does, whatever has happened to it.

use wakecast::Instant;
use wakecast::machine::{Condition, Headline, Machine, StateKind, Timer};

use crate::step::LEAK;
use crate::support::CANARY;

/// Longest texts: see the tests beside `explain`.
const EXPLANATION_MAX: usize = 16 * 1024;
const DIAGNOSTICS_MAX: usize = 64 * 1024;
const JSON_MAX: usize = 256 * 1024;
/// 128 rows, eight ends, the link and its token.
const MOST_FINDINGS: usize = 128 + 8 + 2;

/// Checks the explanation as of `now`.
pub(crate) fn explained(machine: &Machine, now: Instant) {
    let all = machine.explain(now);
    let state = machine.state().kind();
    assert_eq!(all.state, state);
    let expected = match all.headline {
        Headline::Idle => StateKind::Idle,
        Headline::Connecting => StateKind::Connecting,
        Headline::Connected | Headline::Waiting => StateKind::Connected,
        Headline::Reconnecting | Headline::Offline => StateKind::Reconnecting,
        Headline::Paused => StateKind::Paused,
        Headline::Failed => StateKind::Failed,
        Headline::Closed => StateKind::Closed,
        // While closing, the app sees the last state.
        _ => state,
    };
    assert_eq!(expected, state, "{all:?}");
    assert!(all.findings.len() <= MOST_FINDINGS);
    let link = &all.findings[0];
    assert_eq!(
        link.code.is_some(),
        link_is_troubled(link.what, state),
        "{all:?}"
    );

    // Nothing is foretold that no timer stands for, and nothing sooner than the armed timer.
    let armed = machine.next_timeout();
    for step in all.findings.iter().flat_map(|finding| &finding.next) {
        let (at, _) = armed.expect("a timer for what is foretold");
        assert!(step.after >= at.since(now), "{step:?} before {armed:?}");
    }
    if let (Condition::WaitingToRetry, Some((at, Timer::Attempt))) = (link.what, armed) {
        assert_eq!(link.next[0].after, at.since(now));
        assert_eq!(link.next[0].timer, Timer::Attempt);
    }
    let text = all.to_string();
    assert!(text.len() <= EXPLANATION_MAX, "{} bytes", text.len());
    harmless(&text);
}

/// Checks everything that a ticket would hold.
pub(crate) fn diagnosed(machine: &Machine, now: Instant) {
    let diagnostics = machine.diagnostics(now);
    assert!(diagnostics.records.len() <= 128);
    assert_eq!(diagnostics.metrics, machine.metrics());
    let (text, json) = (diagnostics.to_string(), diagnostics.to_json());
    assert!(text.len() <= DIAGNOSTICS_MAX, "{} bytes", text.len());
    assert!(json.len() <= JSON_MAX, "{} bytes", json.len());
    for told in [text, json, format!("{diagnostics:?}")] {
        harmless(&told);
    }
    // Long after, nothing overflows.
    let _ = machine.explain(Instant::from_millis(u64::MAX)).to_string();
}

fn harmless(text: &str) {
    assert!(
        !text.contains(CANARY) && !text.contains(LEAK),
        "a secret: {text}"
    );
    assert!(
        !text.contains('\u{1b}') && !text.contains('\r'),
        "a control character: {text:?}"
    );
}

fn link_is_troubled(what: Condition, state: StateKind) -> bool {
    match what {
        Condition::NothingWanted | Condition::Healthy | Condition::Paused | Condition::Closing => {
            false
        }
        Condition::Failed | Condition::Closed | Condition::Unanswered => true,
        _ => state == StateKind::Reconnecting,
    }
}
