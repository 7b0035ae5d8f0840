//! Rows that a decision changes and grants.

mod reconcile_world;

use std::sync::Arc;
use std::time::Duration;

use reconcile_world::{START, Script, World, config, decision, fleet, instance, link, row_key};
use wakecast::protocol::{Phase, ProgressPush, ServerMessage};
use wakecast_lambda::lifecycle::{Decision, Next, RowChange};
use wakecast_lambda::model::{BootId, InstanceStatus, Row, RowState};
use wakecast_lambda::reconcile::End;
use wakecast_lambda::store::Store;

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

#[test]
fn a_row_that_has_changed_is_left_and_its_owner_told_nothing() {
    let world = World::new();
    let row = world.waiter("a");
    let other = world.clone();
    world.gates.before("put_row", move || {
        other
            .gateway(async |table| table.put_row(&row, Some(row.version)).await)
            .expect("a write");
    });
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            rows: snapshot.rows.iter().map(launching).collect(),
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    let outcome = world.run(script);
    assert_eq!(
        (outcome.end, outcome.rounds),
        (End::Quiet, 2),
        "looked at again"
    );
    assert_eq!(world.sockets.arrived("a"), Vec::<String>::new());
    assert!(matches!(
        world.row("a").state,
        RowState::Waiting {
            phase: Phase::Requested,
            ..
        }
    ));
}

/// Tells everybody who has not been told yet, as the lifecycle does.
fn until_all_launch() -> Arc<Script> {
    let untold = |row: &&Row| {
        matches!(
            row.state,
            RowState::Waiting {
                phase: Phase::Requested,
                ..
            }
        )
    };
    Script::new(move |_, snapshot| Decision {
        rows: snapshot.rows.iter().filter(untold).map(launching).collect(),
        ..decision(Next::Quiet)
    })
}

#[test]
fn a_row_that_a_silent_table_left_behind_is_written_a_round_later() {
    for write in ["put_row", "put_row done"] {
        let world = World::new();
        world.waiter("a");
        world.gates.refuse(write, 1);
        let script = until_all_launch();
        assert_eq!(world.run(script.clone()).end, End::Quiet);
        assert!(
            matches!(
                world.row("a").state,
                RowState::Waiting {
                    phase: Phase::Launching,
                    ..
                }
            ),
            "{write}: {:?}",
            world.row("a")
        );
        let looked: Vec<_> = script.seen().iter().map(|seen| seen.now).collect();
        let [first, second] = looked[..] else {
            panic!("{write}: {looked:?}");
        };
        let round = config().timing.round;
        let later = second.since(first);
        assert!(later <= round * 2, "{write}: {later:?}");
    }
}

#[test]
fn rows_that_cannot_be_written_are_left_to_the_tick_after_some_rounds() {
    let world = World::new();
    world.waiter("a");
    world.gates.refuse("put_row", usize::MAX);
    let outcome = world.run(until_all_launch());
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 4));
}

#[test]
fn a_grant_that_meets_a_drain_is_taken_back() {
    let world = World::new();
    world.waiter("a");
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    let other = world.clone();
    world.gates.before("instance", move || {
        // Another run, with the lock of a later time, has begun to drain.
        other.table_drains();
    });
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            grants: snapshot.rows.to_vec(),
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    world.run(script);
    assert_eq!(
        world.sockets.arrived("a"),
        Vec::<String>::new(),
        "nothing may go out"
    );
    let row = world.row("a");
    assert!(matches!(row.state, RowState::Waiting { .. }), "{row:?}");
    let demand = world.gateway(async |table| table.demand(&fleet()).await);
    assert_eq!(demand, Ok(2), "whoever drains must learn of it");
}

#[test]
fn a_granted_waiter_holds_the_boot_and_is_told_where() {
    let world = World::new();
    let asked = world.waiter("a");
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            grants: snapshot.rows.to_vec(),
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    world.run(script);
    let row = world.row("a");
    assert!(row.rev > asked.rev);
    let RowState::Held {
        instance,
        boot,
        protected_until,
        ..
    } = &row.state
    else {
        panic!("not held: {row:?}");
    };
    assert_eq!((instance.as_str(), *boot), ("i-1", BootId(1)));
    assert_eq!(*protected_until, START + config().timing.protect_publish);
    let text = world.sockets.texts().pop().expect("a push");
    let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(ready["type"], "ready");
    assert_eq!(
        ready["endpoint"]["websocket_url"],
        "wss://203.0.113.7:5443/live/websocket"
    );
    assert_eq!(
        ready["verify_spread_ms"], 0,
        "one client has nobody to spread from"
    );
    assert_eq!(row.key, row_key("a"));
    assert_eq!(
        row.link,
        Some(link("a", START.saturating_sub(Duration::from_secs(60))))
    );
}

/// A crowd of an early name that came a minute after `z`, more than one round can write.
fn late_crowd() -> World {
    let world = World::new();
    world.waiter("z");
    world.clock.jump(Duration::from_secs(60));
    for number in 0..1_100 {
        world.waiter(&format!("a{number:04}"));
    }
    world
}

#[test]
fn a_round_that_cannot_write_every_row_writes_the_oldest() {
    let world = late_crowd();
    let script = Script::new(|number, snapshot| match number {
        0 => Decision {
            rows: snapshot.rows.iter().map(launching).collect(),
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    });
    assert_eq!(world.run(script).end, End::Quiet);
    assert_eq!(world.sockets.arrived("z"), ["progress"]);
    assert_eq!(world.sockets.texts().len(), 1_024, "no more than a round");
}

#[test]
fn a_round_that_cannot_grant_every_row_grants_the_oldest() {
    let world = late_crowd();
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    let script = Script::new(|number, snapshot| match number {
        0 => {
            // Nor can changes of younger rows keep an older one from its grant.
            let (grants, changes): (Vec<Row>, Vec<Row>) = snapshot
                .rows
                .iter()
                .cloned()
                .partition(|row| row.key.id == "z");
            Decision {
                rows: changes.iter().map(launching).collect(),
                grants,
                ..decision(Next::Quiet)
            }
        }
        _ => decision(Next::Quiet),
    });
    assert_eq!(world.run(script).end, End::Quiet);
    assert_eq!(world.sockets.arrived("z"), ["ready"]);
    assert_eq!(world.sockets.texts().len(), 1_024);
}
