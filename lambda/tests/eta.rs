//! The remaining time, learned from the last boots: it covers what it says, it takes no hope back,
//! and a crash neither loses a boot nor counts it twice.

mod support;

use std::time::Duration;

use support::chaos::Dice;
use support::{Crash, World};
use wakecast::protocol::{Phase, ProgressPush, Purpose, ServerMessage};
use wakecast_lambda::config::Prior;
use wakecast_lambda::lifecycle::{Eta, remaining};
use wakecast_lambda::model::{BootHistory, BootPath, BootTimes};

/// What the phases take, mostly.
const USUAL_MS: [u64; 3] = [5_500, 11_000, 2_500];
const PHASES: [Phase; 3] = [Phase::Launching, Phase::Booting, Phase::Warming];

/// Draws boots as they are seen on EC2.
#[derive(Clone, Copy, Debug)]
enum Weather {
    /// Each phase by itself.
    Calm,
    /// A slow disk slows every phase.
    SlowDisks,
    /// One boot in eight checks its disk first.
    DiskChecks,
}

impl Weather {
    fn boot(self, dice: &mut Dice) -> BootTimes {
        let disk = match self {
            Self::SlowDisks => 0.35 * normal(dice),
            Self::Calm | Self::DiskChecks => 0.0,
        };
        let mut phase = |usual: f64, spread: f64| {
            let factor = (disk + spread * normal(dice)).exp();
            (usual * factor) as u64
        };
        let mut boot = BootTimes {
            launching_ms: phase(USUAL_MS[0] as f64, 0.25),
            booting_ms: phase(USUAL_MS[1] as f64, 0.20),
            warming_ms: phase(USUAL_MS[2] as f64, 0.40),
        };
        if matches!(self, Self::DiskChecks) && dice.once_in(8) {
            boot.booting_ms += 20_000 + dice.below(10_000);
        }
        boot
    }
}

/// A standard normal number, as the sum of twelve even ones.
fn normal(dice: &mut Dice) -> f64 {
    (0..12)
        .map(|_| dice.below(1 << 32) as f64 / (1_u64 << 32) as f64)
        .sum::<f64>()
        - 6.0
}

fn lengths(boot: &BootTimes) -> [u64; 3] {
    [boot.launching_ms, boot.booting_ms, boot.warming_ms]
}

fn learned(history: &BootHistory, phase: Phase, elapsed_ms: u64) -> Eta {
    let elapsed = Duration::from_millis(elapsed_ms);
    remaining(history, &[], BootPath::Stopped, phase, elapsed)
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// How often the truth was within what was said, in percent.
#[derive(Clone, Copy, Default)]
struct Coverage {
    asked: u32,
    p50: u32,
    p90: u32,
}

impl Coverage {
    fn note(&mut self, eta: Eta, truth: Duration) {
        self.asked += 1;
        self.p50 += u32::from(truth <= eta.p50);
        self.p90 += u32::from(truth <= eta.p90);
    }

    fn percent(&self) -> (f64, f64) {
        let share = |covered: u32| f64::from(covered) * 100.0 / f64::from(self.asked);
        (share(self.p50), share(self.p90))
    }
}

#[test]
fn over_five_hundred_boots_the_figures_cover_what_they_say() {
    for weather in [Weather::Calm, Weather::SlowDisks, Weather::DiskChecks] {
        let mut dice = Dice(11);
        let mut history = BootHistory::default();
        for _ in 0..32 {
            history.remember(BootPath::Stopped, weather.boot(&mut dice));
        }
        let mut begun = [Coverage::default(); 3];
        let mut under_way = [Coverage::default(); 3];
        let mut overdue = 0;
        for _ in 0..500 {
            let boot = weather.boot(&mut dice);
            let lengths = lengths(&boot);
            for (at, phase) in PHASES.into_iter().enumerate() {
                let whole: u64 = lengths[at..].iter().sum();
                begun[at].note(learned(&history, phase, 0), ms(whole));
                // Whoever asks at a moment that knows nothing of this boot but that it goes on.
                let elapsed = dice.below(USUAL_MS[at] * 5 / 4);
                if elapsed < lengths[at] {
                    let eta = learned(&history, phase, elapsed);
                    under_way[at].note(eta, ms(whole - elapsed));
                }
                overdue += u32::from(learned(&history, phase, lengths[at]).overdue);
            }
            history.remember(BootPath::Stopped, boot);
        }
        for (at, phase) in PHASES.iter().enumerate() {
            for (when, coverage) in [("begins", begun[at]), ("goes on", under_way[at])] {
                let (p50, p90) = coverage.percent();
                println!("{weather:?}: {phase:?} {when}: P50 {p50:.1} %, P90 {p90:.1} %");
                assert!((45.0..=55.0).contains(&p50), "{weather:?} {phase:?} {p50}");
                assert!((85.0..=95.0).contains(&p90), "{weather:?} {phase:?} {p90}");
            }
        }
        // A phase in ten may be called late, and each boot has three, of which one matters most.
        assert!((25..=100).contains(&overdue), "{weather:?} {overdue}");
    }
}

#[test]
fn the_beginning_of_a_phase_takes_no_hope_back() {
    let priors = [Prior::defaults(), Prior::demonstration(), Vec::new()];
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut history = BootHistory::default();
        let weather = [Weather::Calm, Weather::SlowDisks, Weather::DiskChecks][seed as usize % 3];
        for _ in 0..dice.below(34) {
            let mut boot = weather.boot(&mut dice);
            if dice.once_in(4) {
                // The phases pull in opposite directions: long ones before short ones.
                (boot.launching_ms, boot.warming_ms) = (20_000 - boot.launching_ms.min(20_000), 9);
            }
            history.remember(BootPath::Stopped, boot);
        }
        let prior = &priors[seed as usize % priors.len()];
        let eta = |phase, elapsed| remaining(&history, prior, BootPath::Stopped, phase, elapsed);
        let asked = [
            Phase::Requested,
            Phase::Launching,
            Phase::Booting,
            Phase::Warming,
        ];
        for pair in asked.windows(2) {
            for _ in 0..20 {
                let elapsed = ms(dice.below(40_000));
                let (before, after) = (eta(pair[0], elapsed), eta(pair[1], Duration::ZERO));
                assert!(
                    after.p50 <= before.p50 && after.p90 <= before.p90,
                    "seed {seed}: {pair:?} after {elapsed:?}: {before:?}, then {after:?}"
                );
                assert!(
                    before.p50 <= before.p90 && after.p50 <= after.p90,
                    "seed {seed}"
                );
                assert!(!after.overdue, "seed {seed}: late as it begins");
            }
        }
    }
}

