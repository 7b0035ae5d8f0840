//! Twenty thousand clients lose their link in the same instant, and the service stays up.
//!
//! The whole table, side by side with other schedules:
//! `cargo run --profile sim -p wakecast --no-default-features --example herd`.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "the model is shared with the example"
)]

mod model;

use model::{Outcome, Policy, run};

const CLIENTS: usize = 20_000;

fn machine(outage_s: u64) -> Outcome {
    let outcome = run(Policy::Machine, CLIENTS, outage_s);
    println!("{outcome}");
    outcome
}

#[test]
fn a_herd_that_is_dropped_at_once_comes_back_below_the_quota() {
    let herd = machine(0);
    assert!(herd.attempts <= 1.05, "{herd}");
    assert!(herd.peak < 500, "{herd}");
    assert!(herd.first_99_s <= 57.0, "{} s: {herd}", herd.first_99_s);
}

#[test]
fn a_herd_comes_back_after_an_outage_of_five_seconds() {
    let herd = machine(5);
    assert!(herd.attempts <= 1.3 && herd.peak <= 650, "{herd}");
}

#[test]
fn a_herd_comes_back_after_an_outage_of_thirty_seconds() {
    let herd = machine(30);
    assert!(herd.attempts <= 2.0 && herd.peak <= 650, "{herd}");
}

#[test]
fn a_herd_comes_back_after_an_outage_of_two_minutes() {
    let herd = machine(120);
    assert!(herd.attempts <= 3.5 && herd.peak <= 650, "{herd}");
}

#[test]
fn without_a_spread_the_same_herd_is_a_storm() {
    // The limits above say something: other schedules are far beyond them.
    for policy in [
        Policy::FullJitter,
        Policy::Centrifuge,
        Policy::Phoenix,
        Policy::SocketIo,
    ] {
        let herd = run(policy, CLIENTS, 0);
        println!("{herd}");
        assert!(herd.attempts > 3.0 && herd.peak > 5_000, "{herd}");
    }
}
