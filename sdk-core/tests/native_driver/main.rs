//! The native driver against a scripted peer on loopback: real sockets, and time that moves only
//! when a test says so.
#![cfg(feature = "native")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod acquire;
mod addresses;
mod close;
mod connect;
#[cfg(all(feature = "platform-verifier", target_os = "linux"))]
mod environment;
mod explain;
mod gateways;
mod harness;
mod leases;
mod logs;
mod peer;
mod providers;
mod proxies;
mod secrets;
mod status;
mod surface;
mod tls;
mod tokens;
