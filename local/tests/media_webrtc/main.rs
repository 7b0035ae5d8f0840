//! Media in the stand-in: real WebRTC peers, mostly on virtual time.
#![cfg(feature = "media")]

mod counts;
mod flow;
mod hostile;
mod peer;
mod process;
mod refusals;
mod world;
