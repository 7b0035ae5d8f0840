//! The whole local cloud: real gateway and reconciler code over real sockets.

mod admin;
#[path = "../support/client.rs"]
mod client;
mod faults;
#[path = "../support/http.rs"]
mod http;
mod life;
mod refusals;
mod timeline;
mod world;
