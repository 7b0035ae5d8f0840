//! A connection of the API Gateway and what its token allows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ConnectionId, FleetKey, RowKey, Timestamp};

/// One WebSocket, as `$connect` stored it. Every message is checked against this row, never
/// against its own body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The API Gateway's name for the socket.
    pub id: ConnectionId,
    /// The `connectedAt` of the gateway's event: orders two sockets of one client.
    pub connected_at: Timestamp,
    /// What the token allows; replaced by `renew`.
    pub grants: Grants,
    /// Named by `hello`; random per client unless the app sets it.
    pub client_id: Option<String>,
    /// The rows this link claimed, so that `$disconnect` can mark them absent.
    pub rows: BTreeSet<RowKey>,
}

/// What a verified token allows, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// The `sub` claim.
    pub subject: String,
    /// The `tenant` claim.
    pub tenant: String,
    /// The fleets that may be asked; the first is meant when a message names none and it is alone.
    pub fleets: Vec<String>,
    /// The apps that may be asked for.
    pub apps: Vec<String>,
    /// Patterns of stream ids: exact, or with one trailing `*`.
    pub streams: Vec<String>,
    /// What may be asked for.
    pub scopes: BTreeSet<Scope>,
    /// The token's end. There is no leeway.
    pub expires_at: Timestamp,
}

impl Grants {
    /// Builds the key of one of the token's fleets.
    #[must_use]
    pub fn fleet_key(&self, fleet: &str) -> FleetKey {
        FleetKey {
            tenant: self.tenant.clone(),
            fleet: fleet.to_owned(),
        }
    }
}

/// What a token may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Wait for and play streams.
    Play,
    /// Publish streams.
    Publish,
    /// Override the fleet's lifecycle.
    Admin,
}
