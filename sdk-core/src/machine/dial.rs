//! Attempts to connect: when the next one is due. What a refused one means is in `handshake`.

use std::time::Duration;

use super::backoff::{self, Backoff};
use super::constants::{ACCESS_TIMEOUT, CUT_INTERVAL};
use super::input::{AccessAnswer, CheckId};
use super::output::Effect;
use super::record::Happening;
use super::{Intent, Machine};
use crate::protocol::Outcome;
use crate::{Error, ErrorCode, Instant, Secret, Stage};

/// What stands between us and the next link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    /// Nothing: there is a link or an attempt on its way, or none is wanted, or one is due now.
    Rest,
    /// A wait.
    Wait { until: Instant },
    /// The token provider.
    Token,
    /// An access check of this token, which may end before the answer comes.
    Check {
        check: CheckId,
        until: Instant,
        token: Secret,
    },
}

/// What is known about attempts.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Attempts since the last reset.
    pub(super) made: u32,
    /// Whether a cause of our own has had its quick try since the last reset.
    own_used: bool,
    /// The wait as it was when it began, for the public state.
    pub(super) shown_wait: Duration,
    /// Why the link is down; `None` before the first failure.
    pub(super) reason: Option<ErrorCode>,
    /// What failed last, as the cause of what fails because of it.
    pub(super) last_error: Option<Error>,
    last_cut: Option<Instant>,
    /// The network has changed, and it was too soon to cut a wait or an attempt again: when it is
    /// cut, unless one has begun on the new network before.
    cut_owed: Option<Instant>,
    /// Whether no link was wanted until now.
    rested: bool,
    /// Access checks in a row that found nothing wrong.
    pub(super) clean_checks: u32,
    /// Whether any link has been proved on this network.
    pub(super) proved_on_network: bool,
    next_check: u64,
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
        self.cut_owed = None;
        self.proved_on_network = true;
        self.clean_checks = 0;
    }

    /// What was learnt about the network is about another one.
    pub(super) fn network_changed(&mut self) {
        self.proved_on_network = false;
        self.clean_checks = 0;
    }

    /// When the cut that is owed comes.
    pub(super) fn cut_due(&self) -> Option<Instant> {
        self.cut_owed
    }
}

