//! The life of one instance from the first wake to the restart.

mod support;

use std::time::Duration;

use support::{World, config, elastic};
use wakecast::protocol::{LostReason, Phase, Purpose, ServerMessage};
use wakecast_lambda::lifecycle::Power;
use wakecast_lambda::model::{InstanceStatus, RowEnd};

#[test]
fn an_instance_is_launched_granted_drained_stopped_and_started_again() {
    let mut world = World::new();
    world.acquire("a", Purpose::Publish);
    let boot = world.run_until(60, |world| world.is_held("a"));
    // 5 s pending, 9 s to the app.
    assert!(
        boot >= Duration::from_secs(14) && boot < Duration::from_secs(16),
        "{boot:?}"
    );
    assert_eq!(
        world.phases("a"),
        [Phase::Launching, Phase::Booting, Phase::Warming]
    );
    assert_eq!(world.launches(), 1);

    assert!(world.publish("a"));
    world.run(3600);
    assert!(
        world.is_ready(),
        "a live stream keeps it on\n{}",
        world.story()
    );
    world.media().streams = 0;
    world.run_until(400, World::is_draining);
    assert!(matches!(
        world.heard("a").last(),
        Some(ServerMessage::Draining(_))
    ));
    world.run_until(90, World::is_stopping);
    world.run_until(60, World::is_stopped);
    assert_eq!(world.stops(), 1);
    assert_eq!(world.end("a"), Some(RowEnd::Lost(LostReason::Stopped)));

    world.acquire("b", Purpose::Play);
    world.run_until(60, |world| world.is_held("b"));
    assert_eq!(world.launches(), 1, "the stopped instance is started again");
    assert_eq!(world.count(|power| matches!(power, Power::Start { .. })), 1);
    world.check();
}

#[test]
fn the_elastic_ip_comes_last_and_goes_only_from_a_stopping_server() {
    let mut world = World::with(elastic());
    world.acquire("a", Purpose::Play);
    world.run_until(60, |world| world.is_held("a"));
    assert_eq!(
        world.count(|power| matches!(power, Power::Associate { .. })),
        1
    );
    world.release("a");
    world.run_until(900, World::is_stopped);
    world.run(5);
    assert!(!world.ec2.machines.values().any(|machine| machine.elastic));
    world.acquire("b", Purpose::Play);
    world.run_until(60, |world| world.is_held("b"));
    assert_eq!(world.launches(), 1);
    world.check();
}

#[test]
fn a_minimum_of_one_is_started_without_demand_and_never_drained() {
    let mut config = config();
    config.min = 1;
    let mut world = World::with(config);
    world.run_until(60, World::is_ready);
    world.run(7200);
    assert_eq!(world.status(), Some(&InstanceStatus::Ready));
    assert_eq!(world.stops(), 0);
    world.check();
}
