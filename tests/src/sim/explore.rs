//! Plays many worlds on many threads. What comes out is the same for the same seeds, however many
//! threads there are: each world is alone, and the results are put in the order of their seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use wakecast::machine::StateKind;
use wakecast_lambda::lifecycle::Transition;

use super::plan::{Plan, Played};

/// What is kept of a world that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its seed.
    pub seed: u64,
    /// People who were given an endpoint.
    pub served: usize,
    /// Launches and starts.
    pub boots: u64,
    /// How acquires ended otherwise.
    pub outcomes: BTreeMap<String, u64>,
    /// Transitions of instances.
    pub transitions: BTreeSet<Transition>,
    /// Transitions of clients.
    pub states: BTreeSet<(StateKind, StateKind)>,
    /// Broken laws.
    pub violations: Vec<String>,
}

impl Summary {
    /// Plays a plan and keeps what matters. A panic of what is tested is a broken law.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let played = catch_unwind(AssertUnwindSafe(|| Self::from(&plan.play())));
        played.unwrap_or_else(|panic| Self {
            seed: plan.seed,
            violations: vec![format!("panic: {}", text_of(panic.as_ref()))],
            ..Self::default()
        })
    }
}

impl From<&Played> for Summary {
    fn from(played: &Played) -> Self {
        let around = played.world.around();
        let notes = around.notes();
        Self {
            seed: played.seed,
            served: notes.served.len(),
            boots: notes.boots,
            outcomes: notes.outcomes,
            transitions: played.world.transitions(),
            states: notes.states,
            violations: around.timeline.violations(),
        }
    }
}

/// Plays the worlds of `seeds` on `threads` threads and hands each result to `each`, in the order
/// of the seeds. Stops after the first broken world unless told to keep going.
pub fn explore(seeds: Range<u64>, threads: usize, keep_going: bool, mut each: impl FnMut(Summary)) {
    let next = AtomicU64::new(seeds.start);
    // No world above it is worth playing.
    let last = AtomicU64::new(seeds.end.saturating_sub(1));
    let (results, inbox) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let results = results.clone();
            let (next, last) = (&next, &last);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || seed > last.load(Ordering::Relaxed) {
                        return;
                    }
                    let summary = Summary::of(&Plan::draw(seed));
                    if !keep_going && !summary.violations.is_empty() {
                        last.fetch_min(seed, Ordering::Relaxed);
                    }
                    // The other end is there until every thread has ended.
                    let _ = results.send(summary);
                }
            });
        }
        drop(results);
        let mut early = BTreeMap::new();
        let mut due = seeds.start;
        for summary in inbox {
            early.insert(summary.seed, summary);
            while due <= last.load(Ordering::Relaxed)
                && let Some(summary) = early.remove(&due)
            {
                each(summary);
                due += 1;
            }
        }
    });
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
