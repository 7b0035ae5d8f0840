//! Each guard's removal is seen: worlds that are aimed at it break a law without it, and none
//! with it. With `-- --nocapture` it prints after how many worlds, and with `WAKECAST_STORY` set
//! the timeline of the world that broke.

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
    let broken = |seed| {
        let world = family(seed, without);
        let timeline = world.around().timeline.clone();
        let violation = timeline.violations().first().cloned()?;
        Some((seed, violation, timeline))
    };
    let Some((seed, violation, timeline)) = (1..=MOST).find_map(broken) else {
        panic!("without {name}: no law is broken in {MOST} worlds");
    };
    if std::env::var_os("WAKECAST_STORY").is_some() {
        println!("{timeline}");
    }
    let (law, what) = violation.split_once(": ").unwrap_or((&violation, ""));
    let what = what.get(..WORDS).unwrap_or(what);
    println!("without {name}: {law} broken in world {seed} ({seed} worlds): {what}");
    kept(&format!("with {name}"), Guards::default(), family, seed);
}

/// Plays worlds that must keep every law: as many as were played without the guard.
fn kept(name: &str, guards: Guards, family: Family, worlds: u64) {
    for seed in 1..=worlds.max(LEAST) {
        let world = family(seed, guards);
        let timeline = &world.around().timeline;
        assert!(
            timeline.violations().is_empty(),
            "{name}, world {seed} breaks {:?}\n{timeline}",
            timeline.violations()
        );
    }
}
