//! The lock of a run: taken once, kept, given back, and never at the cost of a wake-up.

mod reconcile_world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reconcile_world::{
    START, Script, World, at_once, connection, decision, fleet, link, row_key, waiting,
};
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::lifecycle::Next;
use wakecast_lambda::model::{FleetKey, Timestamp};
use wakecast_lambda::reconcile::{End, LEAVE_BEFORE, Reconciler};
use wakecast_lambda::store::{Store, StoreError};

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

#[test]
fn a_run_that_finds_the_lock_held_leaves_at_once() {
    let world = World::new();
    let held = world.table.as_reconciler();
    at_once(held.take_lock(&fleet(), "other", START, after(30))).expect("a free lock");
    let script = Script::new(|_, _| decision(Next::Quiet));
    let outcome = world.run(script.clone());
    assert_eq!(
        (outcome.end, outcome.rounds),
        (End::Held { until: after(30) }, 0)
    );
    assert_eq!(world.gates.log(), ["take_lock"]);
    assert!(script.seen().is_empty());
}

#[test]
fn an_unknown_fleet_touches_nothing() {
    let world = World::new();
    let other = FleetKey {
        tenant: "acme".to_owned(),
        fleet: "other".to_owned(),
    };
    let reconciler = Reconciler::new(world.ports(), std::collections::BTreeMap::new());
    let outcome = world.drive(async move { reconciler.run(&other, after(900)).await });
    assert_eq!(outcome.map(|outcome| outcome.end), Some(End::UnknownFleet));
    assert!(world.gates.log().is_empty());
}

#[test]
fn demand_that_rises_at_the_release_is_one_more_round() {
    let world = World::new();
    let other = world.clone();
    world.gates.before("release_lock", move || {
        other.waiter("late");
    });
    let script = Script::new(|_, _| decision(Next::Quiet));
    let outcome = world.run(script.clone());
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 2));
    let rows: Vec<usize> = script.seen().iter().map(|seen| seen.rows.len()).collect();
    assert_eq!(rows, [0, 1]);
    assert_eq!(at_once(world.table.lock(&fleet())), Ok(None));
}

/// Many clients that ask again and again while nothing can be started must not make the run read
/// EC2 and the table without a pause.
#[test]
fn demand_that_keeps_rising_is_looked_at_once_a_round() {
    let world = World::new();
    let other = world.clone();
    let script = Script::new(move |number, _| {
        if number < 10 {
            other.waiter(&format!("late-{number}"));
        }
        decision(Next::Quiet)
    });
    let outcome = world.run(script);
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 11));
    let passed = world.clock.time().since(START);
    assert!(passed >= Duration::from_secs(9), "ten rises in {passed:?}");
}

/// The gateway puts a row, raises demand, reads the lock; it wakes a run only if no holder has
/// time left. Wherever these three fall between the steps of a run, either a round has seen the
/// row or the gateway has found no holder.
#[test]
fn no_wake_up_is_lost_wherever_it_falls() {
    let gates = {
        let world = World::new();
        world.run(Script::new(|_, _| decision(Next::Quiet)));
        world.gates.passed()
    };
    let mut cases = 0;
    for put in 0..=gates {
        for raise in put..=gates {
            for read in raise..=gates {
                one_wake_up(put, raise, read);
                cases += 1;
            }
        }
    }
    assert!(cases > 500, "{cases} cases over {gates} gates");
}

fn one_wake_up(put: usize, raise: usize, read: usize) {
    let world = World::new();
    let wakes = Arc::new(Mutex::new(false));
    let steps = world.clone();
    let put_row = move || {
        let link = link("late", START);
        let row = waiting("late", link.clone(), START);
        steps.gateway(async |table| {
            table
                .put_connection(&connection(&link, START), &LinkCaps::OFF)
                .await
                .expect("a connection");
            table.put_row(&row, None).await.expect("a row");
        });
    };
    let steps = world.clone();
    let raise_demand = move || {
        steps
            .gateway(async |table| table.raise_demand(&fleet()).await)
            .expect("a raise");
    };
    let (steps, noted) = (world.clone(), Arc::clone(&wakes));
    let read_lock = move || {
        let lock = steps
            .gateway(async |table| table.lock(&fleet()).await)
            .expect("a read");
        let sees = lock.is_some_and(|lock| lock.until > steps.clock.time());
        *noted.lock().expect("a note") = !sees;
    };
    let reads = Arc::new(Mutex::new(Some(read_lock)));
    world.gates.at(put, put_row);
    world.gates.at(raise, raise_demand);
    let late_read = Arc::clone(&reads);
    world.gates.at(read, move || {
        if let Some(read) = late_read.lock().expect("the step").take() {
            read();
        }
    });
    let script = Script::new(|_, _| decision(Next::Quiet));
    let outcome = world.run(script.clone());
    assert_eq!(outcome.end, End::Quiet);
    if !world
        .gateway(async |table| table.row(&row_key("late")).await)
        .is_ok_and(|row| row.is_some())
    {
        return; // The gates ended before the put: nothing has happened.
    }
    if let Some(read) = reads.lock().expect("the step").take() {
        read(); // The gateway looks after the run has ended.
    }
    let seen = script.seen().iter().any(|seen| !seen.rows.is_empty());
    let raised = world.gateway(async |table| table.demand(&fleet()).await) == Ok(1);
    let woken = *wakes.lock().expect("a note");
    assert!(
        seen || woken || !raised,
        "put {put}, raised {raise}, read {read}: lost"
    );
}

