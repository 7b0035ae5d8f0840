//! Who asks, and what they may ask for.
//!
//! [`Verifier`] is the only way from a token or a ticket to [`Grants`](crate::model::Grants), and `allows` the
//! only judge of what those grants cover.

mod claims;
mod grants;
mod ticket;
mod verify;

pub use grants::{NotAllowed, allows};
pub use ticket::{FIRST_USE, TICKET_LIFE, Ticket};
pub use verify::{AuthError, Issuer, IssuerError, Key, Verifier};
