//! Hundreds of real clients against a real local cloud for minutes, in one process, with scripted
//! faults; and at the end the question whether anything was lost or left behind.
//!
//! Clients and cloud share the process, so that what either leaks is counted.

pub mod arguments;
mod direct;
mod faults;
mod media;
mod person;
pub mod process;
pub mod report;
mod run;
mod setting;
pub mod tally;
pub mod verdict;
pub mod watchman;
mod wish;

pub use run::run;
