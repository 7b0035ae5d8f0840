//! The stories that a client lives through, as far as the gateway alone shows them.

mod gateway_world;

use std::time::Duration;

use futures::executor::block_on;
use gateway_world::{
    Trouble, World, acquire, acquire_for, assert_ack, at_once, draining, error_code, fleet, given,
    instance, message, stopping,
};
use serde_json::json;
use wakecast::protocol::{LeaseState, LostReason, Phase, RequestState, ServerMessage};
use wakecast_lambda::grant::grant_waiter;
use wakecast_lambda::leases;
use wakecast_lambda::model::{
    BootId, InstanceId, InstanceStatus, RowEnd, RowState, Timestamp, WaitKind,
};
use wakecast_lambda::ports::Clock as _;

fn ready(reply: &ServerMessage) -> &wakecast::protocol::Ready {
    match reply {
        ServerMessage::Ready(ready) => ready,
        other => panic!("not ready but {other:?}"),
    }
}

fn is_waiting(world: &World, id: &str) -> bool {
    matches!(
        world.row(id).state,
        RowState::Waiting {
            phase: Phase::Requested,
            ..
        }
    )
}

#[test]
fn story1_cold_acquire_is_acked_and_announced() {
    let world = World::new();
    world.link("s1", "tab");
    assert_ack(&world.send("s1", &acquire("a")), "a");
    assert!(is_waiting(&world, "a"));
    assert_eq!((world.demand(), world.wakes.count()), (1, 1));
    let row = world.row("a");
    assert_eq!(row.rev, world.now(), "rev starts at the creation time");
    assert!(leases::waits(
        &row,
        &gateway_world::fleet_config().timing,
        world.clock.now()
    ));
}

#[test]
fn story1_warm_acquire_is_granted_in_three_operations() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    // The process learns of the ready boot once.
    ready(&world.send("s1", &acquire("first")));
    world.store.calm();
    let reply = world.send("s1", &acquire("a"));
    assert_eq!(
        world.store.passed(),
        ["connection", "put_claimed_row", "instance"]
    );
    let granted = ready(&reply);
    assert_eq!(
        granted.endpoint.websocket_url,
        "wss://203.0.113.7:5443/live/websocket"
    );
    assert_eq!(granted.endpoint.http_url, "https://203.0.113.7:5443/live");
    let ends = world.now() + 60_000;
    let token = granted
        .endpoint
        .stream_token
        .as_ref()
        .expect("a stream token");
    assert_eq!(token.expose(), format!("live/match-1/true/{ends}"));
    assert_eq!(granted.endpoint.stream_token_expires_in_ms, Some(60_000));
    assert_eq!(granted.verify_spread_ms, 250);
    assert_eq!(
        (world.demand(), world.wakes.count()),
        (0, 0),
        "nothing had to be woken"
    );
    let row = world.row("a");
    let timing = gateway_world::fleet_config().timing;
    let boot = instance(7, InstanceStatus::Ready).boot.expect("a boot");
    assert!(leases::protects(&row, &boot, &timing, world.clock.now()));
    let late = world.clock.now() + Duration::from_secs(900);
    assert!(
        !leases::protects(&row, &boot, &timing, late),
        "15 min for a publisher"
    );
}

#[test]
fn story1_release_is_final_and_repeated() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let granted = world.send("s1", &acquire("a"));
    let rev = ready(&granted).rev;
    assert_ack(
        &world.send("s1", &message("release", "r1", "lease", "a")),
        "r1",
    );
    assert_ack(
        &world.send("s1", &message("release", "r2", "lease", "a")),
        "r2",
    );
    match world.send("s1", &acquire("a")) {
        ServerMessage::Lost(lost) => {
            assert_eq!(lost.reason, LostReason::Released);
            assert!(lost.rev > rev);
        }
        other => panic!("a released id came back: {other:?}"),
    }
    assert_eq!(
        error_code(&world.send("s1", &message("endpoint", "e", "lease", "a"))),
        "lease_lost"
    );
}

