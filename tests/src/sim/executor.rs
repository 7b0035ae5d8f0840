//! One thread, one queue of tasks, and a clock that jumps to the next timer when all is quiet.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::{AbortHandle, Abortable};
use futures::task::LocalSpawnExt;
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::Clock;

/// Runs tasks in virtual time.
#[derive(Debug)]
pub struct Runtime {
    pool: LocalPool,
    clock: VirtualClock,
}

impl Runtime {
    /// Starts at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            pool: LocalPool::new(),
            clock: VirtualClock::new(start),
        }
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// Returns a handle that spawns tasks.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks(self.pool.spawner())
    }

    /// Runs every task until nothing more can happen before `end`; time is `end` then.
    pub fn run_until(&mut self, end: Timestamp) {
        loop {
            self.pool.run_until_stalled();
            if !self.clock.jump(end) {
                return;
            }
        }
    }
}

/// Spawns tasks; dropping a handle changes nothing, aborting drops the task at its await.
#[derive(Clone, Debug)]
pub struct Tasks(LocalSpawner);

impl Tasks {
    /// Spawns a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task, registration);
        // The pool outlives every task of its world: spawning fails only after its end.
        let _ = self.0.spawn_local(async move {
            let _ = task.await;
        });
        handle
    }
}

/// The one clock of a world, and views of it that are ahead or behind.
#[derive(Clone)]
pub struct VirtualClock {
    shared: Arc<Mutex<Timers>>,
    ahead_ms: u64,
}

struct Timers {
    now: Timestamp,
    next: u64,
    waiting: BTreeMap<(Timestamp, u64), Waker>,
}

impl VirtualClock {
    fn new(now: Timestamp) -> Self {
        let timers = Timers {
            now,
            next: 0,
            waiting: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(timers)),
            ahead_ms: 0,
        }
    }

    /// Returns a view of the same time that is this much ahead of it.
    #[must_use]
    pub fn ahead(&self, by: Duration) -> Self {
        let ahead_ms = self.ahead_ms + u64::try_from(by.as_millis()).unwrap_or(0);
        Self {
            shared: Arc::clone(&self.shared),
            ahead_ms,
        }
    }

    /// Returns a future that ends after `duration`.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep {
            shared: Arc::clone(&self.shared),
            until: self.true_now() + duration,
            key: None,
        }
    }

    /// Returns the world's own time, whatever this view shows.
    #[must_use]
    pub fn true_now(&self) -> Timestamp {
        lock(&self.shared).now
    }

    fn jump(&self, end: Timestamp) -> bool {
        let mut timers = lock(&self.shared);
        let Some((&(at, _), _)) = timers.waiting.first_key_value() else {
            timers.now = timers.now.max(end);
            return false;
        };
        if at > end {
            timers.now = timers.now.max(end);
            return false;
        }
        timers.now = timers.now.max(at);
        let mut due = Vec::new();
        while let Some(entry) = timers.waiting.first_entry() {
            if entry.key().0 > at {
                break;
            }
            due.push(entry.remove());
        }
        drop(timers);
        due.into_iter().for_each(Waker::wake);
        true
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.true_now() + Duration::from_millis(self.ahead_ms)
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let until = deadline.saturating_sub(Duration::from_millis(self.ahead_ms));
        Sleep {
            shared: Arc::clone(&self.shared),
            until,
            key: None,
        }
        .await;
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualClock({})", self.now().as_millis())
    }
}

/// Ends when its moment has come; dropping it takes the timer away.
pub struct Sleep {
    shared: Arc<Mutex<Timers>>,
    until: Timestamp,
    key: Option<(Timestamp, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.shared);
        let mut timers = lock(&shared);
        if timers.now >= self.until {
            return Poll::Ready(());
        }
        let key = if let Some(key) = self.key {
            key
        } else {
            timers.next += 1;
            (self.until, timers.next)
        };
        timers.waiting.insert(key, context.waker().clone());
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(&self.shared).waiting.remove(&key);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep(until {})", self.until.as_millis())
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
