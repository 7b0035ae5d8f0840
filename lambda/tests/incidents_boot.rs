//! Boots that go wrong, and servers that restart by themselves.

mod support;

use std::time::Duration;

use support::{World, elastic};
use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Phase, Purpose, ServerMessage};
use wakecast_lambda::guards::Guards;
use wakecast_lambda::lifecycle::{Alarm, Next, Power, Question, Snapshot, probes};
use wakecast_lambda::model::{Counters, Fence, InstanceStatus, Lock, RowEnd, Timestamp, WarmStep};

fn ready() -> World {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    world.run_until(60, |world| world.is_held("a"));
    world
}

/// The last progress that the owner of a row was told.
fn note(world: &World, id: &str) -> Option<String> {
    world
        .heard(id)
        .into_iter()
        .rev()
        .find_map(|message| match message {
            ServerMessage::Progress(progress) => Some(progress.note.clone()),
            _ => None,
        })?
}

#[test]
fn a_boot_with_lost_settings_is_stopped_and_started_again_once() {
    let mut world = World::new();
    world.next_media.lose_settings = 1;
    world.acquire("a", Purpose::Publish);
    world.run_until(120, |world| world.is_held("a"));
    assert_eq!((world.launches(), world.stops()), (1, 1));
    assert_eq!(note(&world, "a").as_deref(), Some("restarting"));
    let id = world.id();
    assert!(world.alarms.iter().any(|(_, a)| *a
        == Alarm::SettingsLost {
            instance: id.clone()
        }));
    // A boot that is tried again keeps the phase it had reached.
    let phases = world.phases("a");
    assert!(phases.is_sorted(), "{phases:?}");
    assert!(phases.len() <= 8, "{phases:?}");
    world.check();
}

#[test]
fn a_second_failed_boot_pauses_starts_for_ten_minutes() {
    let mut world = World::new();
    world.next_media.lose_settings = 2;
    world.acquire("a", Purpose::Publish);
    world.run(150);
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::StartFailed)),
        "{}",
        world.story()
    );
    let starts = |world: &World| {
        world.count(|power| matches!(power, Power::Run { .. } | Power::Start { .. }))
    };
    assert_eq!(starts(&world), 2);
    world.acquire("b", Purpose::Publish);
    world.run(61);
    let Some(ServerMessage::Error(error)) = world.heard("b").pop() else {
        panic!("an error is told");
    };
    assert_eq!(error.code, ErrorCode::StartFailed);
    assert!(
        error
            .retry_after_ms
            .is_some_and(|left| left > 0 && left <= 600_000)
    );
    assert_eq!(starts(&world), 2, "no start during the pause");
    world.run(600);
    world.acquire("c", Purpose::Publish);
    world.run_until(60, |world| world.is_held("c"));
    world.check();
}

#[test]
fn wrong_secrets_are_misconfigured_and_not_a_loop() {
    let mut world = World::new();
    world.next_media.forbids = true;
    world.acquire("a", Purpose::Publish);
    let time = world.run_until(120, |world| world.end("a").is_some());
    assert_eq!(
        world.end("a"),
        Some(RowEnd::Failed(ErrorCode::Misconfigured))
    );
    assert!(
        time > Duration::from_secs(5 + 8 + 30),
        "403 is warming for 30 s: {time:?}"
    );
    assert!(time < Duration::from_secs(5 + 8 + 33), "{time:?}");
    world.run_until(60, World::is_stopped);
    for n in 0..9 {
        world.acquire(&format!("w{n}"), Purpose::Publish);
        world.run(60);
    }
    assert_eq!(world.stops(), 1);
    // Mended: the half-open try works.
    world.media().forbids = false;
    world.run(60);
    world.acquire("z", Purpose::Publish);
    world.run_until(60, |world| world.is_held("z"));
    world.check();
}

