//! The rules of a row: what it protects, what it waits for, and what no message can change.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Phase, Purpose};
use wakecast_lambda::config::Timing;
use wakecast_lambda::guards::Guards;
use wakecast_lambda::leases::{self, Named, Step, Then, Visit};
use wakecast_lambda::model::{
    Ask, Boot, BootId, BootPath, ConnectionId, FleetKey, InstanceId, Link, Row, RowEnd, RowKey,
    RowState, Timestamp, WaitKind, WarmStep,
};
use wakecast_lambda::ports::BootOf;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn key() -> RowKey {
    RowKey {
        fleet: FleetKey {
            tenant: "acme".to_owned(),
            fleet: "main".to_owned(),
        },
        subject: "ann".to_owned(),
        id: "a".to_owned(),
    }
}

fn link(client: &str, connected_at: Timestamp) -> Link {
    Link {
        connection: ConnectionId::new(format!("{client}-{}", connected_at.as_millis())),
        connected_at,
        client_id: client.to_owned(),
    }
}

fn ask(purpose: Purpose) -> Ask {
    Ask {
        purpose,
        app: "live".to_owned(),
        stream_id: Some("match-1".to_owned()),
    }
}

fn boot_of(id: u64) -> BootOf {
    (InstanceId::new("i-1"), BootId(id))
}

fn boot(id: u64) -> Boot {
    Boot {
        id: BootId(id),
        path: BootPath::Stopped,
        started_at: START,
        running_at: Some(START),
        warm: WarmStep::Done,
        live_at: Some(START),
        restarted: false,
        associated_at: None,
        ready_at: Some(START),
        granting_since: Some(START),
        address: None,
        server_start_ms: None,
        zero_since: None,
        sample: None,
        published_at: None,
        played_at: None,
        unknown: 0,
        closed_at: None,
        condemned: false,
        overdue: None,
        end: None,
    }
}

/// A row as an `acquire` makes it: held on boot 7, or waiting.
fn row(purpose: Purpose, ready: Option<&BootOf>) -> Row {
    let (key, link, timing) = (key(), link("tab", START), Timing::default());
    let visit = Visit {
        key: &key,
        link: &link,
        timing: &timing,
        now: START,
        ready,
        guards: Guards::ALL,
    };
    let wait = Duration::from_secs(600);
    let step = leases::acquire(None, &visit, &ask(purpose), wait);
    step.row.expect("a row")
}

fn protects(row: &Row, boot: &Boot, now: Timestamp) -> bool {
    leases::protects(row, boot, &Timing::default(), now)
}

#[test]
fn protection_ends_with_its_time() {
    let cases = [
        (Purpose::Publish, Some(900)),
        (Purpose::Play, Some(120)),
        (Purpose::Watch, None),
    ];
    for (purpose, seconds) in cases {
        let held = row(purpose, Some(&boot_of(7)));
        assert_eq!(protects(&held, &boot(7), START), seconds.is_some());
        let Some(seconds) = seconds else { continue };
        assert!(protects(&held, &boot(7), after(seconds - 1)), "{purpose:?}");
        assert!(!protects(&held, &boot(7), after(seconds)), "{purpose:?}");
        assert!(!protects(&held, &boot(8), START), "another boot");
    }
    let waiting = row(Purpose::Publish, None);
    assert!(!protects(&waiting, &boot(7), START));
}

#[test]
fn protection_ends_with_the_first_sample_of_its_kind_that_began_after_the_grant() {
    let publisher = row(Purpose::Publish, Some(&boot_of(7)));
    let player = row(Purpose::Play, Some(&boot_of(7)));
    let seen = |published, played| Boot {
        published_at: published,
        played_at: played,
        ..boot(7)
    };
    let later = Some(after(1));
    assert!(!protects(&publisher, &seen(later, None), after(2)));
    assert!(
        protects(&publisher, &seen(None, later), after(2)),
        "another kind"
    );
    assert!(
        protects(&publisher, &seen(Some(START), None), after(2)),
        "begun with the grant"
    );
    assert!(!protects(&player, &seen(None, later), after(2)));
    assert!(
        protects(&player, &seen(later, None), after(2)),
        "another kind"
    );
}

#[test]
fn absence_of_120_s_ends_protection_and_wait() {
    for ready in [Some(boot_of(7)), None] {
        let present = row(Purpose::Publish, ready.as_ref());
        let gone = present.link.as_ref().expect("a link").connection.clone();
        let absent = leases::disconnect(&present, &gone, START).expect("a change");
        let counts = |row: &Row, now| {
            protects(row, &boot(7), now) || leases::waits(row, &Timing::default(), now)
        };
        assert!(counts(&absent, after(119)));
        assert!(!counts(&absent, after(120)));
        assert!(counts(&present, after(120)));
        // Another link's end means nothing, and an absence is not counted anew.
        let other = ConnectionId::new("other");
        assert_eq!(leases::disconnect(&present, &other, START), None);
        assert_eq!(leases::disconnect(&absent, &gone, after(60)), None);
    }
}

