//! The whole cloud on one machine.

pub mod media;