#[test]
fn the_lock_is_kept_as_long_as_the_run_lasts() {
    let world = World::new();
    let script = Script::new(|number, _| {
        decision(if number < 100 {
            Next::After(Duration::from_secs(1))
        } else {
            Next::Quiet
        })
    });
    let outcome = world.run(script.clone());
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 101));
    for seen in script.seen() {
        assert!(
            seen.lock_left >= Duration::from_secs(20),
            "{:?} at {:?}",
            seen.lock_left,
            seen.now
        );
    }
    let extensions = world.gates.count("extend_lock");
    assert!(
        (5..=11).contains(&extensions),
        "{extensions} extensions in 100 s"
    );
}

#[test]
fn a_long_rest_neither_loses_the_lock_nor_sleeps_through_demand() {
    let world = World::new();
    let other = world.clone();
    let script = Script::new(move |number, snapshot| {
        if number == 0 {
            other.waiter("late");
        }
        let seen = !snapshot.rows.is_empty();
        decision(if seen {
            Next::Quiet
        } else {
            Next::After(Duration::from_secs(3_600))
        })
    });
    let outcome = world.run(script.clone());
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 2));
    let last = script.seen().pop().expect("a decision");
    assert!(last.now <= after(10), "{:?}", last.now);
}

#[test]
fn a_run_leaves_with_half_a_minute_of_its_time_left() {
    let world = World::new();
    let other = world.clone();
    let script = Script::new(move |number, _| {
        if number == 3 {
            other.waiter("late");
        }
        decision(Next::After(Duration::from_secs(1)))
    });
    let deadline = Duration::from_secs(60);
    let outcome = world.run_for(script, deadline).expect("an end");
    assert_eq!(outcome.end, End::TimeUp);
    assert_eq!(
        world.clock.time(),
        (START + deadline).saturating_sub(LEAVE_BEFORE)
    );
    assert_eq!(
        at_once(world.table.lock(&fleet())),
        Ok(None),
        "the next run need not wait"
    );
}

#[test]
fn a_run_without_time_does_not_begin() {
    let world = World::new();
    let outcome = world.run_for(Script::new(|_, _| decision(Next::Quiet)), LEAVE_BEFORE);
    assert_eq!(outcome.map(|outcome| outcome.end), Some(End::TimeUp));
    assert!(world.gates.log().is_empty());
}

#[test]
fn i43_a_policy_that_never_rests_is_slowed_down() {
    let world = World::new();
    let outcome = world.run_for(
        Script::new(|_, _| decision(Next::Now)),
        Duration::from_secs(60),
    );
    let outcome = outcome.expect("an end");
    assert_eq!(outcome.end, End::TimeUp);
    assert!(
        outcome.rounds <= 33 * 30,
        "{} rounds in 30 s",
        outcome.rounds
    );
}

#[test]
fn a_table_that_does_not_answer_ends_the_run_for_the_tick() {
    let world = World::new();
    world.gates.refuse("rows", 3);
    let script = Script::new(|_, _| decision(Next::Quiet));
    let outcome = world.run(script.clone());
    assert!(
        matches!(outcome.end, End::Failed(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
    assert_eq!(outcome.rounds, 3);
    assert!(
        script.seen().is_empty(),
        "nothing is decided on half a view"
    );
    assert_eq!(at_once(world.table.lock(&fleet())), Ok(None));
}

#[test]
fn a_table_that_recovers_is_asked_again() {
    let world = World::new();
    world.gates.refuse("fleet", 2);
    let outcome = world.run(Script::new(|_, _| decision(Next::Quiet)));
    assert_eq!((outcome.end, outcome.rounds), (End::Quiet, 3));
    assert_eq!(world.clock.time(), after(2), "a second between two tries");
}

#[test]
fn a_lock_whose_reply_was_lost_is_taken_again() {
    for lost in ["take_lock", "take_lock done"] {
        let world = World::new();
        world.gates.refuse(lost, 1);
        let outcome = world.run(Script::new(|_, _| decision(Next::Quiet)));
        assert_eq!(outcome.end, End::Quiet, "{lost}");
        assert_eq!(at_once(world.table.lock(&fleet())), Ok(None), "{lost}");
    }
}

#[test]
fn a_release_whose_reply_was_lost_leaves_no_lock_behind() {
    for lost in ["release_lock", "release_lock done"] {
        let world = World::new();
        world.gates.refuse(lost, 1);
        let outcome = world.run(Script::new(|_, _| decision(Next::Quiet)));
        assert!(matches!(outcome.end, End::Failed(_)), "{lost}");
        assert_eq!(at_once(world.table.lock(&fleet())), Ok(None), "{lost}");
    }
}
