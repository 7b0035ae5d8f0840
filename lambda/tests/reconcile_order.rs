//! What a round does, in which order, and what it does no more once its footing is gone.

mod reconcile_world;

use std::sync::Arc;
use std::time::Duration;

use reconcile_world::{START, Script, World, at_once, commit, decision, fleet, instance, offering};
use wakecast::protocol::{Phase, ProgressPush, ServerMessage};
use wakecast_lambda::lifecycle::{
    Call, Decision, Next, Power, Probe, Push, Question, RowChange, Snapshot,
};
use wakecast_lambda::model::{
    InstanceId, InstanceStatus, Intent, LaunchKind, Row, RowState, Timestamp,
};
use wakecast_lambda::ports::{Ec2Error, MediaError};
use wakecast_lambda::reconcile::{End, Ports};
use wakecast_lambda::store::{Charge, Commit, Store};

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn progress(row: &Row) -> ServerMessage {
    ServerMessage::Progress(ProgressPush {
        id: row.key.id.clone(),
        rev: row.rev,
        phase: Phase::Launching,
        elapsed_ms: 0,
        eta_p50_ms: 1,
        eta_p90_ms: 2,
        overdue: false,
        note: None,
    })
}

fn start(instance: &str, not_after: Timestamp) -> Call {
    let instance = InstanceId::new(instance);
    Call {
        action: Power::Start {
            sequence: 1,
            instance,
        },
        not_after,
    }
}

fn launching(row: &Row) -> RowChange {
    let mut next = row.clone();
    if let RowState::Waiting { phase, .. } = &mut next.state {
        *phase = Phase::Launching;
    }
    RowChange {
        row: next,
        expected: row.version,
        tell: Some(progress(row)),
    }
}

/// Everything a decision can hold, over two waiters: the first is granted, the second moved on.
fn everything(snapshot: &Snapshot<'_>) -> Decision {
    let granted = snapshot.rows.first().expect("a first waiter").clone();
    let moved = snapshot.rows.get(1).expect("a second waiter").clone();
    let to = moved.link.clone().expect("a link");
    let ready = instance("i-1", InstanceStatus::Ready);
    Decision {
        commit: Some(Commit {
            put_instances: vec![ready],
            ..commit(snapshot.records.state.version)
        }),
        rows: vec![launching(&moved)],
        grants: vec![granted],
        pushes: vec![Push {
            link: to,
            message: progress(&moved),
        }],
        calls: vec![start("i-2", after(20)), start("i-3", after(20))],
        ..decision(Next::Quiet)
    }
}

#[test]
fn a_quiet_fleet_is_looked_at_once_and_left() {
    let world = World::new();
    let outcome = world.run(Script::new(|_, _| decision(Next::Quiet)));
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 1));
    assert_eq!(
        world.gates.log(),
        [
            "take_lock",
            "demand",
            "fleet",
            "describe",
            "rows",
            "counters",
            "release_lock"
        ]
    );
}

#[test]
fn a_round_looks_decides_and_acts_in_one_order() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    world.given(vec![instance("i-1", InstanceStatus::Booting)]);
    world.gates.clear();
    let probe = |question| Probe {
        instance: InstanceId::new("i-1"),
        address: "203.0.113.7".to_owned(),
        question,
    };
    let script = Script::probing(
        move |_| vec![probe(Question::Liveness), probe(Question::Load)],
        |_, snapshot| everything(snapshot),
    );
    assert_eq!(world.run(script.clone()).end, End::Quiet);
    assert_eq!(
        world.gates.log(),
        [
            "take_lock",
            // Demand before all else; records before rows.
            "demand",
            "fleet",
            "describe",
            "rows",
            "counters",
            "liveness 203.0.113.7",
            "load 203.0.113.7",
            // The commit announces everything that follows.
            "commit",
            "put_row",
            // G1 before G2.
            "put_row",
            "instance",
            // Pushes are begun, then calls are made one by one.
            "connection",
            "post c-a ready",
            "post c-b progress",
            "start i-2",
            "start i-3",
            "release_lock",
        ]
    );
    let seen = script.seen();
    let observed = &seen.first().expect("a decision").observations;
    assert!(
        observed
            .iter()
            .all(|observation| observation.result.is_ok()),
        "{observed:?}"
    );
}

#[test]
fn a_refused_commit_is_the_end_of_its_decision() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            calls: vec![start("i-9", after(20))],
            ..decision(Next::Now)
        },
        1 => {
            let mut refused = everything(snapshot);
            refused.commit = Some(commit(snapshot.records.state.version + 1));
            refused
        }
        _ => decision(Next::Quiet),
    });
    let outcome = world.run(script.clone());
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 3));
    assert_eq!(world.gates.count("start"), 1, "{:?}", world.gates.log());
    assert_eq!(
        (world.gates.count("put_row"), world.gates.count("post")),
        (0, 0)
    );
    let answers: Vec<usize> = script
        .seen()
        .iter()
        .map(|seen| seen.answers.len())
        .collect();
    assert_eq!(
        answers,
        [0, 1, 1],
        "a refused decision has used no answer up"
    );
}

