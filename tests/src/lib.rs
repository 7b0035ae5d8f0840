//! The whole system on one virtual clock, and for minutes in real time; and what the
//! client costs.

#[cfg(doctest)]
mod pages;

pub mod bench;
pub mod http;
pub mod judge;
pub mod sim;
pub mod soak;
