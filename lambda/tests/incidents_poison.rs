//! Incidents 33 and 34 at the reconciler: a row or a record that cannot be read, and a push service
//! that refuses everything, are told and stop nobody else.

mod reconcile_world;

use std::sync::Arc;
use std::time::Duration;

use reconcile_world::{World, fleet, instance, row_key};
use wakecast_lambda::lifecycle::Next;
use wakecast_lambda::model::{InstanceId, InstanceStatus, RowState};
use wakecast_lambda::ports::PostError;
use wakecast_lambda::reconcile::{End, Lifecycle};
use wakecast_lambda::store::{Store as _, StoreError, keys};

use reconcile_world::{Script, at_once, decision};

fn is_held(world: &World, name: &str) -> bool {
    matches!(world.row(name).state, RowState::Held { .. })
}

#[test]
fn i34_a_row_that_cannot_be_read_stops_nobody_else() {
    let world = World::new();
    world.waiter("poison");
    world.waiter("other");
    let sort = keys::row(&row_key("poison"));
    world.table.spoil(&keys::demand(&fleet()), &sort);
    assert!(
        world.live(Duration::from_secs(600), |world| is_held(world, "other")),
        "{:#?}",
        world.gates.log()
    );
    assert_eq!(
        world.sockets.arrived_count("other"),
        world.sockets.arrived("other").len()
    );
    assert!(world.sockets.arrived("other").contains(&"ready".to_owned()));
    assert!(
        world.row("poison").is_unreadable(),
        "nobody writes over what it cannot read"
    );
    assert_eq!(world.sockets.arrived("poison"), Vec::<String>::new());
    assert_eq!(world.table.violations(), Vec::<String>::new());
}

#[test]
fn i34_a_record_that_cannot_be_read_ends_the_run_at_once_and_moves_nothing() {
    for sort in [
        keys::instance(&InstanceId::new("i-1")),
        keys::STATE.to_owned(),
    ] {
        let world = World::new();
        world.given(vec![instance("i-1", InstanceStatus::Ready)]);
        world.waiter("a");
        world.table.spoil(&keys::records(&fleet()), &sort);
        for _ in 0..3 {
            let outcome = world.run(Arc::new(Lifecycle));
            assert_eq!(
                outcome.end,
                End::Failed(StoreError::Unreadable(sort.clone()))
            );
            assert_eq!(outcome.rounds, 1, "asking again brings nothing");
        }
        for call in ["run", "start", "stop", "post", "commit"] {
            assert_eq!(world.gates.count(call), 0, "{sort}: {call}");
        }
        assert_eq!(
            at_once(world.table.lock(&fleet())),
            Ok(None),
            "the lock is free for the tick"
        );
    }
}

#[test]
fn i34_memories_that_cannot_be_read_are_empty_ones() {
    let world = World::new();
    for sort in [keys::BOOTS, keys::UNAVAILABLE] {
        world.table.spoil(&keys::records(&fleet()), sort);
    }
    let outcome = world.run(Script::new(|_, snapshot| {
        assert!(snapshot.records.unavailable.is_empty());
        decision(Next::Quiet)
    }));
    assert_eq!(outcome.end, End::Quiet);
    // And they are written over by the next boot.
    world.waiter("a");
    assert!(world.live(Duration::from_secs(600), |world| is_held(world, "a")));
    let records = at_once(world.table.fleet(&fleet())).expect("a read");
    let remembered = wakecast_lambda::model::BootPath::New;
    assert_eq!(records.history.boots(remembered).len(), 1);
}

#[test]
fn i33_under_an_endless_storm_of_429_a_boot_takes_its_usual_time() {
    let mut took = Vec::new();
    for storm in [false, true] {
        let world = World::new();
        for number in 0..100 {
            world.waiter(&format!("w{number:02}"));
        }
        if storm {
            world.sockets.always_fails(PostError::Throttled);
        }
        let began = world.clock.time();
        assert!(world.live(Duration::from_secs(600), |world| is_held(world, "w99")));
        assert!((0..100).all(|number| is_held(&world, &format!("w{number:02}"))));
        took.push(world.clock.time().since(began));
        assert_eq!(world.gates.count("run"), 1, "one launch");
    }
    // Each round of posts gives up after eight seconds; the boot does not wait for all of them.
    assert!(took[1] <= took[0] + Duration::from_secs(60), "{took:?}");
}
