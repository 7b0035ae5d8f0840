//! Prints the herd table: twenty thousand clients against 500 new connections a second.
//!
//! `cargo run --profile sim -p wakecast --no-default-features --example herd [CLIENTS]`
#![allow(
    unreachable_pub,
    dead_code,
    reason = "the model is shared with the tests"
)]

#[path = "../tests/herd/model.rs"]
mod model;

use model::{AIM, HEAD, Policy, QUOTA, run};

fn main() {
    let clients = std::env::args().nth(1);
    let clients = clients.and_then(|text| text.parse().ok()).unwrap_or(20_000);
    println!(
        "{clients} clients, {QUOTA} new connections a second, spread {:.1} s\n",
        clients as f64 / AIM as f64
    );
    println!("{HEAD}");
    for outage_s in [0, 5, 30, 120] {
        for policy in Policy::ALL {
            println!("{}", run(policy, clients, outage_s));
        }
    }
}
