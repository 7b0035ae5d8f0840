//! A herd of ten thousand: everybody is told once, in seconds, and the lock is not held for it.

use std::time::Duration;

use wakecast_lambda::model::Timestamp;

use crate::reconcile_world::START;
use crate::sockets::Manner;
use crate::stage::{Shard, Stage, Told};

const HERD: usize = 10_000;

/// What README and ADR may claim.
fn print(what: &str, stage: &Stage, told: &Told) {
    let last = stage.sockets.last("ready").map(|at| at.since(START));
    let most = told.shards.iter().map(|shard| shard.most_open).max();
    println!(
        "{what}: last told after {:.2} s, {} shards, at most {} in flight each, {} posts ({} met 429), \
         lock held {:.2} s, {} rounds",
        last.unwrap_or_default().as_secs_f64(),
        told.shards.len(),
        most.unwrap_or(told.own_open),
        stage.sockets.posts(),
        stage.sockets.throttled(),
        told.lock_held.as_secs_f64(),
        told.rounds,
    );
}

fn most_in_flight(told: &Told) -> usize {
    let shards = told.shards.iter().map(|shard| shard.most_open);
    shards.max().unwrap_or_default().max(told.own_open)
}

fn within(stage: &Stage, seconds: u64) -> bool {
    let last = stage.sockets.last("ready");
    last.is_some_and(|at| at <= START + Duration::from_secs(seconds))
}

#[test]
fn ten_thousand_are_told_in_seconds_by_four_shards() {
    let stage = Stage::ready();
    let names = stage.herd(HERD);
    let told = stage.run();
    print("10 000 open sockets", &stage, &told);
    assert_eq!(told.shards.len(), 4);
    assert_eq!(told.sent.len(), 4, "nobody was asked twice");
    assert_eq!(most_in_flight(&told), 64, "never more in one invocation");
    for name in &names {
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}");
    }
    let sum = |of: fn(&Shard) -> u32| told.shards.iter().map(of).sum::<u32>();
    assert_eq!(sum(|shard| shard.outcome.told), 10_000);
    assert_eq!(sum(|shard| shard.outcome.left), 0);
    // 2 500 a shard, 64 at once, 60 ms each: three seconds and a cold start.
    assert!(within(&stage, 5));
    assert_eq!(stage.world.table.violations(), Vec::<String>::new());
    let parts: Vec<u32> = told.shards.iter().map(|shard| shard.outcome.due).collect();
    assert!(
        parts.iter().all(|part| (2_250..2_750).contains(part)),
        "{parts:?}"
    );
}

#[test]
fn the_lock_is_not_held_longer_than_without_a_fan_out_and_all_are_told_sooner() {
    let shared = Stage::ready();
    shared.herd(HERD);
    let told = shared.run();
    let mut alone = Stage::ready();
    alone.fanout = false;
    alone.herd(HERD);
    let by_itself = alone.run();
    print("with the fan-out", &shared, &told);
    print("by the reconciler alone", &alone, &by_itself);
    assert!(by_itself.shards.is_empty());
    assert!(told.lock_held <= by_itself.lock_held);
    assert_eq!(told.own_open, 0, "the reconciler posts nothing itself");
    let last = |stage: &Stage| stage.sockets.last("ready").expect("somebody is told");
    assert!(last(&shared) < last(&alone));
}

#[test]
fn i32_i33_a_herd_on_bad_sockets_is_told_all_the_same() {
    let stage = Stage::ready();
    let mut names = stage.herd(9_900);
    stage.sockets.throttle(100);
    for (number, name) in names.iter().enumerate() {
        match number % 1_000 {
            0 => stage.sockets.manner(name, Manner::Hangs),
            100 | 200 | 300 | 400 | 500 | 600 | 700 | 800 | 900 | 950 => {
                stage.sockets.manner(name, Manner::Closed);
            }
            _ => {}
        }
    }
    for number in 0..100 {
        let name = format!("y{number:05}");
        stage.young(&name);
        stage.sockets.manner(&name, Manner::Young(2));
        names.push(name);
    }
    let told = stage.run();
    print(
        "10 % 429, 1 % young, 1 % closed, 0.1 % hanging",
        &stage,
        &told,
    );
    assert_eq!(most_in_flight(&told), 64);
    let (mut closed, mut hung, mut unlucky) = (0, 0, 0);
    for (number, name) in names.iter().enumerate() {
        let count = stage.sockets.count(name, "ready");
        match number % 1_000 {
            _ if number >= 9_900 => {
                assert_eq!(count, 1, "{name} was inside $connect: told, and kept");
                assert_eq!(stage.world.row(name).absent_since, None);
            }
            0 => {
                hung += 1;
                assert_eq!(
                    stage.world.row(name).absent_since,
                    None,
                    "{name} only hangs"
                );
            }
            100 | 200 | 300 | 400 | 500 | 600 | 700 | 800 | 900 | 950 => {
                closed += 1;
                // Four of ten thousand meet 429 each of four times, before their 410.
                unlucky += u32::from(stage.world.row(name).absent_since.is_none());
            }
            _ => unlucky += u32::from(count != 1),
        }
        assert!(count <= 1, "{name} is told once");
        assert!(stage.is_held(name), "{name} has its grant");
    }
    assert_eq!((closed, hung), (98, 10));
    assert!(unlucky <= 6, "{unlucky} met 429 four times in a row");
    let failed: u32 = told.shards.iter().map(|shard| shard.outcome.failed).sum();
    assert!((10..=10 + 6).contains(&failed), "{failed}");
    assert!(within(&stage, 7));
}

