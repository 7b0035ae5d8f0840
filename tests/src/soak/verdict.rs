//! What the figures of a run say.

use std::time::Duration;

use super::process::{Sample, Usage};
use super::tally::Counts;
use super::watchman::Seen;

/// The heap may grow this much a minute and client after the warm-up. The rows, tokens and buffers
/// of one life are some 50 KiB, and each client lives several lives a minute: a leak of one life in
/// twenty shows, and one client more or less at the bottom of a lull does not.
pub const GROWTH_KIB: f64 = 4.0;

/// What is resident and no heap: code, stacks, the kernel's tables of it.
const BESIDE_KIB: u64 = 32 * 1024;

/// The rest may be this many times the most that the heap has held: a heap that breathes by half in
/// each lull leaves holes, which the allocator keeps. More says that something grows where the
/// heap's count does not see it.
pub const RESIDENT_TIMES: f64 = 1.5;

/// The first part of the run is warm-up: the first herds, boots and rotations, and bounded records
/// that fill up, the timeline the longest of them.
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
    let resident = resident(figures);
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
            "heap after the warm-up",
            growth.map_or_else(
                || "too few samples".to_owned(),
                |growth| format!("{growth:+.2} KiB a minute and client, at most {GROWTH_KIB}"),
            ),
            growth.is_some_and(|growth| growth <= GROWTH_KIB),
        ),
        check(
            "resident memory over the heap",
            resident.map_or_else(
                || "no samples".to_owned(),
                |times| format!("{times:.2} times its peak, at most {RESIDENT_TIMES}"),
            ),
            resident.is_some_and(|times| times <= RESIDENT_TIMES),
        ),
    ]
}

/// Returns by how many KiB a minute and client the heap grew after the warm-up; `None` where one of
/// the two halves of that time has no sample.
///
/// The least of each half counts: how many clients wait at one moment comes in waves of several
/// megabytes, and only at the bottom of a lull, of which each half of a run of ten minutes has one,
/// are two moments alike. What has leaked is there as well.
#[must_use]
pub fn growth(figures: &Figures) -> Option<f64> {
    let warm = figures.lived.mul_f64(WARM_UP);
    let half = figures.lived.saturating_sub(warm) / 2;
    let least = |from: Duration, to: Duration| {
        let samples = figures.samples.iter();
        let within = samples.filter(|sample| sample.at >= from && sample.at < to);
        within.map(|sample| sample.usage.heap_kib).min()
    };
    let first = least(warm, warm + half)?;
    // Samples go on while everybody leaves: an empty house says nothing of a full one.
    let second = least(warm + half, figures.lived + Duration::from_nanos(1))?;
    // As far apart as the halves are: where the bottoms lie is chance.
    let minutes = half.as_secs_f64() / 60.0;
    let grown = second as f64 - first as f64;
    Some(grown / minutes / f64::from(figures.clients.max(1)))
}

/// Returns how many times the heap's peak the resident memory beyond code and stacks was at most;
/// `None` without samples.
#[must_use]
pub fn resident(figures: &Figures) -> Option<f64> {
    let usages = || figures.samples.iter().map(|sample| sample.usage);
    let heap = usages().map(|usage| usage.heap_kib).max()?;
    let resident = usages().map(|usage| usage.memory_kib).max()?;
    Some(resident.saturating_sub(BESIDE_KIB) as f64 / heap.max(1) as f64)
}
