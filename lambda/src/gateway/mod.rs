//! Answers the API Gateway's events: connects, messages, access checks, hints and the vendor's SDK.
//!
//! It reads, lets the rules of [`leases`](crate::leases) decide, writes and sends. It holds no
//! power over instances and writes nothing that the reconciler trusts.

mod access;
mod call;
mod config;
mod connect;
mod demand;
mod event;
mod hello;
mod limits;
mod message;
mod push;
mod recall;
mod renew;
mod reply;
mod requests;
mod rows;
mod status;
mod vendor;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::auth::Verifier;
use crate::guards::Guards;
use crate::ports::{Clock, Connections, Entropy, Store, StreamTokens, Wake};
use event::{EventType, HttpEvent, Response, SocketEvent};
use recall::Recall;

pub use config::{GatewayConfig, GatewayConfigError, Hint, LinkConfig, Waits};

/// The gateway's seams to the world.
#[derive(Clone, Debug)]
pub struct GatewayPorts {
    /// The table, with the gateway's permissions.
    pub store: Arc<dyn Store>,
    /// `@connections`.
    pub connections: Arc<dyn Connections>,
    /// The way to the reconciler.
    pub wake: Arc<dyn Wake>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Stream tokens.
    pub stream_tokens: Arc<dyn StreamTokens>,
}

/// The function that the internet can reach.
pub struct Gateway {
    ports: GatewayPorts,
    config: GatewayConfig,
    verifier: Verifier,
    recall: Recall,
    guards: Guards,
}

impl Gateway {
    /// Builds a gateway.
    ///
    /// # Errors
    /// Says what is wrong with the configuration.
    pub fn new(ports: GatewayPorts, config: GatewayConfig) -> Result<Self, GatewayConfigError> {
        config.check()?;
        let verifier = Verifier::new(&config.issuers)?;
        Ok(Self {
            ports,
            config,
            verifier,
            recall: Recall::default(),
            guards: Guards::ALL,
        })
    }

    /// Turns guards off: for tests of what they prevent.
    #[cfg(feature = "ablation")]
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Answers an event of the WebSocket API (`$connect`, `$disconnect` or a message) with a Lambda
    /// proxy response, whose body is the reply to the message.
    ///
    /// `$connect` is answered with 200, 426 (no version of ours is offered), 401 (no good token),
    /// 403 (a good one that allows nothing here), 429 with `Retry-After` (its subject connects too
    /// often, or has too many links open) or 503 (the table does not answer). A message is answered
    /// with 200 and one reply; the body is empty where the link ends instead.
    ///
    /// Never fails: an event that cannot be read is answered with status 400. Dropping the future
    /// stands for a crash: what was written stays, and the client's resend or `hello` mends it.
    pub async fn websocket(&self, event: &Value) -> Value {
        let response = match serde::Deserialize::deserialize(event) {
            Ok(event) => self.socket_event(event).await,
            Err(_) => Response::status(400),
        };
        response.into_json()
    }

    /// Answers an event of the HTTP API, payload version 2.0: `GET /v1/access`,
    /// `POST /v1/hints/<secret>` and, if it is configured, `GET /?source=sdk&ticket=…`. Anything else
    /// is 404 or 405; an unreadable event is 400.
    ///
    /// The access check says what a `$connect` would have met: 204, or its status, or 429 or 503
    /// with `Retry-After`. A hint is 204, or 404 if its secret is wrong. The vendor's SDK gets 200
    /// with an endpoint, 503 with `Retry-After` while the server starts, or 400, 401, 403, 409 or 429;
    /// each with JSON that says why.
    pub async fn http(&self, event: &Value) -> Value {
        let response = match <HttpEvent as serde::Deserialize>::deserialize(event) {
            Ok(event) => self.request(&event).await,
            Err(_) => Response::status(400),
        };
        response.into_json()
    }

    async fn socket_event(&self, event: SocketEvent) -> Response {
        match event.request_context.event_type {
            EventType::Connect => self.connect(&event).await,
            EventType::Disconnect => self.disconnect(&event).await,
            EventType::Message => self.message(event).await,
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
