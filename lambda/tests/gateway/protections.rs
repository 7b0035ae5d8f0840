//! What one subject's leases keep from being stopped: counted once, given back where nothing came
//! of it, and never to be had by a way around the count.

use serde_json::json;
use wakecast::protocol::ServerMessage;
use wakecast_lambda::config::{LinkCaps, SubjectCaps};
use wakecast_lambda::grant::ready_boot;
use wakecast_lambda::leases;
use wakecast_lambda::model::{InstanceStatus, RowState};
use wakecast_lambda::ports::{BootOf, Clock as _, PostError};
use wakecast_lambda::store::{Room, Store as _};

use crate::world::{
    Trouble, World, acquire, acquire_for, assert_ack, at_once, config, error_code, fleet,
    fleet_config, granting, instance, message, ready, row_key, stopping,
};

/// A world without caps on links, and with these of a subject.
fn capped(subject: SubjectCaps) -> World {
    let mut config = config();
    config.links = LinkCaps::OFF;
    for fleet in config.fleets.values_mut() {
        fleet.caps.subject = subject;
    }
    World::with(config)
}

fn live_rows(most: u32) -> World {
    capped(SubjectCaps {
        live_rows: Some(most),
        ..SubjectCaps::default()
    })
}

fn play(id: &str) -> serde_json::Value {
    acquire_for(id, "play")
}

fn protects(world: &World, id: &str) -> bool {
    let boot = instance(7, InstanceStatus::Ready).boot.expect("a boot");
    let (timing, now) = (fleet_config().timing, world.clock.now());
    leases::protects(&world.row(id), &boot, &timing, now)
}

fn give_back(world: &World, socket: &str, id: &str) {
    let release = message("release", "r", "lease", id);
    assert_ack(&world.send(socket, &release), "r");
}

/// Grants whoever waits, as the reconciler does.
fn reconcile(world: &World) {
    let (config, now) = (fleet_config(), world.clock.now());
    let instances = at_once(world.table.instances(&fleet())).expect("a read");
    let boot: BootOf = ready_boot(&instances).expect("a ready boot");
    for row in at_once(world.table.rows(&fleet(), now)).expect("a read") {
        if leases::grantable(&row, &config.timing, now) {
            let granting = granting(&world.table, &config);
            let granted =
                at_once(granting.grant_waiter(&row, &boot, std::time::Duration::ZERO, now));
            granted.expect("a grant").expect("a ready boot");
        }
    }
}

#[test]
fn plays_of_an_hour_leave_a_publisher_protected() {
    let world = capped(SubjectCaps::default());
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    for place in 0..12 {
        let id = format!("p{place}");
        ready(&world.send("s1", &play(&id)));
        assert_eq!(protects(&world, &id), place < 10, "{id}");
        give_back(&world, "s1", &id);
    }
    for place in 0..30 {
        let id = format!("a{place}");
        ready(&world.send("s1", &acquire(&id)));
        assert!(protects(&world, &id), "who may publish can keep it anyway");
        give_back(&world, "s1", &id);
    }
    ready(&world.send("s1", &play("late")));
    assert!(!protects(&world, "late"));
}

/// Thirty waits whose tabs are closed, and which sleep when the server becomes ready.
fn sleepers(world: &World) -> Vec<String> {
    let ids: Vec<String> = (0..30).map(|place| format!("p{place}")).collect();
    world.link("s1", "tab");
    for id in &ids {
        assert_ack(&world.send("s1", &play(id)), id);
    }
    world.disconnect("s1");
    world.advance(121);
    world.given(7, InstanceStatus::Ready);
    reconcile(world);
    ids
}

#[test]
fn sleeping_waits_that_come_back_one_by_one_are_counted() {
    for by_hello in [true, false] {
        let world = capped(SubjectCaps::default());
        let ids = sleepers(&world);
        let mut protected = 0;
        for id in &ids {
            let socket = format!("back-{id}");
            if by_hello {
                world.connect(&socket);
                let welcome = world.hello(&socket, "tab", &[], &[id]);
                let report = &welcome.requests[0];
                assert!(report.endpoint.is_some(), "granted at once: {report:?}");
            } else {
                world.link(&socket, "tab");
                let asked = message("endpoint", "e", "lease", id);
                let reply = world.send(&socket, &asked);
                assert!(matches!(reply, ServerMessage::Endpoint(_)), "{reply:?}");
            }
            reconcile(&world);
            assert!(matches!(world.row(id).state, RowState::Held { .. }));
            protected += u32::from(protects(&world, id));
            give_back(&world, &socket, id);
            world.advance(30);
        }
        assert_eq!(protected, 10, "by hello: {by_hello}");
    }
}

#[test]
fn protection_of_a_grant_that_did_not_come_about_is_given_back() {
    let world = capped(SubjectCaps::default());
    world.link("s1", "tab");
    for place in 0..10 {
        let (granted, missed) = (format!("g{place}"), format!("m{place}"));
        world.given(7, InstanceStatus::Ready);
        ready(&world.send("s1", &play(&granted)));
        assert!(protects(&world, &granted), "{granted}");
        give_back(&world, "s1", &granted);
        // The gateway still believes it to be ready: G1 counts, G2 finds it stopping.
        world.given(7, stopping(world.now()));
        assert_ack(&world.send("s1", &play(&missed)), &missed);
        let cancel = message("cancel", "c", "acquire", &missed);
        assert_ack(&world.send("s1", &cancel), "c");
        world.advance(1);
    }
    world.given(7, InstanceStatus::Ready);
    ready(&world.send("s1", &play("eleventh")));
    assert!(!protects(&world, "eleventh"));
}

