//! A stand-in for the API Gateway that enforces what the real one enforces.
//!
//! [`GatewayModel`] is pure: it knows connections, limits and routes, and time comes in with every
//! call.

mod limits;
mod model;
mod words;

pub use limits::Limits;
pub use model::GatewayModel;
pub use words::{
    Action, Close, FunctionResponse, Handshake, Incoming, Integration, Invocation, ManagementError,
    Received, RequestId, Routes,
};
