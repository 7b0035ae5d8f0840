//! Two crashes in a row: at every point, and again in the run that mends the first, or in what the
//! other function does next.

use std::time::Instant;

use wakecast_tests::sim::points::How;
use wakecast_tests::sim::process::Role;

use crate::story::{Fleet, play};

/// Calls of the next run at which the second crash falls: it takes the lock, and looks. All later
/// ones are like those of any other run, which single crashes cover; ten of them, played once, add
/// nothing but a minute to each test run.
const OF_THE_NEXT_RUN: usize = 4;

/// Calls of the next invocations of the gateway: a message or two.
const OF_THE_NEXT_INVOCATIONS: usize = 8;

#[test]
fn two_crashes_of_the_reconciler_in_a_row() {
    enumerate(Fleet::Direct, Role::Reconciler, OF_THE_NEXT_RUN);
}

#[test]
fn two_crashes_of_the_reconciler_in_a_row_with_an_elastic_ip() {
    enumerate(Fleet::Elastic, Role::Reconciler, OF_THE_NEXT_RUN);
}

#[test]
fn two_crashes_of_the_gateway_in_a_row() {
    enumerate(Fleet::Direct, Role::Gateway, OF_THE_NEXT_INVOCATIONS);
}

/// Calls of the other function that come first after a crash: what mends it, or asks again.
const OF_THE_OTHER: usize = 3;

#[test]
fn a_crash_of_the_gateway_and_then_one_of_the_reconciler() {
    across(Role::Gateway, Role::Reconciler, OF_THE_OTHER * 4);
}

#[test]
fn a_crash_of_the_reconciler_and_then_one_of_the_gateway() {
    across(Role::Reconciler, Role::Gateway, OF_THE_OTHER);
}

#[test]
fn a_crash_of_the_fan_out_and_then_one_of_the_reconciler() {
    across(Role::Fanout, Role::Reconciler, OF_THE_OTHER * 4);
}

/// One function dies, and the other one soon after it.
fn across(one: Role, other: Role, calls: usize) {
    let began = Instant::now();
    let fleet = Fleet::Direct;
    let points = play(fleet, &Vec::new()).calls(one).len();
    let mut worlds = 0_usize;
    for first in 0..points {
        let kinds = [How::Before, How::After];
        let how = kinds[first % 2];
        let once = play(fleet, &vec![(one, first, how)]);
        let next = once.calls_before(one, first, other);
        let last = (next + calls).min(once.calls(other).len());
        for second in next..last {
            let then = kinds[(first + second + 1) % 2];
            play(fleet, &vec![(one, first, how), (other, second, then)]).ended_well();
            worlds += 1;
        }
    }
    assert!(worlds > 50, "{worlds} worlds for {points} points");
    println!(
        "{one:?} {points} points, {worlds} worlds with a crash of {other:?} in its first {calls} \
         calls that follow, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

fn enumerate(fleet: Fleet, role: Role, calls: usize) {
    let began = Instant::now();
    let points = play(fleet, &Vec::new()).calls(role).len();
    assert!(points > 0, "no point at all");
    let mut worlds = 0_usize;
    for first in 0..points {
        let kinds = [How::Before, How::After];
        let how = if first % 2 == 0 {
            kinds
        } else {
            [How::After, How::Before]
        };
        let once = play(fleet, &vec![(role, first, how[0])]);
        let Some(next) = next_run(role, &once.calls(role), first) else {
            continue;
        };
        for second in next..next + calls {
            let last = how[second % 2];
            if second >= once.calls(role).len() {
                break;
            }
            play(fleet, &vec![(role, first, how[0]), (role, second, last)]).ended_well();
            worlds += 1;
        }
    }
    assert!(worlds > points, "{worlds} worlds for {points} points");
    println!(
        "{fleet:?}: {role:?} {points} points, {worlds} worlds with a second crash in the first \
         {calls} calls that follow, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// The first call of whoever goes on after a crash. Runs of the reconciler that find the lock of
/// the dead taken do nothing else; the one that takes it is the next.
fn next_run(role: Role, calls: &[&str], crash: usize) -> Option<usize> {
    let after = crash + 1;
    if role == Role::Gateway {
        return (after < calls.len()).then_some(after);
    }
    let rest = calls.get(after..)?;
    let works = rest.iter().position(|call| *call != "take_lock")?;
    Some((after + works).saturating_sub(1).max(after))
}
