//! One Lambda invocation: it can crash at any call, and any call can fail or be answered late.

use std::sync::{Arc, Mutex, PoisonError};

use wakecast_lambda::model::Timestamp;

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

/// The context that all ports of one container share.
#[derive(Clone, Debug)]
pub struct Process {
    shared: Arc<Mutex<Inner>>,
    clock: VirtualClock,
    log: FaultLog,
}

#[derive(Debug)]
struct Inner {
    chance: Chance,
    faults: CallFaults,
    calls: u64,
    crash_at: Option<u64>,
    crashed: bool,
    on_crash: Option<futures::channel::oneshot::Sender<&'static str>>,
}

impl Process {
    /// Starts a process. The receiver fires when it dies: its runner drops it then.
    pub fn new(
        chance: Chance,
        clock: VirtualClock,
        log: FaultLog,
    ) -> (Self, futures::channel::oneshot::Receiver<&'static str>) {
        let (on_crash, crashed) = futures::channel::oneshot::channel();
        let inner = Inner {
            chance,
            faults: CallFaults::default(),
            calls: 0,
            crash_at: None,
            crashed: false,
            on_crash: Some(on_crash),
        };
        (
            Self {
                shared: Arc::new(Mutex::new(inner)),
                clock,
                log,
            },
            crashed,
        )
    }

    /// Begins an invocation under `faults`, which dies at its `crash_at`-th call, from one.
    pub fn begin(&self, faults: CallFaults, crash_at: Option<u64>) {
        let mut inner = self.inner();
        inner.faults = faults;
        inner.calls = 0;
        inner.crash_at = crash_at;
    }

    /// Returns how many calls were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// Comes before the effect of a call: takes its time, and says what happens to it.
    pub async fn before(&self, call: &'static str) -> Fate {
        let (delay, fate, dies) = {
            let mut inner = self.inner();
            inner.calls += 1;
            let faults = inner.faults;
            let dies = inner.crash_at == Some(inner.calls) || inner.chance.happens(faults.crash);
            let delay = if inner.chance.happens(faults.slow) {
                inner.chance.millis(500..4_000)
            } else {
                inner.chance.millis(2..30)
            };
            let fate = if inner.chance.happens(faults.lost_request) {
                Fate::RequestLost
            } else if inner.chance.happens(faults.lost_reply) {
                Fate::ReplyLost
            } else {
                Fate::Works
            };
            (delay, fate, dies)
        };
        if dies || fate != Fate::Works {
            self.log.note(self.clock.true_now(), call);
        }
        if dies {
            // Half of the crashes fall before the effect, half after it.
            if self.inner().chance.happens(500) {
                self.die(call).await;
            }
            self.inner().crash_at = None;
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
        let delay = self.inner().chance.millis(1..20);
        self.clock.sleep(delay).await;
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
