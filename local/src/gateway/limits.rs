//! What the API Gateway allows, in numbers.

use std::time::Duration;

use wakecast_lambda::model::Timestamp;

/// The quotas of an API Gateway WebSocket API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// New connections a second, per account and Region. Adjustable on AWS.
    pub connects_per_second: u32,
    /// New connections at once, before the rate counts.
    pub connect_burst: u32,
    /// Without data in either direction for this long, a connection is closed. Not adjustable.
    pub idle: Duration,
    /// A connection ends at this age. Not adjustable.
    pub age: Duration,
    /// The largest frame in bytes. Not adjustable.
    pub frame: usize,
    /// The largest message in bytes. Not adjustable.
    pub message: usize,
    /// How long an integration may take. Not adjustable beyond.
    pub integration: Duration,
}

impl Default for Limits {
    /// AWS's own values.
    fn default() -> Self {
        Self {
            connects_per_second: 500,
            connect_burst: 500,
            idle: Duration::from_mins(10),
            age: Duration::from_hours(2),
            frame: 32 * 1024,
            message: 128 * 1024,
            integration: Duration::from_secs(29),
        }
    }
}

/// A token bucket on virtual time, in thousandths of a token so that no fraction is lost.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: u64,
    capacity: u64,
    level: u64,
    filled_at: Timestamp,
}

impl Bucket {
    const TOKEN: u64 = 1000;

    /// Builds a full bucket of `burst` tokens that gains `per_second` of them a second.
    #[must_use]
    pub fn full(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let capacity = u64::from(burst) * Self::TOKEN;
        Self {
            rate: u64::from(per_second),
            capacity,
            level: capacity,
            filled_at: now,
        }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let passed = u64::try_from(now.since(self.filled_at).as_millis()).unwrap_or(u64::MAX);
        // One token a second is one thousandth of a token a millisecond.
        self.level = self
            .level
            .saturating_add(passed.saturating_mul(self.rate))
            .min(self.capacity);
        self.filled_at = self.filled_at.max(now);
        let enough = self.level >= Self::TOKEN;
        if enough {
            self.level -= Self::TOKEN;
        }
        enough
    }
}
