//! Attempts to connect: when the next one is due, and what a failed one means.

use std::time::Duration;

use super::backoff::{self, Backoff};
use super::constants::{ACCESS_TIMEOUT, CLEAN_CHECKS_BLOCKED, CUT_INTERVAL, SPREAD_UNTOLD};
use super::input::{AccessAnswer, CheckId, Refusal};
use super::output::{Effect, Event};
use super::{Intent, Machine};
use crate::protocol::Outcome;
use crate::{Error, ErrorCode, Instant, Secret, Stage};

/// What stands between us and the next link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    /// Nothing: there is a link or an attempt on its way, or none is wanted, or one is due now.
    Rest,
    /// A wait.
    Wait { until: Instant },
    /// The token provider.
    Token,
    /// An access check.
    Check { check: CheckId, until: Instant },
}

/// What is known about attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Attempts since the last reset.
    pub(super) made: u32,
    /// Whether a cause of our own has had its quick try since the last reset.
    own_used: bool,
    /// Until when `Retry-After` forbids an attempt.
    floor: Option<Instant>,
    /// The wait as it was when it began, for the public state.
    pub(super) shown_wait: Duration,
    /// Why the link is down; `None` before the first failure.
    pub(super) reason: Option<ErrorCode>,
    /// What failed last, as the cause of what fails because of it.
    pub(super) last_error: Option<Error>,
    last_cut: Option<Instant>,
    /// Over how long the server wants reconnects to spread.
    pub(super) spread: Duration,
    check_owed: bool,
    clean_checks: u32,
    /// Whether any link has been proved on this network.
    pub(super) proved_on_network: bool,
    next_check: u64,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            made: 0,
            own_used: false,
            floor: None,
            shown_wait: Duration::ZERO,
            reason: None,
            last_error: None,
            last_cut: None,
            spread: SPREAD_UNTOLD,
            check_owed: false,
            clean_checks: 0,
            proved_on_network: false,
            next_check: 0,
        }
    }
}

impl Attempts {
    /// The service has proved well: the backoff starts anew.
    pub(super) fn reset(&mut self) {
        self.made = 0;
        self.own_used = false;
    }

    /// A link is proved.
    pub(super) fn proved(&mut self) {
        self.reason = None;
        self.last_error = None;
        self.floor = None;
        self.proved_on_network = true;
        self.forget_checks();
    }

    /// What was learnt about the network is about another one.
    pub(super) fn network_changed(&mut self) {
        self.proved_on_network = false;
        self.forget_checks();
    }

    fn forget_checks(&mut self) {
        self.check_owed = false;
        self.clean_checks = 0;
    }
}

impl Machine {
    /// Begins an attempt if one is wanted and due.
    pub(super) fn drive(&mut self) {
        if !self.wants_link() {
            return self.rest();
        }
        if self.links.active.is_some() {
            return;
        }
        match self.dial {
            Dial::Rest => self.begin_attempt(),
            Dial::Wait { until } if until <= self.now => self.begin_attempt(),
            Dial::Token => self.open_with_token(),
            Dial::Wait { .. } | Dial::Check { .. } => {}
        }
    }

    /// Whether there should be a link.
    pub(super) fn wants_link(&self) -> bool {
        self.intent == Intent::Open && self.failed.is_none() && !self.paused()
    }

    fn begin_attempt(&mut self) {
        let secret = self.tokens.usable(self.now).cloned();
        match secret {
            Some(secret) if self.attempts.check_owed && self.config.access_check => {
                self.attempts.check_owed = false;
                self.attempts.next_check += 1;
                let check = CheckId(self.attempts.next_check);
                self.dial = Dial::Check {
                    check,
                    until: self.now + ACCESS_TIMEOUT,
                };
                self.effect(Effect::CheckAccess {
                    check,
                    token: secret,
                });
            }
            _ => {
                self.dial = Dial::Token;
                self.open_with_token();
            }
        }
    }

    fn open_with_token(&mut self) {
        if let Some(secret) = self.tokens.usable(self.now).cloned() {
            self.dial = Dial::Rest;
            self.links.active = Some(self.open_link(secret));
        } else if self.tokens.refused_for_good() {
            self.fail(self.attempts.last_error.clone().unwrap_or_else(|| {
                Error::new(ErrorCode::TokenRejected, Outcome::Rejected, Stage::Connect)
            }));
        } else {
            self.ask_token();
        }
    }

