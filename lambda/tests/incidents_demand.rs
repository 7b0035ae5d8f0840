//! Incidents of demand that flaps, capacity that goes, and failures that repeat.

mod support;

use std::time::Duration;

use support::chaos::Dice;
use support::ec2::Fault;
use support::{World, config};
use wakecast::ErrorCode;
use wakecast::protocol::Purpose;
use wakecast_lambda::lifecycle::{Alarm, Power, Stand};
use wakecast_lambda::model::{RowEnd, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// When calls of a kind were made.
fn times(world: &World, which: impl Fn(&Power) -> bool) -> Vec<Timestamp> {
    let calls = world.calls.iter().filter(|(_, power)| which(power));
    calls.map(|(at, _)| *at).collect()
}

const fn powers_on(power: &Power) -> bool {
    matches!(power, Power::Run { .. } | Power::Start { .. })
}

const fn powers_off(power: &Power) -> bool {
    matches!(power, Power::Stop { .. })
}

fn without_capacity(world: &mut World) {
    for zone in ["a", "b"] {
        world
            .ec2
            .no_capacity
            .insert(("c7g.xlarge".into(), zone.into()));
    }
}

/// The fleet after a first life: one stopped instance, nobody waits.
fn stopped() -> World {
    let mut world = World::new();
    world.acquire("first", Purpose::Play);
    world.run_until(60, |world| world.is_held("first"));
    world.release("first");
    world.run_until(900, World::is_stopped);
    world.run(61);
    world.calls.clear();
    world.transitions.clear();
    world
}

#[test]
fn i21_i40_a_day_of_demand_at_the_edge_of_the_grace_does_not_flap() {
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let mut config = config();
        // Only the rules of this case hold it, not the caps.
        (config.caps.starts_per_hour, config.caps.launches_per_hour) = (1_000, 1_000);
        let timing = config.timing;
        let mut world = World::with(config);
        let end = world.now + seconds(8 * 3600);
        let mut demands = Vec::new();
        while world.now < end {
            let id = format!("d{}", demands.len());
            demands.push(world.now);
            world.acquire(
                &id,
                dice.pick(&[Purpose::Publish, Purpose::Play])
                    .expect("a purpose"),
            );
            world.run_until(120, |world| world.is_held(&id));
            world.run(dice.below(4));
            world.release(&id);
            // Just before or after the drain, the settle, the looks, the stop or the tick.
            let edge = dice
                .pick(&[300, 360, 365, 370, 376, 390, 60, 240])
                .expect("an edge");
            world.run(edge - 4 + dice.below(9));
        }
        let (ons, offs) = (times(&world, powers_on), times(&world, powers_off));
        assert!(
            offs.len() >= 5,
            "seed {seed}: the edge was met only {} times",
            offs.len()
        );
        let least = timing.min_up + timing.settle();
        for off in &offs {
            let on = ons
                .iter()
                .rev()
                .find(|on| *on < off)
                .expect("a start before a stop");
            assert!(
                off.since(*on) >= least,
                "seed {seed}: stopped {:?} after its start",
                off.since(*on)
            );
        }
        // Each start has a demand of its own, and so has each stop: nothing goes up and down by
        // itself.
        for (what, calls) in [("start", &ons), ("stop", &offs)] {
            for pair in calls.windows(2) {
                let between = demands
                    .iter()
                    .filter(|at| pair[0] <= **at && **at <= pair[1]);
                assert!(
                    between.count() >= 1,
                    "seed {seed}: a {what} without demand: {pair:?}"
                );
            }
        }
        assert!(
            ons.len() <= demands.len() && offs.len() <= ons.len(),
            "seed {seed}"
        );
        world.check();
    }
}

#[test]
fn i40_without_demand_nothing_moves_at_any_tick() {
    let mut world = stopped();
    world.run(24 * 3600);
    assert!(
        world.calls.is_empty() && world.transitions.is_empty(),
        "{}",
        world.story()
    );
    // Nor while one stream runs all day.
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.publish("a"));
    world.calls.clear();
    world.transitions.clear();
    world.run(24 * 3600);
    assert!(
        world.calls.is_empty() && world.transitions.is_empty(),
        "{}",
        world.story()
    );
    world.check();
}