#[test]
fn deadline_counts_only_while_the_row_is_awake() {
    let timing = Timing::default();
    let waiting = row(Purpose::Publish, None);
    let past = |row: &Row, now| leases::past_deadline(row, &timing, now);
    assert!(!past(&waiting, after(599)));
    assert!(past(&waiting, after(600)));
    let gone_at = |at| Row {
        absent_since: Some(after(at)),
        ..waiting.clone()
    };
    // Asleep before the deadline: it rests. Awake at the deadline: it has passed, for good.
    assert!(!past(&gone_at(480), after(10_000)));
    assert!(past(&gone_at(481), after(600)));
    assert!(past(&gone_at(481), after(10_000)));
    // Whoever waits is demand or past its deadline or asleep, and only one of them.
    for now in [0, 300, 599, 600, 10_000] {
        for row in [&waiting, &gone_at(0), &gone_at(500)] {
            let now = after(now);
            let states = [
                leases::waits(row, &timing, now),
                past(row, now),
                leases::dormant(row, &timing, now) && !past(row, now),
            ];
            assert_eq!(states.iter().filter(|state| **state).count(), 1, "{row:?}");
        }
    }
}

#[test]
fn wait_ends_in_the_words_of_what_was_asked() {
    let timing = Timing::default();
    let ended = |phase, kind| {
        let mut row = row(Purpose::Publish, None);
        row.state = RowState::Waiting {
            phase,
            deadline: START,
            wait_ms: 1,
            kind,
        };
        match leases::end_wait(&row, &timing, START).state {
            RowState::Ended { end, .. } => end,
            other => panic!("not ended but {other:?}"),
        }
    };
    let failed = RowEnd::Failed;
    assert_eq!(
        ended(Phase::Booting, WaitKind::Acquire),
        failed(ErrorCode::StartTimeout)
    );
    let capacity = failed(ErrorCode::CapacityUnavailable);
    assert_eq!(
        ended(Phase::WaitingForCapacity, WaitKind::Acquire),
        capacity
    );
    let lost = RowEnd::Lost(LostReason::StartFailed);
    assert_eq!(ended(Phase::Booting, WaitKind::Moving), lost);
    let asked = WaitKind::Endpoint { request: None };
    assert_eq!(ended(Phase::Booting, asked), lost);
}

/// One thing that can happen to a row.
#[derive(Clone, Debug)]
enum Event {
    Acquire(u64),
    Endpoint,
    Finish(RowEnd),
    Greet(bool),
    Missed(Option<u64>),
    Disconnect,
    Lost,
    EndWait,
    Drain,
    Undrain,
}

fn event() -> impl Strategy<Value = Event> {
    let ready = || prop::option::of(1..4_u64);
    prop_oneof![
        (1..2_000_u64).prop_map(Event::Acquire),
        Just(Event::Endpoint),
        Just(Event::Finish(RowEnd::Cancelled)),
        Just(Event::Finish(RowEnd::Released)),
        any::<bool>().prop_map(Event::Greet),
        ready().prop_map(Event::Missed),
        Just(Event::Disconnect),
        Just(Event::Lost),
        Just(Event::EndWait),
        Just(Event::Drain),
        Just(Event::Undrain),
    ]
}

/// What comes, from whom, how long after the last, and which boot is believed to be ready then.
fn history() -> impl Strategy<Value = Vec<(Event, usize, u64, Option<u64>)>> {
    let ready = prop::option::of(1..4_u64);
    prop::collection::vec((event(), 0..3_usize, 0..400_u64, ready), 1..40)
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop::sample::select(Purpose::ALL.to_vec())
}

fn step(event: &Event, row: Option<&Row>, visit: &Visit<'_>, ask: &Ask) -> Step {
    let kept = |row: Option<Row>| Step {
        write: row.is_some(),
        row,
        then: Then::Over,
        taken_from: None,
    };
    let timing = visit.timing;
    match event {
        Event::Acquire(wait) => leases::acquire(row, visit, ask, Duration::from_secs(*wait)),
        Event::Endpoint => leases::endpoint(row, visit, "e"),
        Event::Finish(end) => leases::finish(row, visit, end.clone()),
        Event::Greet(true) => leases::greet(row, visit, Named::Lease),
        Event::Greet(false) => leases::greet(row, visit, Named::Request),
        Event::Missed(ready) => match row {
            Some(row) if matches!(row.state, RowState::Held { .. }) => {
                let ready = ready.map(boot_of);
                leases::missed(row, visit, WaitKind::Acquire, ready.as_ref())
            }
            _ => kept(None),
        },
        Event::Disconnect => {
            kept(row.and_then(|row| leases::disconnect(row, &visit.link.connection, visit.now)))
        }
        Event::Lost => kept(
            row.filter(|row| matches!(row.state, RowState::Held { .. }))
                .map(|row| leases::end(row, RowEnd::Lost(LostReason::Stopped), timing, visit.now)),
        ),
        Event::EndWait => {
            let late = row.filter(|row| leases::past_deadline(row, timing, visit.now));
            kept(late.map(|row| leases::end_wait(row, timing, visit.now)))
        }
        Event::Drain => kept(row.map(leases::tell_draining)),
        Event::Undrain => kept(row.and_then(|row| leases::undrain(row, visit.now))),
    }
}

