//! Scenarios: behaviour as data. `tests/scenarios/README.md` says how they are written.
#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "two test programs use it, each its part"
)]

mod failure;
mod file;
mod input;
mod peer;
mod play;
mod seen;
mod words;

pub use file::{Scenario, Starts, parse, read_all};
pub use play::play;
