//! Refusals that pass by themselves: the same `acquire` is asked again until its deadline.

use super::Machine;
use super::backoff::{Backoff, Cause};
use crate::protocol::Outcome;
use crate::{Error, ErrorCode, Instant};

/// How the asking for one acquisition has gone so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Whether its `acquire` was ever written.
    ever: bool,
    /// Whether the last one written is still unanswered.
    unanswered: bool,
    /// Whether one of them may stand at the server.
    stands: bool,
    /// Refusals since the server last took it, for the backoff.
    refusals: u32,
    /// The last of them, to explain a deadline.
    last_refusal: Option<Error>,
    /// Until when a refusal is waited out.
    not_before: Option<Instant>,
}

impl Asked {
    /// Whether the server can have heard of it.
    pub(super) fn ever(&self) -> bool {
        self.ever
    }

    pub(super) fn last_refusal(&self) -> Option<&Error> {
        self.last_refusal.as_ref()
    }

    /// Refusals since the server last took it.
    pub(super) fn refusals(&self) -> u32 {
        self.refusals
    }

    /// Whether the last `acquire` is still unanswered.
    pub(super) fn unanswered(&self) -> bool {
        self.unanswered
    }

    pub(super) fn waits_at(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| at > now)
    }

    /// What is known about the wish at the server: `rejected` only if every copy was refused.
    pub(super) fn outcome(&self) -> Outcome {
        if !self.ever {
            Outcome::NotSent
        } else if self.may_stand() {
            Outcome::Unknown
        } else {
            Outcome::Rejected
        }
    }

    /// Whether the server may hold it, by our doing or by what it says.
    pub(super) fn may_stand(&self) -> bool {
        self.stands || self.unanswered
    }

    /// The `acquire` was written, for the first time or again.
    pub(super) fn written(&mut self) {
        self.stands |= self.unanswered;
        self.ever = true;
        self.unanswered = true;
    }

    /// The `acquire` was acknowledged. That alone does not end a row of refusals: a server that
    /// acknowledges first and refuses then must not be asked every second.
    pub(super) fn acknowledged(&mut self) {
        self.unanswered = false;
        self.stands = true;
    }

    /// The server works on it.
    pub(super) fn taken(&mut self) {
        self.acknowledged();
        self.refusals = 0;
        self.last_refusal = None;
        self.not_before = None;
    }

    fn refused(&mut self, error: Error, ask_again_at: Instant) {
        self.unanswered = false;
        self.stands |= error.outcome() == Outcome::Unknown;
        self.refusals = self.refusals.saturating_add(1);
        self.last_refusal = Some(error);
        self.not_before = Some(ask_again_at);
    }
}

impl Machine {
    /// `error` for an open acquisition. One that passes by itself is no end.
    pub(super) fn acquisition_refused(&mut self, id: &str, error: Error) {
        if passes(&error) {
            self.ask_again(id, error);
        } else {
            self.acquisition_failed(id, error);
        }
    }

    fn ask_again(&mut self, id: &str, error: Error) {
        self.requests.take(id);
        let draws = [self.random.fraction(), self.random.fraction()];
        let Some(acquisition) = self.acquisitions.get_mut(id) else {
            return;
        };
        let backoff = Backoff {
            cause: Cause::Other,
            attempt: acquisition.asked.refusals,
            spread: self.gateways.spread(),
            retry_after: error.retry_after(),
            later: false,
        };
        let at = self.now + backoff.delay(draws);
        acquisition.asked.refused(error, at);
        acquisition.resend_at = Some(at);
    }
}

/// Whether a refusal says nothing about the request: the table or a quota was busy for a moment.
fn passes(error: &Error) -> bool {
    let code = matches!(
        error.code(),
        ErrorCode::ServiceUnavailable | ErrorCode::Throttled
    );
    code && error.retryable()
}
