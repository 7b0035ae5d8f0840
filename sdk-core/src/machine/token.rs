//! The access token: asked for once at a time, never sent after a refusal. `renewal` keeps it alive.

use std::time::Duration;

use super::constants::{
    FRESH_REFUSALS, REQUEST_TIMEOUT, TOKEN_INTERVAL, TOKEN_MIN_LEFT, TOKEN_RETRY_JITTER,
    TOKEN_TIMEOUT,
};
use super::dial::Dial;
use super::guards::Guard;
use super::input::{Generation, TokenFailure};
use super::metrics::count;
use super::output::{Effect, Event, TokenReason};
use super::record::{Happening, TokenFault};
use super::renewal::renewal;
use super::requests::{Body, Request};
use super::{Intent, Machine, backoff, jwt};
use crate::protocol::{MAX_TOKEN, Outcome};
use crate::{Error, ErrorCode, Instant, Secret, Stage};

/// What the app has to do when its provider refuses the user.
const REFUSED_USER: &str = "the token provider refuses this user a token: let the user sign in \
                            again or be given the right, then call retry()";

/// What is known about tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) current: Option<Token>,
    /// The last refused ones: a provider's cache may hand one out again.
    refused: Vec<Secret>,
    /// Fresh tokens refused in a row.
    pub(super) refusals: u8,
    fetch: Option<Fetch>,
    pub(super) fetch_at: Option<(Instant, TokenReason)>,
    pub(super) last_call: Option<Instant>,
    generation: u64,
    /// Whether 1008 has already caused a refresh since the last accepted token.
    pub(super) refreshed_by_policy: bool,
}

/// The token that is in use.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) ends: Option<Instant>,
    pub(super) life: Option<Duration>,
    /// Whether a server has ever accepted it.
    pub(super) accepted: bool,
}

#[derive(Debug)]
struct Fetch {
    generation: Generation,
    until: Instant,
}

impl Token {
    pub(super) fn usable(&self, now: Instant) -> bool {
        let least = self
            .life
            .map_or(TOKEN_MIN_LEFT, |life| TOKEN_MIN_LEFT.min(life / 4));
        self.ends.is_none_or(|ends| ends > now + least)
    }
}

impl Tokens {
    /// Returns the token to connect with.
    pub(super) fn usable(&self, now: Instant) -> Option<&Secret> {
        self.current
            .as_ref()
            .filter(|token| token.usable(now))
            .map(|token| &token.secret)
    }

    /// Whether two fresh tokens in a row were refused: only the app can mend that.
    pub(super) fn refused_for_good(&self) -> bool {
        self.refusals >= FRESH_REFUSALS
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.fetch.as_ref().map(|fetch| fetch.until)
    }

    pub(super) fn fetch_due(&self) -> Option<Instant> {
        self.fetch_at.map(|(at, _)| at)
    }

    /// Forgets the current token, so that the next attempt asks for a fresh one.
    pub(super) fn expire(&mut self) {
        if let Some(token) = &mut self.current {
            token.ends = Some(Instant::default());
        }
    }

    /// Starts anew after `Failed`.
    pub(super) fn start_over(&mut self) {
        self.expire();
        self.refusals = 0;
        self.fetch_at = None;
    }

    /// Stops asking. A late answer is dropped.
    pub(super) fn stop(&mut self) {
        self.fetch = None;
        self.fetch_at = None;
    }

    /// Asks no more by itself; a question that is open stays so.
    pub(super) fn forget_appointment(&mut self) {
        self.fetch_at = None;
    }

    fn reason(&self) -> TokenReason {
        match &self.current {
            _ if self.refusals > 0 => TokenReason::Rejected,
            None if self.refused.is_empty() => TokenReason::Initial,
            None => TokenReason::Rejected,
            Some(_) => TokenReason::Expiring,
        }
    }

    /// Marks a token as refused. It counts only if it was fresh: no server ever accepted it.
    pub(super) fn refuse(&mut self, secret: &Secret) {
        let fresh = match &self.current {
            Some(token) if token.secret == *secret => !token.accepted,
            _ => true,
        };
        if fresh {
            self.refusals = self.refusals.saturating_add(1);
        }
        if self
            .current
            .as_ref()
            .is_some_and(|token| token.secret == *secret)
        {
            self.current = None;
        }
        self.remember_refused(secret.clone());
    }

