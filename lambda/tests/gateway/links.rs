//! Stories of links that end, tokens that end, and clients that meet on one row.

use std::time::Duration;

use futures::FutureExt as _;
use futures::executor::block_on;
use serde_json::json;
use wakecast::protocol::{LeaseState, LostReason, Phase, RequestState, ServerMessage};
use wakecast_lambda::leases;
use wakecast_lambda::model::{BootId, InstanceId, InstanceStatus, RowState, Timestamp};
use wakecast_lambda::ports::Clock as _;

use crate::world::{
    START, Trouble, World, acquire, assert_ack, draining, error_code, fleet_config, granting,
    is_waiting, message, ready,
};

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
    let timing = fleet_config().timing;
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
    let config = fleet_config();
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let spread = Duration::ZERO;
    let grant = granting(&store, &config).grant_waiter(&row, &boot, spread, now);
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
    let timing = fleet_config().timing;
    assert!(leases::dormant(&world.row("a"), &timing, world.clock.now()));
    world.connect("s3");
    let report = world.hello("s3", "tab", &["a"], &[]).leases.remove(0);
    assert_eq!(report.state, LeaseState::Held);
    assert_eq!(world.row("a").absent_since, None);
    assert_eq!(world.demand(), 0);
}

#[test]
fn story7_sleeping_lease_whose_boot_is_over_is_lost() {
    for status in [draining(START), InstanceStatus::Stopped] {
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
    let config = fleet_config();
    let boot = (InstanceId::new("i-1"), BootId(7));
    let (store, now) = (world.table.as_reconciler(), world.clock.now());
    let row = world.row("a");
    let grant = granting(&store, &config).grant_waiter(&row, &boot, Duration::ZERO, now);
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
    let grant = granting(&store, &config).grant_waiter(&row, &boot, Duration::ZERO, now);
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

/// A link with many waits, whose rows the table does not answer for from now on.
fn stalled(waits: usize) -> World {
    let world = World::new();
    world.link("s1", "tab");
    for number in 0..waits {
        let id = format!("a{number}");
        assert_ack(&world.send("s1", &acquire(&id)), &id);
    }
    world.store.calm();
    for _ in 0..waits {
        world.store.next("row", Trouble::CrashBefore);
    }
    world
}

fn rows_looked_at(world: &World) -> usize {
    let passed = world.store.passed();
    passed.iter().filter(|name| **name == "row").count()
}

#[test]
fn renewal_and_disconnect_look_at_a_bounded_number_of_rows_at_a_time() {
    let world = stalled(40);
    let token = world.token(json!({}));
    let renew = json!({ "action": "renew", "id": "n", "token": token });
    assert_eq!(world.send_crashing("s1", &renew), None, "it waits");
    assert_eq!(rows_looked_at(&world), 16);

    let world = stalled(40);
    let event = crate::world::events::disconnect("s1", world.now());
    assert_eq!(world.gateway.websocket(&event).now_or_never(), None);
    assert_eq!(rows_looked_at(&world), 16);

    let world = stalled(40);
    let names: Vec<_> = (0..40).map(|n| json!({ "id": format!("a{n}") })).collect();
    let hello = json!({
        "action": "hello", "id": "h", "v": 1, "client_id": "tab", "sdk": "test",
        "leases": [], "requests": names,
    });
    assert_eq!(world.send_crashing("s1", &hello), None);
    assert_eq!(rows_looked_at(&world), 16);
}
