//! From acquire to a proved endpoint, and what becomes of a lease.

mod support;

use std::time::Duration;

use support::{Accept, MINUTE, SECOND, World, endpoint};
use wakecast::machine::{Answer, Event, Input, Refusal, RequestKey, TransportEnd};
use wakecast::protocol::{
    ClientMessage, Draining, EndpointPush, ErrorPush, LeaseReport, LeaseState, Lost, Moved,
    ProgressPush, Ready, ReleaseReason, RequestReport, RequestState, ServerMessage, Welcome,
};
use wakecast::{
    Acquire, ErrorCode, LeaseChange, LeaseStatus, LostReason, Outcome, Phase, Progress, Secret,
    Stage,
};

fn progress(rev: u64, phase: Phase, elapsed: u64, p50: u64, p90: u64) -> ServerMessage {
    ServerMessage::Progress(ProgressPush {
        id: "lease".into(),
        rev,
        phase,
        elapsed_ms: elapsed * SECOND,
        eta_p50_ms: p50 * SECOND,
        eta_p90_ms: p90 * SECOND,
        overdue: false,
        note: None,
    })
}

fn ready(rev: u64, host: &str, spread: u64) -> ServerMessage {
    let endpoint = endpoint(host);
    ServerMessage::Ready(Ready {
        id: "lease".into(),
        rev,
        endpoint,
        verify_spread_ms: spread,
    })
}

fn waiting(seed: u8) -> World {
    let mut world = World::connected(seed);
    world.acquire(1, Acquire::publish("live", "match").id("lease"));
    world.run(SECOND);
    world
}

fn shown(world: &World) -> Vec<&Progress> {
    (world.events.iter())
        .filter_map(|(_, event)| match event {
            Event::Progress { progress, .. } => Some(progress),
            _ => None,
        })
        .collect()
}

