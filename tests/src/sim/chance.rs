//! Seeded chance: the same seed gives the same world.

use std::ops::Range;
use std::time::Duration;

use wakecast_local::random::Dice;

/// A stream of random decisions.
#[derive(Clone, Debug)]
pub struct Chance(Dice);

impl Chance {
    /// Starts the stream of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Dice::new(seed))
    }

    /// Starts a stream of its own for each name.
    #[must_use]
    pub fn of(seed: u64, name: &str) -> Self {
        // FNV-1a: spreads short names well, and is the same on every machine.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::from_seed(seed ^ hash)
    }

    /// Splits off a stream of its own, so that more draws here change nothing there.
    pub fn fork(&mut self) -> Self {
        Self(Dice::new(self.bits()))
    }

    /// Draws 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    /// Draws from `range`; an empty range gives its start.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start);
        if width == 0 {
            range.start
        } else {
            range.start + self.bits() % width
        }
    }

    /// Draws a time in milliseconds from `range`.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// Is true `per_mille` times in a thousand.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.within(0..1000) < per_mille
    }

    /// Picks one of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(usize::try_from(self.within(0..choices.len() as u64)).unwrap_or(0))
    }
}
