//! Running hours: counted once whatever crashes, and held against the day's budget without ever
//! cutting what is in use.

mod support;

use std::time::Duration;

use support::{Crash, World, config};
use wakecast::ErrorCode;
use wakecast::protocol::{Purpose, ServerMessage};
use wakecast_lambda::config::{Budget, FleetConfig};
use wakecast_lambda::lifecycle::{Alarm, Power};
use wakecast_lambda::model::{Day, RowEnd, Timestamp};

const HOUR: Duration = Duration::from_secs(3600);

fn budgeted(fleet: Option<Duration>, tenant: Option<Duration>) -> FleetConfig {
    FleetConfig {
        budget: Budget {
            fleet_per_day: fleet,
            tenant_per_day: tenant,
        },
        ..config()
    }
}

fn counted(world: &World) -> Duration {
    world.ran.values().sum::<Duration>() - world.ran_before
}

/// Other fleets of the tenant have run.
fn others_ran(world: &mut World, day: Day, time: Duration) {
    world.ran.insert(day, time);
    world.ran_before += time;
}

/// Starts an instance and a stream on it.
fn streaming(world: &mut World, id: &str) {
    world.acquire(id, Purpose::Publish);
    world.run_until(200, |world| world.is_held(id));
    assert!(world.publish(id));
}

/// When the present boot began.
fn started(world: &World) -> Timestamp {
    let boot = world.records.instances[&world.id()].boot.as_ref();
    boot.expect("a boot").started_at
}

fn budget_alarms(world: &World) -> usize {
    let alarms = world.alarms.iter();
    alarms
        .filter(|(_, alarm)| matches!(alarm, Alarm::BudgetSpent { .. }))
        .count()
}

fn stop_streams(world: &mut World) {
    world.media().streams = 0;
}

fn rest(world: &mut World) {
    world.run_until(2_000, |world| {
        world.is_stopped() && world.ec2.live(world.now).is_empty()
    });
}

#[test]
fn time_counts_from_the_start_to_the_end_and_no_further() {
    let mut world = World::new();
    world.run(3_600);
    assert_eq!((world.commits, counted(&world)), (0, Duration::ZERO));
    streaming(&mut world, "a");
    let started = started(&world);
    world.run(1_800);
    // Counted once a minute, so that it lags by a tick at most.
    let lag = world.now.since(started) - counted(&world);
    assert!(lag < Duration::from_secs(121), "{lag:?}");
    stop_streams(&mut world);
    world.release("a");
    world.run_until(2_000, World::is_stopped);
    assert_eq!(counted(&world), world.now.since(started));
    assert_eq!(counted(&world), world.up, "as it was seen");
    let (commits, before) = (world.commits, counted(&world));
    world.run(7_200);
    assert_eq!((world.commits, counted(&world)), (commits, before));
    world.check();
}

#[test]
fn counting_writes_at_most_once_a_minute() {
    let mut world = World::new();
    streaming(&mut world, "a");
    let mut times = Vec::new();
    for _ in 0..1_800 {
        let before = counted(&world);
        world.run(1);
        if counted(&world) > before {
            times.push(world.now);
        }
    }
    let close = times
        .windows(2)
        .filter(|two| two[1].since(two[0]) < Duration::from_secs(59));
    assert_eq!(close.count(), 0, "{times:?}");
    assert!(times.len() >= 25, "{} counts in half an hour", times.len());
}

#[test]
fn crash_anywhere_counts_nothing_twice() {
    for crash in [
        Crash::BeforeCommit,
        Crash::AfterCommit,
        Crash::AfterRows,
        Crash::AfterGrants,
        Crash::AfterCalls,
    ] {
        let mut world = World::new();
        world.acquire("a", Purpose::Publish);
        world.run_until(200, |world| world.is_held("a"));
        world.publish("a");
        for _ in 0..20 {
            world.crash = Some(crash);
            world.run(100);
            assert!(counted(&world) <= world.up, "{crash:?}\n{}", world.story());
        }
        stop_streams(&mut world);
        world.release("a");
        rest(&mut world);
        assert_eq!(counted(&world), world.up, "{crash:?}: and nothing is lost");
        world.check();
    }
}

#[test]
fn midnight_parts_the_time_between_two_days() {
    let mut world = World::new();
    let today = Day::of(world.now);
    // It starts a quarter of an hour before midnight, and runs over it.
    let before = world.now.until(today.end()) - Duration::from_secs(900);
    world.run(before.as_secs());
    streaming(&mut world, "a");
    let started = started(&world);
    world.run(1_800);
    stop_streams(&mut world);
    world.release("a");
    world.run_until(2_000, World::is_stopped);
    assert_eq!(world.ran[&today], started.until(today.end()));
    assert_eq!(world.ran[&Day(today.0 + 1)], world.now.since(today.end()));
    world.check();
}

