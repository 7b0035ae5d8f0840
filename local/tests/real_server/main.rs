//! A media server of its own process behind the simulated instances.
#![cfg(unix)]

#[path = "../support/http.rs"]
#[allow(dead_code, reason = "not every test needs all of the client")]
mod http;
#[path = "../support/process.rs"]
mod process;

mod life;
mod refusals;
mod server;
mod url;
