//! Demand: written, raised, and only then is the lock looked at, so that no wake-up is lost.

use std::time::Duration;

use super::Gateway;
use crate::model::{FleetKey, Timestamp};
use crate::store::StoreError;

/// The spread is kept within these: a tab of its own needs none, five minutes is what a person
/// still takes for an outage.
const SPREAD: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(250)..=Duration::from_secs(300);

/// The spread until connections could be counted.
const UNKNOWN_SPREAD: Duration = Duration::from_secs(5);

/// The longest spread of first looks at a server that is ready already. The herd comes when it
/// becomes ready, and the reconciler spreads that one; whoever asks later waits for nobody.
const LONGEST_LATER_LOOK: Duration = Duration::from_secs(2);

impl Gateway {
    /// Raises the fleet's demand and sees that a reconciler runs: the lock's holder, if it has time
    /// left, sees the number before it lets go; else one is woken. A wake that fails is no error:
    /// the tick comes.
    pub(super) async fn announce(&self, fleet: &FleetKey) -> Result<(), StoreError> {
        self.ports.store.raise_demand(fleet).await?;
        let lock = self.ports.store.lock(fleet).await?;
        let now = self.ports.clock.now();
        if lock.is_none_or(|lock| lock.until <= now) {
            self.ports.wake.wake(fleet).await;
        }
        Ok(())
    }

    /// Over how long reconnects are spread.
    pub(super) async fn spread(&self, now: Timestamp) -> Duration {
        let known = self.recall.connections(now);
        let count = match known {
            Some((count, true)) => Some(count),
            _ => match self.ports.store.open_connections(now).await {
                Ok(count) => {
                    self.recall.remember_connections(now, count);
                    Some(count)
                }
                Err(_) => known.map(|(count, _)| count),
            },
        };
        count.map_or(UNKNOWN_SPREAD, |count| self.spread_of(count))
    }

    /// Over how long first looks at a ready server are spread; an older count of connections will
    /// do if there is one.
    pub(super) async fn verify_spread(&self, now: Timestamp) -> Duration {
        let spread = match self.recall.connections(now) {
            Some((count, _)) => self.spread_of(count),
            None => self.spread(now).await,
        };
        spread.min(LONGEST_LATER_LOOK)
    }

    fn spread_of(&self, connections: u64) -> Duration {
        let per_second = u64::from(self.config.link.connects_per_second);
        let spread = connections.saturating_mul(1000).div_ceil(per_second.max(1));
        Duration::from_millis(spread).clamp(*SPREAD.start(), *SPREAD.end())
    }
}
