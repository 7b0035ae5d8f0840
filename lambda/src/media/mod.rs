//! What is said to an Ant Media Server and what it answers: the tokens it takes, its answers read,
//! and, behind the feature `media-http`, the adapter that probes one over HTTP and WebSocket.

pub mod answer;
mod token;

#[cfg(feature = "media-http")]
mod http;
#[cfg(feature = "media-http")]
mod link;

#[cfg(feature = "media-http")]
pub use http::{HttpMediaServer, Limits, Scheme};
pub use token::{JwtStreamTokens, TokenError, server_token, stream_token};
