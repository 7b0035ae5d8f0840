//! A machine under the observer, and how a step becomes an input for it.

use std::time::Duration;

use wakecast::machine::{
    AccessAnswer, CheckId, Config, Effect, Epoch, Event, Generation, Input, Machine, Output,
    ProbeId, Seed, TokenFailure,
};
use wakecast::protocol::{
    Ack, ClientMessage, ErrorPush, LeaseReport, LeaseState, Renewed, RequestReport, RequestState,
    ServerMessage, Status, Welcome,
};
use wakecast::{ErrorCode, Instant, LostReason, Phase, Secret};

use crate::step::{Step, Terms, Wait, What, Wire, says};
use crate::support::laws::Laws;
use crate::support::{CANARY, endpoint, status};

/// Thirty thousand years.
const NEVER: u64 = 1 << 50;

/// A machine in hostile hands.
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    laws: Laws,
    pub(crate) now: u64,
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) check: u64,
    pub(crate) probe: u64,
    hello: Option<(Epoch, wakecast::protocol::Hello)>,
    asked: Vec<String>,
    renewals: Vec<String>,
    pub(crate) log: Vec<String>,
    /// The states in which it was, in order.
    pub(crate) kinds: Vec<wakecast::machine::StateKind>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let config = Config::new("test/1")
            .access_check(true)
            .fallback(false)
            .fallback(true);
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

    pub(crate) fn step(&mut self, step: &Step) {
        // A server may tell a time that never comes; nobody waits for it.
        let timer = self.machine.next_timeout().map(|(at, _)| at.as_millis());
        let timer = timer.filter(|at| *at < NEVER);
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

    pub(crate) fn give(&mut self, input: Input) {
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
                    Wire::Welcome(terms) => frame(self.welcome(*terms)?),
                    Wire::Ack(last) => frame(ServerMessage::Ack(Ack {
                        id: nth_last(&self.asked, *last)?,
                    })),
                    Wire::Error(last, code, retryable, outcome) => {
                        frame(ServerMessage::Error(ErrorPush {
                            id: nth_last(&self.asked, *last)
                                .or_else(|| nth_last(&self.renewals, *last)),
                            code: code.clone(),
                            message: says("no"),
                            retryable: *retryable,
                            retry_after_ms: None,
                            outcome: *outcome,
                        }))
                    }
                    Wire::Status(last) => frame(ServerMessage::Status(Status {
                        id: nth_last(&self.asked, *last)?,
                        ..status()
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
                        failure: TokenFailure::new(says("no session")),
                    },
                }
            }
            What::Access(which, status) => Input::AccessChecked {
                check: CheckId(older(self.check, *which)),
                answer: match status {
                    0 => AccessAnswer::Unreachable {
                        message: says("no route"),
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
                    Err(says("refused"))
                },
            },
        })
    }

    /// A welcome for the last hello, with every kind of state for what it names.
    fn welcome(&self, terms: Terms) -> Option<ServerMessage> {
        let (_, hello) = self.hello.as_ref()?;
        let life = terms.life;
        let pick = |number: usize| usize::try_from(life % 1_000).unwrap_or(0) + number;
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
            heartbeat_ms: terms.heartbeat,
            max_age_ms: terms.age,
            reconnect_spread_ms: terms.spread,
            leases: leases.collect(),
            requests: requests.collect(),
        }))
    }
}

fn nth_last(list: &[String], number: u8) -> Option<String> {
    list.iter().rev().nth(usize::from(number)).cloned()
}
