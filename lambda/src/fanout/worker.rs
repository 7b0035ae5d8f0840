//! The invocation: one shard, from its errand to its last post.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use tracing::{debug, error, info};
use wakecast::protocol::ServerMessage;

use super::FanoutPorts;
use super::errand::{ERRAND_LIFE, Errand, MOST_SHARDS, Owed, Task, own};
use crate::config::FleetConfig;
use crate::delivery::{Courier, Delivery, IN_FLIGHT, POST_LIMIT, Parcel};
use crate::grant::{Granting, ready_boot};
use crate::guards::Guards;
use crate::model::{FleetKey, Row, Timestamp};
use crate::store::StoreError;

/// Writes of a row at most: it changes under a shard when another shard, or its owner, has come
/// first, and once more when that owner comes back at that very moment.
const TRIES: u32 = 3;

/// Carries out errands. Cheap to clone; errands may go on at once.
#[derive(Clone, Debug)]
pub struct Worker {
    ports: FanoutPorts,
    configs: Arc<BTreeMap<FleetKey, FleetConfig>>,
}

/// How an errand went: what became of each row to which something was owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows of the shard that were owed something.
    pub due: u32,
    /// Told.
    pub told: u32,
    /// Written, with nobody to tell: no link, or one whose token no longer covers the row.
    pub withheld: u32,
    /// Written by somebody else meanwhile, who tells what is newer.
    pub superseded: u32,
    /// Their sockets were closed: noted as absent.
    pub gone: u32,
    /// Written, but the message did not go out: the owner asks again.
    pub failed: u32,
    /// Posts that the gateway forbids.
    pub forbidden: u32,
    /// Left to the reconciler: the table did not answer, or the time was up.
    pub left: u32,
    /// Nothing was done, and why.
    pub dropped: Option<Dropped>,
}

/// Why an errand was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The fleet is not configured here, or the shard is none of its shards.
    Unknown,
    /// It came too late: the reconciler has taken its rows back.
    Late,
    /// What it tells is over: the boot has ended, or is ready.
    Over,
    /// The table did not answer: the reconciler sees the rows still waiting.
    Unavailable,
}

/// What became of one row.
enum Fate {
    Posted(Delivery),
    NobodyThere,
    Superseded,
    Left,
}

impl Worker {
    /// Builds the function.
    #[must_use]
    pub fn new(ports: FanoutPorts, configs: BTreeMap<FleetKey, FleetConfig>) -> Self {
        Self {
            ports,
            configs: Arc::new(configs),
        }
    }

    /// Carries out one errand until all is told, its life is over or `deadline` is near.
    ///
    /// Dropping the future is safe at any await, and so is a second run of the same errand: a row
    /// that is written but not told is told when its owner asks again, and one that is not written
    /// is seen by the reconciler's next round.
    pub async fn run(&self, errand: &Errand, deadline: Timestamp) -> Outcome {
        let outcome = match self.due(errand).await {
            Ok((config, rows)) => self.carry_out(errand, config, rows, deadline).await,
            Err(dropped) => Outcome {
                dropped: Some(dropped),
                ..Outcome::default()
            },
        };
        report(errand, &outcome);
        outcome
    }

    /// Reads what the shard has to do. The rows come last: what was written before is in them.
    async fn due(&self, errand: &Errand) -> Result<(&FleetConfig, Vec<Row>), Dropped> {
        let Errand { fleet, shards, .. } = errand;
        let known = errand.shard < *shards && *shards <= MOST_SHARDS;
        let config = self.configs.get(fleet).filter(|_| known);
        let config = config.ok_or(Dropped::Unknown)?;
        let now = self.ports.clock.now();
        if now >= errand.asked_at + ERRAND_LIFE {
            return Err(Dropped::Late);
        }
        let store = &self.ports.store;
        let silent = |_| Dropped::Unavailable;
        let ready = ready_boot(&store.instances(fleet).await.map_err(silent)?);
        let holds = match &errand.task {
            Task::Grant { boot, .. } => ready.as_ref() == Some(boot),
            // Who is told of a boot under way while one is ready learns what is over.
            Task::Tell { .. } => ready.is_none(),
        };
        if !holds {
            return Err(Dropped::Over);
        }
        let rows = store.rows(fleet, now).await.map_err(silent)?;
        Ok((config, errand.due(rows, &config.timing, now)))
    }

