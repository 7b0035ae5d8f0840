//! The whole system in one process on one virtual clock, and what the end-to-end tests share.

pub mod judge;
pub mod sim;
