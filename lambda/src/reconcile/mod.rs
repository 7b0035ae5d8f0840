//! Observes, decides and acts for one fleet under its lock, round after round while something
//! moves.
//!
//! Nothing is remembered between runs but what the table holds: a run that is dropped at any await
//! is a crash, and the next run goes on from the table and from what EC2 shows. The reconciler has
//! no port to wake itself; the tick and the gateway wake it.

mod act;
mod observe;
mod policy;
mod power;
mod push;
mod report;
mod share;
mod turn;
mod unwritten;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::FleetConfig;
use crate::decisions::DecisionLog;
use crate::guards::{Guard, Guards};
use crate::lifecycle::{Answer, Next};
use crate::model::{FleetKey, Lock, Timestamp};
use crate::ports::{Clock, Connections, Entropy, Fanout, Fleet, MediaServer, Store, StreamTokens};
use crate::store::{Released, StoreError};

pub use policy::{Lifecycle, Policy};
pub use share::FAN_OUT_ABOVE;

use share::{Entrusted, Sharing};
use unwritten::Unwritten;

/// A run leaves its loop with this much of its deadline left: time for the round under way.
pub const LEAVE_BEFORE: Duration = Duration::from_secs(30);

/// A run rests at most this long between two rounds: new demand is seen by then, and a lock of
/// thirty seconds never runs out meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The least time between two rounds that are not meant to follow at once, so that a wait that
/// rounds to nothing does not spin.
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// Rounds that may follow each other at once. No chain of answered steps is nearly as long: a
/// longer one is a fault of the policy, and is slowed down instead of spinning.
const ROUNDS_AT_ONCE: u32 = 32;

/// Rounds in a row that the table may refuse or leave unanswered, whole or for some rows, before the
/// run ends: the tick tries again.
const FAILED_ROUNDS: u32 = 3;

/// What a run needs of the world. There is no `Wake` among it.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The table, with the reconciler's permissions.
    pub store: Arc<dyn Store>,
    /// EC2.
    pub fleet: Arc<dyn Fleet>,
    /// Media servers.
    pub media: Arc<dyn MediaServer>,
    /// `@connections`.
    pub connections: Arc<dyn Connections>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names of lock owners and jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Stream tokens.
    pub stream_tokens: Arc<dyn StreamTokens>,
}

/// Runs fleets. Cheap to clone; runs of several fleets may go on at once.
#[derive(Clone, Debug)]
pub struct Reconciler {
    ports: Ports,
    configs: Arc<BTreeMap<FleetKey, FleetConfig>>,
    policy: Arc<dyn Policy>,
    guards: Guards,
    log: Option<Arc<dyn DecisionLog>>,
    fanout: Option<(Arc<dyn Fanout>, usize)>,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// Rounds that were begun.
    pub rounds: u32,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// No such fleet is configured.
    UnknownFleet,
    /// Another run holds the lock, and sees the demand that this one was woken for.
    Held {
        /// When that lock ends unless it is extended.
        until: Timestamp,
    },
    /// Nothing moves; the lock is released.
    Quiet,
    /// The deadline is near; the lock is released and the tick goes on.
    TimeUp,
    /// The lock ran out or was taken: nothing was written since.
    LockLost,
    /// The table refused or did not answer several times.
    Failed(StoreError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFleet => f.write_str("no such fleet is configured"),
            Self::Held { .. } => f.write_str("another run holds the lock"),
            Self::Quiet => f.write_str("nothing moves"),
            Self::TimeUp => f.write_str("its time was up"),
            Self::LockLost => f.write_str("it lost the lock"),
            Self::Failed(error) => write!(f, "it failed: {error}"),
        }
    }
}

impl Reconciler {
    /// Builds a reconciler that decides by [`Lifecycle`].
    #[must_use]
    pub fn new(ports: Ports, configs: BTreeMap<FleetKey, FleetConfig>) -> Self {
        Self {
            ports,
            configs: Arc::new(configs),
            policy: Arc::new(Lifecycle),
            guards: Guards::ALL,
            log: None,
            fanout: None,
        }
    }

