//! Refusals that say nothing: an access check asks why, and a blocked WebSocket is named.

mod support;

use std::time::Duration;

use support::{Accept, MINUTE, SECOND, World};
use wakecast::machine::{AccessAnswer, Event, Input, Refusal, TransportEnd};
use wakecast::{Acquire, ConnectionState, Error, ErrorCode, ReconnectReason};

fn http(status: u16) -> Refusal {
    Refusal::Http {
        status,
        retry_after: None,
    }
}

/// What a proxy that does not know WebSockets, or a browser, makes of a refusal.
fn unexplained() -> Vec<Refusal> {
    let bad = Refusal::BadHandshake {
        message: "Sec-WebSocket-Accept does not match".into(),
    };
    let statuses = [200, 301, 400, 404, 500, 502, 504].map(http);
    statuses.into_iter().chain([bad, Refusal::Opaque]).collect()
}

fn refused(seed: u8, refusal: Refusal, millis: u64) -> World {
    let mut world = World::new(seed);
    world.script.accept = Accept::Refuse(refusal);
    world.input(Input::Connect);
    world.run(millis);
    world
}

fn blocked(world: &World) -> Vec<&Error> {
    (world.events.iter())
        .filter_map(|(_, event)| match event {
            Event::Diagnostic(error) if *error.code() == ErrorCode::WebsocketBlocked => Some(error),
            _ => None,
        })
        .collect()
}

/// Runs until something is so; fails if it is not within an hour.
fn until(world: &mut World, so: impl Fn(&World) -> bool) {
    let end = world.now + 60 * MINUTE;
    while !so(world) {
        assert!(world.now < end, "it never came");
        world.run(10);
    }
}

/// Attempts and checks in the order in which they were made: `a` and `c`.
fn order(world: &World) -> String {
    let attempts = world.attempts.iter().map(|(at, _)| (*at, 'a'));
    let mut all: Vec<(u64, char)> = attempts.collect();
    all.extend(world.checks.iter().map(|at| (*at, 'c')));
    all.sort_unstable();
    all.into_iter().map(|(_, what)| what).collect()
}

#[test]
fn what_explains_nothing_is_checked_every_second_time_and_named_after_three() {
    for refusal in unexplained() {
        let world = refused(9, refusal.clone(), 5 * MINUTE);
        let order = order(&world);
        assert!(order.len() > 10, "{refusal:?}: {order}");
        assert!(
            order.starts_with("ac") && !order.contains("aa") && !order.contains("cc"),
            "{refusal:?}: {order}"
        );
        // The same backoff: 0–1, 0–2, … 0–30 s apart, about 25 tries and checks in five minutes.
        assert!(order.len() < 50, "{refusal:?}: {order}");
        let told = blocked(&world);
        assert_eq!(told.len(), 1, "{refusal:?}");
        assert!(told[0].cause().is_some(), "what was seen is its cause");
        assert!(
            (world.states().iter()).any(|state| matches!(state,
                ConnectionState::Reconnecting { reason, .. }
                    if *reason == ReconnectReason::Failure(ErrorCode::WebsocketBlocked))),
            "{refusal:?}"
        );
    }
}

#[test]
fn it_is_named_at_the_third_check_in_a_row_not_before() {
    let mut world = refused(10, http(502), 0);
    until(&mut world, |world| {
        assert!(world.checks.len() > 2 || blocked(world).is_empty());
        world.checks.len() == 3
    });
    world.run(100);
    assert_eq!(blocked(&world).len(), 1);
    assert!(blocked(&world)[0].cause().unwrap().contains("502"));
}

#[test]
fn what_explains_itself_is_not_checked() {
    for refusal in [
        http(401),
        http(403),
        http(426),
        http(429),
        http(503),
        Refusal::Unreachable {
            message: "no route".into(),
        },
        Refusal::Tls {
            message: "unknown issuer".into(),
        },
    ] {
        let world = refused(11, refusal.clone(), 5 * MINUTE);
        assert!(world.checks.is_empty(), "{refusal:?}");
        assert!(blocked(&world).is_empty());
    }
}

