//! Why the admin refused a request.

use serde_json::{Value, json};

use crate::cloud::TokenError;

/// A refusal: what was wrong, what was expected, how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No such path.
    #[error(
        "no such path: use POST or DELETE /faults, POST /token, POST /ticket, GET /status or GET /timeline"
    )]
    Path,
    /// The path takes other methods.
    #[error("this path takes {0}")]
    Method(&'static str),
    /// The request was addressed to another host: a page that was led here by its DNS name.
    #[error("the Host header is no loopback address: open the admin at its own URL")]
    Host,
    /// The body was not declared as JSON.
    #[error("the content type must be application/json: add `-H content-type:application/json`")]
    ContentType,
    /// The body is larger than any fault.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is not what the path takes.
    #[error("the body is no {0}: {1}")]
    Malformed(&'static str, String),
    /// A field holds what cannot be.
    #[error("`{field}` is wrong: expected {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// A token could not be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A real media server takes no faults.
    #[error(
        "the media server is a real one and is not broken from here: use faults of EC2, the \
         gateway or the functions, or start without --media-server"
    )]
    RealServer,
    /// The route that takes tickets is off.
    #[error("the vendor's SDK is not served: start wakecast-local with --vendor-sdk")]
    VendorSdk,
    /// Nothing is there that the fault could meet.
    #[error("nothing to do: {0}")]
    Nothing(String),
}

impl AdminError {
    /// Returns the stable name of the refusal.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path => "not_found",
            Self::Method(_) => "method_not_allowed",
            Self::Host => "wrong_host",
            Self::ContentType => "content_type",
            Self::TooLarge(_) => "too_large",
            Self::Malformed(..) => "malformed",
            Self::Field { .. } => "invalid_field",
            Self::Token(_) => "token",
            Self::RealServer => "real_media_server",
            Self::VendorSdk => "vendor_sdk_off",
            Self::Nothing(_) => "nothing_to_do",
        }
    }

    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Path => 404,
            Self::Method(_) => 405,
            Self::Host => 403,
            Self::ContentType => 415,
            Self::TooLarge(_) => 413,
            Self::Malformed(..) | Self::Field { .. } => 400,
            Self::Token(_) => 500,
            Self::RealServer | Self::VendorSdk | Self::Nothing(_) => 409,
        }
    }

    pub(super) fn body(&self) -> Value {
        json!({ "error": { "code": self.code(), "message": self.to_string() } })
    }
}