#[test]
fn story2_cut_between_acquire_and_ack_starts_one_thing() {
    // The gateway dies at each await of the acquire in turn; the client reconnects and asks again.
    for at in 0..20 {
        for after in [false, true] {
            let world = World::new();
            world.link("s1", "tab");
            world.store.at(
                at,
                if after {
                    Trouble::CrashAfter
                } else {
                    Trouble::CrashBefore
                },
            );
            if world.send_crashing("s1", &acquire("a")).is_some() {
                assert!(at > 3, "an acquire has at least five operations: {at}");
                return;
            }
            world.store.calm();
            world.advance(1);
            world.disconnect("s1");
            world.link("s2", "tab");
            let report = world.hello("s2", "tab", &[], &["a"]).requests.remove(0);
            if report.state == RequestState::Unknown {
                assert_ack(&world.send("s2", &acquire("a")), "a");
            } else {
                assert_eq!(report.state, RequestState::Waiting, "crash at {at}");
            }
            assert!(is_waiting(&world, "a"));
            assert!(world.row("a").absent_since.is_none());
            assert!(
                world.demand() > 0,
                "the demand is raised whatever the crash at {at}"
            );
            assert!(
                world.wakes.count() > 0,
                "a reconciler was woken whatever the crash at {at}"
            );
        }
    }
    panic!("the acquire never came to its end");
}

#[test]
fn story2_crash_in_a_warm_grant_is_mended_by_hello() {
    for at in 0..20 {
        let world = World::new();
        world.given(7, InstanceStatus::Ready);
        world.link("s1", "tab");
        world.store.at(at, Trouble::CrashAfter);
        if world.send_crashing("s1", &acquire("a")).is_some() {
            assert!(at >= 3);
            return;
        }
        world.store.calm();
        world.advance(1);
        world.connect("s2");
        let report = world.hello("s2", "tab", &[], &["a"]).requests.remove(0);
        match report.state {
            RequestState::Unknown => drop(ready(&world.send("s2", &acquire("a"))).clone()),
            state => {
                assert_eq!(state, RequestState::Ready, "crash at {at}");
                assert!(report.endpoint.is_some());
            }
        }
    }
    panic!("the acquire never came to its end");
}

#[test]
fn story2_cut_between_ready_and_its_receipt_is_granted_again() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    let before = world.row("a");
    world.disconnect("s1");
    world.advance(40);
    world.connect("s2");
    let report = world.hello("s2", "tab", &[], &["a"]).requests.remove(0);
    assert_eq!(
        (report.state, report.rev),
        (RequestState::Ready, Some(before.rev))
    );
    let endpoint = report.endpoint.expect("an endpoint");
    let ends = world.now() + 60_000;
    let token = endpoint.stream_token.expect("a fresh token");
    assert_eq!(token.expose(), format!("live/match-1/true/{ends}"));
    let (
        RowState::Held {
            protected_until: then,
            ..
        },
        RowState::Held {
            protected_until, ..
        },
    ) = (&before.state, &world.row("a").state)
    else {
        panic!("the row is not held");
    };
    assert_eq!(
        then, protected_until,
        "a refresh never extends the protection"
    );
}

#[test]
fn story3_killed_client_comes_back_after_30_s() {
    let world = World::new();
    world.link("s1", "process-1");
    world.send("s1", &acquire("job"));
    world.disconnect("s1");
    let RowState::Waiting { deadline, .. } = world.row("job").state else {
        panic!("not waiting")
    };
    assert_eq!(world.row("job").absent_since, Some(world.clock.now()));
    world.advance(30);
    // A new process has another client id, and the same subject and id.
    world.link("s2", "process-2");
    assert_ack(&world.send("s2", &acquire("job")), "job");
    let row = world.row("job");
    assert_eq!(row.absent_since, None);
    assert!(matches!(row.state, RowState::Waiting { deadline: now, .. } if now == deadline));
    assert!(
        world.sockets.take("s1").is_empty(),
        "nobody is left there to be told"
    );
}

