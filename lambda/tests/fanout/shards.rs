//! One shard by itself: what it does, leaves and drops.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wakecast::protocol::{Phase, ProgressPush};
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::fanout::{Dropped, ERRAND_LIFE, Errand, Outcome, Task};
use wakecast_lambda::leases;
use wakecast_lambda::model::{BootId, FleetKey, InstanceId, InstanceStatus, RowState};
use wakecast_lambda::ports::Clock;
use wakecast_lambda::store::Store;

use crate::reconcile_world::{Gates, START, at_once, fleet, instance};
use crate::sockets::{Counted, Manner, Open};
use crate::stage::{Stage, worker};

fn grant() -> Task {
    Task::Grant {
        boot: (InstanceId::new("i-1"), BootId(1)),
        verify_spread: Duration::from_secs(3),
    }
}

fn tell(phase: Phase, again: bool) -> Task {
    Task::Tell {
        progress: ProgressPush {
            id: String::new(),
            rev: 0,
            phase,
            elapsed_ms: 0,
            eta_p50_ms: 7_000,
            eta_p90_ms: 9_000,
            overdue: false,
            note: None,
        },
        again,
    }
}

fn errand(task: Task) -> Errand {
    Errand {
        fleet: fleet(),
        task,
        shard: 0,
        shards: 1,
        asked_at: START,
    }
}

/// Runs one errand; `None` if its gates made it crash.
fn carry_out(stage: &Stage, gates: &Arc<Gates>, errand: &Errand) -> Option<Outcome> {
    let open = Arc::new(Mutex::new(Open::default()));
    let sockets = Counted {
        sockets: Arc::clone(&stage.sockets),
        open,
    };
    let worker = worker(&stage.world, gates, sockets);
    let deadline = stage.world.clock.time() + Duration::from_secs(30);
    let errand = errand.clone();
    let crashing = Arc::clone(gates);
    let world = stage.world.clone();
    // A crash of the shard alone: it is dropped, and the world goes on.
    let crash = async move {
        while !crashing.crashed() {
            world
                .clock
                .sleep_until(world.clock.now() + Duration::from_millis(1))
                .await;
        }
    };
    stage.world.drive(async move {
        let run = std::pin::pin!(async { worker.run(&errand, deadline).await });
        match futures::future::select(run, std::pin::pin!(crash)).await {
            futures::future::Either::Left((outcome, _)) => Some(outcome),
            futures::future::Either::Right(_) => None,
        }
    })?
}

fn run(stage: &Stage, errand: &Errand) -> Outcome {
    carry_out(stage, &Arc::default(), errand).expect("no crash")
}

fn dropped(why: Dropped) -> Outcome {
    Outcome {
        dropped: Some(why),
        ..Outcome::default()
    }
}

#[test]
fn a_grant_goes_to_those_who_wait_and_to_nobody_else() {
    let stage = Stage::ready();
    stage.herd(3);
    let ended = stage.world.row("w00000");
    stage.world.gateway(async |table| {
        let timing = crate::reconcile_world::config().timing;
        let over = leases::end(
            &ended,
            wakecast_lambda::model::RowEnd::Cancelled,
            &timing,
            START,
        );
        table
            .put_row(&over, Some(ended.version))
            .await
            .expect("a cancel");
    });
    let outcome = run(&stage, &errand(grant()));
    assert_eq!((outcome.due, outcome.told), (2, 2));
    assert_eq!(stage.sockets.count("w00000", "ready"), 0);
    assert_eq!(stage.sockets.count("w00001", "ready"), 1);
    assert!(stage.is_held("w00001") && stage.is_held("w00002"));
    let again = run(&stage, &errand(grant()));
    assert_eq!((again.due, again.told), (0, 0), "a second time is harmless");
}

#[test]
fn every_row_belongs_to_one_shard() {
    let stage = Stage::ready();
    let names = stage.herd(200);
    let mut told = 0;
    for shard in 0..4 {
        let part = Errand {
            shard,
            shards: 4,
            ..errand(grant())
        };
        let outcome = run(&stage, &part);
        assert_eq!(outcome.due, outcome.told);
        assert!(outcome.due > 20, "{outcome:?}");
        told += outcome.told;
    }
    assert_eq!(told, 200);
    assert!(names.iter().all(|name| stage.is_held(name)));
}

