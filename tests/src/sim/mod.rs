//! The simulation: gateway, reconcilers, store, EC2, media servers and clients on one virtual
//! clock, under seeded faults, with the laws checked as the world moves.

pub mod chance;
pub mod executor;
pub mod farm;
pub mod ports;
pub mod process;
pub mod timeline;
