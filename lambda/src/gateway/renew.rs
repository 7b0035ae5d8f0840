//! `renew`: another token for the same subject, on the same link.

use wakecast::ErrorCode;
use wakecast::protocol::{Draining, LeaseState, Lost, Renew, Renewed, ServerMessage};

use super::Gateway;
use super::call::Caller;
use super::hello::millis;
use super::push::push;
use super::reply::Refusal;
use super::rows::{Answer, OnMiss, RowCall};
use crate::leases;
use crate::model::{Connection, RowEnd, RowKey, RowState};
use crate::store::StoreError;

impl Gateway {
    /// Replaces the link's token. What could not be sent while the old one had ended follows, as
    /// `welcome` would tell it. A refused renewal changes nothing.
    pub(super) async fn renew(
        &self,
        connection: Connection,
        renew: Renew,
    ) -> Result<ServerMessage, Refusal> {
        let grants = self.admit(&renew.token)?;
        let old = &connection.grants;
        if (&grants.subject, &grants.tenant) != (&old.subject, &old.tenant) {
            return Err(Refusal::new(
                ErrorCode::TokenRejected,
                "the token is another subject's: renew with one of the same `sub` and `tenant`",
            ));
        }
        let id = connection.id.clone();
        match self.ports.store.renew_connection(&id, &grants).await {
            Ok(()) => {}
            Err(StoreError::NotFound) => return Err(Refusal::coded(ErrorCode::ConnectionLost)),
            Err(error) => return Err(error.into()),
        }
        let expires_at = grants.expires_at;
        let connection = Connection {
            grants,
            ..connection
        };
        if let Ok(caller) = Caller::greeted(connection) {
            for key in &caller.connection.rows {
                self.tell_state(&caller, key).await;
            }
        }
        let now = self.ports.clock.now();
        Ok(ServerMessage::Renewed(Renewed {
            id: renew.id,
            expires_in_ms: millis(now.until(expires_at)),
            reconnect_spread_ms: millis(self.spread(now).await),
        }))
    }

    /// Pushes a row's state to its link. What cannot be told now is told by the next `hello`.
    async fn tell_state(&self, caller: &Caller, key: &RowKey) {
        let Some(config) = self.config.fleets.get(&key.fleet) else {
            return;
        };
        let call = RowCall {
            gateway: self,
            caller,
            key: key.clone(),
            config,
            believed_new: false,
            guarded: true,
            on_miss: OnMiss::Tell,
        };
        let answer = call.run(leases::refresh).await;
        let now = self.ports.clock.now();
        let message = match answer {
            Ok(Answer::Granted(row, endpoint)) => {
                let spread = self.verify_spread(now).await;
                leases::granted(&row, *endpoint, spread)
            }
            Ok(Answer::NotReady(row, instance)) => {
                let timing = &config.timing;
                let report = leases::lease_report(&row, None, instance.as_deref(), timing, now);
                if report.state != LeaseState::Draining {
                    return;
                }
                ServerMessage::Draining(Draining {
                    lease: row.key.id,
                    rev: row.rev,
                    deadline_ms: report.deadline_ms.unwrap_or_default(),
                })
            }
            Ok(Answer::Over(row)) => match &row.state {
                RowState::Ended {
                    end: RowEnd::Lost(reason),
                    ..
                } => ServerMessage::Lost(Lost {
                    lease: row.key.id,
                    rev: row.rev,
                    reason: *reason,
                }),
                _ => return,
            },
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "a row's state was not told after a renewal");
                return;
            }
        };
        let ports = &self.ports;
        push(&*ports.connections, &*ports.clock, &caller.link, &message).await;
    }
}