impl Machine {
    /// Begins an attempt if one is wanted and due.
    pub(super) fn drive(&mut self) {
        if !self.wants_link() {
            self.attempts.rested = true;
            return self.rest();
        }
        if std::mem::take(&mut self.attempts.rested) {
            self.show_kept_wait();
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
        let gateway = self.attempt_gateway();
        self.attempts.cut_owed = None;
        let secret = self.tokens.usable(self.now).cloned();
        match secret {
            Some(secret) if self.gateways.here.check_owed && self.config.can_check(gateway) => {
                self.gateways.here.check_owed = false;
                self.attempts.next_check += 1;
                let check = CheckId(self.attempts.next_check);
                self.dial = Dial::Check {
                    check,
                    until: self.now + ACCESS_TIMEOUT,
                    token: secret.clone(),
                };
                self.effect(Effect::CheckAccess {
                    check,
                    gateway,
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
            self.links.active = Some(self.open_link(secret, self.gateways.current()));
        } else if self.tokens.refused_for_good() {
            self.fail(tokens_refused(self.attempts.last_error.clone()));
        } else {
            self.ask_token();
        }
    }

    /// Fires the access check's timer, and the cut that is owed to another network.
    pub(super) fn fire_dial(&mut self) {
        if self.attempts.cut_owed.is_some_and(|at| at <= self.now) {
            self.hurry();
        }
        if let Dial::Check { check, until, .. } = self.dial
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
            return self.fail(tokens_refused(Some(error)));
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

    pub(super) fn schedule(
        &mut self,
        cause: backoff::Cause,
        retry_after: Option<Duration>,
        later: bool,
    ) {
        let offline = self.environment.offline;
        let told = retry_after.map(|floor| self.now + floor);
        self.gateways.here.floor = self.gateways.here.floor.max(told);
        self.choose_gateway();
        let moves = self.gateways.moves();
        let floor = self.floor();
        let backoff = Backoff {
            cause: match cause {
                _ if offline => backoff::Cause::Other,
                _ if moves => backoff::Cause::Elsewhere,
                cause => cause,
            },
            // Without a network an attempt costs battery and brings little: the cap's cadence.
            attempt: if offline {
                u32::MAX
            } else {
                self.attempts.made
            },
            spread: self.gateways.spread(),
            retry_after: floor.map(|floor| floor.since(self.now)),
            later: later && !moves,
        };
        let delay = backoff.delay([self.random.fraction(), self.random.fraction()]);
        self.wait_for(delay);
        let asked = self.floor().is_some();
        self.note(Happening::Waiting { delay, asked });
    }

    fn wait_for(&mut self, delay: Duration) {
        self.attempts.shown_wait = delay;
        self.dial = Dial::Wait {
            until: self.now + delay,
        };
    }

    /// Something new makes an attempt worthwhile at once: cuts a wait short, but not more often than
    /// every [`CUT_INTERVAL`].
    pub(super) fn cut_wait(&mut self) {
        if matches!(self.dial, Dial::Wait { .. }) && self.may_cut() {
            self.choose_gateway();
            // A crowd that asks at once must not arrive at once where it has not been before.
            let cause = if self.gateways.moves() {
                backoff::Cause::Elsewhere
            } else {
                backoff::Cause::Own
            };
            self.cut_to_moment(cause);
        }
    }

    /// Cuts a wait short, but never `Retry-After`.
    fn cut_to_moment(&mut self, cause: backoff::Cause) {
        let Dial::Wait { until } = self.dial else {
            return;
        };
        if self.floor().is_some() {
            return;
        }
        self.attempts.last_cut = Some(self.now);
        let delay = self.moment(cause);
        if self.now + delay < until {
            self.wait_for(delay);
        }
    }

    /// Until when the next attempt may not be made; `None` once that has passed.
    pub(super) fn floor(&self) -> Option<Instant> {
        self.gateways.floor(self.now)
    }

    /// The wait before a first try, for a cause of our own or at another gateway.
    fn moment(&mut self, cause: backoff::Cause) -> Duration {
        let backoff = Backoff {
            cause,
            attempt: 0,
            spread: self.gateways.spread(),
            retry_after: None,
            later: false,
        };
        backoff.delay([self.random.fraction(), self.random.fraction()])
    }

    fn may_cut(&self) -> bool {
        self.attempts
            .last_cut
            .is_none_or(|last| last + CUT_INTERVAL <= self.now)
    }

    /// The network is another one: an attempt that began on the old one is given up, and a wait says
    /// nothing about the new one. At most every [`CUT_INTERVAL`]; before that it is owed.
    pub(super) fn hurry(&mut self) {
        self.attempts.cut_owed = None;
        if self.link_live() || !self.wants_link() {
            return;
        }
        let trying = self.links.active.is_some() || matches!(self.dial, Dial::Check { .. });
        if !trying && !matches!(self.dial, Dial::Wait { .. }) {
            return;
        }
        if let Some(last) = self.attempts.last_cut.filter(|_| !self.may_cut()) {
            self.attempts.cut_owed = Some(last + CUT_INTERVAL);
            return;
        }
        if trying {
            self.drop_links();
            let error = Error::new(ErrorCode::ConnectionLost, Outcome::NotSent, Stage::Connect)
                .with_cause("the network changed while connecting");
            self.attempt_failed(error, backoff::Cause::Own, None);
        }
        self.cut_to_moment(backoff::Cause::Own);
    }

    /// The background is over. A wait that is left of before is cut as any other; without one there
    /// is a moment before the attempt, so that flapping makes no storm either.
    pub(super) fn resume(&mut self) {
        match self.dial {
            Dial::Wait { until } if until > self.now => self.cut_wait(),
            Dial::Wait { .. } | Dial::Rest if self.links.active.is_none() => {
                // What failed before is over: this is a beginning.
                self.attempts.reason = None;
                self.choose_gateway();
                let cause = if self.gateways.moves() {
                    backoff::Cause::Elsewhere
                } else {
                    backoff::Cause::Own
                };
                let soon = self.now + self.moment(cause);
                let until = match self.attempts.last_cut {
                    // A wait that has passed meanwhile was waited for: begun anew at each return, it
                    // would never end.
                    Some(last) if self.dial == Dial::Rest && !self.may_cut() => {
                        soon.max(last + CUT_INTERVAL)
                    }
                    _ => soon,
                };
                self.attempts.last_cut = Some(until);
                self.attempts.shown_wait = until.since(self.now);
                self.dial = Dial::Wait { until };
            }
            _ => {}
        }
    }

    /// A link is wanted again. A wait that goes on is shown as one, with what is left of it.
    fn show_kept_wait(&mut self) {
        match self.dial {
            Dial::Wait { until } if until > self.now => {
                self.attempts.shown_wait = until.since(self.now);
            }
            _ => self.attempts.reason = None,
        }
    }

    /// No link is wanted for now: gives up what is under way. A wait goes on, since the server that
    /// asked for it knows nothing of our background.
    pub(super) fn pause_dialling(&mut self) {
        match self.dial {
            Dial::Wait { .. } => {}
            Dial::Check { .. } => self.give_up_attempt(),
            Dial::Rest if self.links.active.is_some() && !self.link_live() => {
                self.give_up_attempt();
            }
            Dial::Rest | Dial::Token => self.dial = Dial::Rest,
        }
    }

    /// An attempt that we broke off has cost the server as much as one that failed.
    fn give_up_attempt(&mut self) {
        self.schedule(backoff::Cause::Other, None, false);
        self.attempts.made = self.attempts.made.saturating_add(1);
    }
}

/// Why and how the next attempt waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) cause: backoff::Cause,
    pub(super) retry_after: Option<Duration>,
    pub(super) later: bool,
}

/// Says why trying goes no further: fresh tokens were refused. Whatever ended the link meanwhile is
/// the cause at most: on its own it would promise another attempt.
fn tokens_refused(last: Option<Error>) -> Error {
    match last {
        Some(error)
            if matches!(
                error.code(),
                ErrorCode::TokenRejected | ErrorCode::TokenExpired | ErrorCode::Forbidden
            ) =>
        {
            error
        }
        last => {
            let error = Error::new(ErrorCode::TokenRejected, Outcome::Rejected, Stage::Connect);
            match last {
                Some(last) => error.with_cause(last.in_full()),
                None => error,
            }
        }
    }
}
