//! The simulation: gateway, reconcilers, store, EC2, media servers and clients on one virtual
//! clock, under seeded faults, with the laws checked as the world moves.

pub mod aim;
pub mod chance;
pub mod client;
pub mod containers;
pub mod coverage;
pub mod events;
pub mod executor;
pub mod explore;
pub mod farm;
mod functions;
pub mod guards;
pub mod herd;
pub mod laws;
pub mod minimise;
pub mod moods;
pub mod network;
pub mod observer;
pub mod plan;
pub mod points;
pub mod ports;
pub mod process;
pub mod setting;
mod shards;
pub mod tally;
pub mod timeline;
pub mod users;
pub mod world;
