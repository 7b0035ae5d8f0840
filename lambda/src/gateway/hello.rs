//! `hello` and `welcome`: what a client holds and waits for, after every connect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wakecast::ErrorCode;
use wakecast::protocol::{
    Endpoint, Hello, LeaseReport, LeaseState, LostReason, MAX_SERVER_MESSAGE, RequestReport,
    RequestState, RowRef, ServerMessage, VERSION, Welcome,
};

use super::Gateway;
use super::call::{Caller, check_id};
use super::limits::MAX_ROWS;
use super::reply::Refusal;
use super::rows::{Answer, Known, OnMiss, RowCall, together};
use crate::config::FleetConfig;
use crate::leases::{self, Named};
use crate::model::{Connection, Row, RowKey, WaitKind};
use crate::store::StoreError;

/// The row that each name means, or why it means none.
type Places = Vec<Result<RowKey, Refusal>>;

/// Every row that is named, once, by its first name's kind.
type Rows<'a> = BTreeMap<RowKey, (Named, &'a FleetConfig)>;

/// What became of the rows that exist.
type Answers<'a> = BTreeMap<RowKey, (Answer, &'a FleetConfig)>;

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
        let mut caller = Caller::named(connection, hello.client_id, self.ports.clock.now());
        let mut rows = Rows::new();
        let leases = self.places(&caller, &hello.leases, Named::Lease, &mut rows);
        let requests = self.places(&caller, &hello.requests, Named::Request, &mut rows);
        let answers = self.greet_all(&mut caller, rows).await?;

        let leases = hello.leases.iter().zip(leases);
        let leases = leases.map(|(name, place)| self.lease_report(&name.id, place, &answers));
        let requests = hello.requests.iter().zip(requests);
        let requests = requests.map(|(name, place)| request_report(&name.id, place, &answers));
        let (leases, requests) = (leases.collect(), requests.collect());
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

    /// Finds the rows that the names mean. A row that is named twice is looked at once.
    fn places<'a>(
        &'a self,
        caller: &Caller,
        names: &[RowRef],
        named: Named,
        rows: &mut Rows<'a>,
    ) -> Places {
        let place = |name: &RowRef| {
            let (fleet, config) = self.fleet(caller, name.fleet.as_deref())?;
            let key = caller.row_key(fleet, &name.id)?;
            rows.entry(key.clone()).or_insert((named, config));
            Ok(key)
        };
        names.iter().map(place).collect()
    }

    /// Reads the rows, claims those that exist in one write, and greets each of them.
    async fn greet_all<'a>(
        &'a self,
        caller: &mut Caller,
        rows: Rows<'a>,
    ) -> Result<Answers<'a>, Refusal> {
        let now = self.ports.clock.now();
        let reads = rows.into_iter().map(|(key, (named, config))| {
            let read = async move {
                let row = self.ports.store.row(&key).await?;
                let row = row.filter(|row| row.expires_at > now);
                Ok(row.map(|row| (row, named, config)))
            };
            read.boxed()
        });
        let found: Vec<_> = all(reads.collect()).await?.into_iter().flatten().collect();

        // Claimed before they are written: a `$disconnect` from now on marks them absent.
        let keys: BTreeSet<RowKey> = found.iter().map(|(row, ..)| row.key.clone()).collect();
        let more = keys.difference(&caller.connection.rows).count();
        if self.is_full(&caller.connection, more, now).await? {
            return Err(Refusal::full());
        }
        let (id, client_id) = (&caller.connection.id, &caller.link.client_id);
        match self.ports.store.claim(id, client_id, &keys).await {
            Ok(()) => caller.connection.rows.extend(keys),
            Err(StoreError::NotFound) => return Err(Refusal::coded(ErrorCode::ConnectionLost)),
            Err(error) => return Err(error.into()),
        }

        let caller = &*caller;
        let greetings = found.into_iter().map(|(row, named, config)| {
            let greeting = async move {
                let key = row.key.clone();
                let answer = self.greet(caller, row, config, named).await?;
                Ok((key, (answer, config)))
            };
            greeting.boxed()
        });
        let answers: Answers<'_> = all(greetings.collect()).await?.into_iter().collect();
        // A row that cannot be revived just now is not lost: the next `hello` finds its room.
        let full = answers
            .values()
            .any(|(answer, _)| matches!(answer, Answer::Full));
        if full {
            Err(Refusal::full())
        } else {
            Ok(answers)
        }
    }

    /// Takes a claimed row for this link, revives it if it slept, and grants again what it holds.
    async fn greet(
        &self,
        caller: &Caller,
        row: Row,
        config: &FleetConfig,
        named: Named,
    ) -> Result<Answer, StoreError> {
        let call = RowCall {
            gateway: self,
            caller,
            key: row.key.clone(),
            config,
            known: Known::Read(Box::new(row)),
            ready: None,
            guarded: true,
            on_miss: match named {
                Named::Lease => OnMiss::Tell,
                Named::Request => OnMiss::Wait(WaitKind::Acquire),
            },
        };
        call.run(|row, visit| leases::greet(row, visit, named))
            .await
    }

    fn lease_report(
        &self,
        id: &str,
        place: Result<RowKey, Refusal>,
        answers: &Answers<'_>,
    ) -> LeaseReport {
        let answer = place.ok().and_then(|key| answers.get(&key));
        let Some((answer, config)) = answer else {
            return unknown_lease(id);
        };
        let (timing, now) = (&config.timing, self.ports.clock.now());
        match answer {
            Answer::Granted(row, endpoint) => {
                leases::lease_report(row, Some(Endpoint::clone(endpoint)), None, timing, now)
            }
            Answer::NotReady(row, instance) => {
                leases::lease_report(row, None, instance.as_deref(), timing, now)
            }
            Answer::Waiting { row, .. } | Answer::Over(row) => {
                leases::lease_report(row, None, None, timing, now)
            }
            Answer::TakenOver(row) => LeaseReport {
                rev: Some(row.rev),
                reason: Some(LostReason::TakenOver),
                ..unknown_lease(id)
            },
            Answer::Unknown
            | Answer::NotAllowed(_)
            | Answer::Full
            | Answer::Quota
            | Answer::OtherAsk => unknown_lease(id),
        }
    }
}

fn request_report(
    id: &str,
    place: Result<RowKey, Refusal>,
    answers: &Answers<'_>,
) -> RequestReport {
    let key = match place {
        Ok(key) => key,
        Err(refusal) => return ended_request(id, None, refusal.into_code()),
    };
    match answers.get(&key).map(|(answer, _)| answer) {
        Some(Answer::Granted(row, endpoint)) => {
            leases::request_report(row, Some(Endpoint::clone(endpoint)))
        }
        Some(Answer::NotReady(row, _) | Answer::Waiting { row, .. } | Answer::Over(row)) => {
            leases::request_report(row, None)
        }
        Some(Answer::TakenOver(row)) => ended_request(id, Some(row.rev), ErrorCode::LeaseLost),
        Some(Answer::NotAllowed(_)) => ended_request(id, None, ErrorCode::Forbidden),
        Some(Answer::Unknown | Answer::Full | Answer::Quota | Answer::OtherAsk) | None => {
            RequestReport {
                state: RequestState::Unknown,
                code: None,
                ..ended_request(id, None, ErrorCode::LeaseLost)
            }
        }
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

/// Works on several rows at a time; fails if one of them does.
async fn all<T>(works: Vec<BoxFuture<'_, Result<T, StoreError>>>) -> Result<Vec<T>, Refusal> {
    let results = together(works).await;
    Ok(results.into_iter().collect::<Result<_, _>>()?)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
