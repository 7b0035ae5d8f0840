//! `hello` and `welcome`: what a client holds and waits for, after every connect.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use wakecast::ErrorCode;
use wakecast::protocol::{
    Hello, LeaseReport, LeaseState, LostReason, MAX_SERVER_MESSAGE, RequestReport, RequestState,
    RowRef, ServerMessage, VERSION, Welcome,
};

use super::Gateway;
use super::call::{Caller, check_id};
use super::reply::Refusal;
use super::rows::{Answer, OnMiss, RowCall};
use crate::config::FleetConfig;
use crate::leases::{self, Named};
use crate::model::{Connection, RowKey, WaitKind};
use crate::store::StoreError;

/// Most rows one `hello` may name; 32 KB hold about 700 of a client's own ids.
const MAX_ROWS: usize = 1024;

/// Rows that are looked at together: enough to hide the table's latency, few enough to spare it.
const TOGETHER: usize = 16;

/// One row that `hello` names, and the fleet it belongs to.
type Place<'a> = Result<(RowKey, &'a FleetConfig), Refusal>;

impl Gateway {
    pub(super) async fn hello(
        &self,
        connection: Connection,
        hello: Hello,
    ) -> Result<ServerMessage, Refusal> {
        if hello.v != VERSION {
            return Err(Refusal::coded(ErrorCode::ClientTooOld));
        }
        check_id("client_id", &hello.client_id)?;
        if hello.leases.len().saturating_add(hello.requests.len()) > MAX_ROWS {
            return Err(Refusal::invalid(format!(
                "`hello` names more than {MAX_ROWS} rows: release what is not needed"
            )));
        }
        let mut caller = Caller::named(connection, hello.client_id);
        let leases = self.places(&caller, &hello.leases);
        let requests = self.places(&caller, &hello.requests);

        // Claimed before they are written: a `$disconnect` from now on marks them absent.
        let places = leases.iter().chain(&requests);
        let keys: BTreeSet<RowKey> = places
            .filter_map(|place| Some(place.as_ref().ok()?.0.clone()))
            .collect();
        let (id, client_id) = (&caller.connection.id, &caller.link.client_id);
        match self.ports.store.claim(id, client_id, &keys).await {
            Ok(()) => caller.connection.rows.extend(keys),
            Err(StoreError::NotFound) => return Err(Refusal::coded(ErrorCode::ConnectionLost)),
            Err(error) => return Err(error.into()),
        }

        let leases = self.lease_reports(&caller, &hello.leases, leases).await?;
        let requests = self
            .request_reports(&caller, &hello.requests, requests)
            .await?;
        let now = self.ports.clock.now();
        let (high, low) = (self.ports.entropy.next_u64(), self.ports.entropy.next_u64());
        let welcome = Welcome {
            id: hello.id,
            session: format!("{high:016x}{low:016x}"),
            token_expires_in_ms: millis(now.until(caller.connection.grants.expires_at)),
            heartbeat_ms: millis(self.config.link.heartbeat),
            max_age_ms: millis(self.config.link.max_age),
            reconnect_spread_ms: millis(self.spread(now).await),
            leases,
            requests,
        };
        Ok(ServerMessage::Welcome(fitted(welcome)))
    }