    /// Turns guards off: for tests of what they prevent.
    #[cfg(feature = "ablation")]
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Replaces what decides: for tests of everything around the decision.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// Writes each decision that has something to do or to say to `log`. Without one, nothing is
    /// written.
    #[must_use]
    pub fn with_decision_log(mut self, log: Arc<dyn DecisionLog>) -> Self {
        self.log = Some(log);
        self
    }

    /// Lets `fanout` grant and tell where a round has more than `above` rows to tell the same; as a
    /// rule [`FAN_OUT_ABOVE`]. Without it, the reconciler tells everybody itself, some rounds long.
    #[must_use]
    pub fn with_fanout(mut self, fanout: Arc<dyn Fanout>, above: usize) -> Self {
        self.fanout = Some((fanout, above));
        self
    }

    /// Runs one fleet until nothing moves or [`LEAVE_BEFORE`] is left of `deadline`.
    ///
    /// Dropping the future is safe at any await: the lock runs out and the next run goes on.
    pub async fn run(&self, fleet: &FleetKey, deadline: Timestamp) -> Outcome {
        let ended = |end| Outcome { end, rounds: 0 };
        let Some(config) = self.configs.get(fleet) else {
            return ended(End::UnknownFleet);
        };
        let now = self.ports.clock.now();
        let leave_at = deadline.saturating_sub(LEAVE_BEFORE);
        if now >= leave_at {
            return ended(End::TimeUp);
        }
        let owner = self.random_name();
        let until = now + config.timing.lock;
        let store = &self.ports.store;
        let mut taken = store.take_lock(fleet, &owner, now, until).await;
        if let Err(StoreError::Unavailable(_)) = taken {
            // Perhaps it was taken and only the reply was lost: the owner takes it again, so that
            // nobody waits for a lock that no run holds.
            taken = store.take_lock(fleet, &owner, now, until).await;
        }
        let lock = match taken {
            Ok(lock) => lock,
            Err(StoreError::LockHeld { until }) => return ended(End::Held { until }),
            Err(error) => return ended(End::Failed(error)),
        };
        let mut run = Run {
            ports: &self.ports,
            policy: self.policy.as_ref(),
            log: self.log.as_deref(),
            logged: None,
            sharing: self.fanout.as_ref().map(|(fanout, above)| Sharing {
                fanout: fanout.as_ref(),
                above: *above,
            }),
            entrusted: Entrusted::default(),
            told_forbidden: false,
            fleet,
            config,
            guards: self.guards,
            lock,
            leave_at,
            answers: Vec::new(),
            unwritten: Unwritten::default(),
            left_behind: 0,
            rounds: 0,
        };
        let end = run.go_on().await;
        let outcome = Outcome {
            end,
            rounds: run.rounds,
        };
        report::ended(fleet, &run.lock, &outcome);
        outcome
    }

    fn random_name(&self) -> String {
        let entropy = &self.ports.entropy;
        format!("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64())
    }
}

/// One run under one lock.
struct Run<'a> {
    ports: &'a Ports,
    policy: &'a dyn Policy,
    log: Option<&'a dyn DecisionLog>,
    /// The hash of the snapshot that was logged last.
    logged: Option<String>,
    sharing: Option<Sharing<'a>>,
    entrusted: Entrusted,
    /// The operator was told that posts are forbidden.
    told_forbidden: bool,
    fleet: &'a FleetKey,
    config: &'a FleetConfig,
    guards: Guards,
    lock: Lock,
    leave_at: Timestamp,
    /// Answers to the last round's calls. A crash loses them: the next run treats those calls as
    /// ones whose reply was lost.
    answers: Vec<Answer>,
    /// Nothing, but in a test without [`Guard::Intent`].
    unwritten: Unwritten,
    /// Rounds in a row that left rows behind.
    left_behind: u32,
    rounds: u32,
}

/// Why a round ended before it was carried out.
enum Broken {
    /// The lock is gone: nothing more may be written.
    LockLost,
    /// The table refused or did not answer.
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LockLost => Self::LockLost,
            error => Self::Store(error),
        }
    }
}

