//! Any sequence of inputs in any order keeps the seven laws. The observer in `support::laws`
//! checks them after every input; here is where the inputs come from.

mod support;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
use support::laws::Laws;
use support::{CANARY, endpoint};
use wakecast::machine::{
    AccessAnswer, CheckId, Config, Effect, Epoch, Event, Generation, Input, Machine, Output,
    ProbeId, Refusal, RequestKey, Seed, TransportEnd,
};
use wakecast::protocol::{
    Ack, Bye, ClientMessage, Draining, EndpointPush, ErrorPush, LeaseReport, LeaseState, Lost,
    Moved, Pong, ProgressPush, Ready, Renewed, RequestReport, RequestState, ServerMessage, Welcome,
};
use wakecast::{Acquire, ConnectionState, ErrorCode, Instant, LostReason, Outcome, Phase, Secret};

/// One step: some time passes, then one thing happens.
#[derive(Clone, Debug)]
struct Step {
    wait: Wait,
    what: What,
}

#[derive(Clone, Debug)]
enum Wait {
    None,
    Millis(u64),
    /// Exactly until the armed timer.
    Timer,
    /// The timer fires late.
    Late(u64),
}

#[derive(Clone, Debug)]
enum What {
    Input(Input),
    /// Something about the newest transport (0), the one before (1), or one that never was (2).
    Transport(u8, Wire),
    /// An answer to the newest (0) or an older question.
    Token(u8, Result<u8, ()>, Option<u64>),
    Access(u8, u16),
    Probe(u8, bool),
}

#[derive(Clone, Debug)]
enum Wire {
    Open,
    NoEcho,
    Refuse(Refusal),
    Close(TransportEnd),
    Binary,
    Garbage(String),
    /// The right `welcome` for the last `hello`.
    Welcome(u64, u64),
    /// An acknowledgement of the last request but n.
    Ack(u8),
    Error(u8, ErrorCode, Outcome),
    Renewed(u64),
    Message(ServerMessage),
}

/// The ids that apps and servers of these tests talk about.
const IDS: [&str; 4] = ["a", "b", "c", "d"];

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(&IDS[..]).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = RequestKey> {
    (0u64..12).prop_map(RequestKey)
}

fn code() -> impl Strategy<Value = ErrorCode> {
    let other = ErrorCode::Other("new".into());
    prop::sample::select(
        ErrorCode::ALL
            .iter()
            .cloned()
            .chain([other])
            .collect::<Vec<_>>(),
    )
}

fn acquire() -> impl Strategy<Value = Acquire> {
    let deadline = prop::option::of(0u64..120_000);
    (0u8..3, prop::option::of(id()), deadline, any::<bool>()).prop_map(
        |(kind, id, deadline, verify)| {
            let acquire = match kind {
                0 => Acquire::publish("live", "match"),
                1 => Acquire::play("live", "match"),
                _ => Acquire::watch("live", "match"),
            };
            let acquire = acquire.verify(verify);
            let acquire = match id {
                Some(id) => acquire.id(id),
                None => acquire,
            };
            match deadline {
                Some(millis) => acquire.deadline(Duration::from_millis(millis)),
                None => acquire,
            }
        },
    )
}

fn app_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => (key(), acquire()).prop_map(|(key, acquire)| Input::Acquire { key, acquire }),
        2 => Just(Input::Connect),
        2 => key().prop_map(|key| Input::Cancel { key }),
        2 => (key(), id()).prop_map(|(key, lease)| Input::Endpoint { key, lease }),
        2 => (key(), id()).prop_map(|(key, lease)| Input::Release { key, lease }),
        2 => Just(Input::Retry),
        2 => Just(Input::NetworkUp),
        2 => Just(Input::NetworkDown),
        2 => Just(Input::NetworkChanged),
        2 => Just(Input::Foreground),
        2 => Just(Input::Background),
        2 => Just(Input::ClockJumped),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let status = prop::sample::select(vec![400u16, 401, 403, 426, 429, 500, 503]);
    prop_oneof![
        (status, prop::option::of(0u64..60)).prop_map(|(status, secs)| Refusal::Http {
            status,
            retry_after: secs.map(Duration::from_secs),
        }),
        Just(Refusal::Opaque),
        Just(Refusal::Unreachable {
            message: "no route".into()
        }),
    ]
}

