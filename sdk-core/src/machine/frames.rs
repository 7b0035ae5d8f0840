//! What comes in over a link, told apart and handed on.

use std::time::Duration;

use super::Machine;
use super::input::Epoch;
use super::links::{LinkEnd, LinkStage, Role};
use super::output::Event;
use super::record::{EndCause, TokenFault};
use super::requests::Body;
use crate::protocol::{Bye, ErrorPush, Lost, Outcome, Renewed, ServerMessage};
use crate::{Error, ErrorCode, Secret, Stage};

impl Machine {
    pub(super) fn frame(&mut self, epoch: Epoch, text: &Secret) {
        let Some(role) = self.role_of(epoch) else {
            return;
        };
        let probed = self.heard(role);
        match ServerMessage::decode(text.expose()) {
            Ok(message) => {
                self.note_received(epoch, Some(&message));
                self.message_received(epoch, role, message);
            }
            Err(error) => {
                self.note_received(epoch, None);
                self.protocol_error(&error.to_string());
            }
        }
        if probed {
            self.resend_probed();
        }
        self.settle_drain();
    }

    pub(super) fn binary_frame(&mut self, epoch: Epoch) {
        let Some(role) = self.role_of(epoch) else {
            return;
        };
        if self.heard(role) {
            self.resend_probed();
        }
        self.note_received(epoch, None);
        self.protocol_error("a binary frame came: the protocol has text frames only");
    }

    fn message_received(&mut self, epoch: Epoch, role: Role, message: ServerMessage) {
        match message {
            ServerMessage::Welcome(welcome) => self.welcomed(role, welcome),
            ServerMessage::Ack(ack) => {
                self.answered(role);
                self.acked(&ack.id);
            }
            ServerMessage::Progress(push) => {
                self.answered(role);
                self.acked(&push.id);
                self.acquisition_progress(&push);
                self.lease_progress(&push);
            }
            ServerMessage::Ready(ready) => {
                self.answered(role);
                self.acked(&ready.id);
                self.acquisition_ready(ready);
            }
            ServerMessage::Endpoint(push) => {
                self.answered(role);
                if push.id.is_none() {
                    self.acquisition_regranted(&push.lease, push.rev, &push.endpoint);
                }
                self.lease_endpoint_push(push);
            }
            ServerMessage::Draining(push) => {
                let ends_in = Duration::from_millis(push.deadline_ms);
                self.acquisition_draining(&push.lease, push.rev, ends_in);
                self.lease_draining(&push.lease, push.rev, ends_in);
            }
            ServerMessage::Moved(push) => {
                self.acquisition_regranted(&push.lease, push.rev, &push.endpoint);
                self.lease_moved(&push.lease, push.rev, push.endpoint);
            }
            ServerMessage::Lost(Lost { lease, rev, reason }) => {
                self.acquisition_lost(&lease, rev, reason);
                self.lease_lost(&lease, Some(rev), reason);
            }
            ServerMessage::Renewed(renewed) => {
                self.answered(role);
                self.renewed(renewed);
            }
            ServerMessage::Error(push) => {
                self.answered(role);
                self.error_received(epoch, role, push);
            }
            ServerMessage::Bye(bye) => self.bye(epoch, role, bye),
            // API Gateway's words belong to no request of ours: what waits ends by its own time.
            ServerMessage::Gateway(error) => {
                let diagnostic = Error::new(ErrorCode::GatewayError, Outcome::Unknown, Stage::Link);
                self.emit(Event::Diagnostic(diagnostic.with_cause(error.message)));
            }
            ServerMessage::Status(status) => {
                self.answered(role);
                self.status_received(status);
            }
            ServerMessage::Pong(_) | ServerMessage::Unknown { .. } => {}
        }
    }

    fn renewed(&mut self, renewed: Renewed) {
        let Some(request) = self.requests.take(&renewed.id) else {
            return;
        };
        if let Body::Renew { token, .. } = request.body {
            self.set_spread(renewed.reconnect_spread_ms);
            self.token_renewed(token, Duration::from_millis(renewed.expires_in_ms));
        }
    }