#[test]
fn an_explained_refusal_between_begins_the_row_anew() {
    let mut world = refused(12, http(502), 0);
    until(&mut world, |world| world.checks.len() == 2);
    world.run(100);
    let attempts = world.attempts.len();
    world.script.accept = Accept::Refuse(http(503));
    until(&mut world, |world| world.attempts.len() > attempts);
    world.run(100);
    world.script.accept = Accept::Refuse(http(502));
    until(&mut world, |world| world.checks.len() == 4);
    world.run(100);
    assert!(blocked(&world).is_empty(), "two and two are not three");
    until(&mut world, |world| world.checks.len() == 5);
    world.run(100);
    assert_eq!(blocked(&world).len(), 1);
}

#[test]
fn a_network_that_has_carried_a_link_is_not_called_blocked() {
    let mut world = World::connected(13);
    world.script.accept = Accept::Refuse(http(502));
    world.cut(TransportEnd::Dropped);
    world.run(10 * MINUTE);
    assert!(world.checks.len() > 3);
    assert!(blocked(&world).is_empty());
    // Another network has carried none yet.
    world.input(Input::NetworkChanged);
    world.run(10 * MINUTE);
    assert_eq!(blocked(&world).len(), 1);
}

#[test]
fn an_access_check_explains_a_refusal() {
    for refusal in unexplained() {
        for (status, code) in [(403, ErrorCode::Forbidden), (426, ErrorCode::ClientTooOld)] {
            let mut world = World::new(14);
            world.script.accept = Accept::Refuse(refusal.clone());
            world.script.access = AccessAnswer::Http {
                status,
                retry_after: None,
            };
            world.acquire(1, Acquire::play("live", "match"));
            world.run(30 * SECOND);
            assert_eq!(*world.error_of(1).code(), code, "{refusal:?}");
        }
        let mut world = World::new(15);
        world.script.accept = Accept::Refuse(refusal);
        world.script.access = AccessAnswer::Http {
            status: 503,
            retry_after: Some(Duration::from_secs(60)),
        };
        world.input(Input::Connect);
        world.run(50 * SECOND);
        assert_eq!(world.checks.len(), 1);
        assert_eq!(world.attempts.len(), 1, "Retry-After of the check holds");
    }
}

#[test]
fn a_check_that_found_no_way_either_says_nothing_of_websockets() {
    let mut world = World::new(16);
    world.script.accept = Accept::Refuse(http(502));
    world.script.access = AccessAnswer::Unreachable {
        message: "no route".into(),
    };
    world.input(Input::Connect);
    world.run(10 * MINUTE);
    assert!(world.checks.len() > 3);
    assert!(blocked(&world).is_empty());
}

#[test]
fn a_token_that_ends_while_it_is_checked_is_no_fresh_refusal() {
    let mut world = World::connected(90);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    world.script.access = AccessAnswer::Http {
        status: 401,
        retry_after: None,
    };
    world.cut(TransportEnd::Dropped);
    let checked = |world: &World| !world.checks.is_empty();
    while !checked(&world) {
        world.run(1);
        assert!(world.now < 10 * MINUTE, "it never came");
    }
    // Ends the token before the answer comes.
    world.input(Input::ClockJumped);
    // One fresh token refused is no reason to give up.
    world.script.accept = Accept::Refuse(http(401));
    let before = world.attempts.len();
    until(&mut world, |world| world.attempts.len() > before);
    world.script.accept = Accept::Yes;
    until(&mut world, World::is_connected);
    assert!(
        !world
            .states()
            .iter()
            .any(|state| matches!(state, ConnectionState::Failed { .. }))
    );
    let old = &world.attempts[0].1;
    assert!(
        world.attempts[before..]
            .iter()
            .all(|(_, token)| token != old),
        "a refused token is never sent again"
    );
}
