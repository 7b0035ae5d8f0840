//! How long it still takes: learned from the last boots, or as the operator guessed.
//!
//! A boot that is `elapsed` into a phase is compared with those that were not through with the phase
//! either by then, so that time which has passed counts as what it is: a sign of a slow boot. What
//! remains is never told as less than what the phases to come take by themselves, so that the
//! beginning of a phase takes no hope back.

use std::time::Duration;

use wakecast::protocol::Phase;

use crate::config::Prior;
use crate::model::{BootHistory, BootPath, BootTimes};

/// Below this many boots the prior is better: of four boots the slowest is passed by every fifth.
const FEWEST: usize = 5;

/// The remaining time to ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Eta {
    /// Half of the boots are ready within this time.
    pub p50: Duration,
    /// Nine in ten are; at least `p50`.
    pub p90: Duration,
    /// Since the phase began it has taken longer than nine boots in ten.
    pub overdue: bool,
}

/// Returns what remains on a path, `elapsed` after the phase began. Before `launching` no boot has
/// begun: the whole of one remains, whatever has elapsed.
#[must_use]
pub fn remaining(
    history: &BootHistory,
    prior: &[Prior],
    path: BootPath,
    phase: Phase,
    elapsed: Duration,
) -> Eta {
    let boots = history.boots(path);
    let elapsed = match phase {
        Phase::Requested | Phase::WaitingForCapacity => Duration::ZERO,
        _ => elapsed,
    };
    if boots.len() < FEWEST {
        return guessed(prior, path, phase, elapsed);
    }
    let lengths = boots.iter().map(|boot| phases_from(boot, phase));
    learned(&lengths.collect::<Vec<_>>(), elapsed)
}

/// What remains by the prior. A phase without a figure takes that of the last one before it.
fn guessed(prior: &[Prior], path: BootPath, phase: Phase, elapsed: Duration) -> Eta {
    let figures = || prior.iter().filter(|known| known.path == path);
    let present = figures()
        .filter(|known| known.phase <= phase)
        .max_by_key(|known| known.phase);
    let (whole_p50, whole_p90) =
        present.map_or_else(Default::default, |known| (known.p50, known.p90));
    let later = || figures().filter(|known| known.phase > phase);
    let p50 = later().map(|known| known.p50).max().unwrap_or_default();
    let p90 = later().map(|known| known.p90).max().unwrap_or_default();
    let p50 = p50.max(whole_p50.saturating_sub(elapsed));
    Eta {
        p50,
        p90: p90.max(whole_p90.saturating_sub(elapsed)).max(p50),
        overdue: present.is_some() && elapsed > whole_p90,
    }
}

/// What a boot takes in the phase at hand and in all later ones, in milliseconds.
#[derive(Clone, Copy)]
struct Lengths {
    phase: u64,
    later: [u64; 2],
}

impl Lengths {
    fn whole(&self) -> u64 {
        self.later
            .iter()
            .fold(self.phase, |sum, later| sum.saturating_add(*later))
    }

    /// The same boot one phase on; past the last phase nothing is left.
    fn next(&self) -> Self {
        let [next, last] = self.later;
        Self {
            phase: next,
            later: [last, 0],
        }
    }
}

fn phases_from(boot: &BootTimes, phase: Phase) -> Lengths {
    let first = Lengths {
        phase: boot.launching_ms,
        later: [boot.booting_ms, boot.warming_ms],
    };
    match phase {
        Phase::Requested | Phase::WaitingForCapacity | Phase::Launching => first,
        Phase::Booting => first.next(),
        Phase::Warming => first.next().next(),
        // Ready, or as good as.
        _ => first.next().next().next(),
    }
}

/// What remains by boots that were seen.
fn learned(boots: &[Lengths], elapsed: Duration) -> Eta {
    let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let alike = boots.iter().filter(|boot| boot.phase >= elapsed);
    let mut left = alike
        .map(|boot| boot.whole().saturating_sub(elapsed))
        .collect::<Vec<_>>();
    let (mut p50, mut p90) = quantiles(&mut left);
    let mut to_come = boots.to_vec();
    for _ in 0..2 {
        to_come = to_come.iter().map(Lengths::next).collect();
        let mut wholes = to_come.iter().map(Lengths::whole).collect::<Vec<_>>();
        let (least_p50, least_p90) = quantiles(&mut wholes);
        (p50, p90) = (p50.max(least_p50), p90.max(least_p90));
    }
    let (_, usual) = quantiles(&mut boots.iter().map(Lengths::whole).collect::<Vec<_>>());
    Eta {
        p50: Duration::from_millis(p50),
        p90: Duration::from_millis(p90.max(p50)),
        overdue: elapsed > usual,
    }
}

/// P50 and P90, zero of nothing. The (n + 1)·p-th of n past boots is passed by the next one as often
/// as p says; the n·p-th would be passed more often.
fn quantiles(values: &mut [u64]) -> (u64, u64) {
    values.sort_unstable();
    let nth = |tenths: usize| {
        let place = values.len().saturating_add(1).saturating_mul(tenths);
        let (whole, part) = (place / 10, place % 10);
        let at = |nth: usize| {
            let last = values.len().saturating_sub(1);
            values
                .get(nth.saturating_sub(1).min(last))
                .copied()
                .unwrap_or_default()
        };
        let (below, above) = (at(whole), at(whole.saturating_add(1)));
        let part = u64::try_from(part).unwrap_or_default();
        below.saturating_add(above.saturating_sub(below).saturating_mul(part) / 10)
    };
    (nth(5), nth(9))
}
