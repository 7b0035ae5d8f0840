//! The tokio driver and the Rust face of the client.
//!
//! One task per [`Client`] runs the machine of [`crate::machine`]: it feeds one input, drains every
//! output, arms one timer, and decides nothing. Sockets and calls are tasks that the driver owns.
//!
//! # TLS
//!
//! rustls, the same everywhere. The operating system judges certificates (feature
//! `platform-verifier`, on by default), with the roots that its owner added; where it has none, as
//! in some containers, and on Android, the built-in roots of Mozilla's program count.
//! [`ClientBuilder::root_certificate`] replaces them all. A certificate that is refused is
//! `network_unreachable`, with the reason as its cause, before any token is sent.
//!
//! # Proxies
//!
//! Unless [`ClientBuilder::proxy`] says otherwise, connections follow `HTTPS_PROXY`, `ALL_PROXY`
//! and `NO_PROXY`: see [`Proxy`]. A proxy's failure is `network_unreachable`; its cause names the
//! proxy and the remedy.
//!
//! # Tokens
//!
//! [`HttpTokenProvider`] asks the app's backend, a closure does whatever the app likes (see
//! [`TokenProvider`]), and [`FixedToken`] is for development.
//!
//! # Logs
//!
//! Through `tracing`, under three targets:
//!
//! | level | `wakecast::client` | `wakecast::connection` | `wakecast::acquisition` |
//! |---|---|---|---|
//! | error | the client failed for good: only the app can mend that | | |
//! | warn | a diagnostic: what belongs to no request and a developer wants to see | | an acquisition that ended with an error |
//! | info | connected, reconnecting, paused, closed | | a lease granted, and each of its changes |
//! | debug | token calls and proofs of endpoints | an attempt begun, refused, open; a socket closed or ended; an access check | an acquisition begun, cancelled or closed |
//! | trace | timers | | progress |
//!
//! Each transport has a span `connection` with its `epoch`, the `gateway`'s host and the number of
//! the `attempt`; each acquisition a span `acquisition` with `id`, `app`, `purpose` and `stream`,
//! which goes on as long as its lease. Both are at level info.
//!
//! No line and no span holds a token, a query or the text of a message. The WebSocket library
//! prints whole frames, renewed tokens included, through `log`
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
mod log;
mod network;
mod probe;
mod providers;
mod proxy;
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
pub use providers::{FixedToken, HttpTokenProvider, HttpTokenProviderBuilder};
pub use proxy::Proxy;
pub use token::{Token, TokenError, TokenProvider};
