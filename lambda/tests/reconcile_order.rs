//! The order of looking and acting.

mod reconcile_world;

use reconcile_world::{Script, World, decision};
use wakecast_lambda::lifecycle::Next;
use wakecast_lambda::reconcile::End;

#[test]
fn a_quiet_fleet_is_looked_at_once_and_left() {
    let world = World::new();
    let outcome = world.run(Script::new(|_, _| decision(Next::Quiet)));
    assert_eq!(outcome.end, End::Quiet);
    assert_eq!(
        world.gates.log(),
        ["take_lock", "demand", "fleet", "describe", "rows", "counters", "release_lock"]
    );
}
