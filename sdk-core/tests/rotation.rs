//! Links are renewed before the gateway cuts them, and nothing is lost between two.

mod support;

use std::collections::BTreeMap;

use support::{Accept, HOUR, MINUTE, SECOND, World};
use wakecast::machine::{Event, Input, LeaseChange, Refusal, RequestKey, Timer, TransportEnd};
use wakecast::protocol::{Bye, ClientMessage, ErrorPush, Moved, ServerMessage};
use wakecast::{Acquire, ConnectionState, ErrorCode, Outcome, ReconnectReason};

fn waiting(seed: u8) -> World {
    let mut world = World::connected(seed);
    let acquire = Acquire::watch("live", "match");
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

fn hello_error(code: ErrorCode, outcome: Outcome, retry_after_ms: Option<u64>) -> ServerMessage {
    ServerMessage::Error(ErrorPush {
        id: None,
        code,
        message: "the hello was not taken".into(),
        retryable: true,
        retry_after_ms,
        outcome,
    })
}

/// Runs until the next link has said `hello`. Returns when it was opened, and which is the old one.
fn rotating(seed: u8, answer: ServerMessage) -> (World, u64) {
    let mut world = waiting(seed);
    world.script.hello_answer = Some(answer);
    world.run(90 * MINUTE);
    while world.attempts.len() < 2 {
        world.run(10);
    }
    let opened = world.now;
    world.run(SECOND);
    assert_eq!(world.count("hello"), 2);
    (world, opened)
}

#[test]
fn n04_a_rotation_whose_hello_is_refused_keeps_the_old_link_and_waits_as_told() {
    for code in [ErrorCode::Throttled, ErrorCode::ServiceUnavailable] {
        let refusal = hello_error(code, Outcome::Rejected, Some(60_000));
        let (mut world, opened) = rotating(60, refusal);
        assert!(world.is_connected(), "the old link is as good as before");
        assert_eq!(world.open_sockets(), 1);
        world.script.hello_answer = None;
        while world.attempts.len() < 3 {
            world.run(100);
            assert!(world.is_connected());
            assert!(world.now < opened + 3 * MINUTE, "it is rotated again");
        }
        assert!(world.now >= opened + 60 * SECOND, "not before it was told");
        world.run(SECOND);
        assert!(world.is_connected() && world.open_sockets() == 1);
        assert_eq!(world.count("hello"), 3);
    }
}

#[test]
fn a_rotation_whose_token_is_refused_keeps_the_old_link_and_asks_for_another() {
    let refusal = hello_error(ErrorCode::TokenRejected, Outcome::Rejected, None);
    let (mut world, opened) = rotating(61, refusal);
    assert!(world.is_connected());
    world.script.hello_answer = None;
    world.run(opened + 2 * MINUTE - world.now);
    assert!(world.is_connected());
    let last = &world.attempts[world.attempts.len() - 1].1;
    assert!(*last != world.attempts[1].1, "never sent again");
}

#[test]
fn a_rotation_that_is_forbidden_leaves_the_old_link_to_its_age() {
    let refusal = hello_error(ErrorCode::Forbidden, Outcome::Rejected, None);
    let (mut world, _) = rotating(62, refusal);
    world.run(5 * MINUTE);
    assert!(world.is_connected());
    assert_eq!(world.attempts.len(), 2, "it is not asked again");
}

#[test]
fn n04_a_rotation_of_unknown_outcome_replaces_both_links_with_its_cause_and_floor() {
    let bye = ServerMessage::Bye(Bye {
        code: ErrorCode::Throttled,
        retry_after_ms: Some(60_000),
        reconnect: true,
    });
    let error = hello_error(ErrorCode::Throttled, Outcome::Unknown, Some(60_000));
    for answer in [bye, error] {
        let (mut world, opened) = rotating(63, answer.clone());
        assert_eq!(world.open_sockets(), 0, "{answer:?}");
        let cause = ReconnectReason::Failure(ErrorCode::Throttled);
        assert!(
            matches!(world.machine.state(), ConnectionState::Reconnecting { reason, .. } if *reason == cause),
            "{:?}",
            world.machine.state()
        );
        world.script.hello_answer = None;
        world.run(2 * MINUTE);
        let again = world.attempts[2].0;
        assert!(again >= opened + 60 * SECOND, "{opened} {again}");
        assert!(world.is_connected());
    }
}

#[test]
fn a_rotation_whose_link_breaks_after_its_hello_tells_that_and_closes_the_old_one() {
    let mut world = waiting(64);
    world.run(90 * MINUTE);
    world.script.welcomes = false;
    while world.open_sockets() < 2 {
        world.run(10);
    }
    world.run(200);
    world.cut(TransportEnd::Code(1012));
    let at = world.now;
    assert_eq!(world.open_sockets(), 0);
    let cause = ReconnectReason::Failure(ErrorCode::ConnectionLost);
    assert!(
        matches!(world.machine.state(), ConnectionState::Reconnecting { reason, .. } if *reason == cause),
        "{:?}",
        world.machine.state()
    );
    world.script.welcomes = true;
    world.run(20 * SECOND);
    assert!(world.is_connected());
    assert!(world.attempts[2].0 >= at + 5 * SECOND, "come back later");
}

#[test]
fn a_rotation_that_breaks_the_policy_after_its_hello_refreshes_the_token() {
    let mut world = waiting(65);
    world.run(90 * MINUTE);
    world.script.welcomes = false;
    while world.open_sockets() < 2 {
        world.run(10);
    }
    world.run(200);
    world.cut(TransportEnd::Code(1008));
    world.script.welcomes = true;
    world.run(20 * SECOND);
    assert!(world.is_connected());
    assert!(
        world.attempts[2].1 != world.attempts[1].1,
        "once, as any 1008"
    );
}

#[test]
fn n47_a_day_of_rotations_loses_nothing_and_repeats_nothing() {
    for seed in 0..3 {
        let mut world = World::holding(seed);
        world.script.limits = Some((10 * MINUTE, 2 * HOUR));
        let (told, begin) = (world.states().len(), world.now);
        let session = world.machine.state().clone();
        let mut day = Day::default();
        while world.now < begin + 24 * HOUR {
            let (due, timer) = world.machine.next_timeout().unwrap();
            let pause = due.as_millis().saturating_sub(world.now).min(7 * MINUTE);
            world.run(pause);
            if timer == Timer::Rotation {
                // Something is asked for and something is pushed at every moment of it.
                for _ in 0..40 {
                    day.ask(&mut world);
                    day.push(&mut world);
                    world.run(3);
                }
            } else if pause > 0 {
                day.ask(&mut world);
                day.push(&mut world);
            }
            world.run(1);
        }
        world.run(SECOND);
        assert_eq!(*world.machine.state(), session);
        assert_eq!(world.states().len(), told, "the app saw nothing of it");
        let rotations = world.attempts.len() - 1;
        assert!((12..=15).contains(&rotations), "{rotations} rotations");
        assert!(day.asked > 500 && day.pushed > 500, "{day:?}");
        day.check(&world);
    }
}

/// What was asked for and pushed, to be found again.
#[derive(Debug, Default)]
struct Day {
    asked: u64,
    pushed: u64,
}

impl Day {
    /// Asks for something and takes it back: an acquire and its cancel.
    fn ask(&mut self, world: &mut World) {
        self.asked += 1;
        let id = format!("ask-{}", self.asked);
        world.acquire(1_000 + self.asked, Acquire::watch("live", "match").id(id));
        world.run(1);
        world.input(Input::Cancel {
            key: RequestKey(1_000 + self.asked),
        });
    }

    /// The server tells the newest link that has said hello.
    fn push(&mut self, world: &mut World) {
        self.pushed += 1;
        world.rev += 1;
        let host = if self.pushed.is_multiple_of(2) {
            "a"
        } else {
            "b"
        };
        let mut owner = world.sent.iter().rev();
        let owner = owner.find(|(_, _, message)| message.action() == "hello");
        let epoch = owner.unwrap().1;
        let rev = world.rev;
        let endpoint = support::endpoint(host);
        let lease = "lease".to_owned();
        world.push_to(
            epoch,
            ServerMessage::Moved(Moved {
                lease,
                rev,
                endpoint,
            }),
        );
    }

    fn check(&self, world: &World) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for (_, _, message) in &world.sent {
            let key = match message {
                ClientMessage::Acquire(acquire) => format!("acquire {}", acquire.id),
                ClientMessage::Cancel(cancel) => format!("cancel {}", cancel.acquire),
                _ => continue,
            };
            *times.entry(key).or_default() += 1;
        }
        for number in 1..=self.asked {
            for what in ["acquire", "cancel"] {
                let key = format!("{what} ask-{number}");
                assert_eq!(times.get(&key), Some(&1), "{key}");
            }
            let key = RequestKey(1_000 + number);
            assert_eq!(*world.error_of(key.0).code(), ErrorCode::Cancelled);
        }
        let moves = world.events.iter().filter(|(_, event)| {
            let moved = matches!(event, Event::Lease { change, .. } if matches!(change, LeaseChange::Moved { .. }));
            moved
        });
        assert_eq!(moves.count() as u64, self.pushed, "no push was lost");
    }
}
