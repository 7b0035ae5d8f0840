//! An attacker with one good token: many links, many ids, fresh ones for ever. What it can spend is
//! bounded, what it is told is exact, and nobody else notices.

use serde_json::{Value, json};
use wakecast::Outcome;
use wakecast::protocol::{ErrorPush, ServerMessage};
use wakecast_lambda::config::{FleetConfig, LinkCaps, SubjectCaps};
use wakecast_lambda::gateway::{GatewayConfig, GatewayConfigError};
use wakecast_lambda::leases;
use wakecast_lambda::model::{InstanceStatus, RowState};
use wakecast_lambda::store::Store as _;

use crate::world::{
    Trouble, World, acquire, acquire_for, assert_ack, at_once, config, error_code, events, fleet,
    fleet_config, instance, message, ready,
};

/// A world with these caps of a subject and of its links.
fn capped(subject: SubjectCaps, links: LinkCaps) -> World {
    let mut config = config();
    config.links = links;
    for fleet in config.fleets.values_mut() {
        fleet.caps.subject = subject;
    }
    World::with(config)
}

fn rows(live: u32) -> World {
    let subject = SubjectCaps {
        live_rows: Some(live),
        ..SubjectCaps::default()
    };
    capped(subject, LinkCaps::OFF)
}

fn connect(world: &World, socket: &str) -> Value {
    let token = world.token(json!({}));
    let event = events::filled(&events::connect_native(), "TOKEN", &token);
    world.event(&events::on_socket(event, socket, world.now()))
}

fn access(world: &World) -> Value {
    let token = world.token(json!({}));
    world.http(&events::filled(&events::http_access(), "TOKEN", &token))
}

#[track_caller]
fn error(reply: ServerMessage) -> ErrorPush {
    match reply {
        ServerMessage::Error(error) => error,
        other => panic!("no error but {other:?}"),
    }
}

fn stored_rows(world: &World) -> usize {
    let rows = at_once(
        world
            .table
            .rows(&fleet(), wakecast_lambda::ports::Clock::now(&*world.clock)),
    );
    rows.expect("a read").len()
}

#[test]
fn connect_storm_is_refused_until_the_minute_ends_and_costs_nothing() {
    let world = World::new();
    world.advance(20);
    for place in 0..10 {
        assert_eq!(connect(&world, &format!("s{place}"))["statusCode"], 200);
    }
    let before = world.table.keys();
    let refused = connect(&world, "storm");
    assert_eq!(refused["statusCode"], 429);
    assert_eq!(refused["headers"]["Retry-After"], "40");
    // A browser sees no status: the access check tells it the same.
    let explained = access(&world);
    assert_eq!(explained["statusCode"], 429);
    assert_eq!(explained["headers"]["Retry-After"], "40");

    world.store.calm();
    for place in 0..1_000 {
        assert_eq!(connect(&world, &format!("r{place}"))["statusCode"], 429);
    }
    assert_eq!(world.store.passed(), Vec::<&str>::new());
    assert_eq!(world.table.keys(), before);
    // Another subject of the tenant connects as ever.
    let bob = world.token(json!({ "sub": "bob" }));
    assert_eq!(world.connect_with("bob", &bob), 200);
    world.advance(39);
    assert_eq!(connect(&world, "early")["statusCode"], 429);
    world.advance(1);
    assert_eq!(access(&world)["statusCode"], 204);
    assert_eq!(connect(&world, "next")["statusCode"], 200);
}

#[test]
fn refused_connect_is_remembered_by_the_table_too() {
    let world = World::new();
    for place in 0..10 {
        world.connect(&format!("s{place}"));
    }
    let token = world.token(json!({}));
    let event = events::filled(&events::connect_native(), "TOKEN", &token);
    let event = events::on_socket(event, "elsewhere", world.now());
    let response = at_once(world.fresh_gateway().websocket(&event));
    assert_eq!(response["statusCode"], 429);
}

