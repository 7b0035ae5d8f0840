//! Ready-made token providers. A closure is one too: see [`super::TokenProvider`].

mod fixed;
mod http;

pub use fixed::FixedToken;
pub use http::{HttpTokenProvider, HttpTokenProviderBuilder};
