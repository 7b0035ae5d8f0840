//! How near an acquisition is to its endpoint.

use std::time::Duration;

use super::constants::PROGRESS_TICK;
use crate::Instant;
use crate::protocol::{Phase, ProgressPush};

/// How near an acquisition is to its endpoint.
///
/// ```
/// # use wakecast::{Phase, Progress};
/// fn line(progress: &Progress) -> String {
///     let percent = progress.fraction * 100.0;
///     match (progress.phase, progress.eta_p50) {
///         (Phase::WaitingForCapacity, _) => "waiting for a free server".to_owned(),
///         (_, _) if progress.overdue => format!("{percent:.0} %, slower than usual"),
///         (_, Some(left)) => format!("{percent:.0} %, about {} s", left.as_secs()),
///         (_, None) => format!("{percent:.0} %"),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Time since the demand.
    pub elapsed: Duration,
    /// Median of the remaining time; `None` until the server has told.
    pub eta_p50: Option<Duration>,
    /// 90th percentile of the remaining time; `None` until the server has told.
    pub eta_p90: Option<Duration>,
    /// From 0 to 1; never goes back, and is 1 only when the endpoint is proved.
    pub fraction: f32,
    /// Longer than nine starts in ten.
    pub overdue: bool,
    /// A remark, such as `restarting`.
    pub note: Option<String>,
}

/// A fraction is never NaN.
impl Eq for Progress {}

/// Share of the bar that half of all starts fill.
const AT_P50: f32 = 0.8;
/// Share of the bar that nine starts in ten fill.
const AT_P90: f32 = 0.9;
/// Share that is only approached however long it takes.
const ASYMPTOTE: f32 = 0.95;
/// Share once the endpoint is granted and only the proof is missing.
const AT_VERIFYING: f32 = 0.96;

/// Keeps one progress: takes pushes, interpolates between them, never goes back.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    started: Instant,
    phase: Phase,
    note: Option<String>,
    pushed: Option<Pushed>,
    shown: f32,
    next_tick: Option<Instant>,
    /// When the wait was first told a median, and when that is over.
    told: Option<(Instant, Instant)>,
    /// What half of all starts and nine in ten take in all, as it was last told in time: what comes
    /// later than that says nothing of other starts.
    usual: Option<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Pushed {
    at: Instant,
    elapsed: Duration,
    total_p50: Duration,
    total_p90: Duration,
    overdue: bool,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            phase: Phase::Requested,
            note: None,
            pushed: None,
            shown: 0.0,
            next_tick: None,
            told: None,
            usual: None,
        }
    }

    /// Returns when the wait began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Returns what half of all starts and nine in ten take in all.
    pub(super) fn usual(&self) -> Option<(Duration, Duration)> {
        self.usual
    }

    /// Returns when a median was first told, and the time that it named.
    pub(super) fn told(&self) -> Option<(Instant, Instant)> {
        self.told
    }

    /// Takes a push that is known to be newer than the last.
    pub(super) fn take(&mut self, now: Instant, push: &ProgressPush) {
        self.set_phase(push.phase);
        self.note.clone_from(&push.note);
        let median = Duration::from_millis(push.eta_p50_ms);
        self.told.get_or_insert((now, now + median));
        let elapsed = Duration::from_millis(push.elapsed_ms);
        let total_p50 = elapsed.saturating_add(median);
        let total_p90 = elapsed
            .saturating_add(Duration::from_millis(push.eta_p90_ms))
            .max(total_p50);
        if !push.overdue || self.usual.is_none() {
            self.usual = Some((total_p50, total_p90));
        }
        self.pushed = Some(Pushed {
            at: now,
            elapsed,
            total_p50,
            total_p90,
            overdue: push.overdue,
        });
        self.arm(now);
    }

    /// Takes a phase; an unrecognised one keeps the last.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        if phase != Phase::Unrecognised {
            self.phase = phase;
        }
        if self.phase >= Phase::Verifying {
            self.next_tick = None;
        }
    }

    /// Returns the last known phase.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the server's elapsed time of the last push, which orders pushes of one revision.
    pub(super) fn pushed_elapsed(&self) -> Option<Duration> {
        self.pushed.map(|pushed| pushed.elapsed)
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Shows the progress if its tick is due.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Progress> {
        if self.next_tick.is_none_or(|at| at > now) {
            return None;
        }
        self.arm(now);
        Some(self.show(now))
    }

    /// Shows the progress as of now.
    pub(super) fn show(&mut self, now: Instant) -> Progress {
        let progress = self.peek(now);
        self.shown = progress.fraction;
        progress
    }

    /// Returns the progress as of now, without telling it.
    pub(super) fn peek(&self, now: Instant) -> Progress {
        let elapsed = self.elapsed(now);
        let (eta_p50, eta_p90, overdue) = match self.pushed {
            Some(pushed) => (
                Some(pushed.total_p50.saturating_sub(elapsed)),
                Some(pushed.total_p90.saturating_sub(elapsed)),
                pushed.overdue || elapsed > pushed.total_p90,
            ),
            None => (None, None, false),
        };
        Progress {
            phase: self.phase,
            elapsed,
            eta_p50,
            eta_p90,
            fraction: self.shown.max(self.fraction(elapsed)),
            overdue,
            note: self.note.clone(),
        }
    }

    /// Ticks each second, and less often once the bar moves by less than a percent in it.
    fn arm(&mut self, now: Instant) {
        self.next_tick = (self.phase < Phase::Verifying)
            .then(|| now + PROGRESS_TICK.max(self.elapsed(now) / 100));
    }

    fn elapsed(&self, now: Instant) -> Duration {
        match self.pushed {
            Some(pushed) => pushed.elapsed.saturating_add(now.since(pushed.at)),
            None => now.since(self.started),
        }
    }

    fn fraction(&self, elapsed: Duration) -> f32 {
        match (self.phase, self.pushed) {
            (Phase::Ready, _) => 1.0,
            (Phase::Verifying, _) => AT_VERIFYING,
            (_, None) => 0.0,
            (_, Some(pushed)) => {
                let [now, p50, p90] =
                    [elapsed, pushed.total_p50, pushed.total_p90].map(|time| time.as_secs_f32());
                if now < p50 {
                    AT_P50 * now / p50
                } else if now < p90 {
                    AT_P50 + (AT_P90 - AT_P50) * (now - p50) / (p90 - p50)
                } else if now > 0.0 {
                    ASYMPTOTE - (ASYMPTOTE - AT_P90) * p90 / now
                } else {
                    0.0
                }
            }
        }
    }
}