/// Whatever happens to a row, in any order, from any of three links of two clients.
#[test]
fn any_history_keeps_the_rules() {
    check(
        "any_history_keeps_the_rules",
        (purpose(), history()),
        |(purpose, history)| {
            let (key, timing, ask) = (key(), Timing::default(), ask(purpose));
            let links = [
                link("tab", START),
                link("tab", after(1)),
                link("phone", after(2)),
            ];
            let mut row: Option<Row> = None;
            let mut now = after(10);
            for (event, sender, pause, ready) in history {
                now = now + Duration::from_secs(pause);
                let ready = ready.map(boot_of);
                let visit = Visit {
                    key: &key,
                    link: &links[sender],
                    timing: &timing,
                    now,
                    ready: ready.as_ref(),
                    guards: Guards::ALL,
                };
                let known = row.clone().filter(|row| row.expires_at > now);
                let step = step(&event, known.as_ref(), &visit, &ask);
                let next = step.row.clone().or_else(|| known.clone());

                if purpose == Purpose::Watch {
                    prop_assert!(
                        !matches!(step.then, Then::Wait { wake: true }),
                        "watch woke: {event:?}"
                    );
                }
                if let (Some(before), Some(after)) = (&known, &next) {
                    prop_assert!(after.rev >= before.rev, "rev fell: {event:?}");
                    let changed = kind(&before.state) != kind(&after.state);
                    prop_assert!(!changed || after.rev > before.rev, "no rev for {event:?}");
                    prop_assert!(step.write || before == after || step.row.is_none());

                    // Final is final, and another client's older link changes nothing at all.
                    let is_final = matches!(
                        before.state,
                        RowState::Ended {
                            end: RowEnd::Cancelled | RowEnd::Released | RowEnd::Failed(_),
                            ..
                        }
                    );
                    prop_assert!(
                        !is_final || before.state == after.state,
                        "not final: {event:?}"
                    );
                    let owner = before.link.as_ref().map(|link| link.connected_at);
                    let loses = before.link.as_ref().is_some_and(|link| {
                        link.client_id != visit.link.client_id
                            && owner > Some(visit.link.connected_at)
                    });
                    let by_message = matches!(
                        event,
                        Event::Acquire(_) | Event::Endpoint | Event::Finish(_) | Event::Greet(_)
                    );
                    if loses && by_message {
                        prop_assert_eq!(before, after);
                        prop_assert!(matches!(step.then, Then::TakenOver));
                    }
                    // The row never goes back to an older link.
                    if let (Some(was), Some(is)) = (&before.link, &after.link) {
                        prop_assert!(is.connected_at >= was.connected_at, "taken back: {event:?}");
                    }
                    // A protection is never extended on the same grant.
                    if let (
                        RowState::Held {
                            protected_until: was,
                            granted_at: then,
                            ..
                        },
                        RowState::Held {
                            protected_until: is,
                            granted_at,
                            ..
                        },
                    ) = (&before.state, &after.state)
                        && then == granted_at
                    {
                        prop_assert!(is <= was, "extended: {event:?}");
                    }
                    if let Some(old) = &step.taken_from {
                        prop_assert_ne!(&old.client_id, &visit.link.client_id);
                    }
                }
                if let Some(row) = &next
                    && step.write
                {
                    prop_assert!(row.expires_at > now, "forgotten at once: {event:?}");
                }
                row = next.or(row);
            }
            Ok(())
        },
    );
}

/// Runs cases from a seed that is printed when one fails.
fn check<S: Strategy>(name: &str, cases: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let given = std::env::var("WAKECAST_SEED").ok();
    let seed = given.and_then(|text| text.parse().ok()).unwrap_or(7_u64);
    let config = ProptestConfig {
        cases: 1_000,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if let Err(failure) = TestRunner::new(config).run(&cases, test) {
        panic!(
            "{failure}\nreplay: WAKECAST_SEED={seed} cargo test -p wakecast-lambda --test leases_rules {name}"
        );
    }
}

/// A state in so far as its owner can tell it from another.
fn kind(state: &RowState) -> (u8, Option<u64>) {
    match state {
        RowState::Waiting { .. } => (0, None),
        RowState::Held { boot, .. } => (1, Some(boot.0)),
        RowState::Ended { .. } => (2, None),
    }
}