fn end() -> impl Strategy<Value = TransportEnd> {
    prop_oneof![
        prop::sample::select(vec![1000u16, 1001, 1008, 1009, 1012, 1013, 4001])
            .prop_map(TransportEnd::Code),
        Just(TransportEnd::Dropped),
        Just(TransportEnd::Failed {
            message: "reset".into()
        }),
    ]
}

fn message() -> impl Strategy<Value = ServerMessage> {
    let rev = 1u64..6;
    let phase = prop::sample::select(Phase::ALL);
    let reason = prop::sample::select(LostReason::ALL);
    let host = prop::sample::select(vec!["a", "b"]).prop_map(endpoint);
    prop_oneof![
        Just(ServerMessage::Pong(Pong {})),
        (id(), rev.clone(), phase, 0u64..90_000, 0u64..90_000).prop_map(
            |(id, rev, phase, elapsed_ms, eta)| {
                ServerMessage::Progress(ProgressPush {
                    id,
                    rev,
                    phase,
                    elapsed_ms,
                    eta_p50_ms: eta,
                    eta_p90_ms: eta * 2,
                    overdue: false,
                    note: None,
                })
            }
        ),
        (id(), rev.clone(), host.clone(), 0u64..20_000).prop_map(
            |(id, rev, endpoint, verify_spread_ms)| {
                ServerMessage::Ready(Ready {
                    id,
                    rev,
                    endpoint,
                    verify_spread_ms,
                })
            }
        ),
        (id(), rev.clone(), host.clone()).prop_map(|(lease, rev, endpoint)| {
            ServerMessage::Endpoint(EndpointPush {
                id: None,
                lease,
                rev,
                endpoint,
            })
        }),
        (id(), rev.clone()).prop_map(|(lease, rev)| {
            ServerMessage::Draining(Draining {
                lease,
                rev,
                deadline_ms: 60_000,
            })
        }),
        (id(), rev.clone(), host).prop_map(|(lease, rev, endpoint)| {
            ServerMessage::Moved(Moved {
                lease,
                rev,
                endpoint,
            })
        }),
        (id(), rev, reason)
            .prop_map(|(lease, rev, reason)| { ServerMessage::Lost(Lost { lease, rev, reason }) }),
        (code(), any::<bool>()).prop_map(|(code, reconnect)| {
            ServerMessage::Bye(Bye {
                code,
                retry_after_ms: None,
                reconnect,
            })
        }),
    ]
}

