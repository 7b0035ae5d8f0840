//! One Lambda invocation: it can crash at any call, freeze, and any call can fail, be answered late
//! or take effect after its caller has died.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use wakecast_lambda::model::Timestamp;

use super::chance::Chance;
use super::executor::VirtualClock;
use super::observer::Observer;
use super::points::{How, Points};

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
    /// The request is on its way for up to [`LATEST`]; its caller has long given up on it, or dies
    /// meanwhile.
    pub late: u64,
    /// The whole process freezes for longer than a lock lives, and goes on then.
    pub pause: u64,
    /// The only call at which that happens, if one is named.
    pub pause_at: Option<&'static str>,
}

/// A request that is under way arrives within this time: less than the minute after which a stop
/// that may have been sent is looked at again.
const LATEST: Duration = Duration::from_secs(20);

/// A frozen process goes on after this many milliseconds: longer than its lock, and than the minute
/// and a half after which another has taken over what it did.
const FROZEN: Range<u64> = 31_000..200_000;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Works,
    /// It fails without an effect.
    RequestLost,
    /// It has its effect and fails.
    ReplyLost,
    /// Its effect comes this much later; the caller is told nothing.
    Late(Duration),
}

/// Which function a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The gateway.
    Gateway,
    /// The reconciler.
    Reconciler,
    /// The fan-out.
    Fanout,
}

/// What all processes of one function stand on.
#[derive(Clone, Debug)]
pub struct Host {
    /// Which function it is.
    pub role: Role,
    /// The world's clock.
    pub clock: VirtualClock,
    /// Who sees what truly happens.
    pub observer: Observer,
    /// Where processes are made to crash.
    pub points: Points,
    /// Requests that travel by themselves: neither a death nor a frozen process holds them up.
    pub travel: UnboundedSender<BoxFuture<'static, ()>>,
    /// How far its containers' clocks are ahead, in milliseconds: each draws its own.
    pub ahead: Arc<Mutex<Range<u64>>>,
    /// How many row writes the table refuses now, in per mille.
    pub hot_rows: Arc<AtomicU64>,
}

/// The context that all ports of one container share.
#[derive(Clone, Debug)]
pub struct Process {
    shared: Arc<Mutex<Inner>>,
    host: Host,
    id: u64,
    clock: VirtualClock,
}

#[derive(Debug)]
struct Inner {
    chance: Chance,
    faults: CallFaults,
    /// It dies as soon as its present call has had its effect.
    dying: bool,
    dead: bool,
    /// It freezes as soon as its present call has had its effect.
    freezes: bool,
    frozen_until: Option<Timestamp>,
    on_crash: Option<oneshot::Sender<Death>>,
}

/// How a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// At this call.
    pub call: &'static str,
    /// Requests of it are still under way.
    pub late: bool,
}

impl Process {
    /// Starts a process. The receiver fires when it dies: its runner drops it then.
    pub fn new(mut chance: Chance, host: Host) -> (Self, oneshot::Receiver<Death>) {
        let (on_crash, crashed) = oneshot::channel();
        let ahead = host
            .ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let clock = match ahead.end {
            // Nothing is drawn where there is nothing to draw.
            0 => host.clock.clone(),
            _ => host.clock.ahead(chance.millis(ahead)),
        };
        let inner = Inner {
            chance,
            faults: CallFaults::default(),
            dying: false,
            dead: false,
            freezes: false,
            frozen_until: None,
            on_crash: Some(on_crash),
        };
        let process = Self {
            shared: Arc::new(Mutex::new(inner)),
            id: host.observer.next_process(),
            host,
            clock,
        };
        (process, crashed)
    }

    /// Begins an invocation under `faults`.
    pub fn begin(&self, faults: CallFaults) {
        self.inner().faults = faults;
    }

    /// The clock of this container.
    #[must_use]
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it stands on.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Until when it is frozen, if it is.
    #[must_use]
    pub fn frozen_until(&self) -> Option<Timestamp> {
        let mut inner = self.inner();
        let now = self.host.clock.true_now();
        inner.frozen_until = inner.frozen_until.filter(|until| *until > now);
        inner.frozen_until
    }

