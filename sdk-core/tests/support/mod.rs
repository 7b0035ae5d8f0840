//! A scripted peer on virtual time: the whole world outside one machine, in one thread.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file uses its part"
)]

pub mod laws;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use laws::Laws;
pub use server::{Accept, Provider, Script};
use wakecast::machine::{
    Answer, Config, Effect, Epoch, Event, Input, Machine, Output, RequestKey, Seed, TokenFailure,
    TokenReason, TransportEnd,
};
use wakecast::protocol::{ClientMessage, ServerMessage, Status};
use wakecast::{Acquire, ConnectionState, Endpoint, Error, Instant, Phase, Secret};

/// Part of every secret in these tests: it must never be printed.
pub const CANARY: &str = "canary";

pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;

/// One transport as the gateway sees it.
#[derive(Clone, Copy, Debug)]
struct Socket {
    opened: u64,
    last_heard: u64,
}

/// A machine and everything around it.
pub struct World {
    pub machine: Machine,
    pub now: u64,
    pub script: Script,
    /// Messages that the server received.
    pub sent: Vec<(u64, Epoch, ClientMessage)>,
    /// When transports were opened.
    pub attempts: Vec<(u64, Secret)>,
    pub fetches: Vec<(u64, TokenReason)>,
    pub checks: Vec<u64>,
    pub events: Vec<(u64, Event)>,
    pub settled: BTreeMap<RequestKey, Result<Answer, Error>>,
    /// Ids of rows that the server has ever created: each is one demand for an instance.
    pub rows: BTreeSet<String>,
    /// Rows that are granted.
    pub granted: BTreeSet<String>,
    pub rev: u64,
    /// Every input with its time, for a benchmark that plays them again.
    pub recorded: Option<Vec<(u64, Input)>>,
    laws: Laws,
    inbox: BTreeMap<(u64, u64), Input>,
    order: u64,
    sockets: BTreeMap<Epoch, Socket>,
    tokens_made: u64,
}

/// One way over the network, in milliseconds.
const LATENCY: u64 = 20;

impl World {
    pub fn new(seed: u8) -> Self {
        let config = Config::new("test/1").client_id("client").access_check(true);
        Self {
            machine: Machine::new(config, Seed([seed; 32])),
            now: 0,
            script: Script::default(),
            sent: Vec::new(),
            attempts: Vec::new(),
            fetches: Vec::new(),
            checks: Vec::new(),
            events: Vec::new(),
            settled: BTreeMap::new(),
            rows: BTreeSet::new(),
            granted: BTreeSet::new(),
            rev: 1,
            recorded: None,
            laws: Laws::default(),
            inbox: BTreeMap::new(),
            order: 0,
            sockets: BTreeMap::new(),
            tokens_made: 0,
        }
    }

    /// A world whose client is connected with nothing to do.
    pub fn connected(seed: u8) -> Self {
        let mut world = Self::new(seed);
        world.input(Input::Connect);
        world.run(SECOND);
        assert!(world.is_connected(), "{:?}", world.machine.state());
        world
    }

    /// A world that holds the lease `lease`.
    pub fn holding(seed: u8) -> Self {
        let mut world = Self::connected(seed);
        world.acquire(1, Acquire::publish("live", "match").id("lease"));
        world.run(SECOND);
        world.grant("lease");
        world.run(10 * SECOND);
        assert!(matches!(
            world.settled[&RequestKey(1)],
            Ok(Answer::Acquired { .. })
        ));
        world
    }

    /// Gives the machine one input now, checks the laws, and carries its effects out.
    pub fn input(&mut self, input: Input) {
        let now = Instant::from_millis(self.now);
        if let Some(recorded) = &mut self.recorded {
            recorded.push((self.now, input.clone()));
        }
        self.laws.before(&self.machine, now, &input);
        self.machine.handle(now, input);
        let mut outputs = Vec::new();
        while let Some(output) = self.machine.poll() {
            outputs.push(output);
        }
        self.laws.after(&self.machine, now, &outputs);
        for output in outputs {
            match output {
                Output::Effect(effect) => self.carry_out(effect),
                Output::Event(event) => {
                    if let Event::Settled { key, result } = &event {
                        self.settled.insert(*key, result.clone());
                    }
                    self.events.push((self.now, event));
                }
                other => panic!("unknown output {other:?}"),
            }
        }
    }

