//! The soak's arguments, its counters and its verdict; the run itself is `cargo xtask soak`.

use std::time::Duration;

use wakecast::{Error, ErrorCode, Outcome, Stage};
use wakecast_lambda::model::{ConnectionId, InstanceId, Timestamp};
use wakecast_local::cloud::{Event, What};
use wakecast_local::ec2::Happened;
use wakecast_tests::soak::arguments::Arguments;
use wakecast_tests::soak::process::{Sample, Usage};
use wakecast_tests::soak::report;
use wakecast_tests::soak::tally::Tally;
use wakecast_tests::soak::verdict::{
    Figures, GROWTH_KIB, RESIDENT_TIMES, checks, growth, resident,
};
use wakecast_tests::soak::watchman::Seen;

fn parse(line: &str) -> Result<Arguments, String> {
    let parsed = Arguments::parse(line.split_whitespace().map(str::to_owned));
    parsed.map(|arguments| arguments.expect("no help"))
}

#[test]
fn arguments_are_read_and_lead_to_the_same_run() {
    let arguments = parse("--minutes 10").unwrap();
    assert_eq!(arguments.duration(), Duration::from_mins(10));
    assert_eq!((arguments.clients, arguments.seed), (500, None));
    let arguments = parse("--clients=20 --seed 7 --minutes=1").unwrap();
    let again = arguments.again(7);
    let line = again.strip_prefix("cargo xtask soak ").unwrap();
    assert_eq!(parse(line).unwrap(), arguments);
}

#[test]
fn arguments_that_cannot_be_meant_are_named() {
    for (line, words) in [
        ("", "how long? Expected `--minutes N`"),
        ("--minutes", "`--minutes` needs a value"),
        ("--minutes 0", "`--minutes 0`: expected 1 to 1440"),
        ("--minutes soon", "expected 1 to 1440"),
        (
            "--minutes 1 --clients 0",
            "`--clients 0`: expected 1 to 4000",
        ),
        ("--minutes 1 --clients 9999", "expected 1 to 4000"),
        ("--minutes 1 --seed -1", "`--seed -1`: expected 0 to"),
        ("--hours 1", "unknown option `--hours`"),
    ] {
        let problem = parse(line).unwrap_err();
        assert!(problem.contains(words), "{line}: {problem}");
    }
}

#[test]
fn help_is_asked_for_by_name() {
    for line in ["--help", "-h", "--minutes 1 --help"] {
        let asked = Arguments::parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(asked, Ok(None), "{line}");
    }
}

/// Ten minutes of ten clients in which nothing was lost; the heap grows by `kib` a minute
/// after half of the time, and steeply before. Every other minute somebody waits.
fn good(kib: u64) -> Figures {
    let tally = Tally::default();
    tally.acquire();
    tally.outcome(Ok(()), Duration::ZERO, "person-0");
    let used = Usage {
        heap_kib: 10_000,
        memory_kib: 20_000,
        files: 20,
        tasks: 8,
    };
    let waiting = |minute: u64| 7_000 * (minute % 2);
    let grown = |minute: u64| 10_000 + 5_000 * minute.min(5) + kib * minute.saturating_sub(5);
    let sample = |minute: u64| Sample {
        at: Duration::from_secs(60 * minute),
        usage: Usage {
            heap_kib: grown(minute) + waiting(minute),
            memory_kib: 50_000,
            ..used
        },
    };
    Figures {
        clients: 10,
        lived: Duration::from_mins(10),
        counts: tally.counts(),
        samples: (0..=10).map(sample).collect(),
        before: used,
        after: used,
        came_to_rest: true,
        ..Figures::default()
    }
}

fn broken(figures: &Figures) -> Vec<&'static str> {
    let broken = checks(figures).into_iter().filter(|check| !check.holds);
    broken.map(|check| check.what).collect()
}

#[test]
fn a_good_run_passes_and_its_table_shows_every_check() {
    let figures = good(0);
    assert_eq!(broken(&figures), [""; 0]);
    let checks = checks(&figures);
    let table = report::table(&figures, &checks);
    for check in &checks {
        assert!(table.contains(check.what), "{table}");
    }
    assert!(!table.contains("BROKEN"), "{table}");
}

#[test]
fn only_growth_after_the_warm_up_counts() {
    assert!(growth(&good(0)).unwrap().abs() < 1e-9);
    // The bottoms lie two minutes apart, the halves two and a half.
    let ten = 10 * GROWTH_KIB as u64;
    assert_eq!(broken(&good(ten)), [""; 0]);
    assert_eq!(broken(&good(ten * 3 / 2)), ["heap after the warm-up"]);
}

#[test]
fn a_run_that_was_not_measured_is_broken() {
    let few = Figures {
        samples: Vec::new(),
        ..good(0)
    };
    let both = ["heap after the warm-up", "resident memory over the heap"];
    assert_eq!(broken(&few), both);
}

#[test]
fn a_wave_of_waiters_at_the_end_is_no_growth_and_a_floor_that_rises_is() {
    let mut figures = good(0);
    for sample in figures.samples.iter_mut().skip(9) {
        sample.usage.heap_kib += 30_000;
    }
    assert!(growth(&figures).unwrap().abs() < 1e-9);
    for sample in figures.samples.iter_mut().skip(8) {
        sample.usage.heap_kib += 1_000;
    }
    // 1 000 KiB within two and a half minutes over ten clients.
    assert!((growth(&figures).unwrap() - 40.0).abs() < 1e-9);
}

