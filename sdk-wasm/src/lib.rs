//! The browser driver of wakecast.
//!
//! Carries out what the client machine of the crate `wakecast` decides, over the browser's own
//! WebSocket, one `setTimeout` and the page's events. It decides nothing. Everything that answers
//! with a promise (the token provider, `fetch`) is the JavaScript face's, so there is no executor
//! in here.

#![deny(missing_docs)]
// What input can reach does not panic; a test that cannot go on does.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod clock;
mod driver;
mod page;
mod probe;
mod socket;
#[cfg(all(test, target_arch = "wasm32"))]
mod testing;
mod timer;
mod view;

pub use driver::{Driver, Face};
