//! Stories of a first acquire, a cut and a drain: nothing is granted but on a boot that is ready.

use std::time::Duration;

use serde_json::{Value, json};
use wakecast::protocol::{LostReason, RequestState, ServerMessage};
use wakecast_lambda::leases;
use wakecast_lambda::model::{BootId, InstanceStatus, RowState};
use wakecast_lambda::ports::Clock as _;

use crate::world::{
    START, Trouble, World, acquire, assert_ack, at_once, draining, error_code, fleet_config, given,
    instance, is_waiting, message, ready, stopping,
};

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
        &fleet_config().timing,
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
    let timing = fleet_config().timing;
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
fn story4_acquire_while_draining_waits_and_raises_demand() {
    for status in [draining(START), stopping(START)] {
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

/// What a client sends again after a crash, and what then must hold.
struct Resent {
    message: Value,
    holds: fn(&World) -> bool,
}

#[test]
fn crash_at_any_operation_is_mended_by_the_same_message() {
    let waits =
        |world: &World| is_waiting(world, "a") && world.demand() > 0 && world.wakes.count() > 0;
    let hello = json!({
        "action": "hello", "id": "h", "v": 1, "client_id": "tab", "sdk": "test",
        "leases": [], "requests": [{ "id": "a" }],
    });
    let ended = |world: &World| matches!(world.row("a").state, RowState::Ended { .. });
    let cases = [
        Resent {
            message: message("endpoint", "e", "lease", "a"),
            holds: waits,
        },
        Resent {
            message: acquire("a"),
            holds: waits,
        },
        Resent {
            message: hello,
            holds: waits,
        },
        Resent {
            message: message("release", "r", "lease", "a"),
            holds: ended,
        },
        Resent {
            message: message("cancel", "c", "acquire", "a"),
            holds: ended,
        },
    ];
    for case in cases {
        let mut crashes = 0;
        for at in 0..32 {
            for after in [false, true] {
                // A lease whose boot drains: whoever wants it back has to wake somebody.
                let world = World::new();
                world.given(7, InstanceStatus::Ready);
                world.link("s1", "tab");
                ready(&world.send("s1", &acquire("a")));
                world.given(7, draining(world.now()));
                let crash = if after {
                    Trouble::CrashAfter
                } else {
                    Trouble::CrashBefore
                };
                world.store.at(at, crash);
                crashes += u32::from(world.send_crashing("s1", &case.message).is_none());
                world.store.calm();
                world.send("s1", &case.message);
                assert!((case.holds)(&world), "{} crashed at {at}", case.message);
            }
        }
        assert!(
            crashes >= 4,
            "{} crashed {crashes} times only",
            case.message
        );
    }
}