#[test]
fn story3_killed_client_comes_back_after_10_min_with_a_fresh_deadline() {
    let world = World::new();
    world.link("s1", "process-1");
    world.send("s1", &acquire("job"));
    world.change_row("job", |row| {
        if let RowState::Waiting { phase, .. } = &mut row.state {
            *phase = Phase::Booting;
        }
    });
    world.disconnect("s1");
    world.advance(600);
    let timing = gateway_world::fleet_config().timing;
    let row = world.row("job");
    assert!(leases::dormant(&row, &timing, world.clock.now()));
    assert!(!leases::waits(&row, &timing, world.clock.now()));
    assert!(
        !leases::past_deadline(&row, &timing, world.clock.now()),
        "it sleeps"
    );
    let (demand, rev) = (world.demand(), row.rev);
    world.link("s2", "process-2");
    let mut again = acquire("job");
    again["deadline_ms"] = json!(60_000);
    assert_ack(&world.send("s2", &again), "job");
    let row = world.row("job");
    assert!(row.rev > rev);
    let fresh = Timestamp::from_millis(world.now() + 60_000);
    assert!(matches!(row.state, RowState::Waiting { deadline, .. } if deadline == fresh));
    assert_eq!(world.demand(), demand + 1);
}

#[test]
fn story4_acquire_while_draining_waits_and_raises_demand() {
    for status in [
        draining(gateway_world::START),
        stopping(gateway_world::START),
    ] {
        let world = World::new();
        world.given(7, status);
        world.link("s1", "tab");
        assert_ack(&world.send("s1", &acquire("a")), "a");
        assert!(is_waiting(&world, "a"));
        assert_eq!((world.demand(), world.wakes.count()), (1, 1));
    }
}

#[test]
fn story4_drain_between_g1_and_g2_is_seen() {
    // The instance was ready when this process last looked, and starts to drain just after G1.
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("first")));
    let (table, now) = (world.table.clone(), world.clock.now());
    let drains = move || at_once(given(&table, now, instance(7, draining(now.as_millis()))));
    world
        .store
        .next("instance", Trouble::Meanwhile(Box::new(drains)));
    assert_ack(&world.send("s1", &acquire("a")), "a");
    assert!(is_waiting(&world, "a"));
    assert_eq!(world.demand(), 1);
}

#[test]
fn story4_remembered_boot_that_is_over_is_replaced_by_the_ready_one() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("first")));
    world.given(8, InstanceStatus::Ready);
    let reply = world.send("s1", &acquire("a"));
    assert_eq!(
        ready(&reply).endpoint.websocket_url,
        "wss://203.0.113.8:5443/live/websocket"
    );
    assert!(matches!(
        world.row("a").state,
        RowState::Held {
            boot: BootId(8),
            ..
        }
    ));
}

#[test]
fn story4_no_other_order_than_g1_before_g2() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    world.send("s1", &acquire("first"));
    for action in ["acquire", "endpoint"] {
        world.store.calm();
        match action {
            "acquire" => world.send("s1", &acquire("a")),
            _ => world.send("s1", &message("endpoint", "e", "lease", "a")),
        };
        let passed = world.store.passed();
        let put = passed.iter().rposition(|name| name.starts_with("put_"));
        let read = passed.iter().position(|name| *name == "instance");
        assert!(put < read, "{action}: {passed:?}");
        assert_eq!(passed.last(), Some(&"instance"), "{action}: {passed:?}");
    }
}

#[test]
fn story6_token_ends_while_waiting() {
    let world = World::new();
    let soon = world.now() / 1000 + 20;
    assert_eq!(
        world.connect_with("s1", &world.token(json!({ "exp": soon }))),
        200
    );
    let welcome = world.hello("s1", "tab", &[], &[]);
    assert_eq!(welcome.token_expires_in_ms, 20_000);
    world.send("s1", &acquire("a"));
    world.advance(20);
    let ServerMessage::Error(error) = world.send("s1", &acquire("b")) else {
        panic!("no error")
    };
    assert_eq!(error.code.as_str(), "token_expired");
    assert_eq!(
        (error.outcome, error.retryable),
        (wakecast::Outcome::Rejected, true)
    );
    assert!(
        world.find_row("b").is_none(),
        "nothing is done without a live token"
    );
    // The instance becomes ready meanwhile; the reconciler could tell nobody.
    world.given(7, InstanceStatus::Ready);
    let row = world.row("a");
    let boot = (InstanceId::new("i-1"), BootId(7));
    let config = gateway_world::fleet_config();
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let spread = Duration::ZERO;
    let grant = grant_waiter(
        &store,
        &gateway_world::Tokens,
        &config,
        &row,
        &boot,
        spread,
        now,
    );
    let (held, _) = block_on(grant).expect("a grant").expect("a ready boot");
    // `renew` brings both: the link's life and the row's state.
    let token = world.token(json!({}));
    match world.send(
        "s1",
        &json!({ "action": "renew", "id": "n", "token": token }),
    ) {
        ServerMessage::Renewed(renewed) => {
            assert_eq!(
                (renewed.id.as_str(), renewed.expires_in_ms),
                ("n", 3_600_000)
            );
        }
        other => panic!("not renewed but {other:?}"),
    }
    let pushed = world.sockets.take("s1");
    assert_eq!(pushed.len(), 1);
    assert_eq!(
        (ready(&pushed[0]).id.as_str(), ready(&pushed[0]).rev),
        ("a", held.rev)
    );
}

