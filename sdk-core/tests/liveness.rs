//! Dead links are noticed, live ones are left alone.

mod support;

use std::time::Duration;

use support::{Accept, HOUR, MINUTE, SECOND, World};
use wakecast::machine::{Input, Refusal, RequestKey, TransportEnd};
use wakecast::{Acquire, ConnectionState};

fn waiting(seed: u8) -> World {
    let mut world = World::connected(seed);
    let acquire = Acquire::play("live", "match").deadline(Duration::from_secs(3_600));
    world.acquire(1, acquire);
    world.run(SECOND);
    world
}

/// When the link is given up, counted from now.
fn given_up_after(world: &mut World, within: u64) -> Option<u64> {
    let start = world.now;
    while world.is_connected() && world.now < start + within {
        world.run(100);
    }
    (!world.is_connected()).then_some(world.now - start)
}

#[test]
fn n11_pings_do_not_push_the_deadline_back() {
    let mut world = waiting(11);
    world.script.blackhole = true;
    // Probes every second must not re-arm what the first unanswered one has armed.
    for _ in 0..10 {
        world.input(Input::Foreground);
        world.run(SECOND);
    }
    assert!(!world.is_connected());
    let mut world = waiting(12);
    // Far from the acquire's own resend, only the heartbeat notices.
    world.script.blackhole = true;
    let after = given_up_after(&mut world, MINUTE).expect("noticed");
    assert!(
        after <= 35 * SECOND + 200,
        "ping at 25 s, pong timeout 10 s: {after}"
    );
}

#[test]
fn n12_a_dead_link_is_replaced_without_waiting_for_its_close() {
    let mut world = waiting(13);
    let old = world.epoch();
    world.script.blackhole = true;
    given_up_after(&mut world, MINUTE).expect("noticed");
    world.script.blackhole = false;
    world.run(2 * SECOND);
    assert!(
        world.is_connected(),
        "a new link without any TransportClosed"
    );
    let session = world.machine.state().clone();
    // What the old transport says now is about the past.
    for input in [
        Input::TransportClosed {
            epoch: old,
            end: TransportEnd::Dropped,
        },
        Input::Refused {
            epoch: old,
            refusal: Refusal::Opaque,
        },
        Input::BinaryFrame { epoch: old },
        Input::TransportOpened {
            epoch: old,
            subprotocol: None,
        },
    ] {
        let events = world.events.len();
        world.input(input);
        assert_eq!(*world.machine.state(), session);
        assert_eq!(world.events.len(), events);
    }
}

#[test]
fn n13_foreground_probes_although_the_state_says_connected() {
    let mut world = World::connected(14);
    let pings = world.count("ping");
    world.input(Input::Foreground);
    assert_eq!(world.count("ping"), pings + 1);
    world.run(MINUTE);
    assert!(
        world.is_connected() && world.attempts.len() == 1,
        "answered: nothing happens"
    );
    world.script.blackhole = true;
    world.input(Input::Foreground);
    world.run(2_900);
    assert!(world.is_connected());
    world.run(200);
    assert!(!world.is_connected());
    world.script.blackhole = false;
    world.run(1_200);
    assert!(
        world.is_connected(),
        "a cause of our own is tried again within a second"
    );
}

#[test]
fn n14_half_open_links_are_noticed() {
    for seed in 0..5 {
        let mut world = waiting(seed);
        world.script.blackhole = true;
        let after = given_up_after(&mut world, HOUR).expect("noticed");
        assert!(after < 40 * SECOND, "while an acquire is open: {after} ms");

        let mut world = World::connected(seed);
        world.script.blackhole = true;
        world.acquire(1, Acquire::play("live", "match"));
        let after = given_up_after(&mut world, HOUR).expect("noticed");
        assert!(after <= 8 * SECOND + 100, "while an ack is due: {after} ms");
    }
}

#[test]
fn n14_a_link_may_die_at_any_moment() {
    let mut latest = 0;
    for offset in (0..120).map(|half| half * SECOND / 2) {
        let mut world = waiting(14);
        world.run(offset);
        world.script.blackhole = true;
        let after = given_up_after(&mut world, HOUR).expect("noticed");
        latest = latest.max(after);
        assert!(after < 40 * SECOND, "dead after {offset} ms: {after} ms");
    }
    assert!(latest > 30 * SECOND, "the worst moment was among them");
}

