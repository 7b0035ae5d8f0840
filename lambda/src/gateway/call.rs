//! Who sends a message, and the fleet it means.

use std::collections::BTreeSet;

use wakecast::ErrorCode;
use wakecast::protocol::{MAX_ID, is_id};

use super::Gateway;
use super::push::patience;
use super::reply::Refusal;
use crate::auth::Ticket;
use crate::config::FleetConfig;
use crate::model::{Connection, ConnectionId, FleetKey, Link, RowKey, Timestamp};

/// The link a message came by, after `hello`.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) connection: Connection,
    pub(super) link: Link,
    /// Until when what follows from the message may wait for other links.
    pub(super) patience: Timestamp,
    /// The link is in the table, where it notes its rows.
    pub(super) is_stored: bool,
}

impl Caller {
    /// Returns the caller once `hello` has named its client.
    pub(super) fn greeted(connection: Connection, now: Timestamp) -> Result<Self, Refusal> {
        match connection.client_id.clone() {
            Some(client_id) => Ok(Self::named(connection, client_id, now)),
            None => Err(Refusal::new(
                ErrorCode::ProtocolError,
                "the first message on a link is `hello`: send it and wait for `welcome`",
            )),
        }
    }

    pub(super) fn named(connection: Connection, client_id: String, now: Timestamp) -> Self {
        Self::new(connection, client_id, now, true)
    }

    /// Returns the bearer of a ticket, whose link lasts as long as the request.
    pub(super) fn bearer(ticket: &Ticket, now: Timestamp) -> Self {
        let connection = Connection {
            id: ConnectionId::new(&ticket.id),
            connected_at: now,
            grants: ticket.grants.clone(),
            client_id: None,
            rows: BTreeSet::new(),
        };
        Self::new(connection, ticket.id.clone(), now, false)
    }

    fn new(connection: Connection, client_id: String, now: Timestamp, is_stored: bool) -> Self {
        let link = Link {
            connection: connection.id.clone(),
            connected_at: connection.connected_at,
            client_id,
        };
        Self {
            connection,
            link,
            patience: patience(now),
            is_stored,
        }
    }

    /// Builds the key of one of the caller's rows.
    pub(super) fn row_key(&self, fleet: FleetKey, id: &str) -> Result<RowKey, Refusal> {
        check_id("id", id)?;
        Ok(RowKey {
            fleet,
            subject: self.connection.grants.subject.clone(),
            id: id.to_owned(),
        })
    }
}

impl Gateway {
    /// Finds the fleet that a message means: the one it names, else the token's only one.
    pub(super) fn fleet(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<(FleetKey, &FleetConfig), Refusal> {
        let grants = &caller.connection.grants;
        let name = match (name, grants.fleets.as_slice()) {
            (Some(name), fleets) if fleets.iter().any(|fleet| fleet == name) => name,
            (Some(_), _) => {
                return Err(Refusal::new(
                    ErrorCode::Forbidden,
                    "the token's `fleets` do not name this fleet",
                ));
            }
            (None, [only]) => only,
            (None, _) => {
                return Err(Refusal::invalid(
                    "the token allows several fleets: name one as `fleet`",
                ));
            }
        };
        let key = grants.fleet_key(name);
        match self.config.fleets.get(&key) {
            Some(config) => Ok((key, config)),
            None => Err(Refusal::new(
                ErrorCode::Forbidden,
                "this fleet no longer exists: ask the operator for another",
            )),
        }
    }
}

/// Checks a name that becomes part of a row.
pub(super) fn check_id(field: &str, text: &str) -> Result<(), Refusal> {
    if is_id(text) {
        Ok(())
    } else {
        Err(Refusal::invalid(format!(
            "`{field}` must have 1 to {MAX_ID} visible ASCII characters"
        )))
    }
}
