//! What is said to an Ant Media Server: the tokens it takes and, behind the feature `media-http`,
//! the adapter that probes one over HTTP and WebSocket.

mod token;

#[cfg(feature = "media-http")]
mod answer;
#[cfg(feature = "media-http")]
mod http;
#[cfg(feature = "media-http")]
mod link;

#[cfg(feature = "media-http")]
pub use http::{HttpMediaServer, Limits, Scheme};
pub use token::{JwtStreamTokens, TokenError, server_token, stream_token};