#[test]
fn a_boot_as_usual_is_told_the_same_moment_throughout() {
    let mut dice = Dice(3);
    let mut history = BootHistory::default();
    for _ in 0..32 {
        history.remember(BootPath::Stopped, Weather::Calm.boot(&mut dice));
    }
    let mut began = 0;
    let first = learned(&history, Phase::Launching, 0);
    for (phase, usual) in PHASES.into_iter().zip(USUAL_MS) {
        let told = ms(began) + learned(&history, phase, 0).p50;
        let moved = told.abs_diff(first.p50);
        assert!(
            moved < first.p50 / 20,
            "{phase:?}: {told:?}, first {:?}",
            first.p50
        );
        began += usual;
    }
}

#[test]
fn below_five_boots_the_prior_counts_and_before_a_boot_its_whole() {
    let prior = Prior::defaults();
    let mut history = BootHistory::default();
    let boot = BootTimes {
        launching_ms: 4_000,
        booting_ms: 9_000,
        warming_ms: 1_000,
    };
    let ask =
        |history: &BootHistory, path, phase| remaining(history, &prior, path, phase, ms(3_000));
    for _ in 0..4 {
        history.remember(BootPath::Stopped, boot);
    }
    assert_eq!(
        ask(&history, BootPath::Stopped, Phase::Launching).p50,
        ms(14_000)
    );
    history.remember(BootPath::Stopped, boot);
    assert_eq!(
        ask(&history, BootPath::Stopped, Phase::Launching).p50,
        ms(11_000)
    );
    assert_eq!(
        ask(&history, BootPath::Stopped, Phase::Warming).p50,
        Duration::ZERO
    );
    for phase in [Phase::Requested, Phase::WaitingForCapacity] {
        let eta = ask(&history, BootPath::Stopped, phase);
        assert_eq!(
            (eta.p50, eta.p90, eta.overdue),
            (ms(14_000), ms(14_000), false)
        );
    }
    // Another path has a history of its own.
    assert_eq!(
        ask(&history, BootPath::New, Phase::Launching).p50,
        ms(59_000)
    );
    assert!(ask(&history, BootPath::Stopped, Phase::Warming).overdue);
    assert!(!ask(&history, BootPath::New, Phase::Warming).overdue);
}

