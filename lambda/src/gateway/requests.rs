//! `acquire`, `endpoint`, `cancel` and `release`.

use std::time::Duration;

use wakecast::protocol::{
    Acquire, EndpointPush, EndpointRequest, Lost, LostReason, Phase, ProgressPush, Ready,
    ServerMessage,
};

use super::Gateway;
use super::call::Caller;
use super::hello::millis;
use super::reply::{Refusal, ack};
use super::rows::{Answer, Known, OnMiss, RowCall};
use crate::auth::allows;
use crate::config::FleetConfig;
use crate::leases;
use crate::lifecycle::Forecast;
use crate::model::{Ask, Row, RowEnd, RowState, WaitKind};

/// Longest stream id in bytes: the media server's own ids have at most 100.
const MAX_STREAM: usize = 256;

impl Gateway {
    pub(super) async fn acquire(
        &self,
        caller: &Caller,
        acquire: Acquire,
    ) -> Result<ServerMessage, Refusal> {
        let (fleet, config) = self.fleet(caller, acquire.fleet.as_deref())?;
        let ask = Ask {
            purpose: acquire.purpose,
            app: acquire.app,
            stream_id: acquire.stream_id,
        };
        check_ask(&ask)?;
        allows(&caller.connection.grants, &fleet, &ask)?;
        check_app(&ask, config)?;
        let asked = Duration::from_millis(acquire.deadline_ms);
        let wait = self.config.waits.of(ask.purpose, asked);
        let ready = self.believed_ready(&fleet).await.map_err(|error| {
            // Nothing has been written yet.
            Refusal::from(error).rejected()
        })?;
        let call = RowCall {
            gateway: self,
            caller,
            key: caller.row_key(fleet, &acquire.id)?,
            config,
            known: Known::New,
            ready,
            guarded: false,
            on_miss: OnMiss::Wait(WaitKind::Acquire),
        };
        let answer = call
            .run(|row, visit| leases::acquire(row, visit, &ask, wait))
            .await?;
        match answer {
            Answer::Granted(row, endpoint) => {
                let spread = self.verify_spread(self.ports.clock.now()).await;
                Ok(ServerMessage::Ready(Ready {
                    id: acquire.id,
                    rev: row.rev,
                    endpoint: *endpoint,
                    verify_spread_ms: u64::try_from(spread.as_millis()).unwrap_or(u64::MAX),
                }))
            }
            Answer::Over(row) => ended(&row),
            Answer::TakenOver(row) => Ok(lost(&row, LostReason::TakenOver)),
            Answer::OtherAsk => Err(Refusal::invalid(
                "this id stands for another app, purpose or stream: use a new id for a new ask",
            )),
            Answer::NotAllowed(error) => Err(error.into()),
            Answer::Full => Err(Refusal::full()),
            Answer::Quota => Err(Refusal::quota(config.caps.subject.live_rows)),
            Answer::Waiting { row, resumed: true } => Ok(self.how_far(&row, config).await),
            Answer::Waiting { .. } | Answer::NotReady(..) | Answer::Unknown => Ok(ack(&acquire.id)),
        }
    }

    /// Tells a client that takes up a wait how far it is: an app that was started anew heard none of
    /// the pushes, and the next one may be minutes away. A wait that no reconciler has seen has no
    /// phase to tell yet.
    async fn how_far(&self, row: &Row, config: &FleetConfig) -> ServerMessage {
        let (id, fleet) = (&row.key.id, &row.key.fleet);
        let RowState::Waiting { phase, .. } = row.state else {
            return ack(id);
        };
        if phase == Phase::Requested {
            return ack(id);
        }
        // From before the read: a push that crosses this answer is newer, and must count as that.
        let now = self.ports.clock.now();
        match self.ports.store.fleet(fleet).await {
            Ok(records) => {
                let Forecast { eta, restarted, .. } = Forecast::of(&records, config, now);
                ServerMessage::Progress(ProgressPush {
                    id: id.clone(),
                    rev: row.rev,
                    phase,
                    elapsed_ms: millis(now.since(row.created_at)),
                    eta_p50_ms: millis(eta.p50),
                    eta_p90_ms: millis(eta.p90),
                    overdue: eta.overdue,
                    note: restarted.then(|| "restarting".to_owned()),
                })
            }
            // The row is written, and that is what the client asked for.
            Err(error) => {
                tracing::warn!(%error, "a resumed wait is not told how far it is");
                ack(id)
            }
        }
    }

