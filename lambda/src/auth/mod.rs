//! Who asks, and what they may ask for.
//!
//! [`Verifier`] is the only way from a token to [`Grants`](crate::model::Grants), and `allows` the
//! only judge of what those grants cover.

mod claims;
mod grants;
mod verify;

pub use grants::{NotAllowed, allows};
pub use verify::{AuthError, Issuer, IssuerError, Key, Verifier};