#[test]
fn the_last_thirty_two_boots_of_each_path_fit_into_one_small_item() {
    let mut history = BootHistory::default();
    let boot = |launching_ms| BootTimes {
        launching_ms,
        booting_ms: 600_000,
        warming_ms: 600_000,
    };
    for path in [BootPath::Running, BootPath::Stopped, BootPath::New] {
        for n in 0..100 {
            history.remember(path, boot(n));
        }
        let kept = history.boots(path);
        assert_eq!((kept.len(), kept[0], kept[31]), (32, boot(68), boot(99)));
    }
    let stored = serde_json::to_string(&history).expect("JSON");
    assert!(stored.len() < 8_192, "{} bytes", stored.len());
    assert_eq!(
        serde_json::from_str::<BootHistory>(&stored).expect("the same"),
        history
    );
}

/// One life: somebody acquires, is granted, lets go, and the instance stops.
fn live(world: &mut World, id: &str) {
    world.acquire(id, Purpose::Play);
    world.run_until(700, |world| world.is_held(id));
    world.release(id);
    world.run_until(900, World::is_stopped);
    world.run(61);
}

fn first_progress<'a>(world: &'a World, id: &str) -> &'a ProgressPush {
    let told = world
        .heard(id)
        .into_iter()
        .find_map(|message| match message {
            ServerMessage::Progress(progress) => Some(progress),
            _ => None,
        });
    told.expect("progress")
}

#[test]
fn waiters_are_told_what_the_last_boots_took() {
    let mut world = World::new();
    live(&mut world, "new");
    for n in 0..5 {
        live(&mut world, &format!("w{n}"));
    }
    let history = &world.records.history;
    assert_eq!(history.boots(BootPath::New).len(), 1);
    let boots = history.boots(BootPath::Stopped).to_vec();
    assert_eq!(boots.len(), 5);
    let told = first_progress(&world, "w4");
    assert_eq!(
        (told.eta_p50_ms, told.eta_p90_ms),
        (17_000, 32_000),
        "the prior"
    );
    let whole = |boot: &BootTimes| lengths(boot).iter().sum::<u64>();
    let mut wholes = boots.iter().map(whole).collect::<Vec<_>>();
    wholes.sort_unstable();

    world.acquire("last", Purpose::Play);
    let took = world.run_until(60, |world| world.is_held("last"));
    let told = first_progress(&world, "last");
    assert_eq!((told.phase, told.eta_p50_ms), (Phase::Launching, wholes[2]));
    assert_eq!(told.eta_p90_ms, wholes[4]);
    assert!(
        took.abs_diff(ms(told.eta_p50_ms)) < ms(1_500),
        "{took:?}, told {told:?}"
    );
    // The figures end as the instance does: nothing is left.
    let last = world
        .heard("last")
        .into_iter()
        .rev()
        .find_map(|message| match message {
            ServerMessage::Progress(progress) => Some(progress),
            _ => None,
        });
    assert!(last.expect("progress").eta_p90_ms < 2_000, "{last:?}");
    world.check();
}

#[test]
fn a_boot_is_remembered_once_whatever_crashes() {
    for crash in [
        Crash::BeforeCommit,
        Crash::AfterCommit,
        Crash::AfterRows,
        Crash::AfterGrants,
    ] {
        // Whichever pass it is in which the boot becomes ready: one of these crashes hits it.
        for second in 0..30 {
            let mut world = World::new();
            world.acquire("a", Purpose::Play);
            world.run(second);
            world.crash = Some(crash);
            world.run_until(200, |world| world.is_held("a"));
            assert_eq!(
                world.records.history.boots(BootPath::New).len(),
                1,
                "{crash:?} {second}"
            );
        }
    }
}

#[test]
fn only_boots_that_become_ready_are_remembered_each_from_its_own_start() {
    let mut world = World::new();
    world.next_media.lose_settings = 1;
    world.acquire("a", Purpose::Publish);
    world.run_until(200, |world| world.is_held("a"));
    let history = &world.records.history;
    assert_eq!(
        history.boots(BootPath::New),
        [],
        "its settings were lost: it failed"
    );
    let [boot] = history.boots(BootPath::Stopped) else {
        panic!("{history:?}");
    };
    let whole: u64 = lengths(boot).iter().sum();
    assert!(
        whole < 25_000,
        "the failed boot before it does not count: {boot:?}"
    );
    // A media server that restarts by itself is no boot.
    let now = world.now;
    world.media().begin(now);
    world.run(60);
    world.run_until(60, World::is_ready);
    assert_eq!(world.records.history.boots(BootPath::Stopped).len(), 1);
}