#[test]
fn i22_a_stock_out_never_stops_a_healthy_instance() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    assert!(world.publish("a"));
    world.calls.clear();
    // Its own pool is short too: nothing replaces it, and nothing has to.
    without_capacity(&mut world);
    for n in 0..60 {
        let id = format!("w{n}");
        world.acquire(&id, Purpose::Play);
        assert!(world.is_held(&id), "there is room on what runs");
        world.run(360);
    }
    assert!(world.calls.is_empty(), "{}", world.story());
    // Idle, it is stopped by its own rule and no other, …
    world.media().streams = 0;
    let idle = world.now;
    world.release("a");
    world.run_until(1200, |world| world.stops() == 1);
    assert!(world.now.since(idle) >= seconds(300 + 65));
    // … and a wake while the pool is short waits for capacity without a storm.
    world.run_until(60, World::is_stopped);
    world.acquire("late", Purpose::Publish);
    world.run(300);
    assert!(world.is_waiting("late"), "{}", world.story());
    world.ec2.no_capacity.clear();
    world.run_until(400, |world| world.is_held("late"));
    assert_eq!(world.stops(), 1);
    world.check();
}

#[test]
fn i22_a_stock_out_while_draining_brings_the_same_instance_back() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world.release("a");
    world.run_until(700, World::is_draining);
    without_capacity(&mut world);
    world.run(30);
    world.acquire("b", Purpose::Publish);
    world.run_until(5, |world| world.is_held("b"));
    assert_eq!((world.launches(), world.stops()), (1, 0));
    world.check();
}

#[test]
fn i23_each_window_asks_each_offering_at_most_once_and_windows_grow_apart() {
    let mut world = World::new();
    without_capacity(&mut world);
    world.acquire_for("a", Purpose::Publish, seconds(3600));
    world.run(3600);
    let calls = times(&world, powers_on);
    let mut windows: Vec<Vec<Timestamp>> = Vec::new();
    for at in calls {
        match windows.last_mut() {
            Some(window) if at.since(window[0]) < seconds(10) => window.push(at),
            _ => windows.push(vec![at]),
        }
    }
    assert!(windows.len() >= 10, "{windows:?}");
    let offerings = world.config.offerings.len();
    assert!(
        windows.iter().all(|window| window.len() <= offerings),
        "{windows:?}"
    );
    let gaps = windows.windows(2).map(|pair| pair[1][0].since(pair[0][0]));
    let gaps = gaps.collect::<Vec<_>>();
    assert!(gaps[0] >= seconds(15), "{gaps:?}");
    // Each wait doubles, up to five minutes; the tick adds less than a minute.
    for (nth, gap) in gaps.iter().enumerate() {
        let wait = seconds(15 << nth.min(8)).min(seconds(300));
        assert!(
            *gap >= wait && *gap <= wait + MINUTE + seconds(5),
            "{nth}: {gaps:?}"
        );
    }
}

#[test]
fn i23_a_throttled_launch_backs_off_and_keeps_its_token() {
    let mut world = World::new();
    world.ec2.launch_faults = [Fault::Throttled].repeat(400).into();
    world.acquire_for("a", Purpose::Publish, seconds(3600));
    world.run(3600);
    let calls = times(&world, powers_on);
    let first_minute = calls
        .iter()
        .filter(|at| at.since(calls[0]) < MINUTE)
        .count();
    assert!(
        (6..=9).contains(&first_minute),
        "{first_minute} in the first minute"
    );
    assert!(
        calls.len() <= 3600 / 20 + 8,
        "{} calls in an hour",
        calls.len()
    );
    assert_eq!(world.charges.len(), 1);
}

/// How a boot comes out whose slow part takes this long.
fn slow(mut world: World, part: impl Fn(&mut World, Duration), takes: Duration) -> World {
    let usual = (world.ec2.pending_for, world.next_media.liveness_after);
    part(&mut world, takes);
    world.acquire_for("a", Purpose::Publish, seconds(3600));
    let settled = |world: &World| {
        world.is_held("a")
            || world
                .transitions
                .iter()
                .any(|step| step.to == Stand::Failing)
    };
    world.run_until(900, settled);
    // Only the first boot was slow.
    part(&mut world, usual.1);
    world.ec2.pending_for = usual.0;
    world.run_until(900, |world| world.is_held("a"));
    world
}

