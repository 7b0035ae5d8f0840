//! The gateway stand-in over real sockets, with scripted functions behind it.

mod connects;
mod ends;
#[path = "../support/http.rs"]
mod http;
mod http_api;
mod messages;
mod world;
