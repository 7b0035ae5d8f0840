//! How long the simulated EC2 takes, and how often it fails by chance.

use std::time::Duration;

use crate::random::Span;

/// Times, limits and noise of the simulated EC2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ec2Settings {
    /// From an accepted run or start to `running`.
    pub pending: Span,
    /// From an accepted stop to `stopped`.
    pub stopping: Span,
    /// From an outside termination to `terminated`.
    pub shutting_down: Span,
    /// How long a change stays hidden from `describe`, and a new instance unknown to other calls.
    pub describe_lag: Span,
    /// From sending a call to its effect.
    pub request: Span,
    /// From a call's effect to its answer.
    pub reply: Span,
    /// When the caller gives up on an answer that was lost: the call timeout.
    pub lost_after: Duration,
    /// How long a terminated instance is still listed.
    pub terminated_listed: Duration,
    /// Instances that may be pending or running at once in the account; `None` for no limit.
    pub live_limit: Option<usize>,
    /// Random failures.
    pub noise: Noise,
}

impl Default for Ec2Settings {
    /// What was measured on real EC2, where it was.
    fn default() -> Self {
        Self {
            // 4.9 s with fine polling; published 15 s values are the waiter's step.
            pending: Span::millis(4_000, 9_000),
            // A clean shutdown of the operating system.
            stopping: Span::millis(8_000, 20_000),
            shutting_down: Span::millis(5_000, 15_000),
            // Usually a second or two; 20 s were seen right after a run.
            describe_lag: Span::millis(200, 2_000),
            request: Span::millis(50, 200),
            reply: Span::millis(100, 800),
            // The call timeout of the reconciler's EC2 client.
            lost_after: Duration::from_secs(5),
            terminated_listed: Duration::from_hours(1),
            live_limit: None,
            noise: Noise::default(),
        }
    }
}

impl Ec2Settings {
    /// Everything happens at once and is seen at once: for tests of one rule at a time.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            pending: Span::ZERO,
            stopping: Span::ZERO,
            shutting_down: Span::ZERO,
            describe_lag: Span::ZERO,
            request: Span::ZERO,
            reply: Span::ZERO,
            ..Self::default()
        }
    }
}

/// Chances in a thousand that a call fails by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noise {
    /// Refused as too frequent, without effect.
    pub throttled: u16,
    /// Lost on the way there: no effect, no answer.
    pub lost_request: u16,
    /// Lost on the way back: the effect took place, no answer.
    pub lost_reply: u16,
}