#[test]
fn story6_thirty_seconds_after_the_end_the_link_is_dismissed() {
    let world = World::new();
    let soon = world.now() / 1000 + 20;
    world.connect_with("s1", &world.token(json!({ "exp": soon })));
    world.hello("s1", "tab", &[], &[]);
    world.send("s1", &acquire("a"));
    world.advance(49);
    assert_eq!(
        error_code(&world.send("s1", &acquire("a"))),
        "token_expired"
    );
    assert!(world.sockets.deleted().is_empty());
    world.advance(1);
    assert_eq!(world.send_text("s1", &acquire("a").to_string()), None);
    match world.sockets.take("s1").as_slice() {
        [ServerMessage::Bye(bye)] => {
            assert_eq!((bye.code.as_str(), bye.reconnect), ("token_expired", true));
        }
        other => panic!("no bye but {other:?}"),
    }
    assert_eq!(world.sockets.deleted(), ["s1"]);
    assert!(
        world.row("a").absent_since.is_some(),
        "as after any disconnect"
    );
}

#[test]
fn story6_renew_must_keep_subject_and_tenant() {
    let world = World::new();
    world.link("s1", "tab");
    for claims in [
        json!({ "sub": "bob" }),
        json!({ "tenant": "other" }),
        json!({ "exp": 1 }),
    ] {
        let token = world.token(claims.clone());
        let reply = world.send(
            "s1",
            &json!({ "action": "renew", "id": "n", "token": token }),
        );
        assert!(
            ["token_rejected", "forbidden", "token_expired"].contains(&error_code(&reply)),
            "{claims}: {reply:?}"
        );
        // The link keeps its old token.
        assert_ack(&world.send("s1", &acquire("a")), "a");
        assert_eq!(world.row("a").key.subject, "ann");
    }
}

#[test]
fn story7_rotation_and_a_long_absence_of_a_live_publisher() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    // Make before break: the new link claims the lease, then the old one closes.
    world.advance(6_300);
    world.connect("s2");
    let report = world.hello("s2", "tab", &["a"], &[]).leases.remove(0);
    assert_eq!(report.state, LeaseState::Held);
    assert!(report.endpoint.is_some());
    world.disconnect("s1");
    assert_eq!(
        world.row("a").absent_since,
        None,
        "the old link's end means nothing"
    );
    assert!(
        world.sockets.take("s1").is_empty(),
        "the same client was not taken over"
    );
    // 200 s without a link: the row sleeps, and the same boot is still ready.
    world.disconnect("s2");
    world.advance(200);
    let timing = gateway_world::fleet_config().timing;
    assert!(leases::dormant(&world.row("a"), &timing, world.clock.now()));
    world.connect("s3");
    let report = world.hello("s3", "tab", &["a"], &[]).leases.remove(0);
    assert_eq!(report.state, LeaseState::Held);
    assert_eq!(world.row("a").absent_since, None);
    assert_eq!(world.demand(), 0);
}

#[test]
fn story7_sleeping_lease_whose_boot_is_over_is_lost() {
    for status in [draining(gateway_world::START), InstanceStatus::Stopped] {
        let world = World::new();
        world.given(7, InstanceStatus::Ready);
        world.link("s1", "tab");
        ready(&world.send("s1", &acquire("a")));
        world.disconnect("s1");
        world.given(7, status);
        world.advance(200);
        world.connect("s2");
        let report = world.hello("s2", "tab", &["a"], &[]).leases.remove(0);
        assert_eq!(
            (report.state, report.reason),
            (LeaseState::Lost, Some(LostReason::Stopped))
        );
        assert_eq!(world.demand(), 0, "an idle tab wakes nothing");
        // The same acquire begins anew.
        let rev = world.row("a").rev;
        assert_ack(&world.send("s2", &acquire("a")), "a");
        assert!(is_waiting(&world, "a") && world.row("a").rev > rev);
        assert_eq!(world.demand(), 1);
    }
}