impl Run<'_> {
    async fn go_on(&mut self) -> End {
        let mut at_once = 0;
        let mut failed = 0;
        let mut rose = false;
        loop {
            if self.now() >= self.leave_at {
                return self.leave(End::TimeUp).await;
            }
            self.rounds = self.rounds.saturating_add(1);
            let begun = self.now();
            let next = match self.round().await {
                Ok(next) => {
                    failed = 0;
                    next
                }
                Err(Broken::LockLost) => return End::LockLost,
                Err(Broken::Store(error @ StoreError::Unreadable(_))) => {
                    // Asking again brings nothing, and nothing is decided on half a view.
                    report::unreadable(self.fleet, &self.lock, &error);
                    return self.leave(End::Failed(error)).await;
                }
                Err(Broken::Store(error)) => {
                    failed += 1;
                    report::refused(self.fleet, &self.lock, &error);
                    if failed >= FAILED_ROUNDS {
                        return self.leave(End::Failed(error)).await;
                    }
                    Next::After(self.config.timing.round)
                }
            };
            match next {
                Next::Now if at_once < ROUNDS_AT_ONCE => at_once += 1,
                Next::Now => {
                    report::spinning(self.fleet, &self.lock);
                    at_once = 0;
                    self.rest(begun, self.config.timing.round).await;
                }
                Next::After(pause) => {
                    at_once = 0;
                    self.rest(begun, pause).await;
                }
                Next::Quiet => match self.release().await {
                    Ok(Released::Free) => return End::Quiet,
                    // The first rise is looked at now; demand that keeps rising, once a round.
                    Ok(Released::DemandRose) => {
                        if rose {
                            self.rest(begun, self.config.timing.round).await;
                        }
                        rose = true;
                    }
                    Err(Broken::LockLost) => return End::LockLost,
                    // The reply may be lost with the lock released, or not: tried once more.
                    Err(Broken::Store(error)) => return self.leave(End::Failed(error)).await,
                },
            }
        }
    }

    async fn round(&mut self) -> Result<Next, Broken> {
        self.keep_lock().await?;
        let view = self.observe().await?;
        let decision = self.decide(&view);
        self.act(&view, decision).await
    }

    /// Extends the lock once a third of it is spent, so that a power call finds its reserve.
    async fn keep_lock(&mut self) -> Result<(), Broken> {
        let now = self.now();
        if now.until(self.lock.until) < self.config.timing.lock * 2 / 3 {
            let until = now + self.config.timing.lock;
            self.lock = self
                .ports
                .store
                .extend_lock(self.fleet, &self.lock, now, until)
                .await?;
        }
        Ok(())
    }

    /// Fails once the lock has run out: another run may hold it.
    fn still_mine(&self) -> Result<(), Broken> {
        if self.now() < self.lock.until || !self.guards.on(Guard::LockTime) {
            Ok(())
        } else {
            Err(Broken::LockLost)
        }
    }

    async fn release(&self) -> Result<Released, Broken> {
        let seen = if self.guards.on(Guard::DemandCheck) {
            self.lock.demand_seen
        } else {
            self.ports.store.demand(self.fleet).await?
        };
        Ok(self
            .ports
            .store
            .release_lock(self.fleet, &self.lock, seen)
            .await?)
    }

    /// Gives the lock back though more may be asked: whoever comes next sees it from the table,
    /// the tick at the latest. The lock runs out by itself where even that fails.
    async fn leave(&mut self, end: End) -> End {
        for _ in 0..FAILED_ROUNDS {
            match self.release().await {
                Ok(Released::DemandRose) => {}
                Ok(Released::Free) | Err(_) => break,
            }
            let Ok(demand) = self.ports.store.demand(self.fleet).await else {
                break;
            };
            self.lock.demand_seen = demand;
        }
        end
    }

    /// Rests until `pause` after the round began: a look that hangs must not slow the next one.
    async fn rest(&self, begun: Timestamp, pause: Duration) {
        let until = (begun + pause.min(LONGEST_REST)).max(self.now() + SHORTEST_REST);
        self.ports.clock.sleep_until(until.min(self.leave_at)).await;
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}
