//! `renew`: another token for the same subject, on the same link.

use futures_util::FutureExt as _;
use wakecast::ErrorCode;
use wakecast::protocol::{Draining, LeaseState, Lost, Renew, Renewed, ServerMessage};

use super::Gateway;
use super::call::Caller;
use super::hello::millis;
use super::push::push;
use super::reply::Refusal;
use super::rows::{Answer, Known, OnMiss, RowCall, together};
use crate::auth::NotAllowed;
use crate::config::FleetConfig;
use crate::leases;
use crate::model::{Connection, Row, RowEnd, RowKey, RowState};
use crate::store::StoreError;

impl Gateway {
    /// Replaces the link's token. What could not be sent while the old one had ended follows, as
    /// `welcome` would tell it, and waits that the new one does not cover end as `forbidden`. A
    /// refused renewal changes nothing.
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
        if let Ok(caller) = Caller::greeted(connection, self.ports.clock.now()) {
            let rows = caller.connection.rows.iter();
            together(
                rows.map(|key| self.tell_state(&caller, key).boxed())
                    .collect(),
            )
            .await;
        }
        let now = self.ports.clock.now();
        Ok(ServerMessage::Renewed(Renewed {
            id: renew.id,
            expires_in_ms: millis(now.until(expires_at)),
            reconnect_spread_ms: millis(self.spread(now).await),
        }))
    }

    /// Pushes a row's state to its link; a wait that the new token no longer covers is ended. What
    /// cannot be told now is told by the next `hello`.
    async fn tell_state(&self, caller: &Caller, key: &RowKey) {
        let Some(config) = self.config.fleets.get(&key.fleet) else {
            return;
        };
        let call = RowCall {
            gateway: self,
            caller,
            key: key.clone(),
            config,
            known: Known::Unread,
            ready: None,
            guarded: true,
            on_miss: OnMiss::Tell,
        };
        let told = match call.run(leases::refresh).await {
            Ok(Answer::NotAllowed(error)) => {
                let call = RowCall {
                    guarded: false,
                    ..call
                };
                let answer = call.run(leases::forbid).await;
                answer.map(|answer| forbidden(answer, &error))
            }
            Ok(answer) => Ok(self.state(answer, config).await),
            Err(error) => Err(error),
        };
        let ports = &self.ports;
        match told {
            Ok(Some(message)) => {
                let (link, until) = (&caller.link, caller.patience);
                push(&*ports.connections, &*ports.clock, link, &message, until).await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a row's state was not told after a renewal"),
        }
    }

    /// Words what the old token's end may have kept from the client.
    async fn state(&self, answer: Answer, config: &FleetConfig) -> Option<ServerMessage> {
        let now = self.ports.clock.now();
        match answer {
            Answer::Granted(row, endpoint) => {
                let spread = self.verify_spread(now).await;
                Some(leases::granted(&row, *endpoint, spread))
            }
            Answer::NotReady(row, instance) => {
                let timing = &config.timing;
                let report = leases::lease_report(&row, None, instance.as_deref(), timing, now);
                (report.state == LeaseState::Draining).then(|| {
                    ServerMessage::Draining(Draining {
                        lease: row.key.id,
                        rev: row.rev,
                        deadline_ms: report.deadline_ms.unwrap_or_default(),
                    })
                })
            }
            Answer::Over(row) => lost(&row),
            _ => None,
        }
    }
}

/// Words the end of a wait that the new token does not cover.
fn forbidden(answer: Answer, error: &NotAllowed) -> Option<ServerMessage> {
    let Answer::Over(row) = answer else {
        return None;
    };
    let refusal = || Refusal::from(*error).into_message(Some(&row.key.id));
    lost(&row).or_else(|| Some(refusal()))
}

fn lost(row: &Row) -> Option<ServerMessage> {
    match &row.state {
        RowState::Ended {
            end: RowEnd::Lost(reason),
            ..
        } => Some(ServerMessage::Lost(Lost {
            lease: row.key.id.clone(),
            rev: row.rev,
            reason: *reason,
        })),
        _ => None,
    }
}