    /// Tells whether it has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.inner().dead
    }

    /// Comes before the effect of a call: takes its time, and says what happens to it. A call that
    /// `changes` EC2 is never frozen between its last check and its departure: nothing could guard
    /// against that.
    pub async fn before(&self, call: &'static str, changes: bool) -> Fate {
        if self.is_dead() {
            // A dead process begins nothing, though what it sent is still under way.
            return std::future::pending().await;
        }
        let planned = self.host.points.pass(self.host.role, call);
        let hot = match call {
            "put_row" | "put_claimed_row" => self.host.hot_rows.load(Ordering::Relaxed),
            _ => 0,
        };
        let (delay, fate, dies, freezes) = {
            let mut inner = self.inner();
            let faults = inner.faults;
            let dies = inner.chance.happens(faults.crash);
            let slow = inner.chance.happens(faults.slow);
            let delay = if slow { 500..4_000 } else { 2..30 };
            let delay = inner.chance.millis(delay);
            // A cold table draws nothing: other worlds stay what they are.
            let refused = hot > 0 && inner.chance.happens(hot);
            let fate = if refused || inner.chance.happens(faults.lost_request) {
                Fate::RequestLost
            } else if inner.chance.happens(faults.lost_reply) {
                Fate::ReplyLost
            } else {
                Fate::Works
            };
            (
                delay,
                fate,
                dies,
                faults.pause > 0
                    && faults.pause_at.is_none_or(|at| at == call)
                    && inner.chance.happens(faults.pause),
            )
        };
        let fate = self.or_late(fate);
        let dies = if dies {
            Some(self.how())
        } else {
            planned.filter(|how| how.kills())
        };
        let freezes = match planned {
            Some(How::FreezesBefore) => Some(true),
            Some(How::FreezesAfter) => Some(false),
            // Half of them before the call leaves, half when its answer is there.
            _ => freezes.then(|| self.inner().chance.happens(500)),
        };
        if dies.is_some() || freezes.is_some() || fate != Fate::Works {
            self.host.observer.hindered();
        }
        match freezes {
            Some(true) if !changes => self.freeze(),
            Some(_) => {
                self.host.clock.sleep(delay).await;
                self.inner().freezes = true;
                return fate;
            }
            None => {}
        }
        match dies {
            None | Some(How::FreezesBefore | How::FreezesAfter) => {}
            Some(How::Before) => self.die(call, false).await,
            Some(How::Late) => {
                let late = self.inner().chance.millis(500..LATEST.as_millis() as u64);
                self.dies(call, true);
                self.host.clock.sleep(late).await;
                return Fate::Works;
            }
            Some(How::After) => {
                self.host.clock.sleep(delay).await;
                self.inner().dying = true;
                return Fate::Works;
            }
        }
        self.host.clock.sleep(delay).await;
        fate
    }

    /// Comes after the effect of a call: the answer travels back, or the process is gone.
    pub async fn after(&self, call: &'static str) {
        let dying = self.inner().dying;
        if dying || self.is_dead() {
            self.die(call, false).await;
        }
        let freezes = std::mem::take(&mut self.inner().freezes);
        if freezes {
            self.freeze();
        }
        let delay = self.inner().chance.millis(1..20);
        self.host.clock.sleep(delay).await;
    }

    fn or_late(&self, fate: Fate) -> Fate {
        let mut inner = self.inner();
        let late = inner.faults.late;
        if fate == Fate::Works && inner.chance.happens(late) {
            return Fate::Late(inner.chance.millis(500..LATEST.as_millis() as u64));
        }
        fate
    }

    fn how(&self) -> How {
        match self.inner().chance.within(0..3) {
            0 => How::Before,
            1 => How::After,
            _ => How::Late,
        }
    }

    fn freeze(&self) {
        let mut inner = self.inner();
        let until = self.host.clock.true_now() + inner.chance.millis(FROZEN);
        inner.frozen_until = Some(until);
        drop(inner);
        self.host.observer.froze(self.host.role, until);
    }

    async fn die(&self, call: &'static str, late: bool) {
        self.dies(call, late);
        std::future::pending::<()>().await;
    }

    fn dies(&self, call: &'static str, late: bool) {
        let sender = {
            let mut inner = self.inner();
            inner.dead = true;
            inner.on_crash.take()
        };
        if let Some(sender) = sender {
            let _ = sender.send(Death { call, late });
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