#[test]
fn an_errand_that_is_late_over_or_unknown_touches_nothing() {
    let stage = Stage::ready();
    stage.herd(2);
    let unknown = FleetKey {
        tenant: "acme".to_owned(),
        fleet: "other".to_owned(),
    };
    let other = Task::Grant {
        boot: (InstanceId::new("i-1"), BootId(2)),
        verify_spread: Duration::ZERO,
    };
    for (errand, why) in [
        (
            Errand {
                asked_at: START.saturating_sub(ERRAND_LIFE),
                ..errand(grant())
            },
            Dropped::Late,
        ),
        (errand(other), Dropped::Over),
        // Who is told of a boot while a server is ready learns what is over.
        (errand(tell(Phase::Warming, true)), Dropped::Over),
        (
            Errand {
                fleet: unknown,
                ..errand(grant())
            },
            Dropped::Unknown,
        ),
        (
            Errand {
                shard: 1,
                ..errand(grant())
            },
            Dropped::Unknown,
        ),
        (
            Errand {
                shards: 5,
                ..errand(grant())
            },
            Dropped::Unknown,
        ),
    ] {
        assert_eq!(run(&stage, &errand), dropped(why));
    }
    assert_eq!(stage.sockets.posts(), 0);
    assert_eq!(stage.world.row("w00000").version, 1);
}

#[test]
fn a_boot_that_ends_under_a_grant_leaves_its_rows_waiting_and_raises_demand() {
    let stage = Stage::ready();
    stage.herd(1);
    let before = at_once(stage.world.table.demand(&fleet())).expect("a read");
    let (gates, world) = (Arc::<Gates>::default(), stage.world.clone());
    gates.after("put_row", move || world.table_drains());
    let outcome = carry_out(&stage, &gates, &errand(grant())).expect("no crash");
    assert_eq!((outcome.told, outcome.superseded), (0, 1));
    assert_eq!(stage.sockets.posts(), 0, "no endpoint went out");
    let waits = matches!(stage.world.row("w00000").state, RowState::Waiting { .. });
    assert!(waits);
    let after = at_once(stage.world.table.demand(&fleet())).expect("a read");
    assert_eq!(after, before + 1, "somebody looks at it again");
}

#[test]
fn a_row_that_moved_on_between_two_tries_is_not_told_what_is_over() {
    let stage = Stage::ready();
    stage.young("a");
    // 410 once; meanwhile its owner releases it.
    stage.sockets.manner("a", Manner::Young(1));
    let (gates, world) = (Arc::<Gates>::default(), stage.world.clone());
    gates.before("row", move || {
        let row = world.row("a");
        let timing = crate::reconcile_world::config().timing;
        let over = leases::end(
            &row,
            wakecast_lambda::model::RowEnd::Released,
            &timing,
            START,
        );
        world
            .gateway(async |table| table.put_row(&over, Some(row.version)).await)
            .expect("a release");
    });
    let outcome = carry_out(&stage, &gates, &errand(grant())).expect("no crash");
    assert_eq!((outcome.told, outcome.superseded), (0, 1));
    assert!(stage.sockets.arrived("a").is_empty());
}

#[test]
fn a_row_that_its_owner_claims_anew_is_granted_in_its_newest_version() {
    let stage = Stage::ready();
    stage.herd(1);
    let (gates, world) = (Arc::<Gates>::default(), stage.world.clone());
    gates.before("put_row", move || {
        let mut row = world.row("w00000");
        let version = row.version;
        row.link = row.link.map(|mut link| {
            link.connection = wakecast_lambda::model::ConnectionId::new("c-newer");
            link
        });
        world
            .gateway(async |table| {
                let link = row.link.as_ref().expect("a link");
                let connection = crate::reconcile_world::connection(link, START);
                table.put_connection(&connection, &LinkCaps::OFF).await?;
                table.put_row(&row, Some(version)).await
            })
            .expect("a hello");
    });
    let outcome = carry_out(&stage, &gates, &errand(grant())).expect("no crash");
    assert_eq!(outcome.told, 1, "{outcome:?}");
    assert_eq!(stage.sockets.count("w00000", "ready"), 0);
    assert_eq!(stage.sockets.count("newer", "ready"), 1);
}

