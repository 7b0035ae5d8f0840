//! One crash, at every point.

use std::time::Instant;

use wakecast_tests::sim::points::How;
use wakecast_tests::sim::process::Role;

use crate::story::{Fleet, play};

#[test]
fn a_crash_of_the_reconciler_anywhere() {
    enumerate(Fleet::Direct, Role::Reconciler);
}

#[test]
fn a_crash_of_the_reconciler_anywhere_with_an_elastic_ip() {
    enumerate(Fleet::Elastic, Role::Reconciler);
}

#[test]
fn a_crash_of_the_gateway_anywhere() {
    enumerate(Fleet::Direct, Role::Gateway);
}

#[test]
fn a_crash_of_the_gateway_anywhere_with_an_elastic_ip() {
    enumerate(Fleet::Elastic, Role::Gateway);
}

#[test]
fn a_crash_of_the_fan_out_anywhere() {
    enumerate(Fleet::Direct, Role::Fanout);
}

fn enumerate(fleet: Fleet, role: Role) {
    let began = Instant::now();
    let whole = play(fleet, &Vec::new());
    whole.ended_well();
    let points = whole.calls(role).len();
    let least = match role {
        Role::Reconciler => 200,
        Role::Gateway => 20,
        Role::Fanout => 10,
    };
    assert!(
        points > least,
        "{points} points: the story is too short to show anything"
    );
    let mut worlds = 0;
    for point in 0..points {
        for how in [How::Before, How::After, How::Late] {
            play(fleet, &vec![(role, point, how)]).ended_well();
            worlds += 1;
        }
    }
    println!(
        "{fleet:?}: {role:?} {points} points, {worlds} worlds with one crash, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}
