//! Seeded randomness, so that a world can be replayed from its seed.

use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use serde::Serialize;

/// A seeded source of durations and chances.
#[derive(Clone, Debug)]
pub struct Dice(Pcg32);

impl Dice {
    /// Seeds the dice: equal seeds draw equal sequences.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Pcg32::seed_from_u64(seed))
    }

    /// Draws 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws a whole number of milliseconds from the span, both ends included.
    pub fn within(&mut self, span: Span) -> Duration {
        let (min, max) = (millis(span.min), millis(span.max));
        let width = max.saturating_sub(min).saturating_add(1);
        Duration::from_millis(min.saturating_add(self.bits() % width))
    }

    /// Is true with this chance in a thousand.
    pub fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.bits() % 1000 < u64::from(per_mille)
    }
}

/// A range of durations, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self::exactly(Duration::ZERO);

    /// Builds the range that holds one duration only.
    #[must_use]
    pub const fn exactly(duration: Duration) -> Self {
        Self {
            min: duration,
            max: duration,
        }
    }

    /// Builds a range from milliseconds.
    #[must_use]
    pub const fn millis(min: u64, max: u64) -> Self {
        Self {
            min: Duration::from_millis(min),
            max: Duration::from_millis(max),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}
