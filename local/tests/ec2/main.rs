//! The rules of the simulated EC2, each held by a test.

mod adapter;
mod addresses;
#[path = "../support/clock.rs"]
mod clock;
mod faults;
mod region;
mod states;
mod tokens;
