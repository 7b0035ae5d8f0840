//! The whole wakecast cloud on one machine.
//!
//! - [`ec2`] is a simulated EC2 that keeps the rules which matter to a launcher.
//! - [`gateway`] stands in for the API Gateway and calls the real gateway code.
//! - [`media`] stands in for Ant Media Server.
//! - [`real`] puts a real media server behind the simulated instances.
//! - [`cloud`] wires them to the real gateway and reconciler.
//! - [`admin`] sets faults and shows the state, over HTTP on loopback.
//!
//! The models of `ec2` and `gateway` are pure and run on virtual time as well.

pub mod admin;
pub mod cloud;
pub mod ec2;
pub mod gateway;
mod listener;
pub mod media;
pub mod random;
pub mod real;
pub mod system;

pub use cloud::{
    LocalCloud, LocalConfig, LocalError, Profile, Ticket, TicketRequest, Token, TokenRequest,
};
pub use listener::Listener;
