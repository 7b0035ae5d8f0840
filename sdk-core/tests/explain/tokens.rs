//! Tokens: each way in which one can be missing.

use std::time::Duration;

use wakecast::machine::{Evidence, Generation, Headline, Input, Refusal, TokenFailure, TokenFault};
use wakecast::protocol::{Bye, ErrorPush, ServerMessage};
use wakecast::{ErrorCode, Instant, Outcome, Secret};

use crate::support::{Accept, HOUR, MINUTE, Provider, SECOND, World};
use crate::{Scene, explain};

fn connect(world: &mut World) {
    world.input(Input::Connect);
    world.run(SECOND);
}

fn refuse(world: &mut World) {
    world.script.accept = Accept::Refuse(Refusal::Http {
        status: 401,
        retry_after: None,
    });
}

/// The provider answers with this.
fn given(world: &mut World, token: &str) {
    world.script.provider = Provider::Hang;
    connect(world);
    world.input(Input::TokenReady {
        generation: Generation(1),
        token: Secret::new(token),
        expires_in: None,
    });
}

pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        ("the provider failed", |world| {
            world.script.provider = Provider::Fail;
            connect(world);
        }),
        ("the provider does not answer", |world| {
            world.script.provider = Provider::Hang;
            connect(world);
            world.run(15 * SECOND);
        }),
        ("the provider returned nothing", |world| given(world, "")),
        (
            "the provider returned something that cannot travel",
            |world| given(world, "two words"),
        ),
        ("the server refused the token", |world| {
            refuse(world);
            connect(world);
        }),
        (
            "the provider may only be asked again in a moment",
            |world| {
                refuse(world);
                connect(world);
                while world.machine.next_timeout().unwrap().1
                    != wakecast::machine::Timer::TokenFetch
                {
                    world.run(50);
                }
            },
        ),
        ("the provider returned the refused token again", |world| {
            world.script.provider = Provider::Same;
            refuse(world);
            connect(world);
            // The first repetition counts as the second refusal, which is for good.
            world.run(5 * SECOND);
        }),
        ("two fresh tokens were refused", |world| {
            refuse(world);
            connect(world);
            world.run(10 * SECOND);
        }),
        ("the token ended and the server said so", |world| {
            connect(world);
            let code = ErrorCode::TokenExpired;
            world.script.provider = Provider::Hang;
            world.push(ServerMessage::Bye(Bye {
                code,
                retry_after_ms: None,
                reconnect: true,
            }));
            world.run(30 * SECOND);
        }),
        ("the hello was refused for its token", |world| {
            world.script.hello_answer = Some(ServerMessage::Error(ErrorPush {
                id: None,
                code: ErrorCode::TokenRejected,
                message: "no".into(),
                retryable: true,
                retry_after_ms: None,
                outcome: Outcome::Rejected,
            }));
            connect(world);
        }),
        ("connected, but the next token does not come", |world| {
            connect(world);
            world.script.provider = Provider::Fail;
            world.run(50 * MINUTE);
        }),
        (
            "connected, but the provider has nothing new and the token ended",
            |world| {
                connect(world);
                world.script.provider = Provider::Hang;
                world.run(HOUR);
                let text = r#"{"type":"error","code":"token_expired","message":"ended","retryable":true,"outcome":"rejected"}"#;
                let epoch = world.epoch();
                world.push_text(epoch, text);
                world.run(SECOND);
            },
        ),
    ]
}

#[test]
fn the_words_of_a_provider_are_not_kept() {
    let leak = "eyJhbGciOi.leak";
    let mut world = World::new(1);
    world.script.provider = Provider::Hang;
    connect(&mut world);
    let message = format!("the backend answered: {leak}");
    world.input(Input::TokenFailed {
        generation: Generation(1),
        failure: TokenFailure::new(message),
    });
    let now = Instant::from_millis(world.now);
    let diagnostics = world.machine.diagnostics(now);
    assert!(!diagnostics.to_string().contains("leak"), "{diagnostics}");
    assert!(!diagnostics.to_json().contains("leak"));
    let all = explain(&world);
    assert_eq!(all.headline, Headline::Reconnecting);
    let told = all.findings[0].evidence.iter().any(|evidence| {
        *evidence
            == Evidence::TokenFault {
                ago: Duration::ZERO,
                fault: TokenFault::Provider,
            }
    });
    assert!(told, "{all}");
}

#[test]
fn a_fault_is_forgotten_once_a_token_is_accepted() {
    let mut world = World::new(1);
    world.script.provider = Provider::Fail;
    connect(&mut world);
    world.script.provider = Provider::Fresh(None);
    world.run(MINUTE);
    assert!(world.is_connected());
    assert!(explain(&world).is_fine(), "{}", explain(&world));
    assert!(world.machine.metrics().token_faults > 0);
}
