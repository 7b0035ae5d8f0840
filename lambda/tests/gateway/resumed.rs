//! A wait that another link takes up: what its client is told of the time before.

use wakecast::protocol::{Phase, ProgressPush, RequestState, ServerMessage};
use wakecast_lambda::config::Prior;
use wakecast_lambda::model::{Instance, InstanceStatus, RowState, Timestamp};
use wakecast_lambda::ports::Clock as _;

use crate::world::{
    START, Trouble, World, acquire, assert_ack, at_once, config, given, instance, message, ready,
};

/// A process waits, a server boots for it, and the process is killed `seconds` later.
fn killed_in_mid_boot(seconds: u64) -> World {
    let mut config = config();
    for fleet in config.fleets.values_mut() {
        fleet.prior = Prior::defaults();
    }
    let world = World::with(config);
    world.link("s1", "process-1");
    assert_ack(&world.send("s1", &acquire("job")), "job");
    at_once(given(&world.table, world.clock.now(), booting()));
    told(&world, Phase::Booting);
    world.advance(seconds);
    world.disconnect("s1");
    world
}

/// A stopped instance that was started when the world began, and runs since.
fn booting() -> Instance {
    let mut instance = instance(7, InstanceStatus::Booting);
    let boot = instance.boot.as_mut().expect("a boot");
    (boot.live_at, boot.ready_at) = (None, None);
    boot.running_at = Some(Timestamp::from_millis(START));
    instance
}

/// The reconciler tells the row's owner a phase.
fn told(world: &World, phase: Phase) {
    world.change_row("job", |row| {
        if let RowState::Waiting { phase: told, .. } = &mut row.state {
            *told = phase;
        }
    });
}

fn progress(reply: ServerMessage) -> ProgressPush {
    match reply {
        ServerMessage::Progress(progress) => progress,
        other => panic!("no progress but {other:?}"),
    }
}

#[test]
fn an_app_that_was_started_anew_is_told_the_phase_at_once() {
    let world = killed_in_mid_boot(4);
    // A new process has another client id, and the same subject and id.
    world.link("s2", "process-2");
    let before = (world.demand(), world.wakes.count());
    let told = progress(world.send("s2", &acquire("job")));
    assert_eq!(
        (told.id.as_str(), told.rev, told.phase),
        ("job", world.row("job").rev, Phase::Booting)
    );
    assert_eq!(told.elapsed_ms, 4_000, "since the first process asked");
    // 11 s and 22 s from `running`, of which 4 s are over.
    assert_eq!((told.eta_p50_ms, told.eta_p90_ms), (7_000, 18_000));
    assert!(!told.overdue && told.note.is_none());
    assert_eq!((world.demand(), world.wakes.count()), before);

    // On its own link it has had every push: a resend is acknowledged, and reads nothing.
    world.store.calm();
    assert_ack(&world.send("s2", &acquire("job")), "job");
    assert!(!world.store.passed().contains(&"fleet"));
}

#[test]
fn a_boot_that_takes_longer_is_said_to() {
    let world = killed_in_mid_boot(100);
    world.link("s2", "process-2");
    let told = progress(world.send("s2", &acquire("job")));
    assert!(told.overdue, "{told:?}");
    assert_eq!(told.elapsed_ms, 100_000);
}

#[test]
fn a_wait_without_a_phase_is_acknowledged() {
    let world = World::new();
    world.link("s1", "process-1");
    world.send("s1", &acquire("job"));
    world.disconnect("s1");
    world.link("s2", "process-2");
    assert_ack(&world.send("s2", &acquire("job")), "job");
    // So is one that slept: it begins anew.
    told(&world, Phase::Booting);
    world.disconnect("s2");
    world.advance(600);
    world.link("s3", "process-3");
    assert_ack(&world.send("s3", &acquire("job")), "job");
}

#[test]
fn a_phase_that_cannot_be_read_is_no_reason_to_refuse() {
    let world = killed_in_mid_boot(4);
    world.link("s2", "process-2");
    world.store.next("fleet", Trouble::Fails);
    assert_ack(&world.send("s2", &acquire("job")), "job");
    let link = world.row("job").link.expect("a link");
    assert_eq!(link.client_id, "process-2", "the row was taken up");
}

#[test]
fn a_request_named_in_hello_gets_its_phase_with_the_welcome() {
    let world = killed_in_mid_boot(4);
    world.connect("s2");
    let report = (world.hello("s2", "process-1", &[], &["job"]).requests).remove(0);
    assert_eq!(
        (report.state, report.phase, report.rev),
        (
            RequestState::Waiting,
            Some(Phase::Booting),
            Some(world.row("job").rev)
        )
    );
}

#[test]
fn an_endpoint_asked_for_anew_is_acknowledged_as_ever() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "process-1");
    ready(&world.send("s1", &acquire("job")));
    world.given(7, InstanceStatus::Stopped);
    let ask = |id| message("endpoint", id, "lease", "job");
    assert_ack(&world.send("s1", &ask("e1")), "e1");
    told(&world, Phase::Launching);
    world.connect("s2");
    world.hello("s2", "process-1", &["job"], &[]);
    assert_ack(&world.send("s2", &ask("e2")), "e2");
}
