//! A client's clock on which waits can be skipped.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use wakecast::Instant;
use wakecast::native::{Clock, SystemClock};

/// The device's clock and what was skipped. Clones share it.
#[derive(Clone)]
pub(super) struct SkippingClock(Arc<watch::Sender<Duration>>);

impl SkippingClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Duration::ZERO)))
    }

    /// Lets this much time pass at once.
    pub(super) fn skip(&self, time: Duration) {
        self.0.send_modify(|skipped| *skipped += time);
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Instant {
        SystemClock.now() + *self.0.borrow()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        let mut skipped = self.0.subscribe();
        async move {
            loop {
                let left = at.since(clock.now());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = SystemClock.sleep_until(SystemClock.now() + left) => {}
                    // The sender lives in `clock`.
                    _ = skipped.changed() => {}
                }
            }
        }
        .boxed()
    }
}
