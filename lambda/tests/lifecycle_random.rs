//! Random worlds against the laws: at most one instance lives, nothing in use is stopped, every
//! waiter is answered, an unreadable EC2 is left alone, no cap of a fleet or a subject is exceeded,
//! no running time is counted twice, and afterwards everything comes to rest.
//!
//! `WORLDS=5000 cargo test -p wakecast-lambda --test lifecycle_random` runs more of them.

mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use support::chaos::Dice;
use support::{World, config, elastic};
use wakecast_lambda::lifecycle::transitions;

/// Worlds in the test command: some seconds unoptimised.
const WORLDS: u64 = 150;

#[test]
fn random_worlds_keep_the_laws() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("WORLD") {
        let world = live(seed);
        println!("{}", world.story());
        judge(&world);
        return;
    }
    let mut seen = BTreeSet::new();
    let worlds = number("WORLDS").unwrap_or(WORLDS);
    for seed in 0..worlds {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let world = live(seed);
            judge(&world);
            world.transitions
        }));
        match outcome {
            Ok(transitions) => seen.extend(transitions),
            Err(_) => panic!(
                "replay: WORLD={seed} cargo test -p wakecast-lambda --test lifecycle_random -- --nocapture"
            ),
        }
    }
    let missing = transitions()
        .iter()
        .filter(|step| !seen.contains(step))
        .collect::<Vec<_>>();
    println!(
        "{} of {} transitions; not seen: {missing:?}",
        seen.len(),
        transitions().len()
    );
    // What many worlds do not reach, they do not prove.
    assert!(worlds < WORLDS || seen.len() >= 24, "{missing:?}");
}

/// Lives one world: half an hour or more of surprises, then peace.
fn live(seed: u64) -> World {
    let mut dice = Dice(seed);
    let mut config = if dice.once_in(2) { config() } else { elastic() };
    if dice.once_in(6) {
        config.budget.fleet_per_day = Some(Duration::from_secs(600 + dice.below(1_200)));
    }
    let mut world = World::with(config);
    world.ec2.describe_lag = Duration::from_secs(dice.pick(&[0, 0, 0, 2, 20]).unwrap_or_default());
    world.ec2.pending_for = Duration::from_secs(2 + dice.below(12));
    world.ec2.stopping_for = Duration::from_secs(1 + dice.below(60));
    world.next_media.liveness_after = Duration::from_secs(3 + dice.below(40));
    world.next_media.app_after = world.next_media.liveness_after + Duration::from_secs(1);
    world.next_media.lose_settings = u32::from(dice.once_in(8));
    for _ in 0..40 + dice.below(40) {
        world.surprise(&mut dice);
        // Mostly short, now and then long enough for a drain.
        let seconds = if dice.once_in(6) {
            dice.below(500)
        } else {
            dice.below(20)
        };
        world.run(seconds);
    }
    world.heal();
    world.end_of_heal = Some(world.now);
    world.run(BOUND);
    world
}

/// Law 4 from anywhere: a lock's life and a tick after a crash, a boot's limit or a stop in doubt,
/// grace and settle.
const BOUND: u64 = 1_500;

fn judge(world: &World) {
    world.check();
    assert!(world.at_rest(), "{}\n{:#?}", world.story(), world.records);
    assert!(world.launches() <= 16, "a launch storm\n{}", world.story());
}
