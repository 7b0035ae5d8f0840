//! How an Ant Media Server comes up: which part of it answers, and how, at each moment of a boot.

use serde::Serialize;

/// The moments of one boot, in milliseconds from the start of the process.
///
/// Each field is the first moment of what it names; they must not decrease, see
/// [`BootTimeline::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootTimeline {
    /// The port opens. Connections are accepted by the kernel and nothing answers.
    pub listen_ms: u64,
    /// The connector starts and everything that waited is answered at once: root paths 500 with
    /// an empty body, the app 403 "getting initialized".
    pub answer_ms: u64,
    /// Root paths answer 403 "Not allowed IP": the server's settings are not loaded yet.
    pub forbidden_ms: u64,
    /// The app's context is swapped: its REST answers 500 with an empty body and its WebSocket
    /// handshakes are closed without a byte.
    pub swap_ms: u64,
    /// The swap is over. Liveness and the other root paths work; no app is listed yet.
    pub live_ms: u64,
    /// The first app is ready and listed.
    pub ready_ms: u64,
    /// Each further app is ready this much later than the one before it.
    pub next_app_ms: u64,
}

impl BootTimeline {
    /// The boot observed on two fast cores with a warm disk (Community 3.0.3, middle of the
    /// observed ranges).
    pub const OBSERVED: Self = Self {
        listen_ms: 1_850,
        answer_ms: 3_500,
        forbidden_ms: 3_600,
        swap_ms: 3_750,
        live_ms: 3_850,
        ready_ms: 4_550,
        next_app_ms: 260,
    };

    /// The observed boot at a fifth of its length: every phase can still be seen by a probe each
    /// 100 ms, and a demonstration does not wait.
    pub const DEMONSTRATION: Self = Self {
        listen_ms: 370,
        answer_ms: 700,
        forbidden_ms: 720,
        swap_ms: 750,
        live_ms: 770,
        ready_ms: 910,
        next_app_ms: 52,
    };

    /// The observed boot at a twentieth of its length: a probe each 50 ms still sees it warm.
    pub const QUICK: Self = Self {
        listen_ms: 90,
        answer_ms: 170,
        forbidden_ms: 180,
        swap_ms: 190,
        live_ms: 200,
        ready_ms: 230,
        next_app_ms: 13,
    };

    /// Ready as soon as it is started. With [`Faults::hold_at`](super::Faults::hold_at) a test
    /// steps through the phases without time passing.
    pub const INSTANT: Self = Self {
        listen_ms: 0,
        answer_ms: 0,
        forbidden_ms: 0,
        swap_ms: 0,
        live_ms: 0,
        ready_ms: 0,
        next_app_ms: 0,
    };

    /// Says which moment comes before the one it has to follow, if any does.
    ///
    /// # Errors
    /// A sentence that names the two fields and their values.
    pub fn check(&self) -> Result<(), String> {
        let moments = [
            ("listen_ms", self.listen_ms),
            ("answer_ms", self.answer_ms),
            ("forbidden_ms", self.forbidden_ms),
            ("swap_ms", self.swap_ms),
            ("live_ms", self.live_ms),
            ("ready_ms", self.ready_ms),
        ];
        for (earlier, later) in moments.iter().zip(moments.iter().skip(1)) {
            if later.1 < earlier.1 {
                return Err(format!(
                    "boot timeline: {} ({} ms) must not come before {} ({} ms)",
                    later.0, later.1, earlier.0, earlier.1
                ));
            }
        }
        Ok(())
    }

    /// The phase that begins at each moment of this timeline, in order.
    pub(super) fn moments(&self) -> [(u64, BootPhase); 6] {
        [
            (self.listen_ms, BootPhase::Silent),
            (self.answer_ms, BootPhase::Answering),
            (self.forbidden_ms, BootPhase::Forbidden),
            (self.swap_ms, BootPhase::Swapping),
            (self.live_ms, BootPhase::Live),
            (self.ready_ms, BootPhase::Ready),
        ]
    }
}

/// What a booting server does at one moment. The order is the order of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BootPhase {
    /// Nothing listens; connections are refused.
    Refused,
    /// Connections are accepted and hang.
    Silent,
    /// Root: 500 with an empty body. App: 403, `not_initialized_yet`.
    Answering,
    /// Root: 403 "Not allowed IP". App: 403, `not_initialized_yet`.
    Forbidden,
    /// Root: 403 still. App REST: 500 with an empty body; handshakes closed without a byte.
    Swapping,
    /// Root works, with no app listed and every count zero. App: 403, `not_initialized_yet`.
    Live,
    /// The first app is ready and listed. Further apps follow.
    Ready,
}

/// One boot in progress: the timeline stretched by a factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boot {
    timeline: BootTimeline,
    started_ms: u64,
    slowdown_percent: u32,
}

impl Boot {
    pub(super) fn new(timeline: BootTimeline, started_ms: u64, slowdown_percent: u32) -> Self {
        Self {
            timeline,
            started_ms,
            slowdown_percent,
        }
    }

    pub(super) fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// The phase at `now`, which never passes `hold_at`.
    pub(super) fn phase(&self, now: u64, hold_at: Option<BootPhase>) -> BootPhase {
        let mut phase = BootPhase::Refused;
        for (offset, next) in self.timeline.moments() {
            if now >= self.at(offset) {
                phase = next;
            }
        }
        hold_at.map_or(phase, |hold| phase.min(hold))
    }

    /// Whether the app at `index` is ready at `now`.
    pub(super) fn app_ready(&self, index: usize, now: u64, hold_at: Option<BootPhase>) -> bool {
        self.phase(now, hold_at) == BootPhase::Ready && now >= self.app_ready_at(index)
    }

    /// When the app at `index` gets ready.
    pub(super) fn app_ready_at(&self, index: usize) -> u64 {
        let step = self
            .timeline
            .next_app_ms
            .saturating_mul(u64::try_from(index).unwrap_or(u64::MAX));
        self.at(self.timeline.ready_ms.saturating_add(step))
    }

    /// When `phase` begins, holds aside.
    pub(super) fn begins(&self, phase: BootPhase) -> u64 {
        let found = self
            .timeline
            .moments()
            .into_iter()
            .find(|(_, next)| *next == phase);
        found.map_or(self.started_ms, |(offset, _)| self.at(offset))
    }

    /// The next moment after `now` at which this boot changes, for a server with `apps` apps.
    pub(super) fn next_change(&self, now: u64, apps: usize) -> Option<u64> {
        let phases = self
            .timeline
            .moments()
            .into_iter()
            .map(|(offset, _)| self.at(offset));
        let listed = (0..apps).map(|index| self.app_ready_at(index));
        phases.chain(listed).filter(|at| *at > now).min()
    }

    fn at(&self, offset: u64) -> u64 {
        let stretched = offset.saturating_mul(u64::from(self.slowdown_percent)) / 100;
        self.started_ms.saturating_add(stretched)
    }
}
