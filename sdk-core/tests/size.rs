//! Ten thousand clients fit into one process.

use wakecast::machine::{Config, Machine, Seed};

#[test]
fn a_fresh_machine_is_small() {
    // Its heap holds two short texts, the client's id and the SDK's name; everything else is empty
    // until it is needed. Ten thousand of them take about 8 MB.
    assert!(
        size_of::<Machine>() <= 832,
        "{} bytes",
        size_of::<Machine>()
    );
    let config = Config::new("test/1");
    let machines: Vec<Machine> = (0..10_000u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let mut seed = [0; 32];
            (seed[0], seed[1]) = (high, low);
            Machine::new(config.clone(), Seed(seed))
        })
        .collect();
    assert_eq!(machines.len(), 10_000);
}