#[test]
fn until_the_app_is_listed_only_root_paths_are_touched() {
    let mut world = World::with(elastic());
    world.next_media.app_after = Duration::from_secs(60);
    world.acquire("a", Purpose::Publish);
    world.run_until(120, |world| world.is_held("a"));
    assert!(!world.media().touched_early);

    // The order, step by step.
    let order = [
        (WarmStep::Liveness, vec!["liveness"]),
        (WarmStep::Applications, vec!["applications"]),
        (WarmStep::Ping, vec!["ping"]),
        (WarmStep::Setting, vec!["setting", "load"]),
        (WarmStep::Address, vec![]),
        (WarmStep::Endpoint, vec!["endpoint"]),
        (WarmStep::Done, vec![]),
    ];
    for (step, expected) in order {
        let mut records = world.records.clone();
        for known in records.instances.values_mut() {
            known.status = InstanceStatus::Booting;
            known.boot.as_mut().expect("a boot").warm = step;
        }
        let listed = world.ec2.describe(world.now).expect("readable");
        let asked = probes(&Snapshot {
            now: world.now,
            fleet: &world.fleet,
            config: &world.config,
            lock: &lock(world.now),
            ec2: Ok(&listed),
            records: &records,
            rows: &[],
            counters: &Counters::default(),
            observations: &[],
            answers: &[],
            guards: Guards::ALL,
        });
        let names = asked.iter().map(|probe| match &probe.question {
            Question::Liveness => "liveness",
            Question::Applications => "applications",
            Question::Ping { .. } => "ping",
            Question::Setting { .. } => "setting",
            Question::Endpoint { .. } => "endpoint",
            Question::Load => "load",
        });
        assert_eq!(names.collect::<Vec<_>>(), expected, "{step:?}");
    }
}

#[test]
fn before_ready_a_server_is_probed_at_its_own_address_and_nobody_else_has_the_endpoint() {
    let mut world = World::with(elastic());
    world.acquire("a", Purpose::Publish);
    let elastic = |world: &World| world.ec2.machines.values().any(|machine| machine.elastic);
    world.run_until(60, elastic);
    let app_at = world.media().began + world.media().app_after;
    assert!(world.now >= app_at, "the address comes after the app");
    assert!(!world.is_held("a"));
    world.run_until(10, |world| world.is_held("a"));
    world.check();
}

#[test]
fn a_media_server_that_restarts_by_itself_grants_nothing_until_it_has_proved_itself() {
    let mut world = ready();
    assert!(world.publish("a"));
    world.run(100);
    let now = world.now;
    world.media().begin(now);
    world.run_until(121, |world| {
        matches!(world.status(), Some(InstanceStatus::Recovering { .. }))
    });
    world.acquire("b", Purpose::Play);
    assert!(world.is_waiting("b"));
    world.run_until(20, |world| world.is_held("b"));
    assert!(world.is_held("a"), "the lease outlives the restart");
    assert_eq!((world.launches(), world.stops()), (1, 0));
    world.check();
}

#[test]
fn settings_lost_in_a_restart_are_an_alarm_and_then_a_drain() {
    let mut world = ready();
    let now = world.now;
    world.media().lose_settings = 1;
    world.media().begin(now);
    world.run_until(120, World::is_draining);
    let id = world.id();
    assert!(world.alarms.iter().any(|(_, a)| *a
        == Alarm::SettingsLost {
            instance: id.clone()
        }));
    // A stream without a token goes on; a waiter does not undo this drain.
    world.media().streams = 1;
    world.acquire("b", Purpose::Publish);
    world.run(300);
    assert_eq!(world.stops(), 0);
    assert!(
        world.is_draining() && world.is_waiting("b"),
        "{}",
        world.story()
    );
    world.release("a");
    world.media().streams = 0;
    world.run_until(300, |world| world.is_held("b"));
    assert_eq!((world.launches(), world.stops()), (1, 1));
    world.check();
}

