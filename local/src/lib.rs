//! The whole wakecast cloud on one machine.
//!
//! - [`ec2`] is a simulated EC2 that keeps the rules which matter to a launcher.
//! - [`gateway`] stands in for the API Gateway and calls the real gateway code.
//! - [`media`] stands in for Ant Media Server.
//! - [`system`] is real time and real chance.

pub mod ec2;
pub mod gateway;
pub mod media;
pub mod random;
pub mod system;
