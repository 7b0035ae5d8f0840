//! What a run says to the operator, and what it never says.

mod reconcile_world;

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reconcile_world::fakes::CANARY;
use reconcile_world::{START, Script, World, commit, decision, instance};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use wakecast_lambda::lifecycle::{Alarm, Call, Decision, Next, Power, Stand, Transition};
use wakecast_lambda::model::{InstanceId, InstanceStatus};
use wakecast_lambda::ports::PostError;
use wakecast_lambda::store::Commit;

/// Keeps every event as one line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0
            .lock()
            .expect("the lines")
            .push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn logged(world: &World, script: Arc<Script>) -> Vec<(Level, String)> {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || world.run(script));
    let lines = lines.0.lock().expect("the lines");
    lines.clone()
}

/// A decision that grants, alarms, moves an instance and calls.
fn eventful() -> Arc<Script> {
    Script::new(|number, snapshot| match number {
        0 => Decision {
            commit: Some(Commit {
                put_instances: vec![instance("i-1", InstanceStatus::Ready)],
                ..commit(snapshot.records.state.version)
            }),
            grants: snapshot.rows.to_vec(),
            calls: vec![Call {
                action: Power::Stop {
                    instance: InstanceId::new("i-2"),
                },
                not_after: START + Duration::from_secs(20),
            }],
            alarms: vec![Alarm::Died {
                instance: InstanceId::new("i-2"),
            }],
            transitions: vec![Transition {
                from: Stand::Booting,
                to: Stand::Ready,
            }],
            why: vec!["i-1 is ready".to_owned()],
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    })
}

#[test]
fn a_decision_is_one_line_with_its_reasons() {
    let world = World::new();
    world.waiter("a");
    let lines = logged(&world, eventful());
    let decided: Vec<_> = lines
        .iter()
        .filter(|(_, line)| line.contains("decided"))
        .collect();
    let [(level, line)] = decided.as_slice() else {
        panic!("{lines:#?}")
    };
    assert_eq!(*level, Level::INFO);
    for part in [
        "fleet=acme/main",
        "fence=1",
        "version=0",
        "i-1 is ready",
        "Booting",
        "grants=1",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let alarms: Vec<_> = lines
        .iter()
        .filter(|(level, _)| *level == Level::ERROR)
        .collect();
    let [(_, alarm)] = alarms.as_slice() else {
        panic!("{lines:#?}")
    };
    assert!(alarm.contains("Died") && alarm.contains("i-2"), "{alarm}");
    assert!(
        lines
            .iter()
            .any(|(_, line)| line.contains("Stop") && line.contains("called"))
    );
}

#[test]
fn a_quiet_tick_is_not_worth_a_line() {
    let lines = logged(&World::new(), Script::new(|_, _| decision(Next::Quiet)));
    assert!(
        lines.iter().all(|(level, _)| *level >= Level::DEBUG),
        "{lines:?}"
    );
}

#[test]
fn an_alarm_of_a_refused_commit_is_not_raised() {
    let world = World::new();
    let script = Script::new(|number, _| match number {
        0 => Decision {
            commit: Some(commit(7)),
            alarms: vec![Alarm::Ec2Unreadable],
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    let lines = logged(&world, script);
    assert!(
        lines.iter().all(|(level, _)| *level != Level::ERROR),
        "{lines:?}"
    );
}

#[test]
fn no_secret_is_logged_whatever_happens() {
    let world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.waiter(name);
    }
    world.sockets.fails("a", &[PostError::Gone]);
    world.sockets.fails("b", &[PostError::Throttled; 9]);
    world.sockets.fails("c", &[PostError::Unavailable; 9]);
    let lines = logged(&world, eventful());
    let sent = world.sockets.texts();
    assert!(
        sent.iter().any(|text| text.contains(CANARY)),
        "the canary is on the wire: {sent:?}"
    );
    assert!(lines.len() > 3, "{lines:#?}");
    assert!(
        lines.iter().all(|(_, line)| !line.contains(CANARY)),
        "{lines:#?}"
    );
}
