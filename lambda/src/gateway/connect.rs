//! `$connect` and `$disconnect`.

use futures_util::FutureExt as _;
use wakecast::Secret;
use wakecast::protocol::{BEARER_PREFIX, SUBPROTOCOL};

use super::event::{Response, SocketEvent, bearer};
use super::{Gateway, rows};
use crate::auth::AuthError;
use crate::leases;
use crate::model::{Connection, ConnectionId, Grants, Timestamp};

impl Gateway {
    /// Verifies the token and stores the connection, if its subject may open one more. Nothing is
    /// ever posted from here: until the answer is out, `@connections` says 410.
    pub(super) async fn connect(&self, event: &SocketEvent) -> Response {
        let offered = offered(event);
        if !offered.contains(&SUBPROTOCOL) {
            return Response::status(426);
        }
        let grants = match self.admit(&token(event, &offered)) {
            Ok(grants) => grants,
            Err(error) => {
                tracing::info!(%error, "a connect was refused");
                return Response::status(error.status());
            }
        };
        let connection = Connection {
            id: ConnectionId::new(&event.request_context.connection_id),
            connected_at: Timestamp::from_millis(event.request_context.connected_at),
            grants,
            client_id: None,
            rows: std::collections::BTreeSet::new(),
        };
        match self.open_link(&connection).await {
            Ok(None) => Response::status(200).with_header("Sec-WebSocket-Protocol", SUBPROTOCOL),
            Ok(Some(wait)) => {
                tracing::info!(?wait, "a connect was refused: its subject has too many");
                Response::too_many(wait)
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not stored");
                Response::status(503)
            }
        }
    }

    /// Forgets the connection and marks the rows whose link it is. Best effort, like the event.
    pub(super) async fn disconnect(&self, event: &SocketEvent) -> Response {
        let id = ConnectionId::new(&event.request_context.connection_id);
        self.forget(&id).await;
        Response::status(200)
    }

    /// Removes a connection. It goes first, so that a message under way can claim no row for it
    /// any more.
    pub(super) async fn forget(&self, id: &ConnectionId) {
        let now = self.ports.clock.now();
        match self.ports.store.delete_connection(id, now).await {
            Ok(Some(connection)) => {
                let leave = |key| {
                    let absent = move |row: &_| leases::disconnect(row, id, now);
                    async move {
                        if let Err(error) = rows::change(&*self.ports.store, key, absent).await {
                            tracing::warn!(%error, "a row was not marked absent");
                        }
                    }
                };
                rows::together(
                    connection
                        .rows
                        .iter()
                        .map(|key| leave(key).boxed())
                        .collect(),
                )
                .await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a connection was not forgotten"),
        }
    }

    /// Verifies a token and keeps those of its fleets that exist.
    pub(super) fn admit(&self, token: &Secret) -> Result<Grants, AuthError> {
        let mut grants = self.verifier.verify(token, self.ports.clock.now())?;
        let tenant = grants.tenant.clone();
        grants.fleets.retain(|fleet| {
            let fleet = fleet.clone();
            let tenant = tenant.clone();
            let key = crate::model::FleetKey { tenant, fleet };
            self.config.fleets.contains_key(&key)
        });
        if grants.fleets.is_empty() {
            return Err(AuthError::NothingAllowed);
        }
        Ok(grants)
    }
}

fn offered(event: &SocketEvent) -> Vec<&str> {
    let lists = event.header("Sec-WebSocket-Protocol");
    let names = lists.into_iter().flat_map(|list| list.split(','));
    names.map(str::trim).collect()
}

/// The token: of the `Authorization` header, which native clients send, else of the subprotocol,
/// since browsers can set no header.
fn token(event: &SocketEvent, offered: &[&str]) -> Secret {
    let header = event.header("Authorization");
    let header = header.into_iter().find_map(bearer);
    let subprotocol = || {
        offered
            .iter()
            .find_map(|name| name.strip_prefix(BEARER_PREFIX))
    };
    Secret::new(header.or_else(subprotocol).unwrap_or_default())
}