    /// Fires the access check's timer.
    pub(super) fn fire_dial(&mut self) {
        if let Dial::Check { check, until } = self.dial
            && until <= self.now
        {
            let message = "no answer to the access check within 10 s".into();
            self.access_checked(check, AccessAnswer::Unreachable { message });
        }
    }

    /// An attempt has failed, or a link has ended: the next attempt waits.
    pub(super) fn attempt_failed(
        &mut self,
        error: Error,
        cause: backoff::Cause,
        retry_after: Option<Duration>,
    ) {
        self.wait(
            error,
            Waiting {
                cause,
                retry_after,
                later: false,
            },
        );
    }

    pub(super) fn wait(&mut self, error: Error, waiting: Waiting) {
        if self.tokens.refused_for_good() && self.tokens.usable(self.now).is_none() {
            return self.fail(error);
        }
        self.attempts.reason = Some(error.code().clone());
        self.attempts.last_error = Some(error);
        if self.intent != Intent::Open {
            return;
        }
        let cause = match waiting.cause {
            backoff::Cause::Own if self.attempts.own_used => backoff::Cause::Other,
            cause => cause,
        };
        self.attempts.own_used |= cause == backoff::Cause::Own;
        self.schedule(cause, waiting.retry_after, waiting.later);
        self.attempts.made = self.attempts.made.saturating_add(1);
    }

    fn schedule(&mut self, cause: backoff::Cause, retry_after: Option<Duration>, later: bool) {
        let offline = self.environment.offline;
        let backoff = Backoff {
            cause: if offline {
                backoff::Cause::Other
            } else {
                cause
            },
            // Without a network an attempt costs battery and brings little: the cap's cadence.
            attempt: if offline {
                u32::MAX
            } else {
                self.attempts.made
            },
            spread: self.attempts.spread,
            retry_after,
            later,
        };
        let delay = backoff.delay([self.random.fraction(), self.random.fraction()]);
        self.attempts.floor = retry_after.map(|floor| self.now + floor);
        self.attempts.shown_wait = delay;
        self.dial = Dial::Wait {
            until: self.now + delay,
        };
    }

    /// Something new makes an attempt worthwhile at once: cuts a wait short, but never
    /// `Retry-After`, and not more often than every [`CUT_INTERVAL`].
    pub(super) fn cut_wait(&mut self) {
        let Dial::Wait { until } = self.dial else {
            return;
        };
        if self.attempts.floor.is_some_and(|floor| floor > self.now) || !self.may_cut() {
            return;
        }
        self.attempts.last_cut = Some(self.now);
        let backoff = Backoff {
            cause: backoff::Cause::Own,
            attempt: 0,
            spread: self.attempts.spread,
            retry_after: None,
            later: false,
        };
        let delay = backoff.delay([self.random.fraction(), self.random.fraction()]);
        if self.now + delay < until {
            self.attempts.shown_wait = delay;
            self.dial = Dial::Wait {
                until: self.now + delay,
            };
        }
    }

    fn may_cut(&self) -> bool {
        self.attempts
            .last_cut
            .is_none_or(|last| last + CUT_INTERVAL <= self.now)
    }

    /// Gives up an attempt that began on another network, at most every [`CUT_INTERVAL`].
    pub(super) fn cut_attempt(&mut self) {
        if self.links.active.is_some() && !self.link_live() && self.may_cut() {
            self.attempts.last_cut = Some(self.now);
            self.drop_links();
            let error = Error::new(ErrorCode::ConnectionLost, Outcome::NotSent, Stage::Connect)
                .with_cause("the network changed while connecting");
            self.attempt_failed(error, backoff::Cause::Own, None);
        }
    }

    /// Waits a moment before the first attempt after the background.
    pub(super) fn resume(&mut self) {
        if self.dial == Dial::Rest && self.links.active.is_none() {
            self.schedule(backoff::Cause::Own, None, false);
        }
    }

    /// The handshake was refused: what that means.
    pub(super) fn refused(&mut self, secret: &Secret, refusal: Refusal) {
        if refusal == Refusal::Opaque {
            // At most every second time, so that checks do not double the load of an outage.
            self.attempts.check_owed = true;
        }
        let (verdict, error) = judge(refusal);
        match verdict {
            Verdict::Terminal => self.fail(error),
            Verdict::Token => {
                self.token_refused(secret);
                self.attempt_failed(error, backoff::Cause::Other, None);
            }
            Verdict::Retry(cause) => {
                let retry_after = error.retry_after();
                self.attempt_failed(error, cause, retry_after);
            }
        }
    }

