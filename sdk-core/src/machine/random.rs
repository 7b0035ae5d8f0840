//! Randomness of the machine: everything is drawn from one seed.
//!
//! PCG-64 (128 bits of state, 127 of stream) is small, fast, reproducible on every platform and
//! statistically sound, which is what jitter and ids need. It is not cryptographic, and need not
//! be: ids must be unique, not unguessable, since the server looks rows up under the caller's
//! subject and a foreign id is not found. Uniqueness rests on the seed, which a driver takes from
//! the operating system or `crypto.getRandomValues`.

use std::time::Duration;

use rand_core::Rng as _;
use rand_pcg::Pcg64;

/// 256 random bits from the driver: the machine's only source of randomness.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// A source of ids with 128 random bits each, for drivers that must name an acquisition before
/// the machine sees it. Its seed must not be the machine's.
#[derive(Clone, Debug)]
pub struct Ids(Random);

impl Ids {
    /// Makes a source.
    pub fn new(seed: Seed) -> Self {
        Self(Random::new(seed))
    }

    /// Draws an id: 32 hexadecimal digits.
    pub fn draw(&mut self) -> String {
        self.0.id()
    }
}

/// The machine's generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(Pcg64);

impl Random {
    pub(crate) fn new(seed: Seed) -> Self {
        let (mut state, mut stream) = (0u128, 0u128);
        for (index, byte) in seed.0.iter().enumerate() {
            let half = if index < 16 { &mut state } else { &mut stream };
            *half = (*half << 8) | u128::from(*byte);
        }
        Self(Pcg64::new(state, stream))
    }

    /// Draws an id of 128 random bits: 32 hexadecimal digits.
    pub(crate) fn id(&mut self) -> String {
        format!("{:016x}{:016x}", self.0.next_u64(), self.0.next_u64())
    }

    /// Draws from `U(0, upper)` in whole milliseconds, both ends included.
    pub(crate) fn up_to(&mut self, upper: Duration) -> Duration {
        let upper = crate::time::millis(upper);
        // The widening product maps 64 random bits onto the range without a modulo's bias; the
        // remaining one is below 2⁻³² for any range under 50 days.
        let wide = u128::from(self.0.next_u64()) * (u128::from(upper) + 1);
        Duration::from_millis(u64::try_from(wide >> 64).unwrap_or(upper))
    }

    /// Draws from `U(0, 1)`.
    pub(crate) fn fraction(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