    fn error_received(&mut self, epoch: Epoch, role: Role, push: ErrorPush) {
        let retry_after = push.retry_after_ms.map(Duration::from_millis);
        let stage = match &push.id {
            Some(id) if self.acquisitions.contains_key(id) && !self.requests.holds(id) => {
                Stage::Boot
            }
            _ => Stage::Request,
        };
        let error = Error::new(push.code, push.outcome, stage)
            .with_message(push.message)
            .with_retryable(push.retryable)
            .with_retry_after(retry_after);
        let Some(id) = push.id else {
            if *error.code() == ErrorCode::TokenExpired {
                self.token_ended();
            }
            return self.emit(Event::Diagnostic(error));
        };
        let refuses_hello = self.links.get_mut(role).is_some_and(
            |link| matches!(&link.stage, LinkStage::Hello { id: hello, .. } if *hello == id),
        );
        if refuses_hello {
            return self.hello_refused(epoch, role, error);
        }
        if self.request_error(&id, error.clone()) {
            return;
        }
        // An acquire whose acknowledgement has already come.
        if self.acquisitions.contains_key(&id) {
            return self.acquisition_refused(&id, error);
        }
        self.emit(Event::Diagnostic(error));
    }

    fn hello_refused(&mut self, epoch: Epoch, role: Role, error: Error) {
        let code = error.code().clone();
        let refused = error.outcome() == Outcome::Rejected;
        let terminal = matches!(code, ErrorCode::ClientTooOld | ErrorCode::Forbidden);
        // Then the rotation judges it, as it does a refused handshake.
        let kept = role == Role::Successor && (refused || self.returning());
        if terminal && !kept {
            self.note_end(epoch, false, EndCause::HelloRefused, Some(&code), None);
            return self.fail(error);
        }
        if matches!(code, ErrorCode::TokenRejected | ErrorCode::TokenExpired) && !kept {
            let token = self.links.get_mut(role).map(|link| link.token.clone());
            self.note_token_fault(match code {
                ErrorCode::TokenExpired => TokenFault::Ended,
                _ => TokenFault::Refused,
            });
            self.token_refused(&token.unwrap_or_default());
        }
        let retry_after = error.retry_after();
        self.link_ended(
            epoch,
            LinkEnd::HelloRefused {
                code,
                retry_after,
                refused,
            },
        );
    }

    /// The server is about to end the link. Only `reconnect: false` is terminal.
    fn bye(&mut self, epoch: Epoch, role: Role, bye: Bye) {
        let retry_after = bye.retry_after_ms.map(Duration::from_millis);
        let looks = role == Role::Successor && self.returning();
        if looks {
            // The link that works stays.
            let code = bye.code;
            return self.link_ended(epoch, LinkEnd::Bye { code, retry_after });
        }
        if !bye.reconnect {
            self.note_end(
                epoch,
                self.link_live(),
                EndCause::Bye,
                Some(&bye.code),
                None,
            );
            let error = Error::new(bye.code, Outcome::Unknown, Stage::Link);
            let error = error.with_retry_after(retry_after);
            return self.fail(error);
        }
        match bye.code {
            ErrorCode::TokenExpired => {
                self.note_token_fault(TokenFault::Ended);
                self.tokens.expire();
            }
            ErrorCode::TokenRejected => {
                self.note_token_fault(TokenFault::Refused);
                let token = self.links.get_mut(role).map(|link| link.token.clone());
                self.token_refused(&token.unwrap_or_default());
            }
            _ => {}
        }
        self.link_ended(
            epoch,
            LinkEnd::Bye {
                code: bye.code,
                retry_after,
            },
        );
    }

    /// Something that is not of this protocol came in. It is skipped.
    pub(super) fn protocol_error(&mut self, cause: &str) {
        let error = Error::new(ErrorCode::ProtocolError, Outcome::Unknown, Stage::Link);
        self.emit(Event::Diagnostic(error.with_cause(cause)));
    }
}