#[test]
fn story7_idle_tabs_rotation_undoes_no_drain() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    world.given(7, draining(world.now()));
    world.advance(10);
    world.connect("s2");
    let report = world.hello("s2", "tab", &["a"], &[]).leases.remove(0);
    assert_eq!(
        (report.state, report.deadline_ms),
        (LeaseState::Draining, Some(55_000))
    );
    assert!(
        report.endpoint.is_none(),
        "nothing is granted while it drains"
    );
    assert!(matches!(
        world.row("a").state,
        RowState::Held { draining: true, .. }
    ));
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
}

#[test]
fn story7_undone_drain_is_told_by_an_endpoint_push_with_a_higher_rev() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let rev = ready(&world.send("s1", &acquire("a"))).rev;
    world.change_row("a", |row| *row = leases::tell_draining(row));
    let config = gateway_world::fleet_config();
    let boot = (InstanceId::new("i-1"), BootId(7));
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let tokens = gateway_world::Tokens;
    let row = world.row("a");
    let grant = grant_waiter(&store, &tokens, &config, &row, &boot, Duration::ZERO, now);
    match block_on(grant).expect("a grant").expect("a ready boot").1 {
        ServerMessage::Endpoint(push) => {
            assert_eq!((push.id, push.lease.as_str()), (None, "a"));
            assert!(push.rev > rev);
        }
        other => panic!("no endpoint but {other:?}"),
    }
    assert!(matches!(
        world.row("a").state,
        RowState::Held {
            draining: false,
            ..
        }
    ));
    // Where the boot has begun to drain again the lease stays one that was told so.
    world.change_row("a", |row| *row = leases::tell_draining(row));
    world.given(7, draining(world.now()));
    let row = world.row("a");
    let grant = grant_waiter(&store, &tokens, &config, &row, &boot, Duration::ZERO, now);
    assert_eq!(block_on(grant).expect("a grant"), None);
    assert!(matches!(
        world.row("a").state,
        RowState::Held { draining: true, .. }
    ));
    assert_eq!(world.demand(), 0);
}

#[test]
fn story8_two_clients_of_one_subject() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab-1");
    ready(&world.send("s1", &acquire("a")));
    let rev = world.row("a").rev;
    world.advance(10);
    world.link("s2", "tab-2");
    ready(&world.send("s2", &acquire("a")));
    match world.sockets.take("s1").as_slice() {
        [ServerMessage::Lost(lost)] => {
            assert_eq!(
                (lost.lease.as_str(), lost.reason),
                ("a", LostReason::TakenOver)
            );
            assert!(lost.rev >= rev);
        }
        other => panic!("no lost but {other:?}"),
    }
    // Whatever the old client still sends changes nothing.
    let row = world.row("a");
    assert_ack(
        &world.send("s1", &message("release", "r", "lease", "a")),
        "r",
    );
    assert_ack(
        &world.send("s1", &message("cancel", "c", "acquire", "a")),
        "c",
    );
    let endpoint = world.send("s1", &message("endpoint", "e", "lease", "a"));
    assert_eq!(error_code(&endpoint), "lease_lost");
    match world.send("s1", &acquire("a")) {
        ServerMessage::Lost(lost) => assert_eq!(lost.reason, LostReason::TakenOver),
        other => panic!("an older socket took the row back: {other:?}"),
    }
    world.disconnect("s1");
    assert_eq!(world.row("a"), row);
    // And its next hello from a new socket is the newest claim of all.
    world.advance(1);
    world.connect("s3");
    let report = world.hello("s3", "tab-1", &["a"], &[]).leases.remove(0);
    assert_eq!(report.state, LeaseState::Held);
    assert_eq!(world.sockets.take("s2").len(), 1);
}

