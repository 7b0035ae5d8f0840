//! A message: read, checked against the stored connection, carried out.

use std::time::Duration;

use wakecast::ErrorCode;
use wakecast::protocol::{ClientMessage, DecodeError, Pong, ServerMessage, VERSION};

use super::Gateway;
use super::call::{Caller, check_id};
use super::event::{Response, SocketEvent};
use super::push::{patience, push};
use super::reply::{Refusal, bye};
use crate::model::{Connection, ConnectionId, Link, RowEnd, Timestamp};
use crate::store::StoreError;

/// After its token's end a link is kept this long, so that a client which is told `token_expired`
/// can still renew.
const TOKEN_GRACE: Duration = Duration::from_secs(30);

impl Gateway {
    /// Answers one message. Every message but `ping` gets exactly one reply with its id.
    pub(super) async fn message(&self, event: SocketEvent) -> Response {
        let context = &event.request_context;
        let link = (
            ConnectionId::new(&context.connection_id),
            Timestamp::from_millis(context.connected_at),
        );
        let Some(text) = event.body.filter(|_| !event.is_base64_encoded) else {
            let refusal = Refusal::new(
                ErrorCode::ProtocolError,
                "binary messages are not read: send JSON as a text frame",
            );
            return Response::text(refusal.into_message(None).encode());
        };
        let message = match ClientMessage::decode(&text) {
            Ok(message) => message,
            Err(error) => return Response::text(unreadable(&text, error).encode()),
        };
        if let ClientMessage::Ping(_) = message {
            return Response::text(ServerMessage::Pong(Pong {}).encode());
        }
        let id = message.id().map(str::to_owned);
        let reply = match self.connection_of(&link.0, &message).await {
            Ok(connection) => self.carry_out(connection, message).await,
            Err(Kept::Refused(refusal)) => Err(refusal),
            Err(Kept::Dismissed(code)) => {
                self.dismiss(link.0, link.1, code).await;
                return Response::status(200);
            }
        };
        let reply = reply.unwrap_or_else(|refusal| refusal.into_message(id.as_deref()));
        Response::text(reply.encode())
    }

    /// Reads the connection and holds the message against its token's end. `renew` is the way out,
    /// so it passes.
    async fn connection_of(
        &self,
        id: &ConnectionId,
        message: &ClientMessage,
    ) -> Result<Connection, Kept> {
        let found = self.ports.store.connection(id).await;
        let found = match found {
            // The next link writes a new one.
            Err(StoreError::Unreadable(_)) => None,
            found => found.map_err(|error| Kept::Refused(not_carried_out(error)))?,
        };
        let Some(connection) = found else {
            return Err(Kept::Dismissed(ErrorCode::ConnectionLost));
        };
        let now = self.ports.clock.now();
        let ended = connection.grants.expires_at;
        if now < ended || matches!(message, ClientMessage::Renew(_)) {
            Ok(connection)
        } else if now < ended + TOKEN_GRACE {
            Err(Kept::Refused(Refusal::coded(ErrorCode::TokenExpired)))
        } else {
            Err(Kept::Dismissed(ErrorCode::TokenExpired))
        }
    }

    /// Ends a link: `bye`, and only then the socket, since a reply would not outrun the close.
    async fn dismiss(&self, id: ConnectionId, connected_at: Timestamp, code: ErrorCode) {
        let link = Link {
            connection: id,
            connected_at,
            client_id: String::new(),
        };
        let ports = &self.ports;
        let until = patience(ports.clock.now());
        let bye = bye(code);
        push(&*ports.connections, &*ports.clock, &link, &bye, until).await;
        if let Err(error) = ports.connections.delete(&link.connection).await {
            tracing::debug!(%error, "a connection was not closed");
        }
        self.forget(&link.connection).await;
    }

    async fn carry_out(
        &self,
        connection: Connection,
        message: ClientMessage,
    ) -> Result<ServerMessage, Refusal> {
        if let Some(id) = message.id() {
            check_id("id", id)?;
        }
        let now = self.ports.clock.now();
        match message {
            ClientMessage::Hello(hello) => self.hello(connection, hello).await,
            ClientMessage::Renew(renew) => self.renew(connection, renew).await,
            ClientMessage::Acquire(acquire) => {
                self.acquire(&Caller::greeted(connection, now)?, acquire)
                    .await
            }
            ClientMessage::Endpoint(request) => {
                self.endpoint(&Caller::greeted(connection, now)?, request)
                    .await
            }
            ClientMessage::Cancel(cancel) => {
                let caller = Caller::greeted(connection, now)?;
                let row = (cancel.fleet.as_deref(), cancel.acquire.as_str());
                self.finish(&caller, row, &cancel.id, RowEnd::Cancelled)
                    .await
            }
            ClientMessage::Release(release) => {
                let caller = Caller::greeted(connection, now)?;
                let row = (release.fleet.as_deref(), release.lease.as_str());
                self.finish(&caller, row, &release.id, RowEnd::Released)
                    .await
            }
            ClientMessage::Status(request) => {
                self.status(&Caller::greeted(connection, now)?, request)
                    .await
            }
            _ => Err(Refusal::invalid(
                "this version of the server does not carry out `override`",
            )),
        }
    }
}

/// What became of a link whose message is not carried out.
enum Kept {
    /// The link stays.
    Refused(Refusal),
    /// The link ends.
    Dismissed(ErrorCode),
}

fn not_carried_out(error: StoreError) -> Refusal {
    Refusal::from(error).rejected()
}

/// Words an unreadable message, with its id if one can be made out.
fn unreadable(text: &str, error: DecodeError) -> ServerMessage {
    let too_large = matches!(error, DecodeError::TooLarge { .. });
    let value: serde_json::Value = if too_large {
        serde_json::Value::Null
    } else {
        serde_json::from_str(text).unwrap_or_default()
    };
    let id = value.get("id").and_then(serde_json::Value::as_str);
    let id = id.filter(|id| check_id("id", id).is_ok());
    let version = value.get("v").and_then(serde_json::Value::as_u64);
    let is_hello = value.get("action").and_then(serde_json::Value::as_str) == Some("hello");
    let refusal = if is_hello && version.is_some_and(|version| version != u64::from(VERSION)) {
        Refusal::coded(ErrorCode::ClientTooOld)
    } else {
        Refusal::from(error)
    };
    refusal.into_message(id)
}