#[test]
fn a_lost_shard_is_mended_by_the_next_rounds() {
    let mut stage = Stage::ready();
    stage.post.lose.insert(2);
    let names = stage.herd(HERD);
    let told = stage.run();
    print("one shard of four lost", &stage, &told);
    assert_eq!((told.sent.len(), told.shards.len()), (4, 3));
    for name in &names {
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}");
    }
    // The reconciler leaves them to their shard for five seconds.
    assert!(within(&stage, 10));
    assert!(told.own_open > 0);
}

#[test]
fn all_shards_lost_leave_it_to_the_reconciler() {
    let mut stage = Stage::ready();
    stage.post.lose.extend(0..4);
    let names = stage.herd(3_000);
    let told = stage.run();
    print("all shards lost, 3 000", &stage, &told);
    assert_eq!(told.shards.len(), 0);
    assert_eq!(told.sent.len(), 3, "asked for once, not again and again");
    for name in &names {
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}");
    }
    assert!(within(&stage, 12));
}

#[test]
fn shards_that_cannot_be_invoked_are_not_waited_for() {
    let mut stage = Stage::ready();
    stage.post.refuse.extend(0..4);
    let names = stage.herd(2_000);
    let told = stage.run();
    print("no shard can be invoked, 2 000", &stage, &told);
    for name in &names {
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}");
    }
    assert!(within(&stage, 4), "{:?}", stage.sockets.last("ready"));
}

#[test]
fn shards_that_come_twice_tell_everybody_once() {
    let mut stage = Stage::ready();
    stage.post.twice = true;
    let names = stage.herd(2_000);
    let told = stage.run();
    assert_eq!((told.sent.len(), told.shards.len()), (2, 4));
    for name in &names {
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}");
    }
    let superseded: u32 = told.shards.iter().map(|it| it.outcome.superseded).sum();
    assert!(superseded > 0, "they met each other");
}

#[test]
fn a_shard_that_comes_late_finds_its_errand_over() {
    let mut stage = Stage::ready();
    stage.post.late = Duration::from_secs(60);
    let names = stage.herd(1_000);
    let told = stage.run();
    for shard in &told.shards {
        assert!(shard.outcome.dropped.is_some(), "{shard:?}");
        assert!(shard.ended >= START + Duration::from_secs(60));
    }
    for name in &names {
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}");
    }
}

#[test]
fn a_few_hundred_are_told_by_the_reconciler_itself() {
    let stage = Stage::ready();
    stage.herd(500);
    let told = stage.run();
    assert!(told.sent.is_empty());
    assert_eq!(told.own_open, 64);
}

#[test]
fn phases_of_a_boot_are_told_by_shards_and_the_newest_state_wins() {
    let stage = Stage::cold();
    let names = stage.herd(2_000);
    let told = stage.run();
    print("a whole boot, 2 000", &stage, &told);
    assert!(
        told.sent.len() > 4,
        "progress and grants: {}",
        told.sent.len()
    );
    for name in &names {
        let arrived = stage.sockets.arrived(name);
        assert_eq!(stage.sockets.count(name, "ready"), 1, "{name}: {arrived:?}");
        let (last, before) = arrived.split_last().expect("messages");
        assert_eq!(last.kind, "ready", "{name}: {arrived:?}");
        assert!(!before.is_empty(), "{name} heard of the boot");
        let times: Vec<Timestamp> = arrived.iter().map(|it| it.at).collect();
        assert!(times.is_sorted());
        let mut phases: Vec<_> = before.iter().filter_map(|it| it.phase.clone()).collect();
        let all = phases.len();
        phases.dedup();
        assert_eq!(phases.len(), all, "no phase twice: {arrived:?}");
        assert!(all <= 8, "{arrived:?}");
    }
    assert!(stage.world.ec2.launches() == 1);
}
