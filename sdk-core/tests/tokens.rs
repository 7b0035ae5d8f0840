//! Tokens: asked for once, renewed in band, never sent after a refusal, never judged by a clock.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Accept, CANARY, HOUR, MINUTE, Provider, SECOND, World};
use wakecast::machine::{Event, Generation, Input, Refusal, TransportEnd};
use wakecast::protocol::{Bye, ErrorPush, ServerMessage};
use wakecast::{
    Acquire, ConnectionState, ErrorCode, Outcome, ReconnectReason, Secret, TokenReason,
};

fn refusal(status: u16) -> Accept {
    Accept::Refuse(Refusal::Http {
        status,
        retry_after: None,
    })
}

fn used(world: &World) -> Vec<String> {
    world
        .attempts
        .iter()
        .map(|(_, token)| token.expose().to_owned())
        .collect()
}

#[test]
fn n21_a_hundred_causes_make_one_provider_call() {
    let mut world = World::new(21);
    world.script.provider = Provider::Hang;
    for key in 0..60 {
        world.acquire(key, Acquire::play("live", "match"));
    }
    // The provider may take its 15 s, however many causes come meanwhile.
    for _ in 0..14 {
        world.input(Input::Connect);
        world.input(Input::NetworkChanged);
        world.input(Input::Foreground);
        world.input(Input::ClockJumped);
        world.run(SECOND);
    }
    assert_eq!(world.fetches.len(), 1);
}

#[test]
fn n21_calls_are_five_seconds_apart_and_old_answers_are_dropped() {
    let mut world = World::new(22);
    world.script.provider = Provider::Hang;
    world.input(Input::Connect);
    world.run(10 * MINUTE);
    for pair in world.fetches.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 5 * SECOND, "{pair:?}");
    }
    let calls = u64::try_from(world.fetches.len()).unwrap();
    assert!(calls > 5, "a provider that hangs is asked again: {calls}");
    let token = Secret::new(format!("{CANARY}.old"));
    let old = Generation(calls - 1);
    world.input(Input::TokenReady {
        generation: old,
        token,
        expires_in: None,
    });
    world.run(SECOND);
    assert!(
        world.attempts.is_empty(),
        "an answer to an older question is dropped"
    );
}

#[test]
fn n21_a_question_outlives_the_background() {
    // A provider shows its login in the browser, and our app is in the background for it.
    let mut world = World::new(20);
    world.script.provider = Provider::Hang;
    world.input(Input::Connect);
    world.input(Input::Background);
    assert_eq!(*world.machine.state(), ConnectionState::Paused);
    world.run(8 * SECOND);
    world.input(Input::TokenReady {
        generation: Generation(1),
        token: Secret::new(format!("{CANARY}.login")),
        expires_in: None,
    });
    world.run(MINUTE);
    assert!(world.attempts.is_empty(), "still in the background");
    world.input(Input::Foreground);
    world.run(1_100);
    assert!(world.is_connected());
    assert_eq!(world.fetches.len(), 1, "nobody signs in twice");
}

#[test]
fn n22_a_token_that_ended_in_sleep_is_replaced_before_the_socket() {
    let mut world = World::connected(23);
    world.script.token_life = HOUR;
    world.cut(TransportEnd::Dropped);
    world.sleep(2 * HOUR);
    world.run(10 * SECOND);
    assert!(world.is_connected());
    assert_eq!(world.fetches.len(), 2);
    let tokens = used(&world);
    assert_ne!(tokens[0], tokens[1]);
    assert!(world.fetches[1].0 <= world.attempts[1].0);
}

#[test]
fn n23_a_refused_token_is_never_sent_again() {
    let mut world = World::new(24);
    world.script.accept = refusal(401);
    world.input(Input::Connect);
    world.run(2 * SECOND);
    world.script.accept = Accept::Yes;
    world.run(20 * SECOND);
    assert!(world.is_connected());
    let tokens = used(&world);
    assert_eq!(
        tokens.iter().collect::<BTreeSet<_>>().len(),
        tokens.len(),
        "{tokens:?}"
    );
    assert_eq!(world.fetches[1].1, TokenReason::Rejected);

    // A cache that does not step aside: its token is not sent again, and the client fails.
    let mut world = World::new(25);
    world.script.provider = Provider::Same;
    world.script.accept = refusal(401);
    world.input(Input::Connect);
    world.run(5 * MINUTE);
    assert_eq!(world.attempts.len(), 1);
    assert!(matches!(
        world.machine.state(),
        ConnectionState::Failed { .. }
    ));
}