    pub(super) fn access_checked(&mut self, answered: CheckId, answer: AccessAnswer) {
        let Dial::Check { check, .. } = self.dial else {
            return;
        };
        if check != answered {
            return;
        }
        self.dial = Dial::Rest;
        match answer {
            AccessAnswer::Http {
                status,
                retry_after,
            } if matches!(status, 401 | 403 | 426 | 429 | 503) => {
                self.attempts.clean_checks = 0;
                let secret = self.tokens.usable(self.now).cloned().unwrap_or_default();
                self.refused(
                    &secret,
                    Refusal::Http {
                        status,
                        retry_after,
                    },
                );
            }
            AccessAnswer::Http {
                status: 200..=299, ..
            } => {
                self.attempts.clean_checks = self.attempts.clean_checks.saturating_add(1);
                self.explained_nothing();
            }
            AccessAnswer::Http { .. } | AccessAnswer::Unreachable { .. } => {
                self.attempts.clean_checks = 0;
                self.explained_nothing();
            }
        }
    }

    /// The check found nothing wrong: the backoff goes on where it was.
    fn explained_nothing(&mut self) {
        let blocked =
            self.attempts.clean_checks >= CLEAN_CHECKS_BLOCKED && !self.attempts.proved_on_network;
        if blocked {
            let error = Error::new(
                ErrorCode::WebsocketBlocked,
                Outcome::NotSent,
                Stage::Connect,
            );
            if self.attempts.clean_checks == CLEAN_CHECKS_BLOCKED {
                self.emit(Event::Diagnostic(error.clone()));
            }
            self.attempts.reason = Some(ErrorCode::WebsocketBlocked);
            self.attempts.last_error = Some(error);
        }
        self.schedule(backoff::Cause::Other, None, false);
    }
}

/// Why and how the next attempt waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) cause: backoff::Cause,
    pub(super) retry_after: Option<Duration>,
    pub(super) later: bool,
}

/// What a refused handshake asks of us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Trying again is useless.
    Terminal,
    /// The token was refused.
    Token,
    /// Trying again can help.
    Retry(backoff::Cause),
}

/// Reads a refusal: the verdict, and the error that tells it.
pub(super) fn judge(refusal: Refusal) -> (Verdict, Error) {
    let make = |code| Error::new(code, Outcome::NotSent, Stage::Connect);
    match refusal {
        Refusal::Http {
            status,
            retry_after,
        } => {
            let (verdict, code) = match status {
                401 => (Verdict::Token, ErrorCode::TokenRejected),
                403 => (Verdict::Terminal, ErrorCode::Forbidden),
                426 => (Verdict::Terminal, ErrorCode::ClientTooOld),
                429 => (Verdict::Retry(backoff::Cause::Peer), ErrorCode::Throttled),
                503 => (
                    Verdict::Retry(backoff::Cause::Peer),
                    ErrorCode::ServiceUnavailable,
                ),
                500..=599 => (
                    Verdict::Retry(backoff::Cause::Other),
                    ErrorCode::ServiceUnavailable,
                ),
                _ => (
                    Verdict::Retry(backoff::Cause::Other),
                    ErrorCode::ProtocolError,
                ),
            };
            let cause = format!("the handshake was answered with HTTP status {status}");
            (
                verdict,
                make(code).with_cause(cause).with_retry_after(retry_after),
            )
        }
        Refusal::Unreachable { message } | Refusal::Tls { message } => {
            let error = make(ErrorCode::NetworkUnreachable).with_cause(message);
            (Verdict::Retry(backoff::Cause::Other), error)
        }
        Refusal::BadHandshake { message } => {
            let error = make(ErrorCode::ProtocolError).with_cause(message);
            (Verdict::Retry(backoff::Cause::Other), error)
        }
        Refusal::Opaque => {
            let error = make(ErrorCode::NetworkUnreachable)
                .with_cause("the platform does not say why the handshake failed");
            (Verdict::Retry(backoff::Cause::Other), error)
        }
    }
}
