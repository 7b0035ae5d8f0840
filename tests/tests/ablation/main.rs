//! Each guard's removal is seen: worlds that are aimed at it break a law without it, and none
//! with it. `cargo test --features ablation --test ablation -- --nocapture` prints after how many
//! worlds.

mod client;
mod cloud;

use wakecast_tests::sim::aim::Family;
use wakecast_tests::sim::guards::Guards;

/// A removal that needs more worlds than this is not seen in practice.
const MOST: u64 = 300;
/// Worlds that must keep every law with the guard on, at least.
const LEAST: u64 = 20;

/// Plays worlds without the guard until a law breaks, and as many with every guard, which must
/// keep them all.
fn seen(name: &str, without: Guards, family: Family) {
    let found = (1..=MOST).find_map(|seed| Some((seed, broken(seed, without, family)?)));
    let Some((seed, violation)) = found else {
        panic!("without {name}: no law is broken in {MOST} worlds");
    };
    println!("without {name}: {violation} in world {seed} ({seed} worlds)");
    for seed in 1..=seed.max(LEAST) {
        let world = family(seed, Guards::default());
        let timeline = &world.around().timeline;
        assert!(
            timeline.violations().is_empty(),
            "with {name}, world {seed} breaks {:?}\n{timeline}",
            timeline.violations()
        );
    }
}

fn broken(seed: u64, guards: Guards, family: Family) -> Option<String> {
    let world = family(seed, guards);
    world.around().timeline.violations().first().cloned()
}
