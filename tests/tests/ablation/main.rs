//! Each guard's removal is seen: worlds that are aimed at it break a law without it, and none
//! with it. With `-- --nocapture` it prints after how many worlds.
//!
//! `WAKECAST_STORY=7` tells world 7 instead, without the guard and with it, and
//! `WAKECAST_WORLDS=900` plays at least so many with it.

mod client;
mod cloud;

use wakecast_tests::sim::aim::Family;
use wakecast_tests::sim::guards::Guards;

/// A removal that needs more worlds than this is not seen in practice.
const MOST: u64 = 300;
/// Worlds that must keep every law with the guard on, at least.
const LEAST: u64 = 20;
/// Of what broke, this many bytes are printed.
const WORDS: usize = 120;

/// Plays worlds without the guard until a law breaks, and as many with every guard, which must
/// keep them all.
fn seen(name: &str, without: Guards, family: Family) {
    if let Some(seed) = number("WAKECAST_STORY") {
        for (guards, which) in [(without, "without"), (Guards::default(), "with")] {
            let world = family(seed, guards);
            println!("{which} {name}, world {seed}:\n{}", world.around().timeline);
        }
        return;
    }
    let broken = |seed| {
        let world = family(seed, without);
        let violation = world.around().timeline.violations().first().cloned()?;
        Some((seed, violation))
    };
    let Some((seed, violation)) = (1..=MOST).find_map(broken) else {
        panic!("without {name}: no law is broken in {MOST} worlds");
    };
    let (law, what) = violation.split_once(": ").unwrap_or((&violation, ""));
    let what = what.get(..WORDS).unwrap_or(what);
    println!("without {name}: {law} broken in world {seed} ({seed} worlds): {what}");
    kept(&format!("with {name}"), Guards::default(), family, seed);
}

/// Plays worlds that must keep every law: as many as were played without the guard.
fn kept(name: &str, guards: Guards, family: Family, worlds: u64) {
    let least = number("WAKECAST_WORLDS").unwrap_or(LEAST);
    for seed in 1..=worlds.max(least) {
        let world = family(seed, guards);
        let timeline = &world.around().timeline;
        assert!(
            timeline.violations().is_empty(),
            "{name}, world {seed} breaks {:?}\n{timeline}",
            timeline.violations()
        );
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
