//! Rules of rows, one by one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use serde_json::json;
use wakecast::protocol::{LeaseState, LostReason, Phase, RequestState, ServerMessage};
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::gateway::GatewayConfig;
use wakecast_lambda::leases;
use wakecast_lambda::model::{
    BootId, ConnectionId, InstanceId, InstanceStatus, RowEnd, RowState, Timestamp, WaitKind,
};
use wakecast_lambda::ports::Clock as _;

use crate::world::{
    Trouble, World, acquire, acquire_for, assert_ack, at_once, config, draining, error_code, fleet,
    fleet_config, granting, instance, is_waiting, message, ready, row_key, stopping,
};

#[test]
fn story9_watch_wakes_nothing_and_is_granted_when_ready() {
    let world = World::new();
    world.link("s1", "tab");
    assert_ack(&world.send("s1", &acquire_for("w", "watch")), "w");
    assert_ack(&world.send("s1", &acquire_for("w", "watch")), "w");
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
    let timing = fleet_config().timing;
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
    let config = fleet_config();
    let boot = (InstanceId::new("i-1"), BootId(7));
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let grant = granting(&store, &config).grant_waiter(&row, &boot, Duration::ZERO, now);
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
    let config = fleet_config();
    let boot = (InstanceId::new("i-1"), BootId(7));
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let grant = granting(&store, &config).grant_waiter(&row, &boot, Duration::ZERO, now);
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
    let timing = fleet_config().timing;
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
    let (table, key) = (world.table.clone(), row_key("a"));
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
    let (id, now) = (ConnectionId::new("s1"), world.clock.now());
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
fn shortest_bounds_leave_one_wait() {
    let second = Duration::from_secs(1);
    let mut config = config();
    config.waits.default = second;
    config.waits.longest = second;
    config.waits.watch = second;
    let world = World::with(config);
    world.link("s1", "tab");
    for (place, asked) in [0, 1, 1_000, u64::MAX].into_iter().enumerate() {
        for purpose in ["publish", "watch"] {
            let id = format!("{purpose}{place}");
            let mut message = acquire_for(&id, purpose);
            message["deadline_ms"] = json!(asked);
            assert_ack(&world.send("s1", &message), &id);
            let until = world.clock.now() + second;
            let state = world.row(&id).state;
            assert!(matches!(state, RowState::Waiting { deadline, .. } if deadline == until));
        }
    }
}

/// A world whose one subject stands for many.
fn crowd() -> World {
    World::with(GatewayConfig {
        links: LinkCaps::OFF,
        ..config()
    })
}

#[test]
fn spread_follows_the_number_of_connections() {
    let world = crowd();
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
fn whoever_asks_a_ready_server_looks_within_two_seconds() {
    let world = crowd();
    world.given(7, InstanceStatus::Ready);
    for place in 1..1_400 {
        world.connect(&format!("s{place}"));
    }
    world.advance(11);
    let welcome = world.link("s0", "tab");
    assert_eq!(welcome.reconnect_spread_ms, 4_000);
    let reply = world.send("s0", &acquire("a"));
    let granted = ready(&reply);
    assert_eq!(granted.verify_spread_ms, 2_000, "the herd was there before");
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

#[test]
fn request_named_in_hello_waits_again_where_its_boot_is_not_ready() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let rev = ready(&world.send("s1", &acquire("a"))).rev;
    world.given(7, draining(world.now()));
    let report = world.hello("s1", "tab", &[], &["a"]).requests.remove(0);
    assert_eq!(
        (report.state, report.phase),
        (RequestState::Waiting, Some(Phase::Requested))
    );
    assert!(report.rev > Some(rev) && report.endpoint.is_none());
    assert_eq!((world.demand(), world.wakes.count()), (1, 1));
}

#[test]
fn hello_of_many_leases_fits_into_one_message() {
    let mut config = config();
    for fleet in config.fleets.values_mut() {
        fleet.endpoint.http_url = format!("https://{{address}}/{}", "x".repeat(1024));
    }
    let world = World::with(config);
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let ids: Vec<String> = (0..128).map(|n| format!("{n:022}")).collect();
    for id in &ids {
        ready(&world.send("s1", &acquire(id)));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let few = world.hello("s1", "tab", &ids[..64], &[]);
    assert!(few.leases.iter().all(|lease| lease.endpoint.is_some()));
    // A reply that is too large would not be read here.
    let many = world.hello("s1", "tab", &ids, &[]);
    assert_eq!(many.leases.len(), 128);
    assert!(
        many.leases
            .iter()
            .all(|lease| lease.state == LeaseState::Held && lease.endpoint.is_none())
    );
}

#[test]
fn acquire_delivered_twice_is_one_row_and_one_grant() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    // The second copy is carried out while the first is between its connection and its row.
    ready(&world.send("s1", &acquire("warm-up")));
    let again = world.fresh_gateway();
    let event = world.message("s1", &acquire("a").to_string());
    let answer = Arc::new(Mutex::new(None));
    let given = Arc::clone(&answer);
    let second = move || {
        let response = at_once(again.websocket(&event));
        *given.lock().expect("the answer") = response["body"].as_str().map(str::to_owned);
    };
    world
        .store
        .next("put_claimed_row", Trouble::Meanwhile(Box::new(second)));
    let rev = ready(&world.send("s1", &acquire("a"))).rev;
    let second = answer
        .lock()
        .expect("the answer")
        .take()
        .expect("it was carried out");
    let ServerMessage::Ready(second) = ServerMessage::decode(&second).expect("a message") else {
        panic!("the second copy was not granted");
    };
    assert_eq!(
        (second.id.as_str(), second.rev, world.row("a").rev),
        ("a", rev, rev)
    );
}
