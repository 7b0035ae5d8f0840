//! Renewal of the link's token, in band: when, and what becomes of a `renew`.

use std::time::Duration;

use super::Machine;
use super::constants::{REQUEST_TIMEOUT, TOKEN_INTERVAL, TOKEN_MARGIN};
use super::output::TokenReason;
use super::record::TokenFault;
use super::requests::{Body, Request};
use super::token::Token;
use crate::{ErrorCode, Secret};

impl Machine {
    /// `welcome`: the link's token is accepted, and the server says how long it lives.
    pub(super) fn token_accepted(&mut self, secret: &Secret, left: Duration) {
        if self
            .tokens
            .current
            .as_ref()
            .is_none_or(|token| token.secret != *secret)
        {
            return;
        }
        self.set_accepted(secret.clone(), left);
    }

    /// A token came while the link was being made with an older one: the link gets the newer one.
    pub(super) fn renew_if_newer(&mut self, link: &Secret) {
        if let Some(token) = self.tokens.current.as_ref()
            && token.secret != *link
            && token.usable(self.now)
            && !self.renewing()
        {
            let body = Body::Renew {
                token: token.secret.clone(),
                life: token.life,
            };
            self.submit(Request::internal(body, REQUEST_TIMEOUT));
        }
    }

    /// `renewed`: the new token replaces the old one.
    pub(super) fn token_renewed(&mut self, secret: Secret, left: Duration) {
        if let Some(link) = &mut self.links.active {
            link.token = secret.clone();
        }
        self.set_accepted(secret, left);
        self.send_waiting_for_token();
    }

    fn set_accepted(&mut self, secret: Secret, left: Duration) {
        self.note_token_accepted();
        let ends = Some(self.now + left);
        self.tokens.current = Some(Token {
            secret,
            ends,
            life: Some(left),
            accepted: true,
        });
        self.tokens.refusals = 0;
        self.tokens.refreshed_by_policy = false;
        let earliest = self
            .tokens
            .last_call
            .map_or(self.now, |last| last + TOKEN_INTERVAL);
        let at = (self.now + renewal(left)).max(earliest);
        self.tokens.fetch_at = Some((at, TokenReason::Expiring));
    }

    /// A `renew` was refused: the link stays until the old token ends.
    pub(super) fn renewal_refused(&mut self, secret: &Secret, code: &ErrorCode) {
        match code {
            ErrorCode::TokenRejected | ErrorCode::TokenExpired | ErrorCode::Forbidden => {
                self.note_token_fault(TokenFault::Refused);
                self.tokens.refuse(secret);
                if !self.tokens.refused_for_good() {
                    self.ask_token_later();
                }
            }
            _ => self.ask_token_later(),
        }
    }

    /// A `renew` was not answered before its link or its time ended. The token is still fresh: it
    /// is used by the next attempt.
    pub(super) fn renewal_unanswered(&mut self, secret: Secret, life: Option<Duration>) {
        if self.link_live() {
            self.ask_token_later();
        } else {
            let ends = life.map(|life| self.now + life);
            self.tokens.current = Some(Token {
                secret,
                ends,
                life,
                accepted: false,
            });
        }
    }

    /// The server says that the link's token has ended.
    pub(super) fn token_ended(&mut self) {
        self.note_token_fault(TokenFault::Ended);
        self.tokens.expire();
        if self.link_live() && !self.tokens.refused_for_good() && !self.renewing() {
            self.ask_token();
        }
    }
}

/// When to renew a token with `left` to live: late enough not to storm, early enough to try twice.
pub(super) fn renewal(left: Duration) -> Duration {
    (left / 2).max((left * 4 / 5).min(left.saturating_sub(TOKEN_MARGIN)))
}
