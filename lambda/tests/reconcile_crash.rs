//! Crashes at every await: the table alone carries a run on.

mod reconcile_world;

use std::collections::BTreeSet;
use std::time::Duration;

use reconcile_world::{START, World, at_once, fleet, instance};
use wakecast_lambda::model::{InstanceStatus, RowState, Timestamp};
use wakecast_lambda::ports::Store;

const LONG: Duration = Duration::from_secs(600);

fn granted(world: &World) -> bool {
    matches!(world.row("a").state, RowState::Held { .. })
}

fn stopped(world: &World) -> bool {
    let records = at_once(world.table.fleet(&fleet())).expect("a read");
    records
        .instances
        .values()
        .all(|known| known.status == InstanceStatus::Stopped)
        && !world.ec2.stops().is_empty()
}

/// A fleet with no instance at all, and one that waits for it.
fn cold() -> World {
    let world = World::new();
    world.waiter("a");
    world
}

/// A fleet with an instance that has been idle since its start.
fn idle() -> World {
    let world = World::new();
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    world.ec2.running("i-1", START);
    world
}

fn gates_of(world: &World, done: impl Fn(&World) -> bool) -> usize {
    assert!(world.live(LONG, done), "{:#?}", world.gates.log());
    world.gates.passed()
}

fn launched_once(world: &World, case: &str) {
    let log = world.gates.log();
    assert_eq!(world.ec2.launches(), 1, "{case}: {log:#?}");
    let spent = at_once(
        world
            .table
            .counters(&fleet(), &BTreeSet::new(), world.clock.time()),
    )
    .expect("a read");
    assert_eq!((spent.launches, spent.starts), (1, 1), "{case}: {log:#?}");
    let records = at_once(world.table.fleet(&fleet())).expect("a read");
    assert_eq!(records.state.sequence, 1, "{case}: one intent");
    assert!(records.intents.is_empty(), "{case}: it is closed");
    assert_eq!(world.table.violations(), Vec::<String>::new());
}

#[test]
fn a_launch_that_crashes_anywhere_is_one_launch() {
    let gates = gates_of(&cold(), granted);
    assert!(gates > 50, "{gates} gates");
    for at in 0..gates {
        let world = cold();
        world.gates.crash_at(at);
        assert!(
            world.live(LONG, granted),
            "crash at {at}: {:#?}",
            world.gates.log()
        );
        launched_once(&world, &format!("crash at {at}"));
    }
}

#[test]
fn a_launch_that_crashes_twice_is_one_launch() {
    let gates = gates_of(&cold(), granted);
    for first in 0..gates {
        // The second crash falls into the run that mends the first one.
        for second in (first + 1..gates + 40).step_by(13) {
            let world = cold();
            world.gates.crash_at(first);
            world.gates.then_crash_at(second);
            let case = format!("crashes at {first} and {second}");
            assert!(
                world.live(LONG, granted),
                "{case}: {:#?}",
                world.gates.log()
            );
            launched_once(&world, &case);
        }
    }
}

#[test]
fn a_stop_that_crashes_anywhere_ends_stopped() {
    let gates = gates_of(&idle(), stopped);
    assert!(gates > 100, "{gates} gates");
    for at in 0..gates {
        let world = idle();
        world.gates.crash_at(at);
        assert!(
            world.live(LONG, stopped),
            "crash at {at}: {:#?}",
            world.gates.log()
        );
        assert_eq!(
            world.ec2.stops().len(),
            1,
            "crash at {at}: {:#?}",
            world.gates.log()
        );
        assert_eq!(
            (world.ec2.launches(), world.ec2.starts()),
            (1, 0),
            "crash at {at}"
        );
    }
}

/// Grants an acquire as the gateway does, in two steps that may fall anywhere: G1 at one gate, G2
/// at another. What G2 said ready for must not be stopped.
#[test]
fn a_grant_and_a_stop_never_miss_each_other() {
    let gates = gates_of(&idle(), stopped);
    let mut confirmed = 0;
    let mut refused = BTreeSet::new();
    for put in 0..gates {
        for read in [put, put + 1, put + 3, put + 8] {
            let world = idle();
            let granted = world.grant_at("a", put, read);
            let finished = world.live(Duration::from_secs(90), |world| {
                let answered = granted.lock().expect("a note").is_some();
                answered && !matches!(world.row("a").state, RowState::Waiting { .. })
            });
            let case = format!("G1 at gate {put}, G2 at gate {read}");
            assert!(
                !stopped_over_a_row(&world.gates.log()),
                "{case}: S3 must see the row: {:#?}",
                world.gates.log()
            );
            let answer = *granted.lock().expect("a note");
            let Some((ready, at)) = answer else { continue };
            if ready {
                confirmed += 1;
                let protected: Timestamp = at + reconcile_world::brief().timing.protect_publish;
                let stops = world.ec2.stops();
                assert!(
                    stops.iter().all(|stop| *stop >= protected),
                    "{case}: granted at {at:?}, stopped at {stops:?}: {:#?}",
                    world.gates.log()
                );
            } else {
                refused.insert(put);
                assert!(
                    finished,
                    "{case}: it waits for ever: {:#?}",
                    world.gates.log()
                );
            }
        }
    }
    assert!(confirmed > 100, "{confirmed} grants were confirmed");
    assert!(refused.len() > 20, "{} grants met a drain", refused.len());
}

/// Tells whether a stop was sent though the row was there when the rows were last read before it.
fn stopped_over_a_row(log: &[String]) -> bool {
    let Some(put) = log.iter().position(|line| line.starts_with("gateway put")) else {
        return false;
    };
    let stops = log
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("stop"));
    let mut reads =
        stops.filter_map(|(stop, _)| log.iter().take(stop).rposition(|line| line == "rows"));
    reads.any(|read| put < read)
}