    pub(super) async fn endpoint(
        &self,
        caller: &Caller,
        request: EndpointRequest,
    ) -> Result<ServerMessage, Refusal> {
        let (fleet, config) = self.fleet(caller, request.fleet.as_deref())?;
        let call = RowCall {
            gateway: self,
            caller,
            key: caller.row_key(fleet, &request.lease)?,
            config,
            known: Known::Unread,
            ready: None,
            guarded: true,
            on_miss: OnMiss::Wait(WaitKind::Endpoint {
                request: Some(request.id.clone()),
            }),
        };
        let answer = call
            .run(|row, visit| leases::endpoint(row, visit, &request.id))
            .await?;
        match answer {
            Answer::Granted(row, endpoint) => Ok(ServerMessage::Endpoint(EndpointPush {
                id: Some(request.id),
                lease: request.lease,
                rev: row.rev,
                endpoint: *endpoint,
            })),
            Answer::Waiting { .. } | Answer::NotReady(..) => Ok(ack(&request.id)),
            Answer::NotAllowed(error) => Err(error.into()),
            Answer::TakenOver(_) => Err(Refusal::new(
                wakecast::ErrorCode::LeaseLost,
                "another client has taken this lease over: acquire under a new id",
            )),
            Answer::Full => Err(Refusal::full()),
            Answer::Quota => Err(Refusal::quota(config.caps.subject.live_rows)),
            Answer::Over(_) | Answer::Unknown | Answer::OtherAsk => {
                Err(Refusal::coded(wakecast::ErrorCode::LeaseLost))
            }
        }
    }

    /// `cancel` and `release`: acknowledged whatever became of the row, unless the link has no room
    /// to remember one that is not there.
    pub(super) async fn finish(
        &self,
        caller: &Caller,
        (fleet, row): (Option<&str>, &str),
        id: &str,
        end: RowEnd,
    ) -> Result<ServerMessage, Refusal> {
        let (fleet, config) = self.fleet(caller, fleet)?;
        let call = RowCall {
            gateway: self,
            caller,
            key: caller.row_key(fleet, row)?,
            config,
            known: Known::Unread,
            ready: None,
            guarded: false,
            on_miss: OnMiss::Tell,
        };
        let answer = call
            .run(|row, visit| leases::finish(row, visit, end.clone()))
            .await?;
        match answer {
            Answer::Full => Err(Refusal::full()),
            _ => Ok(ack(id)),
        }
    }
}

/// Repeats how an acquisition ended.
fn ended(row: &Row) -> Result<ServerMessage, Refusal> {
    match &row.state {
        RowState::Ended {
            end: end @ (RowEnd::Cancelled | RowEnd::Failed(_)),
            ..
        } => Err(Refusal::coded(leases::end_code(end))),
        RowState::Ended { end, .. } => Ok(lost(row, leases::lost_reason(end))),
        RowState::Waiting { .. } | RowState::Held { .. } => Ok(ack(&row.key.id)),
    }
}

fn lost(row: &Row, reason: LostReason) -> ServerMessage {
    ServerMessage::Lost(Lost {
        lease: row.key.id.clone(),
        rev: row.rev,
        reason,
    })
}

pub(super) fn check_ask(ask: &Ask) -> Result<(), Refusal> {
    let stream = ask.stream_id.as_deref().unwrap_or("-");
    let fits =
        |text: &str| (1..=MAX_STREAM).contains(&text.len()) && !text.chars().any(char::is_control);
    match (fits(&ask.app), fits(stream)) {
        (true, true) => Ok(()),
        (false, _) => Err(Refusal::invalid(
            "`app` must have 1 to 256 visible characters",
        )),
        (_, false) => Err(Refusal::invalid(
            "`stream_id` must have 1 to 256 visible characters",
        )),
    }
}

pub(super) fn check_app(ask: &Ask, config: &FleetConfig) -> Result<(), Refusal> {
    if config.apps.contains(&ask.app) {
        Ok(())
    } else {
        Err(Refusal::invalid(
            "this fleet does not run that app: use one of its configured apps",
        ))
    }
}
