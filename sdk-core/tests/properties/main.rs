//! Any sequence of inputs in any order keeps the seven laws. The observer in `support::laws`
//! checks them after every input; `inputs` is where the inputs come from.

#[path = "../support/mod.rs"]
mod support;

mod inputs;
mod rig;
mod step;
mod told;

use inputs::step;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
use rig::Rig;
use step::{Step, Terms, Wait, What, Wire};
use support::CANARY;
use wakecast::machine::{
    AccessAnswer, CheckId, Epoch, Generation, Input, ProbeId, Refusal, RequestKey, TransportEnd,
};
use wakecast::{Acquire, ConnectionState, Instant, Secret};

/// Reads a number from the test's command line.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's replay seed comes from its command line"
)]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs cases from a seed that is printed when one fails. `WAKECAST_CASES=20` runs twenty times as
/// many, `WAKECAST_SEED` others.
fn check(
    name: &str,
    cases: u32,
    strategy: impl Strategy<Value = Vec<Step>>,
    test: impl Fn(Vec<Step>),
) {
    let seed = variable("WAKECAST_SEED").unwrap_or(7);
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let more = variable("WAKECAST_CASES").unwrap_or(1);
    let config = Runs {
        cases: cases.saturating_mul(u32::try_from(more).unwrap_or(1)),
        failure_persistence: None,
        ..Runs::default()
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, random).run(&strategy, |steps| {
        test(steps);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!(
            "{failure}\nreplay: WAKECAST_SEED={seed} WAKECAST_CASES={more} cargo test -p wakecast --no-default-features --test properties {name}"
        );
    }
}

#[test]
fn any_sequence_of_inputs_keeps_the_laws() {
    check(
        "any_sequence_of_inputs_keeps_the_laws",
        300,
        prop::collection::vec(step(), 1..160),
        |steps| {
            let mut rig = Rig::new();
            for step in &steps {
                rig.step(step);
            }
            // Law 5 to the end: whatever waits is settled once its time has come (a day at most).
            rig.now += 25 * 3_600_000;
            rig.give(Input::Timeout);
            // Law 6 to the end.
            rig.give(Input::Close);
            rig.now += 1_000;
            rig.give(Input::Timeout);
            assert_eq!(*rig.machine.state(), ConnectionState::Closed);
            assert!(!format!("{:?}", rig.machine).contains(CANARY), "law 7");
        },
    );
}

#[test]
fn what_the_machine_says_of_itself_is_true_bounded_and_safe() {
    check(
        "what_the_machine_says_of_itself_is_true_bounded_and_safe",
        200,
        prop::collection::vec(step(), 1..160),
        |steps| {
            let mut rig = Rig::new();
            for (number, step) in steps.iter().enumerate() {
                rig.step(step);
                let now = Instant::from_millis(rig.now);
                told::explained(&rig.machine, now);
                if number % 16 == 0 {
                    told::diagnosed(&rig.machine, now);
                }
            }
            told::diagnosed(&rig.machine, Instant::from_millis(rig.now));
        },
    );
}

#[test]
fn n32_n36_n37_hold_for_connected_clients_too() {
    // A prefix that connects, so that most steps act on a live link.
    let connect = [
        What::Input(Input::Connect),
        What::Token(0, Ok(1), None),
        What::Transport(0, Wire::Open),
        What::Transport(0, Wire::Welcome(Terms::usual(3_600_000, 7_200_000))),
    ];
    let steps = prop::collection::vec(step(), 1..120);
    check(
        "n32_n36_n37_hold_for_connected_clients_too",
        300,
        steps,
        move |steps| {
            let mut rig = Rig::new();
            for what in connect.clone() {
                rig.step(&Step {
                    wait: Wait::None,
                    what,
                });
            }
            assert!(matches!(
                rig.machine.state(),
                ConnectionState::Connected { .. }
            ));
            for step in &steps {
                rig.step(step);
                told::explained(&rig.machine, Instant::from_millis(rig.now));
            }
            told::diagnosed(&rig.machine, Instant::from_millis(rig.now));
        },
    );
}

#[test]
fn the_same_inputs_make_the_same_outputs() {
    let steps = prop::collection::vec(step(), 1..80);
    check(
        "the_same_inputs_make_the_same_outputs",
        60,
        steps,
        |steps| {
            let run = || {
                let mut rig = Rig::new();
                steps.iter().for_each(|step| rig.step(step));
                rig.log
            };
            assert_eq!(run(), run(), "law 1");
        },
    );
}

#[test]
fn callbacks_of_unknown_transports_and_questions_change_nothing() {
    let steps = prop::collection::vec(step(), 1..80);
    check(
        "callbacks_of_unknown_transports_and_questions_change_nothing",
        80,
        steps,
        |steps| {
            let run = |stale: bool| {
                let mut rig = Rig::new();
                for step in &steps {
                    rig.step(step);
                    let (epoch, far) = (Epoch(rig.epoch + 1_000), 1_000);
                    let inputs = [
                        Input::TransportClosed {
                            epoch,
                            end: TransportEnd::Dropped,
                        },
                        Input::Refused {
                            epoch,
                            refusal: Refusal::Opaque,
                        },
                        Input::TransportOpened {
                            epoch,
                            subprotocol: None,
                        },
                        Input::Frame {
                            epoch,
                            text: Secret::new(
                                r#"{"type":"bye","code":"closed","reconnect":false}"#,
                            ),
                        },
                        Input::TokenReady {
                            generation: Generation(rig.generation + far),
                            token: Secret::new("stale"),
                            expires_in: None,
                        },
                        Input::AccessChecked {
                            check: CheckId(rig.check + far),
                            answer: AccessAnswer::Http {
                                status: 403,
                                retry_after: None,
                            },
                        },
                        Input::ProbeResult {
                            probe: ProbeId(rig.probe + far),
                            result: Ok(()),
                        },
                    ];
                    for input in inputs {
                        rig.give(if stale { input } else { Input::Timeout });
                    }
                }
                rig.log
            };
            assert_eq!(run(true), run(false), "law 2");
        },
    );
}

#[test]
fn queues_stay_bounded_whatever_an_app_does() {
    let mut rig = Rig::new();
    for number in 0..20_000u64 {
        let key = RequestKey(number);
        rig.give(Input::Acquire {
            key,
            acquire: Acquire::play("live", "match"),
        });
        match number % 4 {
            0 => rig.give(Input::Cancel { key }),
            1 => rig.give(Input::Endpoint {
                key: RequestKey(number + 1_000_000),
                lease: "a".into(),
            }),
            _ => {}
        }
    }
    let size = format!("{:?}", rig.machine).len();
    assert!(
        size < 300_000,
        "n41: {size} characters after 20 000 acquires without a link"
    );
}
