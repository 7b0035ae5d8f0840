//! Client for wakecast.
#![warn(missing_docs)]

mod error;
pub mod machine;
pub mod protocol;
mod secret;
mod time;

pub use error::{Error, ErrorCode, Stage, UserAction};
pub use machine::{
    Acquire, ConnectionState, LeaseChange, LeaseStatus, Progress, ReconnectReason, TokenReason,
};
pub use protocol::{Endpoint, LostReason, Outcome, Phase, Purpose};
pub use secret::{Secret, redact_url};
pub use time::Instant;
