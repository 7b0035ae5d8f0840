//! Real time and real chance.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::time::Instant;
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::{Clock, Entropy};

/// This machine's clock as it stood once, and steady time since: a wall clock that is set back or
/// forth while the cloud runs changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Timestamp,
    origin: Instant,
}

impl SystemClock {
    /// Starts the clock at this machine's time.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Self {
            started: Timestamp::from_millis(millis),
            origin: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.started + self.origin.elapsed()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        tokio::time::sleep_until(self.origin + self.started.until(deadline)).await;
    }
}

/// Random bits of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// Draws 64 random bits; zero where the operating system has none to give, which no supported
    /// system does.
    fn next_u64(&self) -> u64 {
        getrandom::u64().unwrap_or_default()
    }
}
