//! Answers to messages, and why one is refused.

use std::time::Duration;

use serde_json::json;
use wakecast::ErrorCode;
use wakecast::protocol::{Ack, Bye, DecodeError, ErrorPush, Outcome, ServerMessage};

use super::event::Response;
use super::limits::MAX_ROWS;
use super::recall::FULL_LIFE;
use crate::auth::{AuthError, NotAllowed};
use crate::store::StoreError;

/// Why a message was not carried out, in the protocol's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: ErrorCode,
    message: String,
    retry_after: Option<Duration>,
    outcome: Outcome,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            outcome: Outcome::Rejected,
        }
    }

    /// Refuses with the code's own remedy as the message.
    pub(super) fn coded(code: ErrorCode) -> Self {
        let message = code.remedy();
        Self::new(code, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// The rows of a message kept changing under it, or the table did not answer.
    pub(super) fn unavailable() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            outcome: Outcome::Unknown,
            ..Self::coded(ErrorCode::ServiceUnavailable)
        }
    }

    /// The subject waits for and holds as much as it may; nothing was written. Waiting does not
    /// help, so that this ends an acquire.
    pub(super) fn quota(cap: Option<u32>) -> Self {
        let cap = cap.unwrap_or_default();
        let message = format!(
            "this subject waits for and holds {cap} acquisitions and leases of this fleet on all its \
             links together: release or cancel some, or ask the operator to raise `live_rows`"
        );
        Self::new(ErrorCode::QuotaExceeded, message)
    }

    /// The link or its subject has as many rows as it may have; nothing was written.
    pub(super) fn full() -> Self {
        let message = format!(
            "this link has {MAX_ROWS} rows or its subject too many on all links, ended ones of the \
             last 15 minutes included: try again later"
        );
        Self {
            retry_after: Some(FULL_LIFE),
            ..Self::new(ErrorCode::Throttled, message)
        }
    }

    pub(super) fn into_code(self) -> ErrorCode {
        self.code
    }

    /// Says that nothing was written before the failure.
    pub(super) fn rejected(self) -> Self {
        Self {
            outcome: Outcome::Rejected,
            ..self
        }
    }

    /// The subject asks too often.
    pub(super) fn throttled(wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::coded(ErrorCode::Throttled)
        }
    }

    /// No endpoint yet; nothing is wrong.
    pub(super) fn starting(phase: &str, wait: Duration) -> Self {
        let message = format!("the server is starting ({phase}): ask again");
        Self {
            retry_after: Some(wait),
            ..Self::new(ErrorCode::ServiceUnavailable, message)
        }
    }

    /// The refusal over HTTP.
    pub(super) fn into_response(self) -> Response {
        let status = match &self.code {
            ErrorCode::InvalidArgument => 400,
            ErrorCode::TokenRejected | ErrorCode::TokenExpired => 401,
            ErrorCode::Forbidden => 403,
            ErrorCode::LeaseLost => 409,
            ErrorCode::QuotaExceeded | ErrorCode::Throttled => 429,
            _ => 503,
        };
        let body = json!({
            "code": self.code.as_str(),
            "message": self.message,
            "retryable": self.code.retryable(),
        });
        let response = Response::json(status, &body);
        match self.retry_after {
            Some(wait) => response.with_retry_after(wait),
            None => response,
        }
    }

    pub(super) fn into_message(self, id: Option<&str>) -> ServerMessage {
        ServerMessage::Error(ErrorPush {
            id: id.map(str::to_owned),
            retryable: self.code.retryable(),
            code: self.code,
            message: self.message,
            retry_after_ms: self
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            outcome: self.outcome,
        })
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the table refused an operation");
        Self::unavailable()
    }
}

impl From<NotAllowed> for Refusal {
    fn from(error: NotAllowed) -> Self {
        Self::new(ErrorCode::Forbidden, error.to_string())
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        let code = match error {
            DecodeError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            DecodeError::Malformed { .. } => ErrorCode::InvalidArgument,
            _ => ErrorCode::ProtocolError,
        };
        Self::new(code, error.to_string())
    }
}

pub(super) fn ack(id: &str) -> ServerMessage {
    ServerMessage::Ack(Ack { id: id.to_owned() })
}

pub(super) const fn bye(code: ErrorCode) -> ServerMessage {
    ServerMessage::Bye(Bye {
        code,
        retry_after_ms: None,
        reconnect: true,
    })
}
