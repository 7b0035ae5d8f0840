//! Client for wakecast: an Ant Media Server on AWS that runs only while somebody needs it.
//!
//! The heart is [`machine::Machine`]: a pure function of (state, input, now) that holds every
//! decision of a client and does no I/O. Drivers carry its effects out.
//!
//! # The laws
//!
//! 1. Time and randomness come in. [`Instant`] counts milliseconds from an epoch of the driver's
//!    choice; wall-clock time decides nothing.
//! 2. Every transport callback carries an epoch, every token answer a generation, every push about
//!    a lease a revision; stale ones are dropped.
//! 3. The state changes first, then events come; at most one state event for each input, equal to
//!    the state after it. There is one ordered output queue, and it is bounded.
//! 4. There is never more than one open transport, except two while rotating.
//! 5. Every request gets exactly one outcome by its deadline. A failure says `not_sent` (never
//!    written), `unknown` or `rejected`.
//! 6. Closing is final from every state: it releases what is held (for at most a second), settles
//!    every waiter, and `Closed` is the last event. Requests made later are refused as `closed`.
//! 7. A secret is a type: tokens print as `…`, and URLs are printed only through [`redact_url`].
//!
//! # A driver in small
//!
//! ```
//! use wakecast::machine::{Config, Effect, Event, Input, Machine, Output, RequestKey, Seed};
//! use wakecast::{Acquire, Instant, Secret};
//!
//! let config = Config::new("example/1.0");
//! let mut machine = Machine::new(config, Seed([7; 32])); // 32 bytes from the operating system
//!
//! let now = Instant::from_millis(0);
//! let acquire = Acquire::play("live", "match-1");
//! let mut inputs = vec![Input::Acquire { key: RequestKey(1), acquire }];
//! while let Some(input) = inputs.pop() {
//!     machine.handle(now, input);
//!     // Drain to `None` before the next input.
//!     while let Some(output) = machine.poll() {
//!         match output {
//!             // Ask the app's provider; its answer is an input like any other.
//!             Output::Effect(Effect::FetchToken { generation, .. }) => {
//!                 let token = Secret::new("a.b.c");
//!                 inputs.push(Input::TokenReady { generation, token, expires_in: None });
//!             }
//!             // Open a WebSocket; later: `TransportOpened` or `Refused` with the same epoch.
//!             Output::Effect(Effect::OpenTransport { epoch, gateway, token }) => {
//!                 assert_eq!(format!("{epoch:?} {} {token}", gateway.0), "Epoch(1) 0 …");
//!             }
//!             Output::Event(Event::State(state)) => assert_eq!(state, *machine.state()),
//!             _ => {}
//!         }
//!     }
//! }
//! let (at, timer) = machine.next_timeout().unwrap(); // arm one timer, then `Input::Timeout`
//! assert!(at > now, "{timer:?}");
//! ```

#![deny(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::disallowed_methods
)]

/// Compiles the page of the crate.
#[cfg(all(doctest, feature = "native"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod error;
pub mod machine;
#[cfg(feature = "native")]
pub mod native;
pub mod protocol;
mod secret;
mod time;

pub use error::{Error, ErrorCode, Stage, UserAction};
pub use machine::{
    Acquire, ConnectionState, Diagnostics, Explanation, FleetStatus, LeaseChange, LeaseStatus,
    Metrics, Progress, ReconnectReason, TokenReason,
};
#[cfg(feature = "native")]
pub use native::{
    Acquisition, Client, ClientBuilder, Event, Events, FixedToken, HttpTokenProvider,
    HttpTokenProviderBuilder, Lease, LeaseChanges, ProgressStream, Proxy, Token, TokenError,
    TokenProvider,
};
pub use protocol::{Endpoint, LostReason, Outcome, Phase, Purpose};
pub use secret::{Secret, redact_url};
pub use time::Instant;