#[test]
fn story8_another_subject_finds_nothing() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    assert_eq!(
        world.connect_with("s2", &world.token(json!({ "sub": "bob" }))),
        200
    );
    let welcome = world.hello("s2", "bobs-tab", &["a"], &["a"]);
    assert_eq!(
        (welcome.leases[0].state, welcome.leases[0].rev),
        (LeaseState::Lost, None)
    );
    assert_eq!(welcome.requests[0].state, RequestState::Unknown);
    assert_eq!(
        error_code(&world.send("s2", &message("endpoint", "e", "lease", "a"))),
        "lease_lost"
    );
    assert_ack(
        &world.send("s2", &message("release", "r", "lease", "a")),
        "r",
    );
    assert!(matches!(world.row("a").state, RowState::Held { .. }));
    assert!(world.sockets.take("s1").is_empty());
}

#[test]
fn story9_watch_wakes_nothing_and_is_granted_when_ready() {
    let world = World::new();
    world.link("s1", "tab");
    assert_ack(&world.send("s1", &acquire_for("w", "watch")), "w");
    assert_ack(&world.send("s1", &acquire_for("w", "watch")), "w");
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
    let timing = gateway_world::fleet_config().timing;
    let row = world.row("w");
    assert!(leases::grantable(&row, &timing, world.clock.now()));
    assert!(
        !leases::waits(&row, &timing, world.clock.now()),
        "it counts nowhere as demand"
    );
    // Somebody else has woken the server.
    world.given(7, InstanceStatus::Ready);
    ready(&world.send("s1", &acquire_for("v", "watch")));
    let boot = instance(7, InstanceStatus::Ready).boot.expect("a boot");
    assert!(!leases::protects(
        &world.row("v"),
        &boot,
        &timing,
        world.clock.now()
    ));
    // Its endpoint undoes no drain.
    world.given(7, draining(world.now()));
    assert_ack(
        &world.send("s1", &message("endpoint", "e", "lease", "v")),
        "e",
    );
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
}

#[test]
fn endpoint_on_a_drain_waits_like_an_acquire_and_is_answered_as_an_endpoint() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let rev = ready(&world.send("s1", &acquire("a"))).rev;
    match world.send("s1", &message("endpoint", "e1", "lease", "a")) {
        ServerMessage::Endpoint(push) => {
            assert_eq!(
                (push.id.as_deref(), push.lease.as_str(), push.rev),
                (Some("e1"), "a", rev)
            );
        }
        other => panic!("no endpoint but {other:?}"),
    }
    world.given(7, draining(world.now()));
    assert_ack(
        &world.send("s1", &message("endpoint", "e2", "lease", "a")),
        "e2",
    );
    let row = world.row("a");
    assert!(row.rev > rev);
    let asked = WaitKind::Endpoint {
        request: Some("e2".to_owned()),
    };
    assert!(matches!(&row.state, RowState::Waiting { kind, .. } if *kind == asked));
    assert_eq!(world.demand(), 1);
    world.given(7, InstanceStatus::Ready);
    let config = gateway_world::fleet_config();
    let boot = (InstanceId::new("i-1"), BootId(7));
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let tokens = gateway_world::Tokens;
    let grant = grant_waiter(&store, &tokens, &config, &row, &boot, Duration::ZERO, now);
    match block_on(grant).expect("a grant").expect("a ready boot").1 {
        ServerMessage::Endpoint(push) => assert_eq!(push.id.as_deref(), Some("e2")),
        other => panic!("no endpoint but {other:?}"),
    }
}

#[test]
fn grant_that_fails_keeps_the_waits_deadline() {
    let world = World::new();
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    let row = world.row("a");
    world.advance(100);
    world.given(7, stopping(world.now()));
    let config = gateway_world::fleet_config();
    let boot = (InstanceId::new("i-1"), BootId(7));
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let tokens = gateway_world::Tokens;
    let grant = grant_waiter(&store, &tokens, &config, &row, &boot, Duration::ZERO, now);
    assert_eq!(block_on(grant).expect("a grant"), None);
    assert_eq!(world.row("a").state, row.state);
    assert_eq!(world.demand(), 2);
}