#[test]
fn clock_that_is_set_back_counts_nothing_twice() {
    let mut world = World::new();
    streaming(&mut world, "a");
    world.run(600);
    let before = counted(&world);
    world.now = world.now.saturating_sub(Duration::from_secs(300));
    // What has been counted is not counted again until the clock has caught up.
    world.run(299);
    assert_eq!(counted(&world), before);
    world.run(300);
    assert!(counted(&world) > before, "then it goes on");
    let since = world.now.since(started(&world));
    assert!(counted(&world) <= since, "{:?}", counted(&world));
    world.check();
}

#[test]
fn spent_budget_of_the_fleet_starts_nothing_until_midnight() {
    let mut world = World::with(budgeted(Some(HOUR), None));
    let end_of_day = Day::of(world.now).end();
    streaming(&mut world, "a");
    world.run(2 * 3600);
    // In use it goes on, and the operator hears of it once.
    assert!(world.is_ready() && world.stops() == 0);
    assert_eq!(budget_alarms(&world), 1);
    // A waiter on what runs is served.
    world.acquire("b", Purpose::Play);
    assert!(world.is_held("b"));
    world.release("b");
    stop_streams(&mut world);
    world.release("a");
    // Idle it drains as ever; a wake may still undo that, for it is no start.
    world.run_until(900, World::is_draining);
    world.acquire("c", Purpose::Play);
    world.run_until(10, |world| world.is_held("c"));
    world.release("c");
    rest(&mut world);

    let starts = world.charges.len();
    world.acquire("d", Purpose::Publish);
    world.run(5);
    assert_eq!(
        world.end("d"),
        Some(RowEnd::Failed(ErrorCode::QuotaExceeded))
    );
    let told = world
        .heard("d")
        .into_iter()
        .find_map(|message| match message {
            ServerMessage::Error(error) => Some(error.clone()),
            _ => None,
        });
    let told = told.expect("an error");
    assert!(told.message.contains("running hours"), "{}", told.message);
    let until = told.retry_after_ms.expect("a time");
    assert!(
        until.abs_diff(u64::try_from(world.now.until(end_of_day).as_millis()).expect("short"))
            < 5_000
    );
    world.run(world.now.until(end_of_day).as_secs() - 1);
    assert_eq!((world.charges.len(), budget_alarms(&world)), (starts, 1));
    world.run(62);
    streaming(&mut world, "e");
    assert_eq!(world.charges.len(), starts + 1);
    world.check();
}

#[test]
fn one_second_before_the_budget_is_spent_a_start_is_possible() {
    for (left, starts) in [(1, true), (0, false)] {
        let mut world = World::with(budgeted(None, Some(10 * HOUR)));
        let today = Day::of(world.now);
        others_ran(&mut world, today, 10 * HOUR - Duration::from_secs(left));
        world.acquire("a", Purpose::Publish);
        world.run(5);
        assert_eq!(world.launches() == 1, starts, "{left} s left");
        assert_eq!(world.end("a").is_none(), starts);
        assert_eq!(budget_alarms(&world), usize::from(!starts));
    }
}

#[test]
fn tenants_budget_of_yesterday_is_forgotten() {
    let mut world = World::with(budgeted(None, Some(HOUR)));
    let today = Day::of(world.now);
    others_ran(&mut world, Day(today.0 - 1), 24 * HOUR);
    streaming(&mut world, "a");
    world.check();
}

#[test]
fn instance_that_is_kept_running_goes_on_but_is_not_started_again() {
    let mut config = budgeted(Some(HOUR), None);
    config.min = 1;
    let mut world = World::with(config);
    world.run(3 * 3600);
    assert!(world.is_ready(), "`min` keeps it");
    let id = world.id();
    world.ec2.terminate(world.now, &id);
    world.run(1_800);
    let runs = world.count(|power| matches!(power, Power::Run { .. }));
    assert_eq!(runs, 1, "nothing is started without hours");
    let midnight: Timestamp = Day::of(world.now).end();
    world.run(world.now.until(midnight).as_secs() + 200);
    assert!(world.is_ready(), "{}", world.story());
}

#[test]
fn without_a_budget_nothing_is_refused() {
    let mut world = World::with(budgeted(None, None));
    let today = Day::of(world.now);
    others_ran(&mut world, today, 24 * HOUR);
    streaming(&mut world, "a");
    assert_eq!(budget_alarms(&world), 0);
}
