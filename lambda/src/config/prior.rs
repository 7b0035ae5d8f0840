//! How long boots take before there is history.

use std::time::Duration;

use wakecast::protocol::Phase;

use super::Prior;
use crate::model::BootPath;

/// Seconds to ready from the beginning of each phase: path, phase, P50, P90.
type Figures = [(BootPath, Phase, u64, u64); 12];

/// EC2 takes 5 to 10 s to `running`; system and server 10 to 15 s from a hydrated disk, about a
/// minute from a fresh one. Somebody found running may be anywhere between.
const EC2: Figures = [
    (BootPath::Stopped, Phase::Requested, 18, 35),
    (BootPath::Stopped, Phase::Launching, 17, 32),
    (BootPath::Stopped, Phase::Booting, 11, 22),
    (BootPath::Stopped, Phase::Warming, 2, 5),
    (BootPath::New, Phase::Requested, 65, 150),
    (BootPath::New, Phase::Launching, 62, 145),
    (BootPath::New, Phase::Booting, 55, 130),
    (BootPath::New, Phase::Warming, 4, 15),
    (BootPath::Running, Phase::Requested, 11, 22),
    (BootPath::Running, Phase::Launching, 11, 22),
    (BootPath::Running, Phase::Booting, 11, 22),
    (BootPath::Running, Phase::Warming, 2, 5),
];

/// The simulated EC2 starts within two seconds, and the stand-in boots like the real server.
const DEMONSTRATION: Figures = [
    (BootPath::Stopped, Phase::Requested, 8, 12),
    (BootPath::Stopped, Phase::Launching, 7, 11),
    (BootPath::Stopped, Phase::Booting, 5, 8),
    (BootPath::Stopped, Phase::Warming, 2, 4),
    (BootPath::New, Phase::Requested, 9, 14),
    (BootPath::New, Phase::Launching, 8, 13),
    (BootPath::New, Phase::Booting, 6, 9),
    (BootPath::New, Phase::Warming, 2, 4),
    (BootPath::Running, Phase::Requested, 5, 8),
    (BootPath::Running, Phase::Launching, 5, 8),
    (BootPath::Running, Phase::Booting, 5, 8),
    (BootPath::Running, Phase::Warming, 2, 4),
];

pub(super) fn ec2() -> Vec<Prior> {
    list(&EC2)
}

pub(super) fn demonstration() -> Vec<Prior> {
    list(&DEMONSTRATION)
}

fn list(figures: &Figures) -> Vec<Prior> {
    figures
        .iter()
        .map(|(path, phase, p50, p90)| Prior {
            path: *path,
            phase: *phase,
            p50: Duration::from_secs(*p50),
            p90: Duration::from_secs(*p90),
        })
        .collect()
}