#[test]
fn deadline_that_passes_is_final_and_repeated() {
    let world = World::new();
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    world.send("s1", &acquire("b"));
    world.change_row("b", |row| {
        if let RowState::Waiting { phase, .. } = &mut row.state {
            *phase = Phase::WaitingForCapacity;
        }
    });
    // A later deadline in a resend does not count.
    world.advance(300);
    world.send("s1", &acquire("a"));
    world.advance(300);
    for _ in 0..2 {
        assert_eq!(
            error_code(&world.send("s1", &acquire("a"))),
            "start_timeout"
        );
        assert_eq!(
            error_code(&world.send("s1", &acquire("b"))),
            "capacity_unavailable"
        );
    }
    let welcome = world.hello("s1", "tab", &[], &["a"]);
    assert_eq!(welcome.requests[0].state, RequestState::Ended);
    assert_eq!(
        welcome.requests[0].code.as_ref().map(|code| code.as_str()),
        Some("start_timeout")
    );
    // For 15 min; then the id is free.
    world.advance(901);
    assert_ack(&world.send("s1", &acquire("a")), "a");
}

#[test]
fn cancel_that_overtakes_its_acquire_wins() {
    let world = World::new();
    world.link("s1", "tab");
    assert_ack(
        &world.send("s1", &message("cancel", "c", "acquire", "a")),
        "c",
    );
    assert_eq!(error_code(&world.send("s1", &acquire("a"))), "cancelled");
    assert_ack(
        &world.send("s1", &message("release", "r", "lease", "b")),
        "r",
    );
    assert!(matches!(
        world.send("s1", &acquire("b")),
        ServerMessage::Lost(_)
    ));
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
    world.advance(901);
    assert_ack(&world.send("s1", &acquire("a")), "a");
}

#[test]
fn cancel_of_a_lost_row_stops_a_late_copy_of_its_acquire() {
    let world = World::new();
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    let timing = gateway_world::fleet_config().timing;
    let (now, lost) = (world.clock.now(), RowEnd::Lost(LostReason::Stopped));
    world.change_row("a", |row| *row = leases::end(row, lost, &timing, now));
    assert_ack(
        &world.send("s1", &message("cancel", "c", "acquire", "a")),
        "c",
    );
    assert_eq!(error_code(&world.send("s1", &acquire("a"))), "cancelled");
    assert_eq!(world.demand(), 1);
}

#[test]
fn same_id_for_another_ask_is_refused() {
    let world = World::new();
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    for (field, value) in [
        ("app", "vod"),
        ("purpose", "play"),
        ("stream_id", "match-2"),
    ] {
        let token = world.token(json!({ "apps": ["live", "vod"] }));
        world.send(
            "s1",
            &json!({ "action": "renew", "id": "n", "token": token }),
        );
        let mut other = acquire("a");
        other[field] = json!(value);
        assert_eq!(
            error_code(&world.send("s1", &other)),
            "invalid_argument",
            "{field}"
        );
    }
    assert!(is_waiting(&world, "a"));
}

#[test]
fn resend_wakes_only_until_a_reconciler_has_seen_the_row() {
    let world = World::new();
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    assert_ack(&world.send("s1", &acquire("a")), "a");
    assert_eq!((world.demand(), world.wakes.count()), (2, 2));
    world.change_row("a", |row| {
        if let RowState::Waiting { phase, .. } = &mut row.state {
            *phase = Phase::Launching;
        }
    });
    assert_ack(&world.send("s1", &acquire("a")), "a");
    world.hello("s1", "tab", &[], &["a"]);
    assert_eq!((world.demand(), world.wakes.count()), (2, 2));
}

#[test]
fn holder_of_the_lock_is_not_woken_while_it_has_time() {
    let world = World::new();
    world.link("s1", "tab");
    world.lock(30);
    world.send("s1", &acquire("a"));
    assert_eq!(
        (world.demand(), world.wakes.count()),
        (1, 0),
        "it will see the number"
    );
    world.advance(30);
    world.send("s1", &acquire("b"));
    assert_eq!(
        (world.demand(), world.wakes.count()),
        (2, 1),
        "its time is up"
    );
}

#[test]
fn demand_is_raised_after_the_row_and_before_the_lock_is_read() {
    let world = World::new();
    world.link("s1", "tab");
    world.store.calm();
    world.send("s1", &acquire("a"));
    let passed = world.store.passed();
    let tail = &passed[passed.len() - 3..];
    assert_eq!(tail, ["put_claimed_row", "raise_demand", "lock"]);
}

