//! The whole system on one virtual clock, and for minutes in real time.

pub mod http;
pub mod judge;
pub mod sim;
pub mod soak;
