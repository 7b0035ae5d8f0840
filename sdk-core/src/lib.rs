//! Client for wakecast.
#![warn(missing_docs)]

mod error;
pub mod machine;
#[cfg(feature = "native")]
pub mod native;
pub mod protocol;
mod secret;
mod time;

pub use error::{Error, ErrorCode, Stage, UserAction};
pub use machine::{
    Acquire, ConnectionState, LeaseChange, LeaseStatus, Progress, ReconnectReason, TokenReason,
};
#[cfg(feature = "native")]
pub use native::{
    Acquisition, Client, ClientBuilder, Event, Events, Lease, LeaseChanges, ProgressStream, Token,
    TokenError, TokenProvider,
};
pub use protocol::{Endpoint, LostReason, Outcome, Phase, Purpose};
pub use secret::{Secret, redact_url};
pub use time::Instant;
