//! The only place that reads system time.
//!
//! Deadlines have to count the time a device spends suspended: a token ends and a lease is given
//! away meanwhile. `std::time::Instant` stops in suspend on Linux and Apple, so their own clocks
//! are read. The runtime's timers stop too, which is why no single sleep is long.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::Instant;

/// The longest single sleep: after a resume, what fell due is noticed at most this much later.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Where a client takes its time from. The seam for tests that run on virtual time.
pub trait Clock: Send + Sync + 'static {
    /// The time now; never goes back.
    fn now(&self) -> Instant;

    /// Resolves once [`now`](Self::now) is at or past `at`.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
}

/// The device's clock, suspend included.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_millis(platform::millis())
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        async move {
            loop {
                let left = at.as_millis().saturating_sub(platform::millis());
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left).min(LONGEST_SLEEP)).await;
            }
        }
        .boxed()
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod platform {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(not(target_vendor = "apple"))]
    const CLOCK: ClockId = ClockId::Boottime;
    /// Apple's `CLOCK_MONOTONIC` runs on in sleep, unlike the one that `std` reads.
    #[cfg(target_vendor = "apple")]
    const CLOCK: ClockId = ClockId::Monotonic;

    /// Milliseconds since the device started.
    pub(super) fn millis() -> u64 {
        let time = clock_gettime(CLOCK);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        seconds
            .saturating_mul(1000)
            .saturating_add(nanos / 1_000_000)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod platform {
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Milliseconds since the first call.
    #[allow(
        clippy::disallowed_methods,
        reason = "the driver's clock; the pure parts get it as input"
    )]
    pub(super) fn millis() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = START.get_or_init(Instant::now);
        u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