    /// Keeps the last few refused tokens, no more: a provider's cache holds one.
    fn remember_refused(&mut self, secret: Secret) {
        self.refused.retain(|refused| *refused != secret);
        if self.refused.len() >= usize::from(FRESH_REFUSALS) {
            self.refused.remove(0);
        }
        self.refused.push(secret);
    }
}

impl Machine {
    /// Asks the provider, unless it is being asked; at most every [`TOKEN_INTERVAL`].
    pub(super) fn ask_token(&mut self) {
        let reason = self.tokens.reason();
        let at = self
            .tokens
            .last_call
            .map_or(self.now, |last| (last + TOKEN_INTERVAL).max(self.now));
        self.ask_token_at(at, reason);
    }

    fn ask_token_at(&mut self, at: Instant, reason: TokenReason) {
        if self.tokens.fetch.is_some() || self.intent != Intent::Open {
            return;
        }
        if at > self.now {
            // An earlier appointment stands.
            let earlier = self.tokens.fetch_at.filter(|(before, _)| *before <= at);
            self.tokens.fetch_at = Some((earlier.map_or(at, |(before, _)| before), reason));
            return;
        }
        self.tokens.fetch_at = None;
        self.tokens.last_call = Some(self.now);
        self.tokens.generation += 1;
        let generation = Generation(self.tokens.generation);
        self.tokens.fetch = Some(Fetch {
            generation,
            until: self.now + TOKEN_TIMEOUT,
        });
        self.effect(Effect::FetchToken { generation, reason });
    }

    /// Fires the token's timers.
    pub(super) fn fire_tokens(&mut self) {
        if self
            .tokens
            .fetch
            .as_ref()
            .is_some_and(|fetch| fetch.until <= self.now)
        {
            self.note_token_fault(TokenFault::NoAnswer);
            self.token_failed(
                ErrorCode::TokenProviderFailed,
                TokenFailure::new(
                    "the token provider did not answer within 15 s: make it answer or fail sooner",
                ),
            );
        }
        if let Some((at, reason)) = self.tokens.fetch_at.filter(|(at, _)| *at <= self.now) {
            self.tokens.fetch_at = None;
            // Without a link or an attempt nobody needs it; the next attempt asks by itself.
            if self.link_live() || self.dial == Dial::Token {
                let earliest = self
                    .tokens
                    .last_call
                    .map_or(at, |last| last + TOKEN_INTERVAL);
                self.ask_token_at(earliest.max(at), reason);
            }
        }
    }

    pub(super) fn token_ready(
        &mut self,
        generation: Generation,
        secret: Secret,
        expires_in: Option<Duration>,
    ) {
        if !self.answers_fetch(generation) {
            return;
        }
        if let Err(message) = check_token(secret.expose()) {
            self.note_token_fault(TokenFault::Unusable);
            return self.token_failed(ErrorCode::InvalidArgument, TokenFailure::new(message));
        }
        if self.tokens.refused.contains(&secret) {
            return self.fresh_token_refused(&secret);
        }
        self.tokens.fetch = None;
        // A life of nothing is a provider that does not know: the token itself, or the server, tells.
        let told = expires_in.filter(|life| !life.is_zero());
        let life = told.or_else(|| jwt::life(secret.expose()));
        count(&mut self.counters().tokens_fetched);
        self.note(Happening::TokenCame { life });
        let same = self
            .tokens
            .current
            .as_ref()
            .is_some_and(|token| token.secret == secret);
        if !self.link_live() {
            let accepted = same
                && self
                    .tokens
                    .current
                    .as_ref()
                    .is_some_and(|token| token.accepted);
            let ends = life.map(|life| self.now + life);
            self.tokens.current = Some(Token {
                secret,
                ends,
                life,
                accepted,
            });
        } else if same {
            // A cache that has nothing newer yet: ask again, at the pace of what is left.
            let left = self.tokens.current.as_ref().and_then(|token| token.ends);
            let left = left.map_or(TOKEN_INTERVAL, |ends| renewal(ends.since(self.now)));
            self.ask_token_at(self.now + left.max(TOKEN_INTERVAL), TokenReason::Expiring);
        } else {
            self.submit(Request::internal(
                Body::Renew {
                    token: secret,
                    life,
                },
                REQUEST_TIMEOUT,
            ));
        }
    }

