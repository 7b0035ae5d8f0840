//! The gateway through its two entry points: recorded events in, responses, rows and pushes out.

mod auth_attacks;
mod auth_scopes;
mod caps_attack;
mod connect;
mod grants;
mod http;
mod input;
mod limits;
mod links;
mod poison;
mod protections;
mod resumed;
mod rules;
mod status;
mod tickets;
mod tickets_attacks;
mod wallet;
mod world;