#[test]
fn n24_an_expired_token_is_renewed_and_the_request_sent_again_once() {
    let mut world = World::connected(26);
    world.script.acks = false;
    world.run(6 * SECOND);
    world.acquire(1, Acquire::play("live", "match").id("a"));
    world.run(100);
    let expired = |id: &str| {
        ServerMessage::Error(ErrorPush {
            id: Some(id.into()),
            code: ErrorCode::TokenExpired,
            message: "the token has ended".into(),
            retryable: true,
            retry_after_ms: None,
            outcome: Outcome::Rejected,
        })
    };
    world.push(expired("a"));
    world.script.acks = true;
    world.run(SECOND);
    assert_eq!(world.count("renew"), 1);
    assert_eq!(world.count("acquire"), 2);
    assert!(world.settled.is_empty(), "the app sees nothing of it");
    assert!(world.is_connected());

    // Refused again after the renewal: now it is the request's outcome.
    let mut world = World::connected(27);
    world.run(6 * SECOND);
    world.script.acks = false;
    world.acquire(1, Acquire::play("live", "match").id("a"));
    world.run(100);
    world.push(expired("a"));
    world.script.acks = true;
    world.run(100);
    world.script.acks = false;
    world.push(expired("a"));
    world.run(SECOND);
    assert_eq!(*world.error_of(1).code(), ErrorCode::TokenExpired);
    assert!(world.is_connected());
}

#[test]
fn n24_bye_token_expired_reconnects_with_a_fresh_token() {
    let mut world = World::connected(28);
    world.run(10 * SECOND);
    world.push(ServerMessage::Bye(Bye {
        code: ErrorCode::TokenExpired,
        retry_after_ms: None,
        reconnect: true,
    }));
    world.run(10 * SECOND);
    assert!(world.is_connected());
    assert_eq!(world.fetches.last().unwrap().1, TokenReason::Expiring);
    assert_eq!(used(&world).len(), 2);
    assert_ne!(used(&world)[0], used(&world)[1]);
}

#[test]
fn n25_a_failing_provider_does_not_end_a_healthy_link() {
    let mut world = World::connected(29);
    world.script.provider = Provider::Fail;
    let link = world.epoch();
    world.run(50 * MINUTE);
    let failed: Vec<u64> = world.fetches.iter().skip(1).map(|(at, _)| *at).collect();
    assert!(failed.len() >= 5, "{failed:?}");
    for pair in failed.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((5 * SECOND..=10 * SECOND + 100).contains(&gap), "{gap}");
    }
    world.run(9 * MINUTE);
    assert_eq!(world.epoch(), link, "the link stays until the token ends");
    world.script.provider = Provider::Fresh(None);
    world.run(11 * SECOND);
    assert_eq!(world.count("renew"), 1);
    assert_eq!(world.epoch(), link);
}

#[test]
fn n26_a_token_that_ends_during_a_long_outage_is_replaced() {
    let mut world = World::connected(30);
    world.script.provider = Provider::Fresh(Some(Duration::from_secs(600)));
    world.script.accept = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    world.script.token_life = 10 * MINUTE;
    world.cut(TransportEnd::Dropped);
    world.run(3 * HOUR);
    world.script.accept = Accept::Yes;
    world.run(40 * SECOND);
    assert!(world.is_connected());
    let calls = world.fetches.len();
    assert!(
        (12..=25).contains(&calls),
        "about one call a life, not one an attempt: {calls}"
    );
}

#[test]
fn n29_a_wrong_wall_clock_changes_nothing() {
    for skew_hours in [-24i64, -1, 0, 1, 24] {
        let mut world = World::new(31);
        world.script.provider = Provider::Hang;
        world.script.token_life = HOUR;
        world.script.max_age = 24 * HOUR;
        world.input(Input::Connect);
        for life in 0..6u64 {
            // The provider's device clock is off by hours, and moves in the middle.
            let iat = 1_800_000_000 + skew_hours * 3_600 + if life > 3 { 7_200 } else { 0 };
            if life == 3 {
                world.input(Input::ClockJumped);
            }
            let token = jwt(iat, iat + 3_600, life);
            let generation = Generation(u64::try_from(world.fetches.len()).unwrap());
            world.input(Input::TokenReady {
                generation,
                token,
                expires_in: None,
            });
            world.run(SECOND);
            assert!(world.is_connected());
            let calls = world.fetches.len();
            world.run(47 * MINUTE);
            assert_eq!(world.fetches.len(), calls, "skew {skew_hours} h");
            // The provider answers at once: in the next round.
            while world.fetches.len() == calls && world.now < (life + 2) * HOUR {
                world.run(SECOND);
            }
            assert_eq!(world.fetches.len(), calls + 1, "exactly one refresh a life");
        }
        assert_eq!(world.attempts.len(), 1);
    }
}

