//! What is no crash and as bad: a holder that pauses longer than its lock, and clocks that differ.

use std::time::{Duration, Instant};

use wakecast_tests::sim::client::ClientSetup;
use wakecast_tests::sim::points::How;
use wakecast_tests::sim::process::Role;
use wakecast_tests::sim::users::{self, Leave, Part, Wish};
use wakecast_tests::sim::world::World;

use crate::story::{Fleet, play, play_with};

/// Two regions' clocks.
const APART: Duration = Duration::from_secs(5);
/// A lock has run out by then, and its holder still sleeps.
const ASLEEP: Duration = Duration::from_secs(33);
/// How often somebody who waits for a freeze looks.
const GLANCE: Duration = Duration::from_secs(1);

#[test]
fn a_holder_that_pauses_longer_than_its_lock() {
    pauses(Fleet::Direct, Role::Reconciler, 200);
}

#[test]
fn a_holder_that_pauses_longer_than_its_lock_with_an_elastic_ip() {
    pauses(Fleet::Elastic, Role::Reconciler, 200);
}

#[test]
fn a_gateway_that_pauses() {
    pauses(Fleet::Direct, Role::Gateway, 20);
}

#[test]
fn a_fan_out_that_pauses() {
    pauses(Fleet::Direct, Role::Fanout, 10);
}

/// While the holder sleeps another takes its lock, and somebody else comes.
fn pauses(fleet: Fleet, role: Role, least: usize) {
    let began = Instant::now();
    let points = play(fleet, &Vec::new()).calls(role).len();
    assert!(points > least, "{points} points");
    let mut worlds = 0;
    for point in 0..points {
        for how in [How::FreezesBefore, How::FreezesAfter] {
            let plan = vec![(role, point, how)];
            play_with(fleet, &plan, somebody_comes_meanwhile).ended_well();
            worlds += 1;
        }
    }
    println!(
        "{fleet:?}: {role:?} {points} points, {worlds} worlds with a pause, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

fn somebody_comes_meanwhile(world: &mut World) -> Option<&'static str> {
    let around = world.around().clone();
    let points = world.points().clone();
    let cleo = world.client(ClientSetup::named("cleo"));
    world.spawn(async move {
        while points.met() == 0 {
            around.clock.sleep(GLANCE).await;
        }
        let part = Part {
            wish: Wish::Publish,
            stream: "three".to_owned(),
            at: around.clock.true_now() + ASLEEP,
            moment: None,
            patience: Duration::from_mins(10),
            stay: Duration::from_secs(20),
            leave: Leave::Release,
        };
        users::live(around, cleo, part).await;
    });
    Some("cleo")
}

#[test]
fn clocks_five_seconds_apart() {
    let began = Instant::now();
    let mut worlds = 0;
    for fleet in [Fleet::Direct, Fleet::Elastic] {
        for ahead in [Role::Gateway, Role::Reconciler] {
            let put = |world: &mut World| {
                world.put_ahead(ahead, APART);
                None
            };
            play_with(fleet, &Vec::new(), put).ended_well();
            worlds += 1;
        }
        // Each container of both functions has a clock of its own, and one of them dies.
        let skewed = |world: &mut World| {
            world.skew_clocks(APART);
            None
        };
        for role in [Role::Gateway, Role::Reconciler] {
            let points = play_with(fleet, &Vec::new(), skewed).calls(role).len();
            for point in (0..points).step_by(2) {
                let how = if point % 4 == 0 {
                    How::Before
                } else {
                    How::After
                };
                play_with(fleet, &vec![(role, point, how)], skewed).ended_well();
                worlds += 1;
            }
        }
    }
    println!(
        "clocks apart: {worlds} worlds, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}