    /// Lets `millis` pass; timers fire exactly when they are due.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        loop {
            let timer = self
                .machine
                .next_timeout()
                .map(|(at, _)| at.as_millis().max(self.now));
            let message = self.inbox.keys().next().map(|(at, _)| *at);
            let limit = self.next_limit();
            let Some(next) = [timer, message, limit].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            self.now = next;
            if limit == Some(next) {
                self.enforce_limits();
            } else if message == Some(next) {
                self.deliver_one();
            } else {
                self.input(Input::Timeout);
                let still = self
                    .machine
                    .next_timeout()
                    .is_some_and(|(at, _)| at.as_millis() <= next);
                assert!(
                    !still,
                    "a deadline that fired stays due: {:?}",
                    self.machine.next_timeout()
                );
            }
        }
        self.now = end;
    }

    /// Lets `millis` pass without a timer firing or a message arriving, as when a device sleeps.
    pub fn sleep(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Delivers what has arrived, timers first if asked so, as a throttled browser tab does.
    pub fn wake_throttled(&mut self, timers_first: bool) {
        if timers_first {
            self.input(Input::Timeout);
        }
        while self
            .inbox
            .keys()
            .next()
            .is_some_and(|(at, _)| *at <= self.now)
        {
            self.deliver_one();
        }
        if !timers_first {
            self.input(Input::Timeout);
        }
    }

    pub fn acquire(&mut self, key: u64, acquire: Acquire) {
        self.input(Input::Acquire {
            key: RequestKey(key),
            acquire,
        });
    }

    /// The server grants a row.
    pub fn grant(&mut self, id: &str) {
        self.granted.insert(id.to_owned());
        self.rev += 1;
        let ready = wakecast::protocol::Ready {
            id: id.to_owned(),
            rev: self.rev,
            endpoint: endpoint("a"),
            verify_spread_ms: 1_000,
        };
        self.push(ServerMessage::Ready(ready));
    }

    /// The server sends a message over the newest socket.
    pub fn push(&mut self, message: ServerMessage) {
        let epoch = *self.sockets.keys().next_back().expect("a socket is open");
        self.push_to(epoch, message);
    }

    pub fn push_to(&mut self, epoch: Epoch, message: ServerMessage) {
        self.push_text(epoch, message.encode());
    }

    pub fn push_text(&mut self, epoch: Epoch, text: impl Into<String>) {
        if self.script.blackhole {
            return;
        }
        if let Some(socket) = self.sockets.get_mut(&epoch) {
            socket.last_heard = self.now;
        }
        self.later(
            LATENCY,
            Input::Frame {
                epoch,
                text: Secret::new(text),
            },
        );
    }

    /// The server ends the newest socket.
    pub fn cut(&mut self, end: TransportEnd) {
        let epoch = *self.sockets.keys().next_back().expect("a socket is open");
        self.sockets.remove(&epoch);
        self.later(0, Input::TransportClosed { epoch, end });
        self.run(0);
    }

    pub fn epoch(&self) -> Epoch {
        *self.sockets.keys().next_back().expect("a socket is open")
    }

    pub fn open_sockets(&self) -> usize {
        self.sockets.len()
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.machine.state(), ConnectionState::Connected { .. })
    }

    pub fn states(&self) -> Vec<&ConnectionState> {
        (self.events.iter())
            .filter_map(|(_, event)| {
                if let Event::State(state) = event {
                    Some(state)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Messages of one kind that the server received.
    pub fn count(&self, action: &str) -> usize {
        self.sent
            .iter()
            .filter(|(_, _, message)| message.action() == action)
            .count()
    }

    pub fn error_of(&self, key: u64) -> &Error {
        match self.settled.get(&RequestKey(key)) {
            Some(Err(error)) => error,
            other => panic!("request {key} has not failed: {other:?}"),
        }
    }

    fn later(&mut self, delay: u64, input: Input) {
        self.order += 1;
        self.inbox.insert((self.now + delay, self.order), input);
    }

    fn deliver_one(&mut self) {
        if let Some((_, input)) = self.inbox.pop_first() {
            self.input(input);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::OpenTransport { epoch, token, .. } => self.open(epoch, token),
            Effect::Send { epoch, text } => {
                let message = ClientMessage::decode(text.expose()).expect("what we send decodes");
                self.sent.push((self.now, epoch, message.clone()));
                if let Some(socket) = self.sockets.get_mut(&epoch)
                    && !self.script.blackhole
                {
                    socket.last_heard = self.now;
                    self.answer(epoch, message);
                }
            }
            Effect::CloseTransport { epoch, .. } => {
                self.sockets.remove(&epoch);
            }
            Effect::FetchToken { generation, reason } => {
                self.fetches.push((self.now, reason));
                match self.script.provider.clone() {
                    Provider::Fresh(expires_in) => {
                        self.tokens_made += 1;
                        let token = Secret::new(format!("{CANARY}.token.{}", self.tokens_made));
                        self.later(
                            LATENCY,
                            Input::TokenReady {
                                generation,
                                token,
                                expires_in,
                            },
                        );
                    }
                    Provider::Same => {
                        let token = Secret::new(format!("{CANARY}.same"));
                        self.later(
                            LATENCY,
                            Input::TokenReady {
                                generation,
                                token,
                                expires_in: None,
                            },
                        );
                    }
                    Provider::Fail => {
                        let message = "no session";
                        self.later(
                            LATENCY,
                            Input::TokenFailed {
                                generation,
                                failure: TokenFailure::new(message),
                            },
                        );
                    }
                    Provider::Hang => {}
                }
            }
            Effect::CheckAccess { check, .. } => {
                self.checks.push(self.now);
                let answer = self.script.access.clone();
                self.later(LATENCY, Input::AccessChecked { check, answer });
            }
            Effect::Probe { probe, .. } => {
                let result = if self.script.endpoint_reachable {
                    Ok(())
                } else {
                    Err("refused".into())
                };
                self.later(LATENCY, Input::ProbeResult { probe, result });
            }
            Effect::CancelProbe { .. } => {}
            other => panic!("unknown effect {other:?}"),
        }
    }
}

/// An endpoint on the host `name`, with a secret stream token.
pub fn endpoint(name: &str) -> Endpoint {
    Endpoint {
        websocket_url: format!("wss://{name}.example/live/websocket"),
        http_url: format!("https://{name}.example/live"),
        app: "live".into(),
        stream_token: Some(Secret::new(format!("{CANARY}.stream"))),
        stream_token_expires_in_ms: Some(60_000),
    }
}

/// A fleet whose instance boots.
pub fn status() -> Status {
    Status {
        id: String::new(),
        fleet: "only".into(),
        ready: false,
        phase: Some(Phase::Booting),
        eta_p50_ms: 9_000,
        eta_p90_ms: 15_000,
        overdue: false,
        note: None,
        code: None,
        retry_after_ms: None,
        operator: None,
    }
}
