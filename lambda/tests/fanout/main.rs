//! The fan-out on virtual time: ten thousand are told by four shards, and whatever becomes of a
//! shard or a socket, everybody else is told all the same.

#[path = "../reconcile_world/mod.rs"]
mod reconcile_world;

mod herd;
mod shards;
mod sockets;
mod stage;
