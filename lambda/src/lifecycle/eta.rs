//! How long it still takes.

use std::time::Duration;

use wakecast::protocol::Phase;

use crate::config::Prior;
use crate::model::BootPath;

/// The remaining time to ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eta {
    /// Half of the boots are ready within this time.
    pub p50: Duration,
    /// Nine in ten are.
    pub p90: Duration,
    /// It has taken longer than nine boots in ten.
    pub overdue: bool,
}

/// Returns what remains on a path, `elapsed` after the phase began.
pub(super) fn remaining(prior: &[Prior], path: BootPath, phase: Phase, elapsed: Duration) -> Eta {
    // A phase without a figure takes that of the last one before it on the same path.
    let known = prior
        .iter()
        .filter(|known| known.path == path && known.phase <= phase)
        .max_by_key(|known| known.phase);
    let (p50, p90) = known.map_or((Duration::ZERO, Duration::ZERO), |known| {
        (known.p50, known.p90)
    });
    Eta {
        p50: p50.saturating_sub(elapsed),
        p90: p90.saturating_sub(elapsed),
        overdue: known.is_some() && elapsed > p90,
    }
}