    fn places(&self, caller: &Caller, rows: &[RowRef]) -> Vec<Place<'_>> {
        let place = |row: &RowRef| {
            let (fleet, config) = self.fleet(caller, row.fleet.as_deref())?;
            Ok((caller.row_key(fleet, &row.id)?, config))
        };
        rows.iter().map(place).collect()
    }

    async fn lease_reports(
        &self,
        caller: &Caller,
        rows: &[RowRef],
        places: Vec<Place<'_>>,
    ) -> Result<Vec<LeaseReport>, Refusal> {
        let reports = rows.iter().zip(places).map(|(row, place)| {
            let report = async move {
                let Ok((key, config)) = place else {
                    return Ok(unknown_lease(&row.id));
                };
                let answer = self
                    .greet(caller, key, config, Named::Lease, OnMiss::Tell)
                    .await?;
                Ok(self.lease_report(&row.id, answer, config))
            };
            report.boxed()
        });
        together(reports.collect()).await
    }

    async fn request_reports(
        &self,
        caller: &Caller,
        rows: &[RowRef],
        places: Vec<Place<'_>>,
    ) -> Result<Vec<RequestReport>, Refusal> {
        let reports = rows.iter().zip(places).map(|(row, place)| {
            let report = async move {
                let (key, config) = match place {
                    Ok(place) => place,
                    Err(refusal) => return Ok(ended_request(&row.id, None, refusal.into_code())),
                };
                let on_miss = OnMiss::Wait(WaitKind::Acquire);
                let answer = self
                    .greet(caller, key, config, Named::Request, on_miss)
                    .await?;
                Ok(request_report(&row.id, answer))
            };
            report.boxed()
        });
        together(reports.collect()).await
    }

    /// Claims a row, revives it if it slept, and grants again what it holds.
    async fn greet(
        &self,
        caller: &Caller,
        key: RowKey,
        config: &FleetConfig,
        named: Named,
        on_miss: OnMiss,
    ) -> Result<Answer, StoreError> {
        let call = RowCall {
            gateway: self,
            caller,
            key,
            config,
            believed_new: false,
            guarded: true,
            on_miss,
        };
        call.run(|row, visit| leases::greet(row, visit, named))
            .await
    }

    fn lease_report(&self, id: &str, answer: Answer, config: &FleetConfig) -> LeaseReport {
        let (timing, now) = (&config.timing, self.ports.clock.now());
        match answer {
            Answer::Granted(row, endpoint) => {
                leases::lease_report(&row, Some(*endpoint), None, timing, now)
            }
            Answer::NotReady(row, instance) => {
                leases::lease_report(&row, None, instance.as_deref(), timing, now)
            }
            Answer::Waiting(row) | Answer::Over(row) => {
                leases::lease_report(&row, None, None, timing, now)
            }
            Answer::TakenOver(row) => LeaseReport {
                rev: Some(row.rev),
                reason: Some(LostReason::TakenOver),
                ..unknown_lease(id)
            },
            Answer::Unknown | Answer::NotAllowed(_) | Answer::OtherAsk => unknown_lease(id),
        }
    }
}

fn request_report(id: &str, answer: Answer) -> RequestReport {
    match answer {
        Answer::Granted(row, endpoint) => leases::request_report(&row, Some(*endpoint)),
        Answer::NotReady(row, _) | Answer::Waiting(row) | Answer::Over(row) => {
            leases::request_report(&row, None)
        }
        Answer::TakenOver(row) => ended_request(id, Some(row.rev), ErrorCode::LeaseLost),
        Answer::NotAllowed(_) => ended_request(id, None, ErrorCode::Forbidden),
        Answer::Unknown | Answer::OtherAsk => RequestReport {
            state: RequestState::Unknown,
            code: None,
            ..ended_request(id, None, ErrorCode::LeaseLost)
        },
    }
}

/// A lease that the server does not know is lost, and has no `rev`.
fn unknown_lease(id: &str) -> LeaseReport {
    LeaseReport {
        id: id.to_owned(),
        state: LeaseState::Lost,
        rev: None,
        endpoint: None,
        deadline_ms: None,
        reason: None,
    }
}

fn ended_request(id: &str, rev: Option<u64>, code: ErrorCode) -> RequestReport {
    RequestReport {
        id: id.to_owned(),
        state: RequestState::Ended,
        rev,
        phase: None,
        endpoint: None,
        code: Some(code),
    }
}

/// Leaves out endpoints that do not fit into one message: a lease's is asked for when it is needed,
/// a request's is asked for at once.
fn fitted(mut welcome: Welcome) -> Welcome {
    let fits = |welcome: &Welcome| {
        ServerMessage::Welcome(welcome.clone()).encode().len() <= MAX_SERVER_MESSAGE
    };
    if !fits(&welcome) {
        welcome
            .leases
            .iter_mut()
            .for_each(|lease| lease.endpoint = None);
    }
    if !fits(&welcome) {
        welcome
            .requests
            .iter_mut()
            .for_each(|request| request.endpoint = None);
    }
    welcome
}

/// Looks at several rows at a time and keeps their order.
async fn together<T>(
    reports: Vec<BoxFuture<'_, Result<T, StoreError>>>,
) -> Result<Vec<T>, Refusal> {
    let reports: Vec<Result<T, StoreError>> =
        stream::iter(reports).buffered(TOGETHER).collect().await;
    Ok(reports.into_iter().collect::<Result<_, _>>()?)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