#[test]
fn n14_whatever_is_due_an_answer_notices_within_eight_seconds() {
    type Ask = fn(&mut World);
    let asks: [(&str, Ask); 4] = [
        ("acquire", |world| {
            world.acquire(7, Acquire::play("live", "x"))
        }),
        ("cancel", |world| {
            world.input(Input::Cancel { key: RequestKey(2) });
        }),
        ("endpoint", |world| {
            world.input(Input::Endpoint {
                key: RequestKey(8),
                lease: "lease".into(),
            });
        }),
        ("release", |world| {
            world.input(Input::Release {
                key: RequestKey(9),
                lease: "lease".into(),
            });
        }),
    ];
    for (name, ask) in asks {
        let mut world = World::holding(15);
        world.acquire(2, Acquire::watch("live", "match"));
        world.run(MINUTE);
        world.script.blackhole = true;
        let sent = world.count(name);
        ask(&mut world);
        assert_eq!(world.count(name), sent + 1, "{name} was written");
        let after = given_up_after(&mut world, HOUR).expect("noticed");
        assert!(after <= 8 * SECOND, "{name}: {after} ms");
    }
}

#[test]
fn n14_a_pong_and_an_acknowledgement_due_at_once_give_no_time() {
    let mut world = waiting(16);
    let pings = world.count("ping");
    while world.count("ping") == pings {
        world.run(1);
        world.script.blackhole = true;
    }
    let pinged = world.sent.last().unwrap().0;
    world.run(pinged + 5 * SECOND - world.now);
    world.acquire(2, Acquire::play("live", "x"));
    world.run(5 * SECOND - 1);
    assert!(world.is_connected());
    world.run(1);
    assert!(!world.is_connected(), "pong timeout, in time");
}

#[test]
fn n14_a_watch_in_place_of_a_ping_notices_a_dead_link_as_well() {
    let mut world = World::connected(57);
    world.acquire(1, Acquire::watch("live", "match"));
    world.run(13 * MINUTE);
    assert!(world.is_connected());
    world.script.blackhole = true;
    let acquires = world.count("acquire");
    let start = world.now;
    while world.count("acquire") == acquires {
        world.run(100);
    }
    assert!(world.now - start < 2 * MINUTE, "before its 15 minutes");
    let after = given_up_after(&mut world, MINUTE).expect("noticed");
    assert!(after <= 8 * SECOND + 200, "ack 5 s, probe 3 s: {after}");
}

#[test]
fn n15_nothing_unanswered_survives_a_reconnect() {
    let mut world = waiting(15);
    world.script.pongs = false;
    world.run(30 * SECOND);
    world.script.pongs = true;
    world.cut(TransportEnd::Dropped);
    world.run(5 * MINUTE);
    assert!(world.is_connected());
    assert_eq!(world.attempts.len(), 2);
}

#[test]
fn n16_a_socket_that_never_opens_is_given_up_after_ten_seconds() {
    let mut world = World::new(16);
    world.script.accept = Accept::Hang;
    world.input(Input::Connect);
    world.run(SECOND);
    let began = world.attempts[0].0;
    world.run(8 * SECOND);
    assert!(matches!(
        world.machine.state(),
        ConnectionState::Connecting { .. }
    ));
    world.run(began + 10 * SECOND - world.now);
    assert!(matches!(
        world.machine.state(),
        ConnectionState::Reconnecting { .. }
    ));
    world.script.accept = Accept::Yes;
    world.run(5 * SECOND);
    assert!(world.is_connected());
}

#[test]
fn a_socket_without_welcome_is_given_up_after_five_seconds() {
    let mut world = World::new(17);
    world.script.welcomes = false;
    world.input(Input::Connect);
    world.run(4 * SECOND);
    assert_eq!(world.open_sockets(), 1);
    world.run(1_200);
    assert!(matches!(
        world.machine.state(),
        ConnectionState::Reconnecting { .. }
    ));
}

#[test]
fn n17_throttled_timers_do_not_end_a_live_link() {
    for timers_first in [true, false] {
        let mut world = waiting(18);
        for _ in 0..30 {
            world.sleep(MINUTE);
            world.wake_throttled(timers_first);
        }
        world.run(2 * SECOND);
        assert!(world.is_connected());
        assert_eq!(world.attempts.len(), 1, "timers first: {timers_first}");
    }
}

#[test]
fn n17_a_dead_link_is_still_noticed_after_sleep() {
    let mut world = waiting(19);
    world.run(23 * SECOND);
    world.script.blackhole = true;
    world.run(4 * SECOND);
    // The ping is out; the device sleeps over its deadline.
    world.sleep(HOUR);
    world.input(Input::Timeout);
    assert!(world.is_connected(), "a late deadline starts a probe");
    let after = given_up_after(&mut world, MINUTE).expect("noticed");
    assert!(
        after <= 6 * SECOND + 100,
        "one probe, repeated once: {after}"
    );
}

