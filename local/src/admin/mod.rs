//! A small HTTP server on loopback that sets faults and shows the state.
//!
//! `POST /faults` takes one [`Fault`] as JSON, `DELETE /faults` ends all of them, `GET /status` and
//! `GET /timeline` show what is, `GET /timeline?from=N` waits for what comes, `POST /token` mints a
//! token, `POST /ticket` a ticket for the vendor's SDK. It is for the developer at this machine: it
//! answers only to a loopback `Host`, and takes faults only as `application/json`, which no other
//! site's page can send without being asked first.

mod apply;
mod error;
mod fault;
mod server;
mod status;
mod ticket;
mod token;

pub use error::AdminError;
pub use fault::{CallOutcome, Fault, FunctionOutcome};
pub(crate) use server::AdminApi;