#[test]
fn open_links_are_counted_and_dead_ones_are_not() {
    let links = LinkCaps {
        connects_per_minute: None,
        open: Some(3),
    };
    let world = capped(SubjectCaps::default(), links);
    for socket in ["s1", "s2", "s3"] {
        world.connect(socket);
    }
    let refused = connect(&world, "s4");
    assert_eq!(refused["statusCode"], 429);
    assert_eq!(refused["headers"]["Retry-After"], "60");
    let explained = access(&world);
    assert_eq!(explained["statusCode"], 429);
    assert_eq!(explained["headers"]["Retry-After"], "60");
    world.disconnect("s1");
    assert_eq!(access(&world)["statusCode"], 204);
    world.advance(5);
    world.connect("s4");
    // Their `$disconnect` never comes: the API Gateway has cut them after two hours.
    world.advance(2 * 3600 + 6);
    assert_eq!(access(&world)["statusCode"], 204);
    for socket in ["s5", "s6", "s7"] {
        world.connect(socket);
    }
    assert_eq!(connect(&world, "s8")["statusCode"], 429);
}

#[test]
fn many_links_hold_no_more_rows_than_one_subject_may() {
    let world = rows(20);
    for link in 0..5 {
        world.link(&format!("s{link}"), &format!("tab-{link}"));
    }
    for place in 0..20 {
        let id = format!("a{place}");
        assert_ack(&world.send(&format!("s{}", place % 5), &acquire(&id)), &id);
    }
    let before = (world.table.keys(), world.demand(), world.wakes.count());
    let refused = error(world.send("s4", &acquire("more")));
    assert_eq!(refused.code.as_str(), "quota_exceeded");
    assert_eq!(refused.outcome, Outcome::Rejected);
    assert!(!refused.retryable && refused.message.contains("release or cancel"));
    // Asked again at once it is not counted again: that answer passes, and is soon mended.
    let again = error(world.send("s4", &acquire("more")));
    assert_eq!(again.code.as_str(), "throttled");
    assert_eq!(again.retry_after_ms, Some(5_000));
    let after = (world.table.keys(), world.demand(), world.wakes.count());
    assert_eq!(before, after, "something was written");

    // What exists is served, and another subject has room of its own.
    assert_ack(&world.send("s4", &acquire("a4")), "a4");
    let bob = world.token(json!({ "sub": "bob" }));
    assert_eq!(world.connect_with("b", &bob), 200);
    world.hello("b", "bob", &[], &[]);
    assert_ack(&world.send("b", &acquire("b1")), "b1");
    // One that is given back makes room for one.
    let cancel = message("cancel", "c", "acquire", "a0");
    assert_ack(&world.send("s0", &cancel), "c");
    world.advance(5);
    assert_ack(&world.send("s4", &acquire("more")), "more");
    world.advance(5);
    assert_eq!(
        error_code(&world.send("s4", &acquire("most"))),
        "quota_exceeded"
    );
}

#[test]
fn row_that_begins_anew_needs_room_again() {
    let world = rows(1);
    world.link("s1", "tab");
    assert_ack(&world.send("s1", &acquire("a")), "a");
    world.change_row("a", |row| {
        row.state = RowState::Ended {
            end: wakecast_lambda::model::RowEnd::Lost(wakecast::protocol::LostReason::InstanceGone),
            at: row.created_at,
        };
    });
    assert_ack(&world.send("s1", &acquire("b")), "b");
    world.advance(5);
    let refused = error(world.send("s1", &acquire("a")));
    assert_eq!(refused.code.as_str(), "quota_exceeded");
    assert!(matches!(world.row("a").state, RowState::Ended { .. }));
}

#[test]
fn fresh_ids_for_ever_leave_a_bounded_number_of_rows() {
    let world = rows(16);
    let mut refused = 0;
    for round in 0..20 {
        let socket = format!("s{round}");
        world.link(&socket, "tab");
        for place in 0..20 {
            let id = format!("r{round}-{place}");
            match world.send(&socket, &acquire(&id)) {
                ServerMessage::Ack(_) => {
                    let cancel = message("cancel", "c", "acquire", &id);
                    assert_ack(&world.send(&socket, &cancel), "c");
                }
                other => {
                    assert_eq!(error_code(&other), "throttled");
                    refused += 1;
                }
            }
            // So do ids that nobody asked for.
            world.send(
                &socket,
                &message("release", "r", "lease", &format!("{id}-t")),
            );
            assert!(stored_rows(&world) <= 64, "{} rows", stored_rows(&world));
            world.advance(1);
        }
    }
    assert!(refused > 0);
    // Fifteen minutes later they are forgotten, and the subject is as good as new.
    world.advance(901);
    world.link("later", "tab");
    assert_ack(&world.send("later", &acquire("later")), "later");
}