#[test]
fn spent_subject_gets_no_protection_by_a_boot_that_replaced_the_believed_one() {
    let world = capped(SubjectCaps::default());
    world.given(6, InstanceStatus::Ready);
    world.link("s1", "tab");
    for place in 0..10 {
        ready(&world.send("s1", &play(&format!("p{place}"))));
    }
    // The gateway still believes in the boot before: the row moves on to this one.
    world.given(7, InstanceStatus::Ready);
    ready(&world.send("s1", &play("late")));
    assert!(!protects(&world, "late"));
    // A lease that asks for its endpoint again moves there too, counted like any other.
    let asked = message("endpoint", "e", "lease", "p0");
    let reply = world.send("s1", &asked);
    assert!(matches!(reply, ServerMessage::Endpoint(_)), "{reply:?}");
    assert!(!protects(&world, "p0"));
}

#[test]
fn closed_tabs_take_no_place_until_they_come_back() {
    let world = live_rows(3);
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    for id in ["a", "b", "c"] {
        ready(&world.send("s1", &acquire(id)));
    }
    world.disconnect("s1");
    world.link("s2", "other");
    let refused = world.send("s2", &acquire("d"));
    assert_eq!(error_code(&refused), "quota_exceeded", "not yet asleep");
    world.advance(120);
    for id in ["d", "e"] {
        ready(&world.send("s2", &acquire(id)));
    }
    // One place is left, for whichever of the three comes back first.
    world.advance(5);
    world.connect("s3");
    let back = world.hello("s3", "tab", &["a"], &[]);
    assert!(back.leases[0].endpoint.is_some(), "{back:?}");
    let asked = message("endpoint", "x", "lease", "b");
    world.advance(5);
    assert_eq!(error_code(&world.send("s3", &asked)), "quota_exceeded");
    assert!(world.row("b").absent_since.is_some(), "it sleeps on");
    give_back(&world, "s3", "a");
    world.advance(5);
    let reply = world.send("s3", &asked);
    assert!(matches!(reply, ServerMessage::Endpoint(_)), "{reply:?}");
}

#[test]
fn hello_that_revives_more_than_fits_just_now_loses_nothing() {
    let world = live_rows(20);
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    let ids: Vec<String> = (0..20).map(|place| format!("a{place}")).collect();
    for id in &ids {
        ready(&world.send("s1", &acquire(id)));
    }
    world.disconnect("s1");
    world.advance(300);
    world.connect("s2");
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let hello = json!({
        "action": "hello", "id": "h", "v": 1, "client_id": "tab", "sdk": "test",
        "leases": names.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(), "requests": [],
    });
    let mut tries = 0;
    let welcome = loop {
        tries += 1;
        match world.send("s2", &hello) {
            ServerMessage::Welcome(welcome) => break welcome,
            other => assert_eq!(error_code(&other), "throttled"),
        }
        assert!(tries < 4, "no end to it");
        world.advance(5);
    };
    for report in &welcome.leases {
        assert!(report.endpoint.is_some(), "{report:?}");
    }
}

#[test]
fn rows_that_begin_at_once_on_one_link_share_its_last_place() {
    let world = capped(SubjectCaps::OFF);
    let connection = world.link("s1", "tab");
    drop(connection);
    for place in 0..127 {
        let id = format!("a{place}");
        assert_ack(&world.send("s1", &acquire(&id)), &id);
    }
    let (table, id) = (
        world.table.clone(),
        wakecast_lambda::model::ConnectionId::new("s1"),
    );
    let meanwhile = move || {
        let mut row = at_once(table.row(&row_key("a0")))
            .expect("a read")
            .expect("a row");
        row.key = row_key("beside");
        let put = at_once(table.put_claimed_row(&id, &row, None, &Room::default()));
        put.expect("the last place");
    };
    world
        .store
        .next("put_claimed_row", Trouble::Meanwhile(Box::new(meanwhile)));
    assert_eq!(error_code(&world.send("s1", &acquire("last"))), "throttled");
    assert_eq!(world.find_row("last"), None);
}

#[test]
fn a_hundred_rows_of_a_dead_link_hold_up_a_welcome_for_a_second_in_all() {
    let world = capped(SubjectCaps::default());
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab-1");
    let ids: Vec<String> = (0..100).map(|place| format!("a{place}")).collect();
    for id in &ids {
        ready(&world.send("s1", &acquire(id)));
    }
    // It died right after its connect; another client takes everything over.
    world.sockets.fails("s1", &[PostError::Gone; 10_000]);
    world.advance(1);
    world.connect("s2");
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let before = world.now();
    let welcome = world.hello("s2", "tab-2", &names, &[]);
    assert!(welcome.leases.iter().all(|lease| lease.endpoint.is_some()));
    assert!(world.now() - before <= 1_500, "{} ms", world.now() - before);
}
