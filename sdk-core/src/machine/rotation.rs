//! Rotation: the gateway cuts every link at a known age, so the next one is made before.

use std::time::Duration;

use super::backoff::{self, Backoff};
use super::constants::{
    MAX_AGE_MIN, ROTATE_FROM, ROTATE_TO, ROTATE_UNTIL, ROTATION_DRAIN, ROTATION_TOKEN_WAIT,
};
use super::handshake::{Verdict, judge};
use super::input::Epoch;
use super::links::{Draining, LinkEnd, LinkStage};
use super::record::TokenFault;
use super::{Intent, Machine};
use crate::{ErrorCode, Instant};

impl Machine {
    /// Plans the rotation of a link that was just welcomed.
    pub(super) fn rotation_plan(
        &mut self,
        opened_at: Instant,
        max_age: Duration,
    ) -> (Instant, Instant) {
        let max_age = max_age.max(MAX_AGE_MIN);
        let part = ROTATE_FROM + (ROTATE_TO - ROTATE_FROM) * self.random.fraction();
        (
            opened_at + scale(max_age, part),
            opened_at + scale(max_age, ROTATE_UNTIL),
        )
    }

    /// When the next rotation is due.
    pub(super) fn rotation_due(&self) -> Option<Instant> {
        let link = self.links.active.as_deref()?;
        let free = link.stage == LinkStage::Live
            && self.links.successor.is_none()
            && self.links.draining.is_none();
        if free { link.rotate_at } else { None }
    }

    /// Fires the rotation's timers.
    pub(super) fn fire_rotation(&mut self) {
        if self
            .links
            .draining
            .as_ref()
            .is_some_and(|link| link.until <= self.now)
        {
            self.close_draining();
            self.send_unsent();
        }
        if self.intent != Intent::Open || self.rotation_due().is_none_or(|at| at > self.now) {
            return;
        }
        let token = self.tokens.usable(self.now).cloned();
        // The next link would still carry the old token.
        let renewing = self.renewing();
        let Some(link) = self.links.active.as_deref_mut() else {
            return;
        };
        if self.now >= link.rotate_until {
            link.rotate_at = None;
        } else if let Some(token) = token.filter(|_| !renewing) {
            link.rotate_at = None;
            let gateway = link.gateway;
            self.links.successor = Some(self.open_link(token, gateway));
        } else {
            link.rotate_at = Some(self.now + ROTATION_TOKEN_WAIT);
        }
    }

    /// The next link has ended before its `welcome`.
    pub(super) fn successor_ended(&mut self, epoch: Epoch, end: LinkEnd) {
        let Some(successor) = self.links.successor.take() else {
            return;
        };
        self.note_link_end(&successor, &end);
        self.close_unless_ended(epoch, &end);
        let refused = matches!(end, LinkEnd::HelloRefused { refused: true, .. });
        // A `hello` to another gateway names nothing, so it cannot have taken anything along.
        let returning = successor.gateway != self.gateways.current();
        if !returning && matches!(successor.stage, LinkStage::Hello { .. }) && !refused {
            // The server may have given the rows to the dead link: only a new one brings them back.
            if let Some(active) = self.links.active.as_ref().map(|link| link.epoch) {
                self.link_ended(active, LinkEnd::Successor(Box::new(end)));
            }
            return;
        }
        let (verdict, retry_after) = match end {
            LinkEnd::Refused(refusal) => {
                let (verdict, error) = judge(refusal);
                (verdict, error.retry_after())
            }
            LinkEnd::HelloRefused {
                code, retry_after, ..
            } => (judge_hello(&code), retry_after),
            _ => (Verdict::Retry(backoff::Cause::Other), None),
        };
        if returning {
            self.return_failed(successor.gateway, retry_after);
        }
        match verdict {
            Verdict::Token => {
                self.note_token_fault(TokenFault::Refused);
                self.token_refused(&successor.token);
                if !self.tokens.refused_for_good() {
                    self.ask_token();
                }
            }
            Verdict::Terminal => return,
            Verdict::Retry(_) => {}
        }
        if returning {
            return;
        }
        let backoff = Backoff {
            cause: backoff::Cause::Other,
            // Nobody waits for it: at the cap's cadence.
            attempt: u32::MAX,
            spread: self.gateways.spread(),
            retry_after,
            later: false,
        };
        let at = self.now + backoff.delay([self.random.fraction(), self.random.fraction()]);
        if let Some(link) = self.links.active.as_deref_mut() {
            link.rotate_at = (at < link.rotate_until).then_some(at);
        }
    }

    /// The next link is welcomed: it takes over, the old one drains.
    pub(super) fn promote_successor(&mut self) {
        let Some(successor) = self.links.successor.take() else {
            return;
        };
        if let Some(old) = self.links.active.replace(successor) {
            let until = self.now + ROTATION_DRAIN;
            self.links.draining = Some(Draining {
                epoch: old.epoch,
                until,
            });
            self.requests.move_renewals();
            if let Some(gateway) = self.links.active.as_ref().map(|link| link.gateway) {
                self.move_to(gateway);
            }
        }
    }

    /// Closes the old link once nothing on it is left to be answered.
    pub(super) fn settle_drain(&mut self) {
        let Some(epoch) = self.links.draining.as_ref().map(|link| link.epoch) else {
            return;
        };
        if !self.requests.unacked_on(epoch) {
            self.close_draining();
        }
    }
}

/// Reads an error that answered a rotation's `hello`.
fn judge_hello(code: &ErrorCode) -> Verdict {
    match code {
        ErrorCode::TokenRejected | ErrorCode::TokenExpired => Verdict::Token,
        ErrorCode::ClientTooOld | ErrorCode::Forbidden => Verdict::Terminal,
        _ => Verdict::Retry(backoff::Cause::Other),
    }
}

fn scale(duration: Duration, part: f64) -> Duration {
    Duration::from_millis((duration.as_millis() as f64 * part) as u64)
}