#[test]
fn n29_without_a_word_from_the_server_the_token_says_how_long_it_lives() {
    // exp − iat = 600 s; the link never comes, so the token is replaced by its own count.
    let mut world = World::new(32);
    world.script.provider = Provider::Hang;
    world.script.accept = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    world.input(Input::Connect);
    let token = jwt(5, 605, 0);
    world.input(Input::TokenReady {
        generation: Generation(1),
        token,
        expires_in: None,
    });
    world.run(9 * MINUTE);
    assert_eq!(world.fetches.len(), 1);
    world.run(2 * MINUTE);
    assert!(world.fetches.len() > 1);
}

#[test]
fn n30_a_life_of_sixty_days_makes_no_refresh_in_an_hour() {
    let mut world = World::new(33);
    world.script.token_life = 60 * 24 * HOUR;
    world.input(Input::Connect);
    world.run(HOUR);
    assert_eq!((world.fetches.len(), world.count("renew")), (1, 0));
}

#[test]
fn short_lives_are_renewed_in_band_without_a_storm() {
    let mut world = World::new(34);
    world.script.token_life = 20 * SECOND;
    world.input(Input::Connect);
    world.run(10 * MINUTE);
    assert_eq!(world.attempts.len(), 1);
    let renewals = world.count("renew");
    assert!((50..=62).contains(&renewals), "every half life: {renewals}");
}

/// A connected client whose next two renewals were refused.
fn renewals_refused(seed: u8) -> World {
    let mut world = World::connected(seed);
    world.script.acks = false;
    for _ in 0..2 {
        let renewals = world.count("renew");
        while world.count("renew") == renewals {
            world.run(SECOND);
        }
        let id = world.sent.last().unwrap().2.id().unwrap().to_owned();
        world.push(ServerMessage::Error(ErrorPush {
            id: Some(id),
            code: ErrorCode::TokenRejected,
            message: "another subject".into(),
            retryable: false,
            retry_after_ms: None,
            outcome: Outcome::Rejected,
        }));
        world.run(100);
        assert!(world.is_connected());
    }
    world
}

#[test]
fn a_refused_renewal_keeps_the_link_until_the_old_token_ends() {
    let mut world = renewals_refused(35);
    world.run(MINUTE);
    assert!(world.is_connected());
    assert_eq!(
        world.fetches.len(),
        3,
        "two fresh ones were refused: no more are asked for"
    );
    world.push(ServerMessage::Bye(Bye {
        code: ErrorCode::TokenExpired,
        retry_after_ms: None,
        reconnect: true,
    }));
    world.run(SECOND);
    assert!(matches!(
        world.machine.state(),
        ConnectionState::Failed { .. }
    ));
    world.script.acks = true;
    world.input(Input::Retry);
    world.run(10 * SECOND);
    assert!(world.is_connected(), "retry() starts with a fresh token");
}

#[test]
fn a_link_that_breaks_after_its_renewals_were_refused_fails_for_the_tokens() {
    let mut world = renewals_refused(36);
    // The token ends, and the link breaks for a reason of its own before the server says so.
    world.run(HOUR);
    assert!(world.is_connected());
    world.cut(TransportEnd::Dropped);
    world.run(SECOND);
    let ConnectionState::Failed { error } = world.machine.state() else {
        panic!("{:?}", world.machine.state());
    };
    assert_eq!(*error.code(), ErrorCode::TokenRejected, "{error:?}");
    assert!(error.cause().unwrap().starts_with("connection_lost"));
}