#[test]
fn a_server_whose_start_is_not_known_stays_closed_so_that_no_restart_goes_unseen() {
    let mut world = World::new();
    world.next_media.hides_load = true;
    world.acquire("a", Purpose::Publish);
    world.run(60);
    assert!(world.is_waiting("a"), "{}", world.story());
    world.media().hides_load = false;
    world.run_until(5, |world| world.is_held("a"));
    // It restarts right away and loses its settings: the first look after that knows.
    let now = world.now;
    world.media().lose_settings = 1;
    world.media().begin(now);
    world.run_until(120, World::is_draining);
    assert!(world.is_draining(), "{}", world.story());
    world.check();
}

#[test]
fn a_waiter_hears_of_an_overdue_phase_once() {
    let mut world = World::new();
    world.next_media.liveness_after = Duration::from_secs(200);
    world.next_media.app_after = Duration::from_secs(201);
    world.acquire("a", Purpose::Publish);
    world.run_until(300, |world| world.is_held("a"));
    let overdue = world
        .heard("a")
        .into_iter()
        .filter(|message| matches!(message, ServerMessage::Progress(progress) if progress.overdue));
    assert_eq!(overdue.count(), 1);
    assert_eq!(
        world.phases("a"),
        [
            Phase::Launching,
            Phase::Booting,
            Phase::Booting,
            Phase::Warming
        ]
    );
    let progress = world.heard("a");
    let Some(ServerMessage::Progress(first)) = progress.first() else {
        panic!("progress is told first");
    };
    assert_eq!((first.eta_p50_ms, first.eta_p90_ms), (62_000, 145_000));
}

#[test]
fn a_server_that_was_stopped_and_started_between_two_looks_is_warmed_as_a_new_boot() {
    let mut world = ready();
    assert!(world.publish("a"));
    world.run_until(120, |world| {
        world
            .last
            .as_ref()
            .is_some_and(|last| last.next == Next::Quiet)
    });
    let id = world.id();
    world.ec2.stopping_for = Duration::from_secs(1);
    world.ec2.take_down(world.now, &id).expect("it runs");
    world.now = world.now + Duration::from_secs(12);
    world.ec2.start(world.now, &id).expect("it is stopped");
    world.foreign = 1;
    // Its address is another one now: nothing may be granted at the old one, and nobody may be
    // left waiting for what never answers.
    world.run_until(70, |world| world.is_waiting("a"));
    world.run_until(120, |world| world.is_held("a"));
    assert_eq!(
        (world.launches(), world.stops()),
        (1, 0),
        "{}",
        world.story()
    );
    world.release("a");
    world.run_until(600, World::is_stopped);
    world.check();
}

#[test]
fn a_moving_lease_that_finds_no_new_instance_is_lost() {
    let mut world = ready();
    assert!(world.publish("a"));
    let id = world.id();
    world.ec2.no_capacity = [
        ("c7g.xlarge".into(), "a".into()),
        ("c7g.xlarge".into(), "b".into()),
    ]
    .into_iter()
    .collect();
    world.ec2.terminate(world.now, &id);
    world.run(61);
    assert!(world.is_waiting("a"));
    world.run(660);
    assert_eq!(world.end("a"), Some(RowEnd::Lost(LostReason::StartFailed)));
    world.check();
}

#[test]
fn a_request_that_lost_its_link_rests_and_starts_nothing_after_two_minutes() {
    let mut world = World::new();
    world.ec2.unreadable = true;
    world.acquire("a", Purpose::Publish);
    world.leave("a");
    world.run(121);
    world.ec2.unreadable = false;
    world.run(900);
    assert_eq!(world.launches(), 0);
    assert!(world.is_waiting("a"), "dormant, not past its deadline");
    world.check();
}

fn lock(now: Timestamp) -> Lock {
    Lock {
        owner: "r".into(),
        fence: Fence(1),
        taken_at: now,
        until: now + Duration::from_secs(30),
        demand_seen: 0,
    }
}