#[test]
fn a_spent_cap_is_the_end_of_its_decision() {
    let world = World::new();
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            commit: Some(Commit {
                charge: Some(Charge {
                    launch: true,
                    launch_cap: 0,
                    start_cap: 9,
                    at: START,
                    subject: None,
                    tenant_budget: None,
                }),
                ..commit(snapshot.records.state.version)
            }),
            calls: vec![start("i-1", after(20))],
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    assert_eq!(world.run(script).end, End::Quiet);
    assert_eq!(world.gates.count("start"), 0);
}

#[test]
fn answers_go_into_the_next_decision_and_no_further() {
    let world = World::new();
    let script = Script::new(|number, _| match number {
        0 => Decision {
            calls: vec![start("i-1", after(20))],
            ..decision(Next::Now)
        },
        1 => decision(Next::Now),
        _ => decision(Next::Quiet),
    });
    world.run(script.clone());
    let answers: Vec<_> = script.seen().into_iter().map(|seen| seen.answers).collect();
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
    let answer = answers.concat().pop().expect("an answer");
    assert_eq!((answer.result, answer.dropped), (Ok(None), false));
}

#[test]
fn a_launch_rests_on_the_intent_of_its_own_commit() {
    let world = World::new();
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            commit: Some(Commit {
                put_intents: vec![Intent {
                    sequence: 1,
                    kind: LaunchKind::New {
                        offering: offering(),
                        image: "ami-1".to_owned(),
                        template: "1".to_owned(),
                    },
                    attempt: 0,
                    created_at: snapshot.now,
                    charged_to: None,
                    launch_charged: true,
                    not_before: snapshot.now,
                    tries: 0,
                    unanswered: 1,
                }],
                ..commit(0)
            }),
            calls: vec![Call {
                action: Power::Run {
                    sequence: 1,
                    token: "t".to_owned(),
                },
                not_after: after(20),
            }],
            ..decision(Next::Now)
        },
        _ => decision(Next::Quiet),
    });
    world.run(script.clone());
    assert_eq!(world.ec2.launches(), 1);
    let answer = script
        .seen()
        .pop()
        .and_then(|seen| seen.answers.into_iter().next());
    let launched = answer
        .expect("an answer")
        .result
        .expect("a launch")
        .expect("an instance");
    assert_eq!(launched.id, InstanceId::new("i-1"));
}

/// Takes the lock away at `call`: the process pauses beyond the lock's end, another run takes it.
fn lose_lock_before(world: &World, call: &str) {
    let (clock, table) = (Arc::clone(&world.clock), world.table.as_reconciler());
    world.gates.before(call, move || {
        clock.jump(Duration::from_secs(31));
        let now = clock.time();
        let until = now + Duration::from_secs(30);
        let taken = at_once(table.take_lock(&fleet(), "other", now, until));
        taken.expect("a lock that has run out");
    });
}

#[test]
fn nothing_more_is_written_once_the_lock_is_lost() {
    let all = ["fleet", "describe", "rows", "counters", "commit"];
    for call in all {
        let world = World::new();
        world.waiter("a");
        world.waiter("b");
        lose_lock_before(&world, call);
        let before = world.table.keys();
        let outcome = world.run(Script::new(|_, snapshot| everything(snapshot)));
        assert_eq!(outcome.end, End::LockLost, "lost before {call}");
        let log = world.gates.log();
        for forbidden in [
            "put_row",
            "post",
            "start",
            "release_lock",
            "extend_lock",
            "raise",
        ] {
            assert_eq!(
                world.gates.count(forbidden),
                0,
                "lost before {call}: {log:?}"
            );
        }
        let others = world.table.keys().len() - before.len();
        assert_eq!(
            others, 1,
            "only the other run's lock was written after {call}"
        );
    }
}

#[test]
fn a_lock_lost_after_the_commit_stops_what_would_follow() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    let clock = Arc::clone(&world.clock);
    world
        .gates
        .after("commit", move || clock.jump(Duration::from_secs(31)));
    let outcome = world.run(Script::new(|_, snapshot| everything(snapshot)));
    assert_eq!(outcome.end, End::LockLost);
    for forbidden in ["put_row", "post", "start"] {
        assert_eq!(world.gates.count(forbidden), 0, "{:?}", world.gates.log());
    }
    assert!(matches!(world.row("a").state, RowState::Waiting { .. }));
}

#[test]
fn a_lock_lost_before_a_call_without_rows_stops_the_call() {
    let world = World::new();
    let clock = Arc::clone(&world.clock);
    world
        .gates
        .after("commit", move || clock.jump(Duration::from_secs(31)));
    let outcome = world.run(Script::new(|_, snapshot| Decision {
        commit: Some(commit(snapshot.records.state.version)),
        calls: vec![start("i-1", after(3_600))],
        ..decision(Next::Quiet)
    }));
    assert_eq!(
        (outcome.end, world.gates.count("start")),
        (End::LockLost, 0)
    );
}