#[test]
fn a_renewal_that_a_cut_swallowed_is_used_by_the_next_link() {
    let mut world = World::connected(36);
    world.script.acks = false;
    while world.count("renew") == 0 {
        world.run(SECOND);
    }
    world.script.acks = true;
    world.cut(TransportEnd::Dropped);
    world.run(10 * SECOND);
    assert!(world.is_connected());
    assert_eq!(used(&world)[1], format!("{CANARY}.token.2"));
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn n35_a_provider_that_fails_or_hangs_leads_to_backoff() {
    for provider in [Provider::Fail, Provider::Hang] {
        let mut world = World::new(37);
        world.script.provider = provider.clone();
        world.acquire(1, Acquire::play("live", "match"));
        world.run(20 * SECOND);
        let failure = ReconnectReason::Failure(ErrorCode::TokenProviderFailed);
        let told = world.events.iter().any(|(_, event)| {
            matches!(event, Event::Diagnostic(error) if *error.code() == ErrorCode::TokenProviderFailed)
        });
        assert!(told, "{provider:?} is a typed error");
        assert!(
            matches!(world.machine.state(), ConnectionState::Reconnecting { reason, .. } if *reason == failure),
            "{provider:?}: {:?}",
            world.machine.state()
        );
        world.script.provider = Provider::Fresh(None);
        world.run(50 * SECOND);
        assert!(world.is_connected(), "{provider:?} is not stuck for ever");
    }
}

#[test]
fn a_token_that_a_subprotocol_cannot_hold_is_an_invalid_argument() {
    for bad in [
        "",
        "has space",
        "comma,",
        "quote\"",
        "ümlaut",
        "new\nline",
        "a/b",
        "a=",
    ] {
        let mut world = World::new(38);
        world.script.provider = Provider::Hang;
        world.input(Input::Connect);
        let token = Secret::new(bad);
        world.input(Input::TokenReady {
            generation: Generation(1),
            token,
            expires_in: None,
        });
        assert!(world.attempts.is_empty(), "{bad:?} was sent");
        let told = world.events.iter().any(|(_, event)| {
            matches!(event, Event::Diagnostic(error) if *error.code() == ErrorCode::InvalidArgument)
        });
        assert!(told, "{bad:?}");
    }
}

#[test]
fn a_token_that_the_server_would_find_too_large_is_never_sent() {
    for (bytes, fits) in [(4_096, true), (4_097, false), (8_192, false)] {
        let mut world = World::new(37);
        world.script.provider = Provider::Hang;
        world.input(Input::Connect);
        world.input(Input::TokenReady {
            generation: Generation(1),
            token: Secret::new("x".repeat(bytes)),
            expires_in: None,
        });
        assert_eq!(world.attempts.len() == 1, fits, "{bytes} bytes");
        let told = world.events.iter().any(|(_, event)| {
            matches!(event, Event::Diagnostic(error)
                if *error.code() == ErrorCode::InvalidArgument && error.message().contains("4096"))
        });
        assert_eq!(told, !fits, "{bytes} bytes");
    }
}

#[test]
fn a_policy_close_refreshes_the_token_once() {
    let mut world = World::new(39);
    world.script.accept = Accept::ThenClose(100, TransportEnd::Code(1008));
    world.script.welcomes = false;
    world.input(Input::Connect);
    world.run(2 * MINUTE);
    assert_eq!(
        world.fetches.len(),
        2,
        "one refresh, however often it closes"
    );
}

#[test]
fn the_same_seed_and_inputs_make_the_same_outputs() {
    let run = || {
        let mut world = World::new(41);
        world.acquire(1, Acquire::play("live", "match"));
        world.run(MINUTE);
        world.cut(TransportEnd::Dropped);
        world.run(HOUR);
        format!("{:?} {:?}", world.events, world.sent)
    };
    assert_eq!(run(), run(), "law 1: all randomness comes from the seed");
}

/// An unsigned JWT with these times.
fn jwt(iat: i64, exp: i64, serial: u64) -> Secret {
    let payload = format!(r#"{{"sub":"{CANARY}{serial}","iat":{iat},"exp":{exp}}}"#);
    Secret::new(format!("e30.{}.{CANARY}", base64url(payload.as_bytes())))
}

fn base64url(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for index in 0..3 {
            bits = (bits << 8) | u32::from(*chunk.get(index).unwrap_or(&0));
        }
        for index in 0..=chunk.len() {
            let six = (bits >> (18 - 6 * index)) & 63;
            text.push(char::from(SYMBOLS[six as usize]));
        }
    }
    text
}
