//! One Lambda invocation: it can crash at any call, and any call can fail or be answered late.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wakecast_lambda::model::{RowKey, Timestamp};

use super::chance::Chance;
use super::executor::VirtualClock;

/// How unkind the world is to calls, each in per mille.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFaults {
    /// The call fails before it has an effect.
    pub lost_request: u64,
    /// The call has its effect, the answer is lost.
    pub lost_reply: u64,
    /// The call takes seconds.
    pub slow: u64,
    /// The process dies at this call.
    pub crash: u64,
    /// The process is frozen at this call for longer than its lock lasts.
    pub pause: u64,
    /// The only call at which that happens, if one is named.
    pub pause_at: Option<&'static str>,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Works,
    /// It fails without an effect.
    RequestLost,
    /// It has its effect and fails.
    ReplyLost,
}

/// Every fault that calls of a world met: when, and at which call. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultLog(Arc<Mutex<Vec<(Timestamp, &'static str)>>>);

impl FaultLog {
    /// Returns the faults since `since`, the newest first.
    #[must_use]
    pub fn since(&self, since: Timestamp) -> Vec<(Timestamp, &'static str)> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .rev()
            .take_while(|(at, _)| *at >= since)
            .copied()
            .collect()
    }

    /// Notes a fault.
    pub fn note(&self, at: Timestamp, call: &'static str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((at, call));
    }
}

/// When each row, and when the fleet's records, were last truly written, whatever the writer was
/// told. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WriteLog(Arc<Mutex<Writes>>);

#[derive(Debug, Default)]
struct Writes {
    rows: BTreeMap<RowKey, Timestamp>,
    commits: Vec<Timestamp>,
}

impl WriteLog {
    /// Returns when a row was last written.
    #[must_use]
    pub fn row(&self, key: &RowKey) -> Option<Timestamp> {
        self.writes().rows.get(key).copied()
    }

    /// Returns when the first commit at or after `at` took effect.
    #[must_use]
    pub fn commit_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.writes()
            .commits
            .iter()
            .find(|commit| **commit >= at)
            .copied()
    }

    fn writes(&self) -> std::sync::MutexGuard<'_, Writes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every process of a world shares with the others.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// Faults of calls.
    pub faults: FaultLog,
    /// Writes to the table.
    pub writes: WriteLog,
    /// How many row writes the table refuses now, in per mille: a hot partition refuses everybody.
    pub hot_rows: Arc<AtomicU64>,
}

/// The context that all ports of one container share.
#[derive(Clone, Debug)]
pub struct Process {
    shared: Arc<Mutex<Inner>>,
    clock: VirtualClock,
    logs: Logs,
}

#[derive(Debug)]
struct Inner {
    chance: Chance,
    faults: CallFaults,
    crashed: bool,
    on_crash: Option<futures::channel::oneshot::Sender<&'static str>>,
}

impl Process {
    /// Starts a process. The receiver fires when it dies: its runner drops it then.
    pub fn new(
        chance: Chance,
        clock: VirtualClock,
        logs: Logs,
    ) -> (Self, futures::channel::oneshot::Receiver<&'static str>) {
        let (on_crash, crashed) = futures::channel::oneshot::channel();
        let inner = Inner {
            chance,
            faults: CallFaults::default(),
            crashed: false,
            on_crash: Some(on_crash),
        };
        (
            Self {
                shared: Arc::new(Mutex::new(inner)),
                clock,
                logs,
            },
            crashed,
        )
    }

    /// Begins an invocation under `faults`.
    pub fn begin(&self, faults: CallFaults) {
        self.inner().faults = faults;
    }

    /// Notes that a row was written just now.
    pub fn wrote_row(&self, key: &RowKey) {
        let now = self.clock.true_now();
        self.logs.writes.writes().rows.insert(key.clone(), now);
    }

    /// Notes that the fleet's records were written just now.
    pub fn committed(&self) {
        let now = self.clock.true_now();
        self.logs.writes.writes().commits.push(now);
    }

    /// Comes before the effect of a call: takes its time, and says what happens to it.
    pub async fn before(&self, call: &'static str) -> Fate {
        let hot = match call {
            "put_row" | "put_claimed_row" => self.logs.hot_rows.load(Ordering::Relaxed),
            _ => 0,
        };
        let (delay, fate, dies) = {
            let mut inner = self.inner();
            let faults = inner.faults;
            let dies = inner.chance.happens(faults.crash);
            let delay = if inner.chance.happens(faults.slow) {
                inner.chance.millis(500..4_000)
            } else {
                inner.chance.millis(2..30)
            };
            // A cold table draws nothing: other worlds stay what they are.
            let refused = hot > 0 && inner.chance.happens(hot);
            let fate = if inner.chance.happens(faults.lost_request) || refused {
                Fate::RequestLost
            } else if inner.chance.happens(faults.lost_reply) {
                Fate::ReplyLost
            } else {
                Fate::Works
            };
            (delay, fate, dies)
        };
        self.may_pause(call).await;
        if dies || fate != Fate::Works {
            self.logs.faults.note(self.clock.true_now(), call);
        }
        if dies {
            // Half of the crashes fall before the effect, half after it.
            if self.inner().chance.happens(500) {
                self.die(call).await;
            }
            self.clock.sleep(delay).await;
            self.inner().crashed = true;
            return Fate::ReplyLost;
        }
        self.clock.sleep(delay).await;
        fate
    }

    /// Comes after the effect of a call: the answer travels back, or the process is gone.
    pub async fn after(&self, call: &'static str) {
        if self.inner().crashed {
            self.die(call).await;
        }
        self.may_pause(call).await;
        let delay = self.inner().chance.millis(1..20);
        self.clock.sleep(delay).await;
    }

    /// A pause before a call's effect, or before its answer: half of the chance each.
    async fn may_pause(&self, call: &'static str) {
        let pause = {
            let mut inner = self.inner();
            let CallFaults {
                pause, pause_at, ..
            } = inner.faults;
            let pause = if pause_at.is_none_or(|at| at == call) {
                pause
            } else {
                0
            };
            // Without the chance nothing is drawn: other worlds stay what they are.
            let happens = pause > 0 && inner.chance.happens(pause.div_ceil(2));
            happens.then(|| inner.chance.millis(35_000..240_000))
        };
        if let Some(pause) = pause {
            self.logs.faults.note(self.clock.true_now(), "pause");
            self.clock.sleep(pause).await;
        }
    }

    async fn die(&self, call: &'static str) {
        let sender = self.inner().on_crash.take();
        if let Some(sender) = sender {
            let _ = sender.send(call);
        }
        std::future::pending::<()>().await;
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
