//! The looking half of a round.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Broken, Run, report};
use crate::decisions::{self, is_quiet};
use crate::lifecycle::{Decision, Observation, Probe, Question, Reply, Snapshot, payers};
use crate::model::{Counters, FleetRecords, Row};
use crate::ports::{Ec2Error, Ec2Instance, MediaError};
use crate::within::within;

/// A describe that is slower than this is unreadable: the lock must not run out under it.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(5);

/// A probe is small; a server that needs longer for it is not ready.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// The load is gathered over the whole server; a busy one may need a while.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// What one round has seen.
pub(super) struct View {
    pub(super) records: FleetRecords,
    pub(super) ec2: Result<Vec<Ec2Instance>, Ec2Error>,
    pub(super) rows: Vec<Row>,
    counters: Counters,
    observations: Vec<Observation>,
}

impl Run<'_> {
    /// Looks, in an order on which the laws rest: demand before all else, so that a lock released
    /// with it has missed nothing; the records before the rows, so that a grant that still found
    /// an instance ready shows in the rows (S3).
    pub(super) async fn observe(&mut self) -> Result<View, Broken> {
        let store = &self.ports.store;
        self.lock.demand_seen = store.demand(self.fleet).await?;
        let mut records = store.fleet(self.fleet).await?;
        self.unwritten.recall(&mut records);
        let ec2 = self.describe().await;
        let now = self.now();
        let rows = store.rows(self.fleet, now).await?;
        let mut view = View {
            records,
            ec2,
            rows,
            counters: Counters::default(),
            observations: Vec::new(),
        };
        let payers = payers(&self.snapshot(&view));
        view.counters = store.counters(self.fleet, &payers, now).await?;
        let probes = self.policy.probes(&self.snapshot(&view));
        view.observations = join_all(probes.into_iter().map(|probe| self.look(probe))).await;
        Ok(view)
    }

    pub(super) fn decide(&mut self, view: &View) -> Decision {
        let snapshot = self.snapshot(view);
        let decision = self.policy.decide(&snapshot);
        report::decided(self.fleet, &self.lock, &view.records, &decision);
        if let Some(log) = self.log.filter(|_| !is_quiet(&decision)) {
            let (line, hash) = decisions::line(&snapshot, &decision, self.logged.as_deref());
            log.write(&line);
            self.logged = Some(hash);
        }
        decision
    }

    fn snapshot<'v>(&'v self, view: &'v View) -> Snapshot<'v> {
        Snapshot {
            now: self.now(),
            fleet: self.fleet,
            config: self.config,
            lock: &self.lock,
            ec2: view.ec2.as_deref(),
            records: &view.records,
            rows: &view.rows,
            counters: &view.counters,
            observations: &view.observations,
            answers: &self.answers,
            guards: self.guards,
        }
    }

    async fn describe(&self) -> Result<Vec<Ec2Instance>, Ec2Error> {
        let describe = self.ports.fleet.describe(self.fleet);
        within(self.ports.clock.as_ref(), DESCRIBE_LIMIT, describe)
            .await
            .unwrap_or_else(|| Err(Ec2Error::Ambiguous(no_answer(DESCRIBE_LIMIT))))
    }

    async fn look(&self, probe: Probe) -> Observation {
        let limit = if probe.question == Question::Load {
            LOAD_LIMIT
        } else {
            PROBE_LIMIT
        };
        let sent_at = self.now();
        let result = within(self.ports.clock.as_ref(), limit, self.ask(&probe))
            .await
            .unwrap_or_else(|| Err(MediaError::NotYet(no_answer(limit))));
        Observation {
            probe,
            sent_at,
            result,
        }
    }

    async fn ask(&self, probe: &Probe) -> Result<Reply, MediaError> {
        let media = &self.ports.media;
        let address = probe.address.as_str();
        Ok(match &probe.question {
            Question::Liveness => {
                media.liveness(address).await?;
                Reply::Yes
            }
            Question::Applications => Reply::Applications(media.applications(address).await?),
            Question::Ping { app } => {
                media.ping(address, app).await?;
                Reply::Yes
            }
            Question::Setting { app, name } => {
                Reply::Setting(media.setting(address, app, name).await?)
            }
            Question::Endpoint { websocket_url } => {
                media.ping_endpoint(websocket_url).await?;
                Reply::Yes
            }
            Question::Load => Reply::Load(media.load(address).await?),
        })
    }
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}
