//! What is printed: a line a minute, and a table at the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::process::{Sample, Usage};
use super::tally::{Complaints, Counts};
use super::verdict::{Check, Figures};
use super::watchman::Seen;

/// Writes what one minute has come to.
#[must_use]
pub fn progress(
    minute: u64,
    counts: &Counts,
    seen: &Seen,
    faults: &BTreeMap<String, u64>,
    sample: &Sample,
) -> String {
    let usage = sample.usage;
    format!(
        "minute {minute:>3}   {} acquires, {} leases, {} waiting   {} boots, {} stops   \
         {} faults   {} MiB of {}, {} files, {} tasks",
        counts.acquires,
        counts.leases(),
        counts.open(),
        seen.launches + seen.starts,
        seen.stops,
        faults.values().sum::<u64>(),
        usage.heap_kib / 1024,
        usage.memory_kib / 1024,
        usage.files,
        usage.tasks,
    )
}

/// Writes the closing table.
#[must_use]
pub fn table(figures: &Figures, checks: &[Check]) -> String {
    let mut text = String::new();
    let mut line = |label: &str, found: &str| {
        let _ = writeln!(text, "{label:<32}{found}");
    };
    let Figures { counts, seen, .. } = figures;
    let lived = figures.lived.as_secs_f64();
    line("people", &format!("{} for {:.0} s", figures.clients, lived));
    line("clients", &listed(&counts.clients));
    line(
        "acquires",
        &format!(
            "{}, {:.1} a second; the latest outcome {} after its deadline",
            counts.acquires,
            counts.acquires as f64 / lived.max(1.0),
            seconds(counts.latest),
        ),
    );
    line("outcomes", &listed(&counts.outcomes));
    line("requests", &listed(&counts.requests));
    line("streams", &listed(&counts.streams));
    line(
        "links",
        &format!(
            "{} opened, {} ended, {} pushes",
            seen.connects, seen.disconnects, seen.pushes
        ),
    );
    line(
        "instances",
        &format!(
            "{} launches, {} starts, {} stops; {} of {} lulls ended in a stop",
            seen.launches, seen.starts, seen.stops, figures.lulls.0, figures.lulls.1
        ),
    );
    line("faults", &listed(&figures.faults));
    line("heap", &memory(figures, |usage| usage.heap_kib));
    line("resident", &memory(figures, |usage| usage.memory_kib));
    line("files and tasks at most", &most(&figures.samples));
    text.push('\n');
    for check in checks {
        let sign = if check.holds { "ok    " } else { "BROKEN" };
        let _ = writeln!(text, "{sign}  {:<32}{}", check.what, check.found);
    }
    complaints(&mut text, "lost", &counts.lost);
    complaints(&mut text, "wrong", &counts.wrong);
    for words in &seen.wrong {
        let _ = writeln!(text, "        {words}");
    }
    text
}

fn memory(figures: &Figures, of: fn(&Usage) -> u64) -> String {
    let kib = || figures.samples.iter().map(|sample| of(&sample.usage));
    let (Some(first), Some(last), Some(peak)) = (kib().next(), kib().next_back(), kib().max())
    else {
        return "no samples".to_owned();
    };
    let clients = u64::from(figures.clients.max(1));
    let each = |kib: u64| kib.saturating_sub(of(&figures.before)) / clients;
    format!(
        "{} MiB before, {} first, {} peak, {} last, {} after; {} KiB a client at the peak, {} last",
        of(&figures.before) / 1024,
        first / 1024,
        peak / 1024,
        last / 1024,
        of(&figures.after) / 1024,
        each(peak),
        each(last),
    )
}

fn most(samples: &[Sample]) -> String {
    let files = samples.iter().map(|sample| sample.usage.files).max();
    let tasks = samples.iter().map(|sample| sample.usage.tasks).max();
    format!("{} and {}", files.unwrap_or(0), tasks.unwrap_or(0))
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named = counts.iter().map(|(name, count)| format!("{count} {name}"));
    named.collect::<Vec<_>>().join(", ")
}

fn complaints(text: &mut String, kind: &str, complaints: &Complaints) {
    for words in &complaints.words {
        let _ = writeln!(text, "        {kind}: {words}");
    }
    let more = complaints
        .count
        .saturating_sub(complaints.words.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "        and {more} more");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
