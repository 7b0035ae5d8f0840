//! What a wall clock is good for: to notice that the device slept.

use std::time::Duration;

use crate::Instant;

/// A wall clock that moved by more than this against the monotonic one was set, or ran on while a
/// suspended device's other clock stood still. Well above what time servers correct by slewing,
/// well below the life of any token.
const JUMP: Duration = Duration::from_secs(5);

/// Compares a driver's monotonic clock with the wall clock, for platforms whose monotonic clock may
/// stop while the device sleeps. To be asked before each input:
///
/// ```
/// use wakecast::Instant;
/// use wakecast::machine::WallClock;
///
/// let mut clock = WallClock::default();
/// let at = Instant::from_millis;
/// assert!(!clock.jumped(at(1_000), at(1_700_000_000_000)));
/// assert!(!clock.jumped(at(2_000), at(1_700_000_001_000)));
/// assert!(clock.jumped(at(3_000), at(1_700_003_600_000))); // slept for an hour: `ClockJumped`
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock {
    last: Option<(Instant, Instant)>,
}

impl WallClock {
    /// Returns whether the wall clock jumped since the last call, forwards or back. The answer to
    /// it is [`Input::ClockJumped`](super::Input::ClockJumped).
    pub fn jumped(&mut self, monotonic: Instant, wall: Instant) -> bool {
        let Some((monotonic_before, wall_before)) = self.last.replace((monotonic, wall)) else {
            return false;
        };
        let passed = monotonic.since(monotonic_before);
        let expected = wall_before + passed;
        wall.since(expected).max(expected.since(wall)) > JUMP
    }
}
