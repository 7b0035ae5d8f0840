//! The tokio driver and the Rust face of the client.
//!
//! One task per [`Client`] runs the machine of [`crate::machine`]: it feeds one input, drains every
//! output, arms one timer, and decides nothing. Sockets and calls are tasks that the driver owns.
//!
//! Log lines go through `tracing` at level debug and below and hold no token, no query and no
//! message text. The WebSocket library prints whole frames, renewed tokens included, through `log`
//! at level trace under the target `tungstenite`: leave that one above trace.

mod access;
mod acquisition;
mod address;
mod builder;
mod client;
mod clock;
mod dial;
mod driver;
mod events;
mod failure;
mod feed;
mod handle;
mod lease;
mod network;
mod probe;
mod task;
mod tls;
mod token;
mod transport;
mod upgrade;
mod waiters;

pub use acquisition::Acquisition;
pub use builder::ClientBuilder;
pub use client::Client;
#[doc(hidden)]
pub use clock::{Clock, SystemClock};
pub use events::{Event, Events, LeaseChanges, ProgressStream};
pub use lease::Lease;
pub use token::{Token, TokenError, TokenProvider};