#[test]
fn growth_is_not_hidden_by_the_clients_that_left_at_the_end() {
    let mut figures = good(15 * GROWTH_KIB as u64);
    let mut left = figures.samples[10];
    left.at += Duration::from_secs(30);
    left.usage.heap_kib = 100;
    figures.samples.push(left);
    assert_eq!(broken(&figures), ["heap after the warm-up"]);
}

#[test]
fn memory_that_grows_beside_the_heap_breaks_the_run() {
    let mut figures = good(0);
    assert!(resident(&figures).unwrap() < RESIDENT_TIMES);
    figures.samples[3].usage.memory_kib = 200_000;
    assert_eq!(broken(&figures), ["resident memory over the heap"]);
}

#[test]
fn whatever_is_lost_or_left_breaks_the_run() {
    type Harm = fn(&mut Figures);
    let cases: [(&str, Harm); 9] = [
        ("waiters lost", |figures| figures.counts.acquires += 1),
        ("waiters lost", |figures| figures.counts.lost.count += 1),
        ("outcomes without a reason", |figures| {
            figures.counts.wrong.count += 1
        }),
        ("most instances at once", |figures| figures.seen.most = 2),
        ("stops under a stream or viewer", |figures| {
            figures.seen.busy_stops = 1
        }),
        ("instance at rest at the end", |figures| {
            figures.came_to_rest = false
        }),
        ("tasks after the last client", |figures| {
            figures.after.tasks += 1
        }),
        ("files after the last client", |figures| {
            figures.after.files += 1
        }),
        ("token providers kept", |figures| figures.providers = 1),
    ];
    for (what, harm) in cases {
        let mut figures = good(0);
        harm(&mut figures);
        assert_eq!(broken(&figures), [what]);
        let table = report::table(&figures, &checks(&figures));
        assert!(table.contains("BROKEN"), "{table}");
    }
    let mut figures = good(0);
    figures.counts = Tally::default().counts();
    assert_eq!(
        broken(&figures),
        ["waiters lost"],
        "a run without an acquire"
    );
}

#[test]
fn an_outcome_that_no_fault_explains_is_wrong() {
    let tally = Tally::default();
    let error = |code| Error::new(code, Outcome::Unknown, Stage::Local);
    for code in [ErrorCode::StartTimeout, ErrorCode::ProtocolError] {
        tally.acquire();
        tally.outcome(Err(&error(code)), Duration::from_millis(3), "person-1");
    }
    tally.acquire();
    tally.lost_acquire("person-2: no outcome".to_owned());
    let counts = tally.counts();
    assert_eq!((counts.open(), counts.leases()), (0, 0));
    assert_eq!((counts.wrong.count, counts.lost.count), (1, 1));
    assert!(counts.wrong.words[0].starts_with("person-1: protocol_error"));
    assert_eq!(counts.latest, Duration::from_millis(3));
}

fn event(what: What) -> Event {
    Event {
        at: Timestamp::from_millis(0),
        elapsed_ms: 0,
        what,
    }
}

fn ec2(instance: &str, happened: Happened) -> Event {
    event(What::Ec2 {
        instance: InstanceId::new(instance),
        happened,
    })
}

fn media(publishers: u64, viewers: u64) -> Event {
    event(What::Media {
        instance: InstanceId::new("i-1"),
        phase: "ready".to_owned(),
        publishers,
        viewers,
    })
}

#[test]
fn the_watchman_counts_what_lives_until_it_has_stopped() {
    let mut seen = Seen::default();
    assert!(seen.is_quiet());
    for happened in [
        Happened::Launched,
        Happened::Running,
        Happened::StopAccepted,
    ] {
        seen.take(&ec2("i-1", happened));
        assert!(!seen.is_quiet(), "{happened:?}");
    }
    seen.take(&ec2("i-1", Happened::Stopped));
    assert!(seen.is_quiet());
    seen.take(&ec2("i-1", Happened::Started));
    assert_eq!((seen.launches, seen.starts, seen.stops), (1, 1, 1));
    assert_eq!((seen.most, seen.wrong.len()), (1, 0));
    seen.take(&ec2("i-2", Happened::Launched));
    assert_eq!((seen.most, seen.wrong.len()), (2, 1));
    let connection = ConnectionId::new("c");
    seen.take(&event(What::Connected { connection }));
    assert_eq!(seen.connects, 1);
}

#[test]
fn the_watchman_notices_a_stop_under_a_viewer() {
    let mut seen = Seen::default();
    seen.take(&ec2("i-1", Happened::Launched));
    seen.take(&media(1, 2));
    assert_eq!(seen.load(), 3);
    seen.take(&media(0, 0));
    seen.take(&ec2("i-1", Happened::StopAccepted));
    assert_eq!(seen.busy_stops, 0);
    seen.take(&ec2("i-1", Happened::Stopped));
    seen.take(&ec2("i-1", Happened::Started));
    seen.take(&media(0, 1));
    seen.take(&ec2("i-1", Happened::StopAccepted));
    assert_eq!(seen.busy_stops, 1);
    assert!(seen.wrong[0].contains("i-1"), "{:?}", seen.wrong);
}