#[test]
fn a_phase_is_told_to_those_who_have_not_reached_it() {
    let stage = Stage::cold();
    stage
        .world
        .given(vec![instance("i-1", InstanceStatus::Booting)]);
    stage.herd(3);
    let outcome = run(&stage, &errand(tell(Phase::Booting, false)));
    assert_eq!((outcome.due, outcome.told), (3, 3));
    assert_eq!(run(&stage, &errand(tell(Phase::Booting, false))).due, 0);
    assert_eq!(run(&stage, &errand(tell(Phase::Launching, true))).due, 0);
    let again = run(&stage, &errand(tell(Phase::Booting, true)));
    assert_eq!(
        (again.due, again.told),
        (3, 3),
        "overdue: the same phase once more"
    );
    assert_eq!(stage.sockets.count("w00002", "progress"), 2);
    assert_eq!(
        stage.world.row("w00002").version,
        2,
        "words alone write nothing"
    );
}

#[test]
fn forbidden_posts_are_not_tried_again_and_nobody_is_taken_for_gone() {
    let stage = Stage::ready();
    for name in stage.herd(100) {
        stage.sockets.manner(&name, Manner::Forbidden);
    }
    let outcome = run(&stage, &errand(grant()));
    assert_eq!((outcome.told, outcome.forbidden), (0, 100));
    assert_eq!(stage.sockets.posts(), 100);
    assert_eq!(stage.world.row("w00000").absent_since, None);
}

#[test]
fn i33_a_storm_of_429_ends_with_the_errand() {
    let stage = Stage::ready();
    for name in stage.herd(1_000) {
        stage.sockets.manner(&name, Manner::Throttled);
    }
    let outcome = run(&stage, &errand(grant()));
    assert_eq!(outcome.told, 0);
    assert!(stage.sockets.posts() <= 4_000);
    assert!(stage.world.clock.time() <= START + ERRAND_LIFE);
    let all = outcome.failed + outcome.left + outcome.superseded;
    assert_eq!(all, 1_000, "{outcome:?}");
}

#[test]
fn a_table_that_does_not_answer_leaves_rows_to_the_reconciler() {
    let stage = Stage::ready();
    stage.herd(10);
    let gates = Arc::<Gates>::default();
    gates.refuse("put_row", 4);
    let outcome = carry_out(&stage, &gates, &errand(grant())).expect("no crash");
    assert_eq!((outcome.told, outcome.left), (6, 4));
    let gates = Arc::<Gates>::default();
    gates.refuse("rows", 1);
    let outcome = carry_out(&stage, &gates, &errand(grant())).expect("no crash");
    assert_eq!(outcome, dropped(Dropped::Unavailable));
}

/// A crash of a shard at every call, before and after its effect: the reconciler's own rounds and
/// the clients' questions mend what is left.
#[test]
fn a_shard_that_crashes_anywhere_leaves_every_row_whole() {
    let whole = Stage::ready();
    whole.herd(3);
    let gates = Arc::<Gates>::default();
    carry_out(&whole, &gates, &errand(grant())).expect("no crash");
    let points = gates.passed();
    assert!(points >= 3 * 6, "{points} points");
    for point in 0..points {
        let stage = Stage::ready();
        let names = stage.herd(3);
        let gates = Arc::<Gates>::default();
        gates.crash_at(point);
        assert!(carry_out(&stage, &gates, &errand(grant())).is_none());
        let told = stage.run();
        assert!(told.sent.is_empty());
        for name in &names {
            assert!(stage.is_held(name), "{name} after a crash at {point}");
            assert!(stage.sockets.count(name, "ready") <= 1, "at {point}");
        }
        assert_eq!(stage.world.table.violations(), Vec::<String>::new());
    }
}
