//! What the figures of a run say.

use std::time::Duration;

use super::process::{Sample, Usage};
use super::tally::Counts;
use super::watchman::Seen;

/// Memory may grow this much a minute and client after the warm-up. The rows, tokens and buffers of
/// one life are some 50 KiB, and each client lives several lives a minute: a leak of one life in
/// twenty shows, and what the allocator does with a herd does not.
pub const GROWTH_KIB: f64 = 4.0;

/// The first part of the run is warm-up: the first herds, boots and rotations.
const WARM_UP: f64 = 0.5;

/// The figures of one run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// How many clients there were.
    pub clients: u32,
    /// How long they lived.
    pub lived: Duration,
    /// What they counted.
    pub counts: Counts,
    /// What happened to instances.
    pub seen: Seen,
    /// Faults by name.
    pub faults: std::collections::BTreeMap<String, u64>,
    /// Lulls in which the instance stopped, and all lulls.
    pub lulls: (u64, u64),
    /// What was used over time.
    pub samples: Vec<Sample>,
    /// What the cloud used alone, before the first client.
    pub before: Usage,
    /// What it used after the last.
    pub after: Usage,
    /// What was used before there was a cloud.
    pub empty: Usage,
    /// What was used after it had stopped.
    pub stopped: Usage,
    /// The instance stopped once everything was released.
    pub came_to_rest: bool,
    /// Token providers that outlived their clients.
    pub providers: usize,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// In words.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Judges a run.
#[must_use]
pub fn checks(figures: &Figures) -> Vec<Check> {
    let Figures {
        counts,
        seen,
        before,
        after,
        empty,
        stopped,
        ..
    } = figures;
    let growth = growth(figures);
    let check = |what, found: String, holds| Check { what, found, holds };
    let back = |was: usize, is: usize| (format!("{is}, before {was}"), is <= was);
    let (tasks, no_task_left) = back(before.tasks, after.tasks);
    let (files, no_file_left) = back(before.files, after.files);
    let (cloud_tasks, cloud_ended) = back(empty.tasks, stopped.tasks);
    let (cloud_files, cloud_closed) = back(empty.files, stopped.files);
    vec![
        check(
            "waiters lost",
            format!("{} lost, {} open", counts.lost.count, counts.open()),
            counts.lost.count == 0 && counts.open() == 0 && counts.acquires > 0,
        ),
        check(
            "outcomes without a reason",
            counts.wrong.count.to_string(),
            counts.wrong.count == 0,
        ),
        check(
            "most instances at once",
            seen.most.to_string(),
            seen.most <= 1,
        ),
        check(
            "stops under a stream or viewer",
            seen.busy_stops.to_string(),
            seen.busy_stops == 0,
        ),
        check(
            "instance at rest at the end",
            if figures.came_to_rest { "yes" } else { "no" }.to_owned(),
            figures.came_to_rest,
        ),
        check("tasks after the last client", tasks, no_task_left),
        check("files after the last client", files, no_file_left),
        check(
            "token providers kept",
            figures.providers.to_string(),
            figures.providers == 0,
        ),
        check("tasks after the cloud", cloud_tasks, cloud_ended),
        check("files after the cloud", cloud_files, cloud_closed),
        check(
            "memory after the warm-up",
            growth.map_or_else(
                || "too few samples".to_owned(),
                |growth| format!("{growth:+.2} KiB a minute and client, at most {GROWTH_KIB}"),
            ),
            growth.is_some_and(|growth| growth <= GROWTH_KIB),
        ),
    ]
}

/// Returns by how many KiB a minute and client the memory grew after the warm-up; `None` with
/// fewer than three samples.
#[must_use]
pub fn growth(figures: &Figures) -> Option<f64> {
    let warm = figures.lived.as_secs_f64() * WARM_UP;
    let points: Vec<(f64, f64)> = figures
        .samples
        .iter()
        .filter(|sample| sample.at.as_secs_f64() >= warm)
        .map(|sample| {
            let minutes = sample.at.as_secs_f64() / 60.0;
            (minutes, sample.usage.memory_kib as f64)
        })
        .collect();
    let slope = slope(&points)?;
    Some(slope / f64::from(figures.clients.max(1)))
}

/// Returns the slope of the line through the points by least squares; `None` with fewer than three
/// points or none apart.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|(x, _)| *x), mean(|(_, y)| *y));
    let (mut over, mut under) = (0.0, 0.0);
    for (x, y) in points {
        over += (x - mean_x) * (y - mean_y);
        under += (x - mean_x) * (x - mean_x);
    }
    (under > 0.0).then(|| over / under)
}
