//! One run, from the empty process to the empty process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use wakecast_local::LocalCloud;
use wakecast_local::random::Dice;

use super::arguments::Arguments;
use super::direct::direct;
use super::faults;
use super::person::{Person, Phase};
use super::process::{Heap, Sample, Usage, check_limit, settled};
use super::report;
use super::setting;
use super::tally::Tally;
use super::verdict::Figures;
use super::watchman::{self, Seen};

/// How often memory, files and tasks are read.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// The longest that a person may take to end: the longest wish and what is held after it.
const LAST_WISH: Duration = Duration::from_mins(5);

/// From the last release to the stop: forgotten leases, grace, settle, two looks, a crash before
/// and a stop that failed once.
const REST: Duration = Duration::from_mins(4);

/// Lives through one run and returns its figures; `heap` counts what is allocated, and `say` is
/// given each line of progress.
///
/// # Errors
/// What keeps the run from being made.
pub async fn run(
    arguments: &Arguments,
    seed: u64,
    heap: Heap,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Figures, String> {
    check_limit(arguments.clients)?;
    let empty = Usage::now(heap)?;
    let cloud = LocalCloud::start(setting::config(seed)).await;
    let cloud = Arc::new(cloud.map_err(|error| error.to_string())?);
    let before = at_rest(heap).await?;

    let tally = Tally::default();
    let (phase, phases) = watch::channel(Phase::Busy);
    let (seen, mut watching) = watch::channel(Seen::default());
    let (set, faults_set) = watch::channel(std::collections::BTreeMap::new());
    let samples = Arc::new(Mutex::new(Vec::new()));
    let mut helpers = JoinSet::new();
    helpers.spawn(watchman::follow(cloud.timeline().follow(), seen));
    let began = Instant::now();
    let mut people = JoinSet::new();
    for nth in 0..arguments.clients {
        let (cloud, phases) = (Arc::clone(&cloud), phases.clone());
        let clients = arguments.clients;
        let person = Person::new(nth, clients, seed, cloud, tally.clone(), phases);
        people.spawn(person.live());
    }
    let script = helpers.spawn(faults::script(
        cloud.admin_url.clone(),
        Dice::new(seed),
        arguments.clients,
        set,
    ));
    helpers.spawn({
        let (tally, seen, faults_set) = (tally.clone(), watching.clone(), faults_set.clone());
        let samples = Arc::clone(&samples);
        watch_usage(heap, began, samples, move |minute, sample| {
            let counts = tally.counts();
            let line = report::progress(
                minute,
                &counts,
                &seen.borrow(),
                &faults_set.borrow(),
                sample,
            );
            say(&line);
        })
    });

    let lulls = direct(&phase, &mut watching, began + arguments.duration()).await;
    let lived = began.elapsed();
    script.abort();
    faults::calm(&cloud.admin_url).await;
    phase.send_replace(Phase::End);
    let everybody = async { while people.join_next().await.is_some() {} };
    if timeout(LAST_WISH, everybody).await.is_err() {
        tally.lost(format!("{} people did not end", people.len()));
    }
    let quiet = timeout(REST, watching.wait_for(Seen::is_quiet)).await;
    let came_to_rest = quiet.is_ok_and(|seen| seen.is_ok());
    let seen = watching.borrow().clone();
    let faults = faults_set.borrow().clone();
    drop((people, watching, faults_set));
    helpers.shutdown().await;
    let after = settled(heap, before, setting::IDLE + faults::AFTERMATH).await?;

    let providers = Arc::strong_count(&cloud) - 1;
    if let Some(cloud) = Arc::into_inner(cloud) {
        cloud.stop().await;
    }
    let stopped = settled(heap, empty, Duration::from_secs(10)).await?;
    let samples = std::mem::take(&mut *samples.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Figures {
        clients: arguments.clients,
        lived,
        counts: tally.counts(),
        seen,
        faults,
        lulls,
        samples,
        before,
        after,
        empty,
        stopped,
        came_to_rest,
        providers,
    })
}

/// What the cloud uses alone: the most of a few moments, since its reconciler runs now and then.
async fn at_rest(heap: Heap) -> Result<Usage, String> {
    let mut most = Usage::default();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let usage = Usage::now(heap)?;
        most.heap_kib = most.heap_kib.max(usage.heap_kib);
        most.memory_kib = most.memory_kib.max(usage.memory_kib);
        most.files = most.files.max(usage.files);
        most.tasks = most.tasks.max(usage.tasks);
    }
    Ok(most)
}

/// Reads what is used for ever, and tells each full minute.
async fn watch_usage(
    heap: Heap,
    began: Instant,
    samples: Arc<Mutex<Vec<Sample>>>,
    tell: impl Fn(u64, &Sample),
) {
    let mut ticks = tokio::time::interval_at(began + SAMPLE_EVERY, SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = 0;
    loop {
        ticks.tick().await;
        let Ok(usage) = Usage::now(heap) else {
            continue;
        };
        let at = began.elapsed();
        let sample = Sample { at, usage };
        samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sample);
        let minute = at.as_secs() / 60;
        if minute > told {
            told = minute;
            tell(minute, &sample);
        }
    }
}