fn changes(world: &World) -> Vec<(LeaseStatus, &LeaseChange)> {
    (world.events.iter())
        .filter_map(|(_, event)| match event {
            Event::Lease { status, change, .. } => Some((*status, change)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_deadline_says_that_capacity_was_missing_while_it_is() {
    for (phases, code) in [
        (
            &[Phase::WaitingForCapacity][..],
            ErrorCode::CapacityUnavailable,
        ),
        (
            &[Phase::WaitingForCapacity, Phase::Launching],
            ErrorCode::StartTimeout,
        ),
    ] {
        let mut world = World::connected(30);
        let acquire = Acquire::publish("live", "match").id("lease");
        world.acquire(1, acquire.deadline(Duration::from_secs(60)));
        world.run(SECOND);
        for (at, phase) in (1..).zip(phases) {
            world.push(progress(1, *phase, at, 88, 118));
        }
        world.run(MINUTE);
        assert_eq!(*world.error_of(1).code(), code);
        assert_eq!(world.error_of(1).stage(), Stage::Boot);
    }
}

#[test]
fn an_error_after_the_acknowledgement_is_of_the_boot() {
    let mut world = waiting(31);
    world.push(ServerMessage::Error(ErrorPush {
        id: Some("lease".into()),
        code: ErrorCode::StartFailed,
        message: "both boots failed".into(),
        retryable: true,
        retry_after_ms: Some(600_000),
        outcome: Outcome::Rejected,
    }));
    world.run(100);
    let error = world.error_of(1);
    assert_eq!(
        (error.code(), error.stage()),
        (&ErrorCode::StartFailed, Stage::Boot)
    );
}

#[test]
fn a_cold_start_from_acquire_to_a_proved_endpoint() {
    let mut world = waiting(1);
    for (phase, elapsed, p50, p90) in [
        (Phase::Launching, 2, 88, 118),
        (Phase::Booting, 20, 70, 100),
        (Phase::Warming, 60, 30, 50),
    ] {
        world.push(progress(1, phase, elapsed, p50, p90));
        world.run(10 * SECOND);
    }
    world.push(ready(2, "a", 0));
    world.run(SECOND);
    assert!(
        matches!(&world.settled[&RequestKey(1)], Ok(Answer::Acquired { lease, endpoint: at })
            if lease == "lease" && *at == endpoint("a"))
    );
    let shown = shown(&world);
    assert!(
        shown
            .windows(2)
            .all(|pair| pair[0].fraction <= pair[1].fraction),
        "never goes back"
    );
    assert!(
        shown.len() > 30,
        "interpolated each second: {}",
        shown.len()
    );
    let last = shown.last().unwrap();
    assert_eq!((last.phase, last.fraction), (Phase::Ready, 1.0));
    assert!(
        shown[..shown.len() - 1]
            .iter()
            .all(|progress| progress.fraction < 1.0)
    );
    let phases: Vec<Phase> = shown.iter().map(|progress| progress.phase).collect();
    assert!(phases.contains(&Phase::Requested) && phases.contains(&Phase::Verifying));
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
}

#[test]
fn progress_never_goes_back_whatever_the_server_says() {
    let mut world = waiting(2);
    world.push(progress(1, Phase::Warming, 60, 10, 20));
    world.run(SECOND);
    let high = shown(&world).last().unwrap().fraction;
    assert!(high > 0.6, "{high}");
    // A new attempt at the boot: a later revision with a longer estimate.
    world.push(progress(2, Phase::Launching, 65, 300, 400));
    world.run(SECOND);
    assert!(shown(&world).last().unwrap().fraction >= high);
    assert_eq!(shown(&world).last().unwrap().phase, Phase::Launching);
    // Older revisions and older pushes of the same revision are dropped.
    let told = shown(&world).len();
    world.push(progress(1, Phase::Warming, 70, 1, 2));
    world.push(progress(2, Phase::Requested, 3, 1, 2));
    world.run(100);
    let since = &shown(&world)[told..];
    assert!(
        since
            .iter()
            .all(|progress| progress.phase == Phase::Launching),
        "{since:?}"
    );
    // An unknown phase keeps the last one.
    let epoch = world.epoch();
    world.push_text(epoch, r#"{"type":"progress","id":"lease","rev":3,"phase":"defragmenting","elapsed_ms":70000,"eta_p50_ms":1,"eta_p90_ms":2,"overdue":true,"note":"restarting"}"#);
    world.run(100);
    let last = shown(&world).last().copied().unwrap().clone();
    assert_eq!((last.phase, last.overdue), (Phase::Launching, true));
    assert_eq!(last.note.as_deref(), Some("restarting"));
}

#[test]
fn a_start_past_its_estimate_is_overdue_and_stays_below_the_end() {
    let mut world = waiting(3);
    world.push(progress(1, Phase::Booting, 0, 30, 60));
    world.run(30 * SECOND);
    let at_p50 = shown(&world).last().unwrap().fraction;
    assert!((0.75..0.85).contains(&at_p50), "{at_p50}");
    assert!(!shown(&world).last().unwrap().overdue);
    world.run(9 * MINUTE);
    let last = shown(&world).last().copied().unwrap().clone();
    assert!(last.overdue);
    assert!((0.9..0.95).contains(&last.fraction), "{}", last.fraction);
    assert_eq!(last.eta_p50, Some(Duration::ZERO));
}

#[test]
fn an_endpoint_that_this_network_cannot_reach_is_given_back() {
    let mut world = waiting(4);
    world.script.endpoint_reachable = false;
    world.push(ready(2, "a", 0));
    world.run(25 * SECOND);
    assert!(world.settled.is_empty(), "it is tried for half a minute");
    world.run(10 * SECOND);
    let error = world.error_of(1);
    assert_eq!(*error.code(), ErrorCode::EndpointUnreachable);
    assert_eq!(error.cause(), Some("refused"));
    let given_back = world.sent.iter().any(|(_, _, message)| {
        matches!(message, ClientMessage::Release(release)
            if release.reason == Some(ReleaseReason::Unreachable) && release.lease == "lease")
    });
    assert!(given_back);
}

#[test]
fn first_proofs_spread_and_can_be_turned_off() {
    let proved_at = |seed: u8| {
        let mut world = waiting(seed);
        world.push(ready(2, "a", 20 * SECOND));
        let start = world.now;
        while world.settled.is_empty() {
            world.run(100);
        }
        world.now - start
    };
    let times: Vec<u64> = (0..30).map(proved_at).collect();
    assert!(times.iter().max().unwrap() > &(12 * SECOND), "{times:?}");
    assert!(times.iter().min().unwrap() < &(8 * SECOND), "{times:?}");

    let mut world = World::connected(5);
    world.script.endpoint_reachable = false;
    world.acquire(
        1,
        Acquire::publish("live", "match").id("lease").verify(false),
    );
    world.run(SECOND);
    world.push(ready(2, "a", 20 * SECOND));
    world.run(100);
    assert!(world.settled[&RequestKey(1)].is_ok());
}

#[test]
fn an_instance_that_dies_during_the_proof_is_waited_for_again() {
    let mut world = waiting(6);
    world.script.endpoint_reachable = false;
    world.push(ready(2, "a", 0));
    world.run(3 * SECOND);
    world.push(progress(3, Phase::Booting, 5, 60, 90));
    world.run(MINUTE);
    assert!(world.settled.is_empty());
    world.script.endpoint_reachable = true;
    world.push(ready(2, "a", 0));
    world.run(SECOND);
    assert!(world.settled.is_empty(), "an older grant is dropped");
    world.push(ready(4, "b", 0));
    world.run(SECOND);
    assert!(
        matches!(&world.settled[&RequestKey(1)], Ok(Answer::Acquired { endpoint: at, .. }) if *at == endpoint("b"))
    );
}

#[test]
fn a_ready_that_was_lost_is_found_by_the_next_hello() {
    let mut world = waiting(7);
    world.granted.insert("lease".into());
    world.rev = 2;
    world.cut(TransportEnd::Dropped);
    world.run(10 * SECOND);
    assert!(world.settled[&RequestKey(1)].is_ok());
}

#[test]
fn an_ended_request_is_settled_by_welcome() {
    for (code, wanted) in [
        (Some(ErrorCode::StartFailed), ErrorCode::StartFailed),
        (Some(ErrorCode::Cancelled), ErrorCode::Cancelled),
        // A state that has ended is no refusal that passes.
        (
            Some(ErrorCode::ServiceUnavailable),
            ErrorCode::ServiceUnavailable,
        ),
        (None, ErrorCode::LeaseLost),
    ] {
        let mut world = waiting(8);
        world.script.welcomes = false;
        world.cut(TransportEnd::Dropped);
        world.run(4 * SECOND);
        let hello = world
            .sent
            .iter()
            .rev()
            .find(|(_, _, message)| message.action() == "hello");
        let (_, epoch, hello) = hello.unwrap().clone();
        let welcome = Welcome {
            id: hello.id().unwrap().into(),
            session: "s".into(),
            token_expires_in_ms: 1_000_000,
            heartbeat_ms: 270_000,
            max_age_ms: 7_200_000,
            reconnect_spread_ms: 1_000,
            leases: vec![],
            requests: vec![RequestReport {
                id: "lease".into(),
                state: RequestState::Ended,
                rev: Some(9),
                phase: None,
                endpoint: None,
                code,
            }],
        };
        world.push_to(epoch, ServerMessage::Welcome(welcome));
        world.run(100);
        assert_eq!(*world.error_of(1).code(), wanted);
    }
}

#[test]
fn a_lease_follows_its_instance() {
    let mut world = World::holding(9);
    let lease = || "lease".to_owned();
    world.push(ServerMessage::Draining(Draining {
        lease: lease(),
        rev: 10,
        deadline_ms: 65_000,
    }));
    world.run(100);
    assert_eq!(
        world.machine.lease_status("lease"),
        Some(LeaseStatus::Draining)
    );
    world.push(ServerMessage::Endpoint(EndpointPush {
        id: None,
        lease: lease(),
        rev: 11,
        endpoint: endpoint("a"),
    }));
    world.run(100);
    assert_eq!(
        world.machine.lease_status("lease"),
        Some(LeaseStatus::Held),
        "the drain was undone"
    );
    // The instance dies: progress with the lease's id, and `endpoint` every half minute.
    world.script.acks = false;
    world.push(progress(12, Phase::Booting, 1, 60, 90));
    world.run(70 * SECOND);
    assert_eq!(
        world.machine.lease_status("lease"),
        Some(LeaseStatus::Moving)
    );
    assert_eq!(
        world.count("endpoint"),
        2 + 2,
        "each resent once after its probe"
    );
    world.push(ServerMessage::Moved(Moved {
        lease: lease(),
        rev: 13,
        endpoint: endpoint("b"),
    }));
    world.run(100);
    assert_eq!(world.machine.lease_endpoint("lease"), Some(&endpoint("b")));
    // Stale pushes are dropped.
    world.push(ServerMessage::Draining(Draining {
        lease: lease(),
        rev: 10,
        deadline_ms: 1,
    }));
    world.push(ServerMessage::Lost(Lost {
        lease: lease(),
        rev: 12,
        reason: LostReason::Stopped,
    }));
    world.run(100);
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
    let reason = LostReason::InstanceGone;
    world.push(ServerMessage::Lost(Lost {
        lease: lease(),
        rev: 14,
        reason,
    }));
    world.run(100);
    assert_eq!(world.machine.lease_status("lease"), None);
    let told: Vec<LeaseStatus> = changes(&world).iter().map(|(status, _)| *status).collect();
    use LeaseStatus::{Draining as D, Held as H, Lost as L, Moving as M};
    assert_eq!(told, [D, H, M, H, L]);
    assert!(matches!(changes(&world)[3].1, LeaseChange::Moved { .. }));
}

#[test]
fn late_progress_of_its_own_boot_does_not_move_a_lease() {
    let mut world = World::holding(10);
    let rev = world.rev;
    world.push(progress(rev, Phase::Warming, 60, 1, 2));
    world.run(SECOND);
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
    assert!(changes(&world).is_empty());
}

#[test]
fn an_endpoint_is_cached_while_its_stream_token_lives() {
    let mut world = World::holding(11);
    world.input(Input::Endpoint {
        key: RequestKey(2),
        lease: "lease".into(),
    });
    assert!(world.settled[&RequestKey(2)].is_ok(), "at once");
    assert_eq!(world.count("endpoint"), 0);
    world.run(45 * SECOND);
    world.input(Input::Endpoint {
        key: RequestKey(3),
        lease: "lease".into(),
    });
    assert!(
        !world.settled.contains_key(&RequestKey(3)),
        "less than 10 s left: fetched"
    );
    world.run(SECOND);
    assert!(
        matches!(&world.settled[&RequestKey(3)], Ok(Answer::Endpoint(at)) if at.stream_token == Some(Secret::new("canary.stream")))
    );
    assert_eq!(world.count("endpoint"), 1);
    world.input(Input::Endpoint {
        key: RequestKey(4),
        lease: "nobody".into(),
    });
    assert_eq!(*world.error_of(4).code(), ErrorCode::LeaseLost);
}

#[test]
fn a_release_reaches_the_server_even_if_the_link_is_down() {
    let mut world = World::holding(12);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    world.cut(TransportEnd::Dropped);
    world.run(SECOND);
    world.input(Input::Release {
        key: RequestKey(2),
        lease: "lease".into(),
    });
    world.run(40 * SECOND);
    assert_eq!(*world.error_of(2).code(), ErrorCode::RequestTimeout);
    assert_eq!(world.count("release"), 0);
    world.script.accept = Accept::Yes;
    world.run(2 * MINUTE);
    assert_eq!(world.count("release"), 1);
    let kept = world
        .sent
        .iter()
        .rev()
        .find_map(|(_, _, message)| match message {
            ClientMessage::Hello(hello) => Some(hello.leases.len()),
            _ => None,
        });
    assert_eq!(kept, Some(0), "hello no longer names it");
}

#[test]
fn an_unknown_lease_in_welcome_is_lost_and_believed() {
    let mut world = World::holding(13);
    world.script.welcomes = false;
    world.cut(TransportEnd::Dropped);
    world.run(4 * SECOND);
    let hello = world
        .sent
        .iter()
        .rev()
        .find(|(_, _, message)| message.action() == "hello");
    let (_, epoch, hello) = hello.unwrap().clone();
    world.push_to(
        epoch,
        ServerMessage::Welcome(Welcome {
            id: hello.id().unwrap().into(),
            session: "s".into(),
            token_expires_in_ms: 1_000_000,
            heartbeat_ms: 270_000,
            max_age_ms: 7_200_000,
            reconnect_spread_ms: 1_000,
            leases: vec![LeaseReport {
                id: "lease".into(),
                state: LeaseState::Lost,
                rev: None,
                endpoint: None,
                deadline_ms: None,
                reason: Some(LostReason::Stopped),
            }],
            requests: vec![],
        }),
    );
    world.run(100);
    assert_eq!(world.machine.lease_status("lease"), None);
    assert!(!world.machine.holds_leases());
}

#[test]
fn a_lease_survives_an_outage_of_minutes() {
    let mut world = World::holding(14);
    world.script.accept = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    world.cut(TransportEnd::Failed {
        message: "timed out".into(),
    });
    world.run(200 * SECOND);
    world.script.accept = Accept::Yes;
    world.run(40 * SECOND);
    assert!(world.is_connected());
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
    assert!(
        changes(&world).is_empty(),
        "the app saw no change of its lease"
    );
}

#[test]
fn a_deadline_that_the_server_would_cut_is_an_invalid_argument() {
    let hour = Duration::from_secs(3_600);
    let play = || Acquire::play("live", "match");
    let publish = || Acquire::publish("live", "match");
    let watch = || Acquire::watch("live", "match");
    let more = Duration::from_millis(1);
    let less = Duration::from_millis(999);
    let fits = [
        play().deadline(hour),
        publish().deadline(hour),
        watch().deadline(24 * hour),
    ];
    for (key, acquire) in (1..).zip(fits) {
        let mut world = World::connected(70);
        world.acquire(key, acquire);
        world.run(SECOND);
        assert!(world.settled.is_empty(), "{:?}", world.settled);
        assert_eq!(world.count("acquire"), 1);
    }
    let wrong = [
        play().deadline(hour + more),
        publish().deadline(24 * hour),
        watch().deadline(24 * hour + more),
        play().deadline(less),
        watch().deadline(less),
    ];
    for acquire in wrong {
        let mut world = World::connected(71);
        world.acquire(1, acquire);
        let error = world.error_of(1);
        assert_eq!(*error.code(), ErrorCode::InvalidArgument);
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(error.message().contains("at most"), "{error}");
        assert_eq!(world.count("acquire"), 0);
    }
}

#[test]
fn an_endpoint_that_is_older_than_what_is_known_answers_nobody() {
    let mut world = World::holding(72);
    world.script.acks = false;
    let draining = |rev| {
        ServerMessage::Draining(Draining {
            lease: "lease".into(),
            rev,
            deadline_ms: 60_000,
        })
    };
    world.push(draining(10));
    world.run(100);
    world.input(Input::Endpoint {
        key: RequestKey(2),
        lease: "lease".into(),
    });
    world.run(100);
    let asked = world.sent.iter().rev().find_map(|(_, _, sent)| match sent {
        ClientMessage::Endpoint(request) => Some(request.id.clone()),
        _ => None,
    });
    let answer = |rev, host| {
        ServerMessage::Endpoint(EndpointPush {
            id: asked.clone(),
            lease: "lease".into(),
            rev,
            endpoint: endpoint(host),
        })
    };
    world.push(answer(9, "stopping"));
    world.run(100);
    assert!(!world.settled.contains_key(&RequestKey(2)), "it is stale");
    assert_eq!(
        world.machine.lease_status("lease"),
        Some(LeaseStatus::Draining)
    );
    world.run(6 * SECOND);
    assert_eq!(world.count("endpoint"), 2, "asked once more");
    world.push(answer(11, "b"));
    world.run(100);
    assert_eq!(
        world.settled[&RequestKey(2)],
        Ok(Answer::Endpoint(endpoint("b")))
    );
    assert_eq!(world.machine.lease_status("lease"), Some(LeaseStatus::Held));
}
