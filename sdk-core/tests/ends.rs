//! The end is final from every state, what the app is told is what is, and nothing tells a secret.

mod support;

use support::{Accept, CANARY, HOUR, MINUTE, Provider, SECOND, World, endpoint};
use wakecast::machine::{Input, Refusal, RequestKey, TransportEnd};
use wakecast::{Acquire, ErrorCode, Outcome};

#[test]
fn n33_close_is_final_in_every_state() {
    type Scene = fn(u8) -> World;
    let scenes: [(&str, Scene); 10] = [
        ("idle", World::new),
        ("token", |seed| {
            scene(seed, |world| world.script.provider = Provider::Hang, 100)
        }),
        ("socket", |seed| {
            scene(seed, |world| world.script.accept = Accept::Hang, 100)
        }),
        ("hello", |seed| {
            scene(seed, |world| world.script.welcomes = false, 100)
        }),
        ("connected", World::connected),
        ("holding", World::holding),
        ("reconnecting", |seed| {
            let mut world = World::holding(seed);
            world.script.accept = Accept::Refuse(Refusal::Opaque);
            world.cut(TransportEnd::Dropped);
            world.run(5 * SECOND);
            world
        }),
        ("failed", |seed| {
            let refused = Refusal::Http {
                status: 403,
                retry_after: None,
            };
            scene(
                seed,
                |world| world.script.accept = Accept::Refuse(refused),
                SECOND,
            )
        }),
        ("paused", |seed| {
            let mut world = World::connected(seed);
            world.input(Input::Background);
            world
        }),
        ("rotating", |seed| {
            let mut world = World::holding(seed);
            while world.open_sockets() < 2 {
                world.run(10);
            }
            world
        }),
    ];
    for (name, scene) in scenes {
        for detach in [false, true] {
            let mut world = scene(33);
            let sent = world.sent.len();
            world.acquire(70, Acquire::play("live", "late").id("late"));
            let end = if detach { Input::Detach } else { Input::Close };
            let written = world.sent.len();
            world.input(end);
            world.run(SECOND);
            assert_eq!(
                *world.machine.state(),
                wakecast::ConnectionState::Closed,
                "{name}"
            );
            assert_eq!(world.open_sockets(), 0, "{name}");
            if name != "failed" {
                assert_eq!(*world.error_of(70).code(), ErrorCode::Closed, "{name}");
            }
            if detach {
                assert_eq!(world.sent.len(), written, "{name}: detach sends nothing");
            } else if matches!(name, "holding" | "rotating") {
                assert!(world.sent.len() > sent, "{name}: close gives back");
                assert!(world.count("release") >= 1, "{name}");
            }
            let (sent, attempts) = (world.sent.len(), world.attempts.len());
            for input in [
                Input::Connect,
                Input::Retry,
                Input::NetworkChanged,
                Input::Foreground,
            ] {
                world.input(input);
            }
            world.acquire(71, Acquire::play("live", "after"));
            world.run(HOUR);
            assert_eq!(*world.error_of(71).code(), ErrorCode::Closed, "{name}");
            assert_eq!(
                (sent, attempts),
                (world.sent.len(), world.attempts.len()),
                "{name}"
            );
            assert!(world.machine.next_timeout().is_none());
        }
    }
}

#[test]
fn closing_waits_for_the_acknowledgements_but_not_longer_than_a_second() {
    let mut world = World::holding(58);
    world.input(Input::Close);
    world.run(100);
    assert_eq!(*world.machine.state(), wakecast::ConnectionState::Closed);
    let mut world = World::holding(59);
    world.script.acks = false;
    world.input(Input::Close);
    world.run(SECOND - 1);
    assert_ne!(*world.machine.state(), wakecast::ConnectionState::Closed);
    world.run(1);
    assert_eq!(*world.machine.state(), wakecast::ConnectionState::Closed);
}

#[test]
fn n37_the_state_is_the_event() {
    // The observer in `support` compares them after every input of every test; here they are counted.
    let mut world = World::holding(60);
    world.cut(TransportEnd::Dropped);
    world.run(MINUTE);
    let told = world.states();
    assert_eq!(told.last().copied(), Some(world.machine.state()));
    assert!(
        told.windows(2).all(|pair| pair[0] != pair[1]),
        "no state is told twice"
    );
}

#[test]
fn n42_no_secret_is_printed() {
    let mut world = World::holding(61);
    world.input(Input::Endpoint {
        key: RequestKey(2),
        lease: "lease".into(),
    });
    world.run(2 * HOUR);
    let printed = format!("{:?} {:?} {:?}", world.machine, world.events, world.settled);
    assert!(printed.contains('…') && !printed.contains(CANARY));
    let endpoint = endpoint("a");
    assert!(!format!("{endpoint:?}").contains(CANARY));
    for (url, shown) in [
        (
            "wss://h.example/prod?token=canary#canary",
            "wss://h.example/prod",
        ),
        (
            "https://canary:canary@h.example:8443/v1/access",
            "https://…",
        ),
        (
            "https://h.example/v1/hints/canary",
            "https://h.example/v1/hints/…",
        ),
        (
            "https://h.example/stage/v1/hints/canary/more?x=canary",
            "https://h.example/stage/v1/hints/…",
        ),
        ("https://h.example?ticket=canary", "https://h.example"),
        ("not a url?canary", "…"),
        ("wss:/user:canary@host/p", "…"),
        ("v1/hints/canary", "…"),
        ("https://user:can/ary@host/p", "https://…"),
        ("https://user:can?ary@host", "https://…"),
        ("https://host/p?mail=canary@home", "https://…"),
        ("", "…"),
    ] {
        assert_eq!(wakecast::redact_url(url), shown);
    }
}

#[test]
fn detach_says_of_each_request_whether_it_was_written() {
    let release = || Input::Release {
        key: RequestKey(2),
        lease: "lease".into(),
    };
    let mut world = World::holding(62);
    world.script.acks = false;
    world.input(release());
    world.input(Input::Detach);
    assert_eq!(world.error_of(2).outcome(), Outcome::Unknown);
    let mut world = World::holding(63);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    world.cut(TransportEnd::Dropped);
    world.input(release());
    world.input(Input::Detach);
    assert_eq!(world.count("release"), 0);
    assert_eq!(world.error_of(2).outcome(), Outcome::NotSent);
}

fn scene(seed: u8, set: impl FnOnce(&mut World), millis: u64) -> World {
    let mut world = World::new(seed);
    set(&mut world);
    world.input(Input::Connect);
    world.run(millis);
    world
}