    async fn carry_out(
        &self,
        errand: &Errand,
        config: &FleetConfig,
        rows: Vec<Row>,
        deadline: Timestamp,
    ) -> Outcome {
        let due = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut outcome = Outcome {
            due,
            left: due,
            ..Outcome::default()
        };
        let end = deadline.min(errand.asked_at + ERRAND_LIFE);
        // None is begun that could not be told before the end; the reconciler has it then.
        let last = end.saturating_sub(POST_LIMIT);
        let shard = Shard {
            ports: &self.ports,
            errand,
            config,
        };
        let rows = stream::iter(rows).take_while(|_| {
            let on = self.ports.clock.now() < last;
            async move { on }
        });
        let mut fates = pin!(rows.map(|row| shard.one(row)).buffer_unordered(IN_FLIGHT));
        let mut limit = self.ports.clock.sleep_until(end);
        while let Either::Left((Some(fate), _)) = select(fates.next(), &mut limit).await {
            outcome.add(&fate);
        }
        outcome
    }
}

/// One errand under way.
struct Shard<'a> {
    ports: &'a FanoutPorts,
    errand: &'a Errand,
    config: &'a FleetConfig,
}

impl Shard<'_> {
    /// Writes one row and tells its owner.
    async fn one(&self, row: Row) -> Fate {
        let key = row.key.clone();
        let parcel = match self.write(row).await {
            Ok(Some((row, message))) => Parcel::about(row, message),
            Ok(None) | Err(StoreError::Conflict(_)) => return Fate::Superseded,
            Err(_) => return Fate::Left,
        };
        let Some(parcel) = parcel else {
            return Fate::NobodyThere;
        };
        let courier = Courier {
            fleet: &self.errand.fleet,
            store: self.ports.store.as_ref(),
            connections: self.ports.connections.as_ref(),
            clock: self.ports.clock.as_ref(),
            entropy: self.ports.entropy.as_ref(),
        };
        let delivery = courier.post(parcel).await;
        if let Delivery::Gone(connection) = &delivery
            && let Err(error) = courier.mark_absent(&key, connection).await
        {
            debug!(fleet = %self.errand.fleet, %error, "a closed socket was not noted");
        }
        Fate::Posted(delivery)
    }

    /// Writes the row, on its newest version if that is still owed the same, and returns it with
    /// what to tell; `None` if nothing is owed any more.
    async fn write(&self, row: Row) -> Result<Option<(Row, ServerMessage)>, StoreError> {
        let mut row = row;
        for _ in 1..TRIES {
            match self.write_once(&row).await {
                Err(StoreError::Conflict(Some(newer))) => row = *newer,
                other => return other,
            }
        }
        self.write_once(&row).await
    }

    async fn write_once(&self, row: &Row) -> Result<Option<(Row, ServerMessage)>, StoreError> {
        let FanoutPorts {
            store,
            stream_tokens,
            clock,
            ..
        } = self.ports;
        let now = clock.now();
        let task = &self.errand.task;
        let Some(owed) = task.owed(row, &self.config.timing, now) else {
            return Ok(None);
        };
        match (task, owed) {
            (
                Task::Grant {
                    boot,
                    verify_spread,
                },
                _,
            ) => {
                let granting = Granting {
                    store: store.as_ref(),
                    tokens: stream_tokens.as_ref(),
                    config: self.config,
                    guards: Guards::ALL,
                };
                granting.grant_waiter(row, boot, *verify_spread, now).await
            }
            (Task::Tell { progress, .. }, Owed::Phase(next)) => {
                let written = store.put_row(&next, Some(row.version)).await?;
                let told = own(progress, &written, now);
                Ok(Some((written, ServerMessage::Progress(told))))
            }
            (Task::Tell { progress, .. }, _) => {
                let told = own(progress, row, now);
                Ok(Some((row.clone(), ServerMessage::Progress(told))))
            }
        }
    }
}

impl Outcome {
    const fn add(&mut self, fate: &Fate) {
        let count = match fate {
            Fate::Posted(Delivery::Sent) => &mut self.told,
            Fate::Posted(Delivery::Withheld) | Fate::NobodyThere => &mut self.withheld,
            Fate::Posted(Delivery::Superseded) | Fate::Superseded => &mut self.superseded,
            Fate::Posted(Delivery::Gone(_)) => &mut self.gone,
            Fate::Posted(Delivery::Forbidden) => &mut self.forbidden,
            Fate::Posted(Delivery::Failed) => &mut self.failed,
            Fate::Left => return,
        };
        *count += 1;
        self.left -= 1;
    }
}

/// One line a shard; what a person must hear, once.
fn report(errand: &Errand, outcome: &Outcome) {
    let Errand {
        fleet,
        shard,
        shards,
        ..
    } = errand;
    if outcome.forbidden > 0 {
        let posts = outcome.forbidden;
        error!(%fleet, shard, posts, "posts are forbidden: the gateway's address, its stage or the function's role is wrong");
    }
    match outcome.dropped {
        Some(why) => debug!(%fleet, shard, shards, ?why, "a shard had nothing to do"),
        None => info!(%fleet, shard, shards, ?outcome, "a shard was told"),
    }
}