#[test]
fn n06_a_jump_of_eight_hours_makes_one_ping() {
    for make in [waiting as fn(u8) -> World, World::connected, World::holding] {
        let mut world = make(20);
        let pings = world.count("ping");
        world.sleep(8 * HOUR);
        world.input(Input::Timeout);
        world.run(SECOND);
        assert_eq!(world.count("ping") - pings, 1);
        assert!(world.is_connected() && world.attempts.len() == 1);
    }
}

#[test]
fn n06_a_jump_of_eight_hours_makes_one_attempt() {
    let mut world = World::new(20);
    world.script.accept = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    world.input(Input::Connect);
    world.run(5 * MINUTE);
    let attempts = world.attempts.len();
    world.sleep(8 * HOUR);
    world.input(Input::Timeout);
    world.run(200);
    assert_eq!(world.attempts.len() - attempts, 1);
}

#[test]
fn n20_a_network_change_probes_the_link() {
    let mut world = waiting(21);
    world.script.blackhole = true;
    world.input(Input::NetworkChanged);
    world.run(3_100);
    assert!(!world.is_connected());
    world.script.blackhole = false;
    world.run(1_500);
    assert!(world.is_connected());
}

#[test]
fn n47_a_day_idle_behind_the_gateways_limits_shows_no_drop() {
    fn watching(seed: u8) -> World {
        let mut world = World::connected(seed);
        world.acquire(1, Acquire::watch("live", "match"));
        world.run(SECOND);
        world
    }
    type Make = fn(u8) -> World;
    let kinds: [(&str, Make); 3] = [
        ("idle", World::connected),
        ("with a lease", World::holding),
        ("watching", watching),
    ];
    for (kind, seed) in kinds
        .into_iter()
        .flat_map(|kind| (0..4).map(move |seed| (kind, seed)))
    {
        let (name, make) = kind;
        let mut world = make(seed);
        world.script.limits = Some((10 * MINUTE, 2 * HOUR));
        let session = world.machine.state().clone();
        let told = world.states().len();
        let before = world.sent.len();
        world.run(24 * HOUR - 2 * SECOND);
        assert_eq!(*world.machine.state(), session);
        assert_eq!(world.states().len(), told, "the app saw nothing");
        let rotations = world.attempts.len() - 1;
        assert!((12..=16).contains(&rotations), "{rotations} rotations");
        // Everything that is billed: pings, renewals, acquires, and the `hello` of each link.
        let sent = world.sent.len() - before;
        let counts = ["ping", "renew", "hello", "acquire"].map(|of| (of, world.count(of)));
        assert!(
            (200..=400).contains(&sent),
            "{sent} messages in a day {name}, in all {counts:?}"
        );
        println!("{sent} messages in a day {name}, in all {counts:?}");
    }
}

#[test]
fn n47_the_limits_are_real() {
    // Without our heartbeat the same gateway cuts: the peer of the case above does enforce.
    let mut world = World::connected(48);
    world.script.limits = Some((4 * MINUTE, 2 * HOUR));
    world.run(30 * MINUTE);
    assert!(
        world.attempts.len() > 5,
        "a gateway that cuts at 4 min is noticed"
    );
}

#[test]
fn n10_the_background_pauses_only_who_wants_nothing() {
    let mut world = World::connected(53);
    world.input(Input::Background);
    assert_eq!(*world.machine.state(), ConnectionState::Paused);
    assert_eq!(world.open_sockets(), 0);
    world.run(HOUR);
    assert_eq!(world.attempts.len(), 1, "no attempts in the background");
    world.input(Input::Foreground);
    world.run(1_200);
    assert!(world.is_connected());

    let mut world = World::holding(54);
    world.input(Input::Background);
    world.run(HOUR);
    assert!(world.is_connected(), "a held lease keeps the link");
    world.input(Input::Release {
        key: RequestKey(9),
        lease: "lease".into(),
    });
    world.run(SECOND);
    assert_eq!(
        *world.machine.state(),
        ConnectionState::Paused,
        "until it is given back"
    );
    assert_eq!(world.count("release"), 1);
}

#[test]
fn n17_waking_again_and_again_does_not_keep_a_dead_link() {
    for wake in [Input::ClockJumped, Input::Foreground, Input::NetworkChanged] {
        for nap in [3 * SECOND, 4 * SECOND, MINUTE] {
            let mut world = waiting(22);
            world.script.blackhole = true;
            let attempts = world.attempts.len();
            let mut wakes = 0;
            while world.is_connected() {
                world.sleep(nap);
                world.input(wake.clone());
                wakes += 1;
                assert!(wakes <= 5, "{wake:?} every {nap} ms keeps it");
            }
            assert!(wakes >= 3, "a probe after a late deadline is repeated once");
            world.script.blackhole = false;
            world.run(20 * SECOND);
            assert!(world.is_connected() && world.attempts.len() > attempts);
        }
    }
}