fn wire() -> impl Strategy<Value = Wire> {
    prop_oneof![
        6 => Just(Wire::Open),
        10 => (1u64..4_000_000, 1u64..8_000_000).prop_map(|(life, age)| Wire::Welcome(life, age)),
        1 => Just(Wire::NoEcho),
        2 => refusal().prop_map(Wire::Refuse),
        2 => end().prop_map(Wire::Close),
        1 => Just(Wire::Binary),
        1 => "\\PC{0,40}".prop_map(Wire::Garbage),
        6 => (0u8..6).prop_map(Wire::Ack),
        2 => (0u8..6, code(), prop::sample::select(Outcome::ALL))
            .prop_map(|(last, code, outcome)| Wire::Error(last, code, outcome)),
        3 => (1u64..4_000_000).prop_map(Wire::Renewed),
        10 => message().prop_map(Wire::Message),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let which = prop_oneof![12 => Just(0u8), 1 => Just(1u8), 1 => Just(2u8)];
    let token = prop_oneof![6 => (0u8..9).prop_map(Ok), 1 => Just(Err(()))];
    let life = prop::option::of(0u64..4_000_000);
    let status = prop::sample::select(vec![204u16, 401, 403, 429, 500, 503, 0]);
    prop_oneof![
        10 => app_input().prop_map(What::Input),
        20 => (which.clone(), wire()).prop_map(|(which, wire)| What::Transport(which, wire)),
        6 => (which.clone(), token, life).prop_map(|(which, token, life)| What::Token(which, token, life)),
        1 => (which.clone(), status).prop_map(|(which, status)| What::Access(which, status)),
        2 => (which, any::<bool>()).prop_map(|(which, reached)| What::Probe(which, reached)),
        6 => Just(What::Input(Input::Timeout)),
        // Rare, since everything after it is only about the silence that must follow.
        1 => prop_oneof![9 => Just(Input::Timeout), 1 => Just(Input::Close), 1 => Just(Input::Detach)]
            .prop_map(What::Input),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        8 => Just(Wait::None),
        2 => (1u64..2_000).prop_map(Wait::Millis),
        5 => Just(Wait::Timer),
        1 => (1u64..100_000).prop_map(Wait::Late),
    ];
    (wait, what()).prop_map(|(wait, what)| Step { wait, what })
}

/// A machine in hostile hands.
struct Rig {
    machine: Machine,
    laws: Laws,
    now: u64,
    epoch: u64,
    generation: u64,
    check: u64,
    probe: u64,
    hello: Option<(Epoch, wakecast::protocol::Hello)>,
    asked: Vec<String>,
    renewals: Vec<String>,
    log: Vec<String>,
    kinds: Vec<wakecast::machine::StateKind>,
}

impl Rig {
    fn new() -> Self {
        let config = Config {
            sdk: "test/1".into(),
            client_id: None,
            access_check: true,
        };
        Self {
            machine: Machine::new(config, Seed([9; 32])),
            laws: Laws::default(),
            now: 1_000,
            epoch: 0,
            generation: 0,
            check: 0,
            probe: 0,
            hello: None,
            asked: Vec::new(),
            renewals: Vec::new(),
            log: Vec::new(),
            kinds: vec![wakecast::machine::StateKind::Idle],
        }
    }

    fn step(&mut self, step: &Step) {
        let timer = self.machine.next_timeout().map(|(at, _)| at.as_millis());
        self.now = match step.wait {
            Wait::None => self.now,
            Wait::Millis(millis) => timer.map_or(self.now + millis, |at| {
                at.max(self.now).min(self.now + millis)
            }),
            Wait::Timer => timer.map_or(self.now, |at| at.max(self.now)),
            Wait::Late(millis) => timer.map_or(self.now, |at| at.max(self.now)) + millis,
        };
        if let Some(input) = self.input(&step.what) {
            self.give(input);
        }
        self.settle_timers();
    }

    /// Fires what is due; it must not stay due.
    fn settle_timers(&mut self) {
        for _ in 0..8 {
            match self.machine.next_timeout() {
                Some((at, _)) if at.as_millis() <= self.now => self.give(Input::Timeout),
                _ => return,
            }
        }
        panic!("a deadline stays due: {:?}", self.machine.next_timeout());
    }

    fn give(&mut self, input: Input) {
        let now = Instant::from_millis(self.now);
        self.laws.before(&self.machine, now, &input);
        self.machine.handle(now, input);
        let mut outputs = Vec::new();
        while let Some(output) = self.machine.poll() {
            outputs.push(output);
        }
        self.laws.after(&self.machine, now, &outputs);
        for output in &outputs {
            self.note(output);
        }
    }

    fn note(&mut self, output: &Output) {
        self.log.push(format!("{output:?}"));
        match output {
            Output::Event(Event::State(state)) => {
                let kind = state.kind();
                let last = *self.kinds.last().unwrap();
                let known = |&(from, to, _): &(_, _, &str)| (from, to) == (last, kind);
                assert!(
                    last == kind || wakecast::machine::TRANSITIONS.iter().any(known),
                    "{last:?} -> {kind:?} is not in the table"
                );
                self.kinds.push(kind);
            }
            Output::Effect(Effect::OpenTransport { epoch, .. }) => self.epoch = epoch.0,
            Output::Effect(Effect::FetchToken { generation, .. }) => self.generation = generation.0,
            Output::Effect(Effect::CheckAccess { check, .. }) => self.check = check.0,
            Output::Effect(Effect::Probe { probe, .. }) => self.probe = probe.0,
            Output::Effect(Effect::Send { epoch, text }) => {
                match ClientMessage::decode(text.expose()).expect("what we send decodes") {
                    ClientMessage::Hello(hello) => self.hello = Some((*epoch, hello)),
                    ClientMessage::Renew(renew) => self.renewals.push(renew.id),
                    message => self.asked.extend(message.id().map(str::to_owned)),
                }
            }
            _ => {}
        }
    }

    fn input(&self, what: &What) -> Option<Input> {
        let older = |newest: u64, which: u8| match which {
            0 => newest,
            1 => newest.saturating_sub(1),
            _ => newest + 7,
        };
        Some(match what {
            What::Input(input) => input.clone(),
            What::Transport(which, wire) => {
                let epoch = Epoch(older(self.epoch, *which));
                let frame = |message: ServerMessage| Input::Frame {
                    epoch,
                    text: Secret::new(message.encode()),
                };
                match wire {
                    Wire::Open => Input::TransportOpened {
                        epoch,
                        subprotocol: Some("wakecast.v1".into()),
                    },
                    Wire::NoEcho => Input::TransportOpened {
                        epoch,
                        subprotocol: None,
                    },
                    Wire::Refuse(refusal) => Input::Refused {
                        epoch,
                        refusal: refusal.clone(),
                    },
                    Wire::Close(end) => Input::TransportClosed {
                        epoch,
                        end: end.clone(),
                    },
                    Wire::Binary => Input::BinaryFrame { epoch },
                    Wire::Garbage(text) => Input::Frame {
                        epoch,
                        text: Secret::new(text.clone()),
                    },
                    Wire::Welcome(life, age) => frame(self.welcome(*life, *age)?),
                    Wire::Ack(last) => frame(ServerMessage::Ack(Ack {
                        id: nth_last(&self.asked, *last)?,
                    })),
                    Wire::Error(last, code, outcome) => frame(ServerMessage::Error(ErrorPush {
                        id: nth_last(&self.asked, *last)
                            .or_else(|| nth_last(&self.renewals, *last)),
                        code: code.clone(),
                        message: "no".into(),
                        retryable: false,
                        retry_after_ms: None,
                        outcome: *outcome,
                    })),
                    Wire::Renewed(life) => frame(ServerMessage::Renewed(Renewed {
                        id: nth_last(&self.renewals, 0)?,
                        expires_in_ms: *life,
                        reconnect_spread_ms: 1_000,
                    })),
                    Wire::Message(message) => frame(message.clone()),
                }
            }
            What::Token(which, token, life) => {
                let generation = Generation(older(self.generation, *which));
                match token {
                    Ok(serial) => Input::TokenReady {
                        generation,
                        token: Secret::new(format!("{CANARY}.{serial}")),
                        expires_in: life.map(Duration::from_millis),
                    },
                    Err(()) => Input::TokenFailed {
                        generation,
                        message: "no session".into(),
                    },
                }
            }
            What::Access(which, status) => Input::AccessChecked {
                check: CheckId(older(self.check, *which)),
                answer: match status {
                    0 => AccessAnswer::Unreachable {
                        message: "no route".into(),
                    },
                    status => AccessAnswer::Http {
                        status: *status,
                        retry_after: None,
                    },
                },
            },
            What::Probe(which, reached) => Input::ProbeResult {
                probe: ProbeId(older(self.probe, *which)),
                result: if *reached {
                    Ok(())
                } else {
                    Err("refused".into())
                },
            },
        })
    }

    /// A welcome for the last hello, with every kind of state for what it names.
    fn welcome(&self, life: u64, age: u64) -> Option<ServerMessage> {
        let (_, hello) = self.hello.as_ref()?;
        let pick = |number: usize| usize::try_from(life).unwrap_or(0) + number;
        let requests = hello
            .requests
            .iter()
            .enumerate()
            .map(|(number, row)| RequestReport {
                id: row.id.clone(),
                state: RequestState::ALL[pick(number) % RequestState::ALL.len()],
                rev: Some(life % 6),
                phase: Some(Phase::Booting),
                endpoint: Some(endpoint("a")),
                code: Some(ErrorCode::StartFailed),
            });
        let leases = hello
            .leases
            .iter()
            .enumerate()
            .map(|(number, row)| LeaseReport {
                id: row.id.clone(),
                state: LeaseState::ALL[pick(number) % LeaseState::ALL.len()],
                rev: Some(life % 6),
                endpoint: Some(endpoint("b")),
                deadline_ms: Some(1_000),
                reason: Some(LostReason::Stopped),
            });
        Some(ServerMessage::Welcome(Welcome {
            id: hello.id.clone(),
            session: format!("s{life}"),
            token_expires_in_ms: life,
            heartbeat_ms: 270_000,
            max_age_ms: age,
            reconnect_spread_ms: 2_000,
            leases: leases.collect(),
            requests: requests.collect(),
        }))
    }
}

fn nth_last(list: &[String], number: u8) -> Option<String> {
    list.iter().rev().nth(usize::from(number)).cloned()
}

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
fn n32_n36_n37_hold_for_connected_clients_too() {
    // A prefix that connects, so that most steps act on a live link.
    let connect = [
        What::Input(Input::Connect),
        What::Token(0, Ok(1), None),
        What::Transport(0, Wire::Open),
        What::Transport(0, Wire::Welcome(3_600_000, 7_200_000)),
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
            }
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
