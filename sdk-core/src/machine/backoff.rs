//! How long to wait before the next attempt: a pure function of cause, number and two draws.

use std::time::Duration;

/// Floor of every wait but that after the peer's own doing: a loop of instant failures must not spin.
pub const FLOOR: Duration = Duration::from_millis(250);
/// Jitter of the first try after a cause of our own: one phone's Wi-Fi drop is no herd, but the
/// network needs a moment.
const OWN_JITTER: Duration = Duration::from_millis(750);
/// Base of the exponential.
const BASE: Duration = Duration::from_secs(1);
/// Cap of the exponential: a person waits for half a minute, not for more.
pub const CAP: Duration = Duration::from_secs(30);
/// The exponent is clamped: 2¹⁶ s is far above the cap, and no count of attempts can overflow.
const MAX_EXPONENT: u32 = 16;
/// Floor after 1012 and 1013, by which a server says "come back later".
const LATER: Duration = Duration::from_secs(5);

/// Why there is a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The first attempt after a network change, a failed probe or a return to the foreground.
    Own,
    /// The peer ended the link or asked for fewer connections: thousands feel the same.
    Peer,
    /// The attempt goes to another gateway, where a crowd may go with it.
    Elsewhere,
    /// Anything else.
    Other,
}

/// What a delay depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Why there is a wait.
    pub cause: Cause,
    /// Attempts since the last reset.
    pub attempt: u32,
    /// Over how long the server wants reconnects to spread.
    pub spread: Duration,
    /// The server's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Whether the server closed with 1012 or 1013.
    pub later: bool,
}

impl Backoff {
    /// Returns the delay for two draws from `U(0, 1)`.
    pub fn delay(&self, draws: [f64; 2]) -> Duration {
        let [first, second] = draws;
        let exponential = BASE
            .saturating_mul(1 << self.attempt.min(MAX_EXPONENT))
            .min(CAP);
        let drawn = match self.cause {
            Cause::Own => FLOOR + part(OWN_JITTER, first),
            Cause::Peer if self.attempt == 0 => part(self.spread, first),
            Cause::Peer => part(exponential.max(self.spread.saturating_mul(2)), first),
            // Never sooner than at the same gateway, whatever ended the last attempt.
            Cause::Elsewhere => FLOOR + part(exponential.max(self.spread.saturating_mul(2)), first),
            Cause::Other => FLOOR + part(exponential, first),
        };
        let drawn = if self.later { LATER + drawn } else { drawn };
        match self.retry_after {
            // A floor of its own jitter: many were told the same number.
            Some(floor) => {
                drawn.max(floor.saturating_add(part((floor / 4).max(self.spread), second)))
            }
            None => drawn,
        }
    }
}

/// The part of a range that a draw from `U(0, 1)` points at, in whole milliseconds.
fn part(range: Duration, draw: f64) -> Duration {
    let millis = range.as_millis() as f64 * draw.clamp(0.0, 1.0);
    Duration::from_millis(millis as u64)
}
