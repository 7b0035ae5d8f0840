//! What an idle client sends, and how soon a dead link is noticed: virtual time, so exact.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use wakecast::Acquire;
use wakecast::machine::{Input, RequestKey};

use super::support::{HOUR, MINUTE, SECOND, World};

/// Most messages a day of a client that is idle or holds a lease: each is billed.
const LIMIT: usize = 400;

/// Different jitter each.
const SEEDS: u8 = 8;

/// A link dies at so many moments, half a second apart.
const MOMENTS: u64 = 120;

/// A quiet client: its name and how it is made from a seed.
type Kind = (&'static str, fn(u8) -> World);

pub(super) fn section() -> String {
    let mut text = format!(
        "### Messages of a quiet client\n\n\
         A day behind the gateway's own limits (idle 10 min, age 2 h), tokens of an hour, virtual \
         time; the most of {SEEDS} seeds. At most {LIMIT} are allowed to a client that is idle or \
         holds a lease.\n\n\
         | client | `ping` | `renew` | `hello` | other | in all | limit |\n|---|---|---|---|---|---|---|\n"
    );
    let kinds: [Kind; 3] = [
        ("connected, nothing wanted", World::connected),
        ("holds a lease", World::holding),
        ("waits with `watch`", |seed| {
            let mut world = World::connected(seed);
            world.acquire(1, Acquire::watch("live", "match"));
            world
        }),
    ];
    for (name, make) in kinds {
        let days = (0..SEEDS).map(|seed| day(make(seed)));
        let most = days.max_by_key(|day| day.values().sum::<usize>());
        let most = most.unwrap_or_default();
        let of = |action: &str| most.get(action).copied().unwrap_or(0);
        let all: usize = most.values().sum();
        let (ping, renew, hello) = (of("ping"), of("renew"), of("hello"));
        let other = all - ping - renew - hello;
        let _ = writeln!(
            text,
            "| {name} | {ping} | {renew} | {hello} | {other} | {all} | {LIMIT} |"
        );
    }
    text.push_str(
        "\n### Dead links\n\n\
         Nothing gets through any more in either direction, and nobody is told; the link dies at \
         120 moments half a second apart, virtual time.\n\n\
         | while | noticed after, s, at most | limit s |\n|---|---|---|\n",
    );
    let slow = slowest(|world| {
        let acquire = Acquire::play("live", "match").deadline(Duration::from_secs(3_600));
        world.acquire(1, acquire);
        world.run(SECOND);
    });
    let due = slowest_of(MOMENTS, |world, moment| {
        world.run(moment);
        world.script.blackhole = true;
        world.acquire(1, Acquire::play("live", "match"));
    });
    let asked = slowest_of(MOMENTS, |world, moment| {
        world.run(moment);
        world.script.blackhole = true;
        world.input(Input::Status {
            key: RequestKey(1),
            fleet: None,
        });
    });
    let idle = slowest(|_| ());
    for (what, seconds, limit) in [
        ("an acquire is open", slow, "40"),
        ("an acquire has just been sent", due, "8"),
        ("a request has just been sent", asked, "8"),
        ("nothing is wanted or held", idle, "none: 280 by design"),
    ] {
        let _ = writeln!(text, "| {what} | {seconds:.1} | {limit} |");
    }
    text
}

/// What the client of a world sends in a day, by kind.
fn day(mut world: World) -> BTreeMap<&'static str, usize> {
    world.script.limits = Some((10 * MINUTE, 2 * HOUR));
    let before = world.sent.len();
    world.run(24 * HOUR);
    assert!(world.is_connected(), "a quiet client stays connected");
    let mut counts = BTreeMap::new();
    for (_, _, message) in world.sent.iter().skip(before) {
        *counts.entry(message.action()).or_default() += 1;
    }
    counts
}

/// The longest that a link is dead unnoticed, in seconds, for a client that was made so.
fn slowest(make: impl Fn(&mut World)) -> f64 {
    slowest_of(MOMENTS, |world, moment| {
        make(world);
        world.run(moment);
        world.script.blackhole = true;
    })
}

fn slowest_of(moments: u64, kill: impl Fn(&mut World, u64)) -> f64 {
    let noticed = (0..moments).map(|nth| {
        let mut world = World::connected(14);
        kill(&mut world, nth * SECOND / 2);
        let dead = world.now;
        while world.is_connected() && world.now < dead + HOUR {
            world.run(100);
        }
        (world.now - dead) as f64 / 1_000.0
    });
    noticed.fold(0.0, f64::max)
}