#[test]
fn a_call_whose_moment_has_passed_is_dropped_and_said_to_be() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    let clock = Arc::clone(&world.clock);
    world
        .gates
        .before("put_row", move || clock.jump(Duration::from_secs(11)));
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            calls: vec![start("i-1", after(10))],
            ..everything(snapshot)
        },
        _ => decision(Next::Quiet),
    });
    // Demand that rose keeps the run for one more round, which is given the answer.
    let other = world.clone();
    world.gates.before("release_lock", move || {
        assert!(other.clock.time() > after(10));
        other
            .gateway(async |table| table.raise_demand(&fleet()).await)
            .expect("a raise");
    });
    world.run(script.clone());
    assert_eq!(world.gates.count("start"), 0);
    let answers = script.seen().pop().expect("a second decision").answers;
    assert_eq!(answers.len(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.dropped && answer.result == Ok(None))
    );
}

#[test]
fn a_call_without_an_answer_is_given_up_within_the_locks_reserve() {
    let world = World::new();
    let script = Script::new(|number, _| match number {
        0 => Decision {
            calls: vec![start("i-1", after(20))],
            ..decision(Next::Now)
        },
        _ => decision(Next::Quiet),
    });
    let ec2 = Arc::clone(&world.ec2);
    world.gates.before("counters", move || ec2.hang());
    world.run(script.clone());
    let second = script.seen().pop().expect("a second decision");
    let result = second.answers.into_iter().next().expect("an answer").result;
    assert!(matches!(result, Err(Ec2Error::Ambiguous(_))), "{result:?}");
    assert_eq!(
        START + Duration::from_secs(10),
        second.now,
        "a call and a describe of 5 s each"
    );
    assert!(!second.readable);
}

#[test]
fn i46_no_call_is_sent_while_ec2_is_not_readable() {
    let world = World::new();
    world
        .ec2
        .describe_fails(Some(Ec2Error::Throttled("RequestLimitExceeded".to_owned())));
    let script = Script::new(|number, _| match number {
        0 => Decision {
            calls: vec![start("i-1", after(20))],
            ..decision(Next::Now)
        },
        _ => decision(Next::Quiet),
    });
    let outcome = world.run(script.clone());
    assert_eq!((outcome.end, world.gates.count("start")), (End::Quiet, 0));
    let seen = script.seen();
    assert!(
        seen.iter().all(|seen| !seen.readable),
        "the failure is an input"
    );
    let answers = &seen.get(1).expect("a second decision").answers;
    assert!(answers.iter().all(|answer| answer.dropped) && answers.len() == 1);
}

#[test]
fn looks_are_taken_at_once_and_each_is_given_up_in_time() {
    let world = World::new();
    world.media.answer_after(Duration::from_secs(60));
    let probe = |question| Probe {
        instance: InstanceId::new("i-1"),
        address: "203.0.113.7".to_owned(),
        question,
    };
    let probes = move |_: &Snapshot<'_>| {
        vec![
            probe(Question::Load),
            probe(Question::Liveness),
            probe(Question::Applications),
        ]
    };
    let script = Script::probing(probes, |_, _| decision(Next::Quiet));
    world.run(script.clone());
    let seen = script.seen().pop().expect("a decision");
    assert_eq!(seen.now, after(5), "the longest of them, not their sum");
    assert_eq!(seen.observations.len(), 3);
    for observation in seen.observations {
        assert_eq!(observation.sent_at, START);
        assert!(
            matches!(observation.result, Err(MediaError::NotYet(_))),
            "{observation:?}"
        );
    }
}

#[test]
fn i20_a_look_that_hangs_does_not_slow_the_next_one() {
    let world = World::new();
    world.media.answer_after(Duration::from_secs(60));
    let liveness = |_: &Snapshot<'_>| {
        vec![Probe {
            instance: InstanceId::new("i-1"),
            address: "203.0.113.7".to_owned(),
            question: Question::Liveness,
        }]
    };
    let script = Script::probing(liveness, |number, _| {
        decision(if number < 5 {
            Next::After(Duration::from_secs(1))
        } else {
            Next::Quiet
        })
    });
    world.run(script.clone());
    let begun: Vec<_> = script
        .seen()
        .iter()
        .flat_map(|seen| seen.observations.clone())
        .collect();
    let last = begun.last().expect("looks").sent_at;
    assert!(
        last <= after(11),
        "five looks of 2 s each, not of 3 s: {:?}",
        last.since(START)
    );
}

/// The reconciler cannot start itself: of all it may call, nothing does. A port that is added must
/// be added here.
#[test]
fn i18_a_run_needs_no_second_invocation_and_has_no_way_to_ask_for_one() {
    let world = World::new();
    let Ports {
        store,
        fleet,
        media,
        connections,
        clock,
        entropy,
        stream_tokens,
    } = world.ports();
    drop((
        store,
        fleet,
        media,
        connections,
        clock,
        entropy,
        stream_tokens,
    ));

    // A boot of ten minutes, looked at each second, is one invocation.
    let script = Script::new(|number, _| {
        decision(if number < 600 {
            Next::After(Duration::from_secs(1))
        } else {
            Next::Quiet
        })
    });
    let outcome = world.run(script);
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 601));
    assert_eq!(world.gates.count("take_lock"), 1);
}