#[test]
fn i27_nine_tenths_of_each_limit_is_kept_and_eleven_tenths_is_one_stop_and_one_retry() {
    let media = |world: &mut World, takes: Duration| {
        world.next_media.liveness_after = takes;
        world.next_media.app_after = takes;
        for media in world.media.values_mut() {
            (media.liveness_after, media.app_after) = (takes, takes);
        }
    };
    let pending = |world: &mut World, takes: Duration| world.ec2.pending_for = takes;
    let timing = config().timing;
    type Slowed<'a> = (
        &'a str,
        fn() -> World,
        &'a dyn Fn(&mut World, Duration),
        Duration,
    );
    let limits: [Slowed<'_>; 3] = [
        ("new", World::new, &media, timing.boot_limit_new),
        ("stopped", stopped, &media, timing.boot_limit_stopped),
        ("pending", stopped, &pending, timing.pending_limit),
    ];
    for (name, begin, part, limit) in limits {
        let kept = slow(begin(), part, limit * 9 / 10);
        let failed = |world: &World| {
            let failing = world
                .transitions
                .iter()
                .filter(|step| step.to == Stand::Failing);
            failing.count()
        };
        assert_eq!(
            (failed(&kept), kept.stops()),
            (0, 0),
            "{name}\n{}",
            kept.story()
        );
        kept.check();
        let retried = slow(begin(), part, limit * 11 / 10);
        assert_eq!(failed(&retried), 1, "{name}\n{}", retried.story());
        assert_eq!(retried.launches(), 1, "{name}: the same instance");
        let starts = retried.count(|power| matches!(power, Power::Start { .. }));
        assert_eq!(
            starts,
            if name == "new" { 1 } else { 2 },
            "{name}: one retry"
        );
        retried.check();
    }
}

#[test]
fn i31_a_session_that_begins_in_the_grace_or_the_drain_is_never_cut() {
    type Count = fn(&mut World, u64);
    let kinds: [(&str, Count); 3] = [
        ("stream", |world, count| world.media().streams = count),
        ("WebRTC viewer", |world, count| {
            world.media().viewers = count
        }),
        ("HLS viewer", |world, count| {
            world.media().hls_viewers = count
        }),
    ];
    for (kind, set) in kinds {
        let moments = (0..300).step_by(50).chain((300..372).step_by(4));
        for second in moments {
            let mut world = World::new();
            world.acquire("a", Purpose::Publish);
            world.run_until(60, |world| world.is_held("a"));
            world.release("a");
            world.run(second);
            if world.is_stopping() || world.is_stopped() {
                assert!(second >= 300 + 65, "{kind}: S2 after {second} s");
                break;
            }
            set(&mut world, 1);
            world.run(2 * 3600);
            assert_eq!(world.stops(), 0, "{kind} at {second} s\n{}", world.story());
            assert!(world.is_ready(), "{kind} at {second} s: it serves on");
            set(&mut world, 0);
            let bound = 300 + 65 + 2 * 60 + 15;
            world.run_until(bound, |world| world.stops() == 1);
            world.check();
        }
    }
}

#[test]
fn i43_a_start_that_falls_back_at_once_is_no_tight_loop() {
    let mut world = stopped();
    world.ec2.falls_back = true;
    for n in 0..120 {
        world.acquire(&format!("w{n}"), Purpose::Publish);
        world.run(60);
    }
    let starts = times(&world, powers_on);
    // Two boots, then ten minutes' pause.
    assert!(
        (14..=20).contains(&starts.len()),
        "{} starts in two hours\n{}",
        starts.len(),
        world.story()
    );
    for pair in starts.windows(3) {
        assert!(pair[2].since(pair[0]) >= seconds(600), "{starts:?}");
    }
    assert_eq!(world.stops(), 0, "there is nothing to stop");
    let failed = RowEnd::Failed(ErrorCode::StartFailed);
    assert!(
        (1..119).all(|n| world.end(&format!("w{n}")) == Some(failed.clone())),
        "everybody is told"
    );
    let reported = |(_, alarm): &&(_, Alarm)| matches!(alarm, Alarm::StartFailed { .. });
    assert_eq!(world.alarms.iter().filter(reported).count(), 1);
    // Mended, it starts with the next demand after the pause.
    world.ec2.falls_back = false;
    world.run(600);
    world.acquire("last", Purpose::Publish);
    world.run_until(60, |world| world.is_held("last"));
    world.check();
}

#[test]
fn i43_a_start_that_ec2_refuses_is_no_tight_loop() {
    for (fault, most) in [
        (Fault::Capacity, 30),
        (Fault::Quota, 7),
        (Fault::Auth, 7),
        (Fault::LostUndone, 190),
    ] {
        let mut world = stopped();
        world.ec2.launch_faults = [fault].repeat(1_000).into();
        for n in 0..60 {
            world.acquire(&format!("w{n}"), Purpose::Publish);
            world.run(60);
        }
        let calls = world.calls.len();
        assert!(
            calls <= most,
            "{fault:?}: {calls} calls in an hour of demand"
        );
        assert!(
            world.charges.len() <= 21,
            "{fault:?}: {} starts",
            world.charges.len()
        );
    }
}
