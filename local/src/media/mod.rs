//! A stand-in for one Ant Media Server.
//!
//! [`MediaModel`] behaves as a real server was seen to behave, good and bad; [`MediaProcess`]
//! serves it on a real port. What is modelled:
//!
//! - the boot: refused, silent, empty 500, 403, liveness before the app, empty lists and zero
//!   counts, closed handshakes, `not_initialized_yet`, ready;
//! - settings that an early touch of the app costs, for the whole uptime;
//! - the REST of the server, its JWT control and its refusals;
//! - the WebSocket signalling, stream tokens, silence on what it does not know;
//! - counts that follow streams and viewers, frozen and fading ones included;
//! - ends: stopped, killed, crashed and started again by itself, hanging;
//! - media, with [`MediaConfig::webrtc`]: what a publisher sends reaches its viewers over WebRTC.
//!
//! Clusters, webhooks, transcoding and TLS are not.

mod auth;
mod boot;
mod carrying;
mod config;
mod connection;
mod exchange;
mod model;
mod power;
mod rest;
mod server;
mod shared;
mod signalling;
mod streams;
mod webrtc;

pub use boot::{BootPhase, BootTimeline};
pub use config::{AppConfig, Edition, Faults, MediaConfig};
pub use exchange::{Opening, Output, Reply, Request, Response, SocketId};
pub use model::{MediaModel, MediaStatus};
pub use power::Power;
pub use server::MediaProcess;
pub use streams::Counts;
pub use webrtc::WebRtc;
