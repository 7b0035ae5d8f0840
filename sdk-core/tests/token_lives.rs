//! How long tokens live, and how often somebody is asked for one: over hours, at both ends of length.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use rand_core::Rng as _;
use rand_pcg::Pcg64;
use support::{Accept, CANARY, HOUR, MINUTE, Provider, SECOND, World};
use wakecast::Secret;
use wakecast::machine::{Generation, Input, Refusal, TransportEnd};
use wakecast::protocol::ClientMessage;

fn used(world: &World) -> Vec<String> {
    (world.attempts.iter())
        .map(|(_, token)| token.expose().to_owned())
        .collect()
}

#[test]
fn n27_each_attempt_carries_a_credential_of_its_moment() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let life = 30 * SECOND;
        world.script.provider = Provider::Fresh(Some(Duration::from_millis(life)));
        world.script.token_life = life;
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        });
        world.input(Input::Connect);
        world.run(20 * MINUTE);
        assert!(world.attempts.len() > 30);
        for (at, token) in &world.attempts {
            // Tokens are numbered in the order of the questions, and come 20 ms after them.
            let number: usize = token.expose().rsplit('.').next().unwrap().parse().unwrap();
            let made = world.fetches[number - 1].0 + 20;
            assert!(
                at - made < life,
                "an attempt at {at} with a token of {made}"
            );
            let newer = world
                .fetches
                .get(number)
                .is_some_and(|(asked, _)| asked + 20 < *at);
            assert!(!newer, "an attempt at {at} with the token before the last");
        }
        let used: BTreeSet<String> = used(&world).into_iter().collect();
        assert!(used.len() > 20, "{} tokens in 40 lives", used.len());
    }
}

#[test]
fn n28_there_is_one_question_at_a_time_and_no_answer_is_wasted() {
    // A rotating refresh token that is used twice signs its user out.
    for seed in 0..40u8 {
        let mut world = World::new(seed);
        world.script.provider = Provider::Hang;
        world.script.token_life = 2 * MINUTE;
        world.input(Input::Connect);
        let mut random = Pcg64::new(u128::from(seed), 28);
        let (mut asked, mut answered, mut open_since) = (0, 0, 0);
        for step in 0..2_000u64 {
            let input = match random.next_u64() % 40 {
                0..=7 => Input::NetworkChanged,
                8..=15 => Input::Foreground,
                16..=19 => Input::Background,
                20 => Input::ClockJumped,
                21..=26 => Input::NetworkDown,
                27..=32 => Input::NetworkUp,
                33..=36 => Input::Retry,
                _ => Input::Connect,
            };
            world.input(input);
            if world.open_sockets() > 0 && step.is_multiple_of(97) {
                world.cut(TransportEnd::Dropped);
            }
            world.run(700);
            if world.fetches.len() > asked {
                assert_eq!(world.fetches.len(), asked + 1);
                assert_eq!(asked, answered, "a question while another is open");
                (asked, open_since) = (world.fetches.len(), world.now);
            }
            if asked > answered && world.now - open_since >= 4_000 {
                answered += 1;
                world.input(Input::TokenReady {
                    generation: Generation(u64::try_from(asked).unwrap()),
                    token: Secret::new(format!("{CANARY}.{asked}")),
                    expires_in: Some(Duration::from_secs(120)),
                });
            }
        }
        assert!(
            answered > 5,
            "{answered} questions in {} s",
            world.now / SECOND
        );
        let mut used: BTreeSet<String> = used(&world).into_iter().collect();
        used.extend(
            world
                .sent
                .iter()
                .filter_map(|(_, _, message)| match message {
                    ClientMessage::Renew(renew) => Some(renew.token.expose().to_owned()),
                    _ => None,
                }),
        );
        let wasted = answered - used.len().min(answered);
        // One that came in the background and ended there, or was replaced after a jump.
        assert!(wasted * 4 <= answered, "{wasted} of {answered} never used");
    }
}

#[test]
fn n30_no_life_overflows_or_storms() {
    for (told, provided) in [
        (u64::MAX, None),
        (u64::MAX / 2, Some(Duration::MAX)),
        (60 * 24 * HOUR, Some(Duration::from_secs(60 * 86_400))),
    ] {
        let mut world = World::new(33);
        world.script.provider = Provider::Fresh(provided);
        world.script.token_life = told;
        world.script.limits = Some((10 * MINUTE, 2 * HOUR));
        world.input(Input::Connect);
        world.run(30 * 24 * HOUR);
        assert!(world.is_connected());
        assert_eq!(
            (world.fetches.len(), world.count("renew")),
            (1, 0),
            "{told}"
        );
    }
    for (told, provided) in [(10 * SECOND, 10), (10 * SECOND, 0), (1, 10), (0, 0)] {
        let mut world = World::new(34);
        world.script.provider = Provider::Fresh(Some(Duration::from_secs(provided)));
        world.script.token_life = told;
        world.input(Input::Connect);
        world.run(10 * MINUTE);
        let calls = world.fetches.len();
        assert!(
            (20..=121).contains(&calls),
            "{told} ms, {provided} s: {calls} calls"
        );
        for pair in world.fetches.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= 5 * SECOND, "{pair:?}");
        }
        assert_eq!(world.attempts.len(), 1, "{told} ms, {provided} s");
    }
}

#[test]
fn n31_a_server_that_drops_at_a_tokens_end_has_no_occasion() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.script.max_age = 24 * HOUR;
        world.input(Input::Connect);
        world.run(6 * HOUR);
        // A token lives from the message that brought it.
        let brought: Vec<u64> = (world.sent.iter())
            .filter(|(_, _, message)| matches!(message.action(), "hello" | "renew"))
            .map(|(at, _, _)| *at)
            .collect();
        assert_eq!(brought.len(), 8, "six hours, renewed each 48 minutes");
        for pair in brought.windows(2) {
            assert!(pair[1] - pair[0] < HOUR - MINUTE, "{pair:?}");
        }
        assert_eq!(world.attempts.len(), 1);
    }
}
