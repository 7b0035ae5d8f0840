//! Time that moves only when everything waits.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::Clock;

#[derive(Debug)]
pub struct VirtualClock(Mutex<Times>);

#[derive(Debug)]
struct Times {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    next: u64,
}

impl VirtualClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(Times {
            now,
            sleepers: BTreeMap::new(),
            next: 0,
        }))
    }

    pub fn time(&self) -> Timestamp {
        self.0.lock().expect("the clock").now
    }

    /// Lets time pass at once, as a pause of the whole process would.
    pub fn jump(&self, pause: Duration) {
        self.0.lock().expect("the clock").now = self.time() + pause;
    }

    /// Moves on to the next sleeper's time; false if nobody sleeps.
    pub fn advance(&self) -> bool {
        let mut times = self.0.lock().expect("the clock");
        let Some(((at, _), waker)) = times.sleepers.pop_first() else {
            return false;
        };
        times.now = times.now.max(at);
        drop(times);
        waker.wake();
        true
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.time()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let place = {
            let mut times = self.0.lock().expect("the clock");
            times.next += 1;
            (deadline, times.next)
        };
        let leave = Leave { clock: self, place };
        poll_fn(|context| {
            let mut times = self.0.lock().expect("the clock");
            if times.now >= deadline {
                return Poll::Ready(());
            }
            times.sleepers.insert(place, context.waker().clone());
            Poll::Pending
        })
        .await;
        drop(leave);
    }
}

/// A sleep that was given up holds nothing.
struct Leave<'a> {
    clock: &'a VirtualClock,
    place: (Timestamp, u64),
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Ok(mut times) = self.clock.0.lock() {
            times.sleepers.remove(&self.place);
        }
    }
}