#[test]
fn row_that_changes_meanwhile_is_looked_at_again() {
    let world = World::new();
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    let (table, key) = (world.table.clone(), gateway_world::row_key("a"));
    let changes = move || {
        use wakecast_lambda::store::Store as _;
        let row = at_once(table.row(&key)).expect("a read").expect("the row");
        let version = row.version;
        at_once(table.put_row(&row, Some(version))).expect("a write");
    };
    world
        .store
        .next("put_row", Trouble::Meanwhile(Box::new(changes)));
    assert_ack(
        &world.send("s1", &message("cancel", "c", "acquire", "a")),
        "c",
    );
    let ended = RowEnd::Cancelled;
    assert!(matches!(&world.row("a").state, RowState::Ended { end, .. } if *end == ended));
}

#[test]
fn disconnect_that_overtakes_an_acquire_leaves_no_row() {
    let world = World::new();
    world.link("s1", "tab");
    let table = world.table.clone();
    let (id, now) = (
        wakecast_lambda::model::ConnectionId::new("s1"),
        world.clock.now(),
    );
    let goes = move || {
        use wakecast_lambda::store::Store as _;
        at_once(table.delete_connection(&id, now)).expect("a delete");
    };
    world
        .store
        .next("put_claimed_row", Trouble::Meanwhile(Box::new(goes)));
    world.send("s1", &acquire("a"));
    assert!(
        world.find_row("a").is_none(),
        "nobody would ever mark it absent"
    );
    assert_eq!(world.demand(), 0);
}

#[test]
fn several_fleets_must_be_named() {
    let world = World::new();
    let token = world.token(json!({ "fleets": ["main", "spare", "unknown"] }));
    assert_eq!(world.connect_with("s1", &token), 200);
    world.hello("s1", "tab", &[], &[]);
    assert_eq!(
        error_code(&world.send("s1", &acquire("a"))),
        "invalid_argument"
    );
    for (name, code) in [("unknown", "forbidden"), ("elsewhere", "forbidden")] {
        let mut named = acquire("a");
        named["fleet"] = json!(name);
        assert_eq!(error_code(&world.send("s1", &named)), code);
    }
    let mut named = acquire("a");
    named["fleet"] = json!("main");
    assert_ack(&world.send("s1", &named), "a");
    assert_eq!(world.row("a").key.fleet, fleet());
    assert_eq!(world.table.as_gateway().violations(), Vec::<String>::new());
}

#[test]
fn deadlines_are_kept_within_bounds() {
    let world = World::new();
    world.link("s1", "tab");
    let cases = [
        ("publish", 0, 600_000),
        ("publish", 1, 1_000),
        ("play", u64::MAX, 3_600_000),
        ("watch", 0, 86_400_000),
        ("watch", u64::MAX, 86_400_000),
    ];
    for (place, (purpose, asked, expected)) in cases.into_iter().enumerate() {
        let id = format!("a{place}");
        let mut message = acquire_for(&id, purpose);
        message["deadline_ms"] = json!(asked);
        assert_ack(&world.send("s1", &message), &id);
        let until = Timestamp::from_millis(world.now() + expected);
        let state = world.row(&id).state;
        assert!(
            matches!(state, RowState::Waiting { deadline, .. } if deadline == until),
            "{purpose} {asked}"
        );
    }
}

#[test]
fn spread_follows_the_number_of_connections() {
    let world = World::new();
    assert_eq!(
        world.link("s0", "tab").reconnect_spread_ms,
        250,
        "never less"
    );
    for place in 1..700 {
        world.connect(&format!("s{place}"));
    }
    world.advance(11);
    let welcome = world.hello("s0", "tab", &[], &[]);
    assert_eq!(
        welcome.reconnect_spread_ms, 2_000,
        "700 connections at 350 a second"
    );
    assert_eq!(
        (welcome.heartbeat_ms, welcome.max_age_ms),
        (270_000, 7_200_000)
    );
}

#[test]
fn lease_of_a_recovering_server_is_still_held() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    world.given(
        7,
        InstanceStatus::Recovering {
            since: world.clock.now(),
        },
    );
    let report = world.hello("s1", "tab", &["a"], &[]).leases.remove(0);
    assert_eq!((report.state, report.endpoint), (LeaseState::Held, None));
    // And a request for its endpoint waits.
    assert_ack(
        &world.send("s1", &message("endpoint", "e", "lease", "a")),
        "e",
    );
    assert!(is_waiting(&world, "a"));
}
