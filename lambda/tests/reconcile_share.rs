//! What a run leaves to shards: never its power calls' time, never a row for longer than its own
//! five seconds.

mod reconcile_world;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reconcile_world::{START, Script, World, config, decision, fleet, instance};
use wakecast_lambda::fanout::Errand;
use wakecast_lambda::lifecycle::{Call, Decision, Next, Power, Snapshot};
use wakecast_lambda::model::{InstanceId, InstanceStatus, Row, RowState, Timestamp};
use wakecast_lambda::ports::{Fanout, NotSent};
use wakecast_lambda::reconcile::{End, Outcome, Reconciler};
use wakecast_lambda::store::Store;

/// Rows from which on shards are asked.
const ABOVE: usize = 2;

/// Takes every errand and does nothing, at once or never.
#[derive(Debug)]
struct Lost {
    hangs: bool,
}

#[async_trait]
impl Fanout for Lost {
    async fn send(&self, _errand: &Errand) -> Result<(), NotSent> {
        if self.hangs { pending().await } else { Ok(()) }
    }
}

fn run(world: &World, script: Arc<Script>, hangs: bool) -> Outcome {
    let configs = BTreeMap::from([(fleet(), config())]);
    let reconciler = Reconciler::new(world.ports(), configs)
        .with_policy(script)
        .with_fanout(Arc::new(Lost { hangs }), ABOVE);
    let deadline = world.clock.time() + Duration::from_secs(900);
    let outcome = world.drive(async move { reconciler.run(&fleet(), deadline).await });
    outcome.expect("no crash")
}

fn waiting(snapshot: &Snapshot<'_>) -> Vec<Row> {
    let waits = |row: &&Row| matches!(row.state, RowState::Waiting { .. });
    snapshot.rows.iter().filter(waits).cloned().collect()
}

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

#[test]
fn an_errand_that_hangs_leaves_a_power_call_its_time() {
    let world = World::new();
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    for name in ["a", "b", "c"] {
        world.waiter(name);
    }
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            grants: waiting(snapshot),
            calls: vec![Call {
                action: Power::Start {
                    sequence: 1,
                    instance: InstanceId::new("i-1"),
                },
                not_after: after(1),
            }],
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    assert_eq!(run(&world, script, true).end, End::Quiet);
    assert_eq!(world.gates.count("start"), 1, "{:#?}", world.gates.log());
}

#[test]
fn each_row_is_left_to_its_shard_for_its_own_five_seconds() {
    let world = World::new();
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    let early = ["a", "b", "c"];
    for name in early {
        world.waiter(name);
    }
    let others = world.clone();
    let script = Script::new(move |number, snapshot| {
        // New rows are entrusted each second, so that some are always fresh.
        for name in ["x", "y", "z"].iter().take(3 * usize::from(number < 12)) {
            others.waiter(&format!("{name}{number}"));
        }
        Decision {
            grants: waiting(snapshot),
            ..decision(if number < 12 {
                Next::After(Duration::from_secs(1))
            } else {
                Next::Quiet
            })
        }
    });
    run(&world, Arc::clone(&script), false);
    for name in early {
        let key = reconcile_world::row_key(name);
        let held = |row: &Row| row.key == key && matches!(row.state, RowState::Held { .. });
        let seen = script.seen();
        let first = seen.iter().find(|seen| seen.rows.iter().any(held));
        let at = first.expect("it is granted").now;
        assert!(at <= after(7), "{name} after {:?}", at.since(START));
    }
}

#[test]
fn a_grant_is_not_posted_to_a_link_that_is_known_to_be_gone() {
    let world = World::new();
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    let mut row = world.waiter("a");
    let version = row.version;
    row.absent_since = Some(START);
    world
        .gateway(async |table| table.put_row(&row, Some(version)).await)
        .expect("its absence");
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            grants: waiting(snapshot),
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    assert_eq!(run(&world, script, false).end, End::Quiet);
    let held = world.row("a");
    assert!(matches!(held.state, RowState::Held { .. }), "{held:?}");
    assert_eq!(world.gates.count("post"), 0);
    assert_eq!(held.absent_since, Some(START), "nothing was learned");
}
