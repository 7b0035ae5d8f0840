//! The whole system on one virtual clock, and for minutes in real time.

#[cfg(doctest)]
mod pages;

pub mod http;
pub mod judge;
pub mod sim;
pub mod soak;
