//! A virtual clock that moves only when a test moves it.

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::Clock;

#[derive(Debug)]
pub(crate) struct VirtualClock(Mutex<State>);

#[derive(Debug)]
struct State {
    now: Timestamp,
    sleepers: Vec<(Timestamp, Waker)>,
}

impl VirtualClock {
    pub(crate) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            now,
            sleepers: Vec::new(),
        })))
    }

    /// Moves time to the next sleeper; false if nobody sleeps.
    pub(crate) fn jump(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        let Some(next) = state.sleepers.iter().map(|(at, _)| *at).min() else {
            return false;
        };
        state.now = state.now.max(next);
        state.wake_due();
        true
    }
}

impl State {
    fn wake_due(&mut self) {
        let now = self.now;
        self.sleepers.retain(|(at, waker)| {
            if *at <= now {
                waker.wake_by_ref();
            }
            *at > now
        });
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        std::future::poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.now >= deadline {
                return Poll::Ready(());
            }
            state.sleepers.push((deadline, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
