//! Links are renewed before the gateway cuts them, and nothing is lost between two.

mod support;

use std::time::Duration;

use support::{Accept, HOUR, MINUTE, SECOND, World};
use wakecast::machine::{Input, Refusal, RequestKey, TransportEnd};
use wakecast::{Acquire, ConnectionState};

fn waiting(seed: u8) -> World {
    let mut world = World::connected(seed);
    let acquire = Acquire::play("live", "match").deadline(Duration::from_secs(24 * 3_600));
    world.acquire(1, acquire);
    world.run(SECOND);
    world
}

#[test]
fn rotation_makes_the_next_link_before_it_breaks_the_old_one() {
    let mut world = waiting(50);
    let before = world.machine.state().clone();
    let old = world.epoch();
    let mut both = 0;
    while world.epoch() == old {
        world.run(10);
        both = both.max(world.open_sockets());
    }
    let age = world.now;
    assert!(
        (95 * MINUTE..=116 * MINUTE).contains(&age),
        "rotated at {} min",
        age / MINUTE
    );
    world.run(SECOND);
    assert_eq!(both, 2);
    assert_eq!(world.open_sockets(), 1);
    assert_eq!(*world.machine.state(), before, "the session survives");
}

#[test]
fn a_refused_rotation_keeps_the_old_link_until_it_is_cut() {
    let mut world = waiting(51);
    world.script.limits = Some((10 * MINUTE, 2 * HOUR));
    world.run(90 * MINUTE);
    world.script.accept = Accept::Refuse(Refusal::Http {
        status: 503,
        retry_after: None,
    });
    while world.now < 119 * MINUTE {
        world.run(MINUTE);
        assert!(world.is_connected());
    }
    let last = world.attempts.last().unwrap().0;
    assert!(
        world.attempts.len() > 3 && last <= 7_078 * SECOND + SECOND,
        "last try at {last}"
    );
    world.run(MINUTE + SECOND);
    assert!(!world.is_connected(), "then the gateway cuts");
    world.script.accept = Accept::Yes;
    world.run(2 * MINUTE);
    assert!(world.is_connected());
}

#[test]
fn a_rotation_that_is_not_welcomed_replaces_both_links() {
    let mut world = waiting(52);
    world.run(90 * MINUTE);
    world.script.welcomes = false;
    while world.open_sockets() < 2 {
        world.run(100);
    }
    world.run(5 * SECOND);
    assert_eq!(
        world.open_sockets(),
        0,
        "the rows may belong to the dead link"
    );
    assert!(matches!(
        world.machine.state(),
        ConnectionState::Reconnecting { .. }
    ));
    world.script.welcomes = true;
    world.run(10 * SECOND);
    assert!(world.is_connected());
}

#[test]
fn n32_a_new_link_that_breaks_takes_the_old_one_of_its_rotation_with_it() {
    let mut world = waiting(55);
    while world.open_sockets() < 2 {
        world.run(10);
    }
    // Something is unanswered on the old link, so it drains for a while.
    world.script.acks = false;
    world.input(Input::Cancel { key: RequestKey(1) });
    world.run(200);
    assert_eq!(world.open_sockets(), 2);
    assert!(world.is_connected());
    world.cut(TransportEnd::Dropped);
    assert_eq!(
        world.open_sockets(),
        0,
        "else a third could be opened beside it"
    );
    world.script.acks = true;
    world.run(10 * SECOND);
    assert!(world.is_connected() && world.open_sockets() == 1);
    assert_eq!(world.count("cancel"), 2, "unanswered: sent again");
}

#[test]
fn the_old_link_of_a_rotation_closes_when_its_answers_have_come_or_after_five_seconds() {
    let mut world = waiting(56);
    while world.open_sockets() < 2 {
        world.run(10);
    }
    world.script.acks = false;
    world.input(Input::Cancel { key: RequestKey(1) });
    world.run(4 * SECOND);
    assert_eq!(world.open_sockets(), 2);
    world.script.acks = true;
    world.run(1_200);
    assert_eq!(world.open_sockets(), 1);
    world.run(SECOND);
    let last = world
        .sent
        .iter()
        .rev()
        .find(|(_, _, message)| message.action() == "cancel");
    assert_eq!(
        last.unwrap().1,
        world.epoch(),
        "unanswered: sent again on the new link"
    );
    assert!(world.is_connected());
}
