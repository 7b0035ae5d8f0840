//! What the account lets in, and how hard clients knock.

use wakecast_lambda::model::Timestamp;

/// The upgrades that have reached the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upgrades {
    /// All of them.
    pub all: u64,
    /// Refused over the account's rate, with 429.
    pub refused: u64,
    /// The most within one second of the clock.
    pub peak: u64,
    second: u64,
    in_second: u64,
}

impl Upgrades {
    pub(super) fn count(&mut self, now: Timestamp, let_in: bool) {
        let second = now.as_millis() / 1_000;
        if second != self.second {
            (self.second, self.in_second) = (second, 0);
        }
        self.all += 1;
        self.in_second += 1;
        self.peak = self.peak.max(self.in_second);
        self.refused += u64::from(!let_in);
    }
}