#[test]
fn leases_that_are_never_used_protect_for_a_bounded_time_an_hour() {
    let world = capped(SubjectCaps::default(), LinkCaps::OFF);
    let play = |id: &str| acquire_for(id, "play");
    world.given(7, InstanceStatus::Ready);
    let mut protected = 0;
    let boot = instance(7, InstanceStatus::Ready).boot.expect("a boot");
    for minute in 0..120 {
        let (socket, id) = (format!("s{minute}"), format!("a{minute}"));
        world.link(&socket, "tab");
        // Every one is granted, and told so.
        ready(&world.send(&socket, &play(&id)));
        let now = wakecast_lambda::ports::Clock::now(&*world.clock);
        let protects = leases::protects(&world.row(&id), &boot, &fleet_config().timing, now);
        protected += u32::from(protects);
        let release = message("release", "r", "lease", &id);
        assert_ack(&world.send(&socket, &release), "r");
        world.disconnect(&socket);
        world.advance(60);
    }
    assert_eq!(protected, 20, "ten in each of two hours");
}

#[test]
fn warm_acquire_costs_three_operations_with_every_cap_on() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire_for("first", "play")));
    for place in 0..100 {
        let id = format!("a{place}");
        world.store.calm();
        let granted = world.send("s1", &acquire_for(&id, "play"));
        ready(&granted);
        let passed = world.store.passed();
        // Where the protections of the hour end the write is decided twice, and that is remembered.
        let most = if place == 9 { 4 } else { 3 };
        assert!(passed.len() <= most, "{place}: {passed:?}");
    }
}

#[test]
fn crash_while_rows_are_counted_anew_loses_nothing() {
    for trouble in [Trouble::CrashBefore, Trouble::CrashAfter] {
        let world = rows(2);
        world.link("s1", "tab");
        for id in ["a", "b"] {
            assert_ack(&world.send("s1", &acquire(id)), id);
        }
        let cancel = message("cancel", "c", "acquire", "a");
        assert_ack(&world.send("s1", &cancel), "c");
        world.store.next("recount_rows", trouble);
        assert_eq!(world.send_crashing("s1", &acquire("c")), None);
        world.store.calm();
        world.advance(5);
        assert_ack(&world.send("s1", &acquire("c")), "c");
        world.advance(5);
        assert_eq!(
            error_code(&world.send("s1", &acquire("d"))),
            "quota_exceeded"
        );
    }
}

#[test]
fn caps_that_are_off_bound_nothing_and_cost_nothing() {
    let world = capped(SubjectCaps::OFF, LinkCaps::OFF);
    for link in 0..100 {
        let socket = format!("s{link}");
        world.link(&socket, &socket);
        for place in 0..10 {
            let id = format!("a{link}-{place}");
            assert_ack(&world.send(&socket, &acquire(&id)), &id);
        }
    }
    let counted = world.table.keys();
    let counted = counted.iter().filter(|(key, _)| key.starts_with("B#S#"));
    assert_eq!(counted.count(), 0);
}

#[test]
fn cap_of_zero_is_refused_at_start() {
    let zero = LinkCaps {
        open: Some(0),
        ..LinkCaps::default()
    };
    let refused = World::try_with(GatewayConfig {
        links: zero,
        ..config()
    });
    let Err(GatewayConfigError::Links(error)) = refused.map(|_| ()) else {
        panic!("nobody could connect");
    };
    assert_eq!(error.field, "links.open");
    let mut fleet: FleetConfig = fleet_config();
    fleet.caps.subject.live_rows = Some(0);
    let error = fleet.validate().expect_err("nobody could ask");
    assert_eq!(error.field, "caps.subject.live_rows");
}
