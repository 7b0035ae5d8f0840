//! A stand-in for the API Gateway that enforces what the real one enforces.
//!
//! [`GatewayModel`] is pure: it knows connections, limits and routes, and time comes in with every
//! call. [`WebSocketApi`] and [`HttpApi`] serve a [`Function`] on loopback ports with the events
//! and responses of the real gateway; [`Sockets`] is `@connections`.

mod events;
mod faults;
mod function;
mod http_api;
mod limits;
mod link;
mod model;
mod server;
mod sockets;
mod words;

pub use faults::{Counted, FunctionFault, GatewayFaults};
pub use function::{Crash, Function};
pub use http_api::HttpApi;
pub use limits::{Bucket, Limits};
pub use model::GatewayModel;
pub use server::WebSocketApi;
pub use sockets::Sockets;
pub use words::{
    Action, Close, FunctionResponse, Handshake, Incoming, Integration, Invocation, ManagementError,
    Received, RequestId, Routes,
};
