//! A refused handshake: what it means, and the access check that asks where it says nothing.

use super::Machine;
use super::backoff;
use super::constants::CLEAN_CHECKS_BLOCKED;
use super::dial::Dial;
use super::input::{AccessAnswer, CheckId, Refusal};
use super::output::Event;
use super::record::TokenFault;
use crate::protocol::Outcome;
use crate::{Error, ErrorCode, Secret, Stage};

impl Machine {
    /// The handshake was refused: what that means.
    pub(super) fn refused(&mut self, secret: &Secret, refusal: Refusal) {
        // At most every second time, so that checks do not double the load of an outage.
        self.gateways.here.check_owed = !explains(&refusal);
        if explains(&refusal) {
            self.attempts.clean_checks = 0;
        }
        let (verdict, error) = judge(refusal);
        match verdict {
            Verdict::Terminal => self.fail(error),
            Verdict::Token => {
                self.note_token_fault(TokenFault::Refused);
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
        let secret = match &self.dial {
            Dial::Check { check, token, .. } if *check == answered => token.clone(),
            _ => return,
        };
        self.dial = Dial::Rest;
        self.note_access(&answer);
        match answer {
            AccessAnswer::Http {
                status,
                retry_after,
            } if EXPLAINED.contains(&status) => {
                // Whatever an opaque refusal made us think: these are answers of a gateway that works.
                if status != 503 {
                    self.gateways.answered();
                }
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
            let mut error = Error::new(
                ErrorCode::WebsocketBlocked,
                Outcome::NotSent,
                Stage::Connect,
            );
            let refusal = self.attempts.last_error.as_ref();
            if let Some(cause) = refusal.and_then(Error::cause) {
                error = error.with_cause(cause);
            }
            if self.attempts.clean_checks == CLEAN_CHECKS_BLOCKED {
                self.emit(Event::Diagnostic(error.clone()));
            }
            self.attempts.reason = Some(ErrorCode::WebsocketBlocked);
            self.attempts.last_error = Some(error);
        }
        self.schedule(backoff::Cause::Other, None, false);
    }
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

/// Statuses by which the service itself says why. Any other, `200`, `400` or `502`, can be that of
/// a proxy which does not know WebSockets.
const EXPLAINED: [u16; 5] = [401, 403, 426, 429, 503];

/// Whether a refusal says why; if not, an access check asks.
fn explains(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Http { status, .. } => EXPLAINED.contains(status),
        Refusal::Unreachable { .. } | Refusal::Tls { .. } => true,
        Refusal::BadHandshake { .. } | Refusal::Opaque => false,
    }
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
