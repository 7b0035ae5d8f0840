//! `status`: one outcome by its deadline, and it says whether it was asked.

mod support;

use std::time::Duration;

use support::{Accept, MINUTE, SECOND, World, status};
use wakecast::machine::{Answer, Input, Refusal, RequestKey, TransportEnd};
use wakecast::protocol::{
    ClientMessage, ErrorPush, InstanceReport, OperatorStatus, OverrideMode, ServerMessage, Status,
};
use wakecast::{Acquire, ConnectionState, ErrorCode, FleetStatus, Outcome, Phase};

fn ask(world: &mut World, key: u64, fleet: Option<&str>) {
    world.input(Input::Status {
        key: RequestKey(key),
        fleet: fleet.map(str::to_owned),
    });
}

fn told(world: &World, key: u64) -> &FleetStatus {
    match &world.settled[&RequestKey(key)] {
        Ok(Answer::Status(status)) => status,
        other => panic!("no status but {other:?}"),
    }
}

/// The ids of the status messages that the server received.
fn asked(world: &World) -> Vec<&str> {
    let messages = world.sent.iter().map(|(_, _, message)| message);
    let asked = messages.filter(|message| matches!(message, ClientMessage::Status(_)));
    asked.filter_map(ClientMessage::id).collect()
}

#[test]
fn the_first_status_opens_the_link_and_is_answered() {
    let mut world = World::new(1);
    ask(&mut world, 1, Some("eu"));
    world.run(SECOND);
    let status = told(&world, 1);
    assert_eq!(
        (status.fleet.as_str(), status.phase),
        ("eu", Some(Phase::Booting))
    );
    assert_eq!(status.eta_p50, Duration::from_secs(9));
    assert_eq!(
        (status.eta_p90, status.ready),
        (Duration::from_secs(15), false)
    );
    assert!(status.operator.is_none());
    assert!(world.is_connected());
    assert_eq!(world.count("status"), 1);
    ask(&mut world, 2, None);
    world.run(SECOND);
    assert_eq!(told(&world, 2).fleet, "only");
}

#[test]
fn an_operator_is_told_more() {
    let mut world = World::connected(2);
    world.script.acks = false;
    ask(&mut world, 1, None);
    world.run(100);
    let id = asked(&world)[0].to_owned();
    let instance = InstanceReport {
        id: "i-1".into(),
        state: "ready".into(),
        ready_for_ms: Some(1_000),
        streams: Some(2),
        viewers: None,
        read_ago_ms: Some(900),
    };
    let operator = OperatorStatus {
        mode: OverrideMode::Auto,
        mode_ends_in_ms: None,
        instances: vec![instance],
        leases: 3,
        waiters: 0,
        caps: Vec::new(),
        pause: None,
        alarms: Vec::new(),
    };
    world.push(ServerMessage::Status(Status {
        id,
        ready: true,
        phase: Some(Phase::Ready),
        // A server that says nonsense is read as far as it makes sense.
        eta_p50_ms: 5,
        eta_p90_ms: 1,
        operator: Some(Box::new(operator.clone())),
        ..status()
    }));
    world.run(SECOND);
    let status = told(&world, 1);
    assert_eq!(status.operator.as_deref(), Some(&operator));
    assert!(status.ready && status.eta_p50 <= status.eta_p90);
}

#[test]
fn without_an_answer_it_ends_after_thirty_seconds_and_says_what_is_known() {
    // Never written.
    let mut world = World::new(3);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    ask(&mut world, 1, None);
    world.run(30 * SECOND - 1);
    assert!(world.settled.is_empty());
    world.run(1);
    let error = world.error_of(1);
    assert_eq!(*error.code(), ErrorCode::RequestTimeout);
    assert_eq!(error.outcome(), Outcome::NotSent);

    // Written and never answered: sent once more after a probe, with the same id.
    let mut world = World::connected(4);
    world.script.acks = false;
    ask(&mut world, 1, None);
    world.run(30 * SECOND);
    let error = world.error_of(1);
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::RequestTimeout, Outcome::Unknown)
    );
    let ids = asked(&world);
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    // What comes too late meets nobody.
    let late = Status {
        id: ids[0].to_owned(),
        ..status()
    };
    world.push(ServerMessage::Status(late));
    world.run(MINUTE);
    assert_eq!(world.settled.len(), 1);
}

#[test]
fn a_refusal_is_its_outcome_and_leaves_the_link() {
    let mut world = World::connected(5);
    world.script.acks = false;
    ask(&mut world, 1, Some("theirs"));
    world.run(100);
    world.push(ServerMessage::Error(ErrorPush {
        id: Some(asked(&world)[0].to_owned()),
        code: ErrorCode::Forbidden,
        message: "the token's `fleets` do not name this fleet".into(),
        retryable: false,
        retry_after_ms: None,
        outcome: Outcome::Rejected,
    }));
    world.run(SECOND);
    let error = world.error_of(1);
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::Forbidden, Outcome::Rejected)
    );
    assert!(world.is_connected());
    // A name that no fleet has never leaves the device.
    let before = asked(&world).len();
    for wrong in ["", "a b", &"x".repeat(65)] {
        ask(&mut world, 2, Some(wrong));
        let error = world.error_of(2);
        assert_eq!(*error.code(), ErrorCode::InvalidArgument);
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
    assert_eq!(asked(&world).len(), before);
}

#[test]
fn a_cut_link_asks_once_more_on_the_next() {
    let mut world = World::connected(6);
    world.script.acks = false;
    ask(&mut world, 1, None);
    world.run(100);
    world.script.acks = true;
    world.cut(TransportEnd::Dropped);
    world.run(20 * SECOND);
    assert_eq!(told(&world, 1).fleet, "only");
    let ids = asked(&world);
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
}

#[test]
fn another_requests_id_is_no_answer() {
    let mut world = World::connected(7);
    world.script.acks = false;
    world.acquire(1, Acquire::play("live", "a").id("a"));
    world.run(100);
    world.push(ServerMessage::Status(Status {
        id: "a".into(),
        ..status()
    }));
    world.run(SECOND);
    assert!(world.settled.is_empty());
    assert_eq!(world.machine.acquisition_id(RequestKey(1)), Some("a"));
}

#[test]
fn n41_status_while_offline_is_bounded_and_asked_when_back() {
    let mut world = World::new(8);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    for key in 0..1_000 {
        ask(&mut world, key, None);
    }
    let refused = world.settled.values().filter(|outcome| {
        matches!(outcome, Err(error) if *error.code() == ErrorCode::QueueFull
            && error.outcome() == Outcome::NotSent)
    });
    assert_eq!(refused.count(), 1_000 - 64);
    world.script.accept = Accept::Yes;
    world.run(29 * SECOND);
    assert!((0..64).all(|key| matches!(world.settled[&RequestKey(key)], Ok(Answer::Status(_)))));
}

#[test]
fn n33_close_settles_it_and_after_that_it_is_refused() {
    let mut world = World::connected(9);
    world.script.acks = false;
    ask(&mut world, 1, None);
    world.run(100);
    world.input(Input::Close);
    let error = world.error_of(1);
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::Closed, Outcome::Unknown)
    );
    world.run(2 * SECOND);
    assert_eq!(*world.machine.state(), ConnectionState::Closed);
    ask(&mut world, 2, None);
    assert_eq!(world.error_of(2).outcome(), Outcome::NotSent);
}
