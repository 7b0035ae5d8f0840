//! The cloud side of wakecast: what starts, watches, drains and stops the servers, and what talks
//! to the clients.
//!
//! - [`lifecycle`] decides for a fleet; it is pure.
//! - [`gateway`] answers the API Gateway's events; it holds no power over instances.
//! - [`auth`] turns tokens into what they allow.
//! - [`leases`] are the rules of a row, and [`grant`] the only way to an endpoint: both sides of
//!   the grant and of the stop share them.
//! - [`guards`] names the rules that the laws rest on, so that a test can turn one off and see why.
//! - [`reconcile`] observes, decides and acts for one fleet under its lock.
//! - [`fanout`] grants and tells one shard of a herd.
//! - [`decisions`] is the log of what was decided, and how it is decided again.
//! - [`media`] is what is said to an Ant Media Server: tokens, and the adapter that probes one.
//! - [`ports`] are the seams to EC2, the media server, the table, the sockets, time and chance.

pub mod auth;
pub mod config;
pub mod decisions;
mod delivery;
pub mod fanout;
pub mod gateway;
pub mod grant;
pub mod guards;
pub mod leases;
pub mod lifecycle;
pub mod media;
pub mod model;
pub mod ports;
pub mod reconcile;
pub mod store;
mod within;