    pub(super) fn token_provider_failed(&mut self, generation: Generation, failure: TokenFailure) {
        if self.answers_fetch(generation) {
            self.note_token_fault(TokenFault::Provider);
            self.token_failed(ErrorCode::TokenProviderFailed, failure);
        }
    }

    fn answers_fetch(&self, generation: Generation) -> bool {
        self.tokens
            .fetch
            .as_ref()
            .is_some_and(|fetch| fetch.generation == generation)
            || !self.guards.on(Guard::Generation)
    }

    /// The provider has failed. A live link stays; an attempt backs off, unless the provider
    /// refuses this user: then only the app can mend it.
    fn token_failed(&mut self, code: ErrorCode, failure: TokenFailure) {
        self.tokens.fetch = None;
        let error = Error::new(code.clone(), Outcome::NotSent, Stage::Token)
            .with_retry_after(failure.retry_after);
        let error = match code {
            ErrorCode::InvalidArgument => error.with_message(failure.message),
            _ if failure.refused => error
                .with_message(REFUSED_USER)
                .with_retryable(false)
                .with_cause(failure.message),
            _ => error.with_cause(failure.message),
        };
        self.emit(Event::Diagnostic(error.clone()));
        if self.link_live() {
            // A refusal is not asked about again: once the token has ended, the next link does.
            if !failure.refused {
                self.ask_token_after(failure.retry_after.unwrap_or_default());
            }
        } else if self.dial == Dial::Token {
            if failure.refused {
                self.fail(error);
            } else {
                self.attempt_failed(error, backoff::Cause::Other, failure.retry_after);
            }
        }
    }

    pub(super) fn ask_token_later(&mut self) {
        self.ask_token_after(Duration::ZERO);
    }

    /// Asks again after a failure under a live link, at the earliest after `least`.
    fn ask_token_after(&mut self, least: Duration) {
        let reason = self.tokens.reason();
        let wait = least.max(TOKEN_INTERVAL);
        let at = self.now + wait + self.random.up_to(TOKEN_RETRY_JITTER);
        self.ask_token_at(at, reason);
    }

    /// A server refused the token of a handshake or a link.
    pub(super) fn token_refused(&mut self, secret: &Secret) {
        self.tokens.refuse(secret);
    }

    /// The provider handed out a token that is already refused.
    fn fresh_token_refused(&mut self, secret: &Secret) {
        self.note_token_fault(TokenFault::Stale);
        self.tokens.fetch = None;
        self.tokens.refuse(secret);
        if self.link_live() {
            if !self.tokens.refused_for_good() {
                self.ask_token_later();
            }
        } else if self.dial == Dial::Token {
            let message = "the token provider returned a token that the server has refused: \
                           on `Rejected` a cache must step aside";
            let error = Error::new(ErrorCode::TokenRejected, Outcome::NotSent, Stage::Token)
                .with_message(message);
            self.attempt_failed(error, backoff::Cause::Other, None);
        }
    }

    /// Close code 1008: a policy was broken, most likely by the token. It is refreshed once.
    pub(super) fn token_broke_policy(&mut self) {
        if !self.tokens.refreshed_by_policy {
            self.tokens.refreshed_by_policy = true;
            if let Some(token) = self.tokens.current.take() {
                self.tokens.remember_refused(token.secret);
            }
        }
    }
}

/// Checks that a token fits into a subprotocol, by which browsers carry it.
fn check_token(token: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if token.is_empty() || token.len() > MAX_TOKEN {
        return Err(format!(
            "the token has {} bytes: it must have 1 to {MAX_TOKEN}",
            token.len()
        ));
    }
    if !token.bytes().all(fits) {
        let message = "the token holds a character that a WebSocket subprotocol cannot: \
                       use a JWT or another text of letters, digits, `-`, `_` and `.`";
        return Err(message.into());
    }
    Ok(())
}
