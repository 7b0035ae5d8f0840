//! The real client against the real gateway and reconciler over loopback sockets: simulated EC2,
//! Ant Media stand-ins on real ports, real time. Each test has a cloud of its own and waits for
//! events only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bad_input;
mod cloud;
mod decisions;
mod endings;
mod failures;
mod lifecycle;
mod links;
mod logs;
mod media;
mod provider;
mod raw;
mod scopes;
mod secrets;
mod status;
mod successors;
mod survive;
mod tokens;
