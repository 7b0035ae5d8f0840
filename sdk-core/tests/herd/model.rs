//! A herd in virtual time: thousands of clients, one token bucket of new connections.
//!
//! The clients are machines, or schedules of other clients restated as formulas. The account lets
//! 500 new connections a second through and may save up 500 of them, as API Gateway does; what is
//! over gets 429. During an outage everything gets 503.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use rand_core::Rng as _;
use rand_pcg::Pcg64;
use wakecast::machine::{Config, Effect, Input, Machine, Output, Refusal, Seed, TransportEnd};
use wakecast::protocol::{ClientMessage, ServerMessage, Welcome};
use wakecast::{Instant, Secret};

/// New connections a second that an account lets through, and how many it saves up.
pub const QUOTA: f64 = 500.0;
/// Connections a second that the spread aims at: 70 % of the quota, so that others find room.
pub const AIM: u64 = 350;

/// How long clients wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// The machine; each client holds the spread of all.
    Machine,
    /// The machine; each client holds the spread of the moment when it joined.
    MachineStale,
    /// 250 ms and full jitter up to 1 s · 2ᵏ, at most 30 s: the same without a spread.
    FullJitter,
    /// centrifuge-js: 500 ms and full jitter up to 500 ms · 2ᵏ, together at most 20 s.
    Centrifuge,
    /// phoenix: 10, 50, 100, 150, 200, 250, 500, 1000, 2000, then 5000 ms; no jitter.
    Phoenix,
    /// socket.io: 1 s · 2ᵏ ± 50 %, at most 5 s.
    SocketIo,
}

impl Policy {
    pub const ALL: [Self; 6] = [
        Self::Machine,
        Self::MachineStale,
        Self::FullJitter,
        Self::Centrifuge,
        Self::Phoenix,
        Self::SocketIo,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Machine => "wakecast",
            Self::MachineStale => "wakecast, stale spreads",
            Self::FullJitter => "full jitter, no spread",
            Self::Centrifuge => "centrifuge",
            Self::Phoenix => "phoenix",
            Self::SocketIo => "socket.io",
        }
    }

    /// The wait before attempt `k`, in milliseconds, of a schedule that is a formula.
    fn wait(self, k: u32, draw: f64) -> u64 {
        let doubled = |base: f64, most: f64| (base * 2f64.powi(k.min(31) as i32)).min(most);
        let wait = match self {
            Self::Machine | Self::MachineStale => 0.0,
            Self::FullJitter => 250.0 + draw * doubled(1_000.0, 30_000.0),
            Self::Centrifuge => (500.0 + draw * doubled(500.0, 20_000.0)).min(20_000.0),
            Self::Phoenix => {
                const TABLE: [f64; 9] = [
                    10.0, 50.0, 100.0, 150.0, 200.0, 250.0, 500.0, 1_000.0, 2_000.0,
                ];
                TABLE.get(k as usize).copied().unwrap_or(5_000.0)
            }
            Self::SocketIo => {
                let middle = doubled(1_000.0, f64::MAX);
                (middle * (0.5 + draw)).min(5_000.0)
            }
        };
        wait as u64
    }
}

/// What became of a herd.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub policy: Policy,
    pub clients: usize,
    pub outage_s: u64,
    /// Attempts for each client, on average.
    pub attempts: f64,
    /// Most attempts within one second, those during the outage included.
    pub peak: u32,
    /// Most attempts within one second once the outage is over.
    pub peak_after: u32,
    /// When 99 % of the first attempts were made, in seconds after the drop.
    pub first_99_s: f64,
    /// When half, 99 % and all clients were connected, in seconds after the drop.
    pub half_s: f64,
    pub most_s: f64,
    pub all_s: f64,
}

/// The head of the table.
pub const HEAD: &str = "\
| policy | outage s | attempts / client | peak / s | peak / s after | 50 % s | 99 % s | all s |
|---|---|---|---|---|---|---|---|";

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {:.2} | {} | {} | {:.1} | {:.1} | {:.1} |",
            self.policy.name(),
            self.outage_s,
            self.attempts,
            self.peak,
            self.peak_after,
            self.half_s,
            self.most_s,
            self.all_s
        )
    }
}

/// Drops so many clients at once, keeps the service away for `outage_s`, and waits until all are back.
pub fn run(policy: Policy, clients: usize, outage_s: u64) -> Outcome {
    let mut herd: Vec<Client> = (0..clients)
        .map(|number| Client::connected(policy, number, clients))
        .collect();
    let mut due: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    for (number, client) in herd.iter_mut().enumerate() {
        due.push(Reverse((client.drop_link(), number)));
    }
    let mut gate = Gate::new(outage_s * 1_000);
    let mut seconds: BTreeMap<u64, u32> = BTreeMap::new();
    let (mut first, mut back, mut attempts) = (Vec::new(), Vec::new(), 0u64);
    while let Some(Reverse((now, number))) = due.pop() {
        let Some(client) = herd.get_mut(number) else {
            continue;
        };
        if client.due(now) {
            attempts += 1;
            *seconds.entry(now / 1_000).or_default() += 1;
            if client.first_attempt() {
                first.push(now);
            }
            let refusal = gate.refusal(now);
            client.answer(now, refusal);
            if refusal.is_none() {
                back.push(now);
                continue;
            }
        }
        due.push(Reverse((client.next(), number)));
    }
    let part = |times: &mut Vec<u64>, part: f64| {
        times.sort_unstable();
        let index = (times.len() as f64 * part).ceil() as usize;
        times
            .get(index.saturating_sub(1))
            .map_or(f64::NAN, |at| *at as f64 / 1_000.0)
    };
    let most = |from: u64| seconds.range(from..).map(|(_, count)| *count).max();
    Outcome {
        policy,
        clients,
        outage_s,
        attempts: attempts as f64 / clients as f64,
        peak: most(0).unwrap_or(0),
        peak_after: most(outage_s).unwrap_or(0),
        first_99_s: part(&mut first, 0.99),
        half_s: part(&mut back, 0.5),
        most_s: part(&mut back, 0.99),
        all_s: part(&mut back, 1.0),
    }
}

/// The account's token bucket.
struct Gate {
    tokens: f64,
    at: u64,
    outage_until: u64,
}

impl Gate {
    fn new(outage_until: u64) -> Self {
        Self {
            tokens: QUOTA,
            at: 0,
            outage_until,
        }
    }

    /// The status with which an attempt is refused; none if it gets through.
    fn refusal(&mut self, now: u64) -> Option<u16> {
        if now < self.outage_until {
            return Some(503);
        }
        let gained = (now - self.at) as f64 / 1_000.0 * QUOTA;
        (self.tokens, self.at) = ((self.tokens + gained).min(QUOTA), now);
        if self.tokens < 1.0 {
            return Some(429);
        }
        self.tokens -= 1.0;
        None
    }
}

/// One client, as far as its waits go.
struct Client {
    kind: Kind,
    policy: Policy,
    random: Pcg64,
    tries: u32,
    at: u64,
    begun: bool,
}

enum Kind {
    Machine(Box<Machine>),
    Formula,
}

/// When the herd is dropped: long enough after its connecting for every backoff to be new.
const DROP_AT: u64 = 60_000;

impl Client {
    fn connected(policy: Policy, number: usize, clients: usize) -> Self {
        let mut random = Pcg64::new(number as u128 + 1, 0x7e4d);
        let kind = match policy {
            Policy::Machine | Policy::MachineStale => {
                let known = if policy == Policy::Machine {
                    clients
                } else {
                    number + 1
                };
                let mut seed = [0; 32];
                for eight in seed.chunks_mut(8) {
                    eight.copy_from_slice(&random.next_u64().to_le_bytes());
                }
                let spread = known as u64 * 1_000 / AIM;
                Kind::Machine(Box::new(connected_machine(Seed(seed), spread)))
            }
            _ => Kind::Formula,
        };
        Self {
            kind,
            policy,
            random,
            tries: 0,
            at: 0,
            begun: false,
        }
    }

    /// The link drops at time zero. Returns when the client wants to act next.
    fn drop_link(&mut self) -> u64 {
        match &mut self.kind {
            Kind::Machine(machine) => {
                let epoch = wakecast::machine::Epoch(1);
                let end = TransportEnd::Dropped;
                give(machine, 0, Input::TransportClosed { epoch, end });
            }
            Kind::Formula => self.wait(0),
        }
        self.next()
    }

    fn next(&self) -> u64 {
        match &self.kind {
            Kind::Machine(machine) => machine
                .next_timeout()
                .map_or(u64::MAX, |(at, _)| at.as_millis().saturating_sub(DROP_AT)),
            Kind::Formula => self.at,
        }
    }

    /// Its time has come. Returns whether it makes an attempt.
    fn due(&mut self, now: u64) -> bool {
        match &mut self.kind {
            Kind::Machine(machine) => give(machine, now, Input::Timeout).is_some(),
            Kind::Formula => true,
        }
    }

    fn first_attempt(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    fn answer(&mut self, now: u64, refusal: Option<u16>) {
        let Some(status) = refusal else { return };
        match &mut self.kind {
            Kind::Machine(machine) => {
                self.tries += 1;
                let epoch = wakecast::machine::Epoch(u64::from(self.tries) + 1);
                let retry_after = None;
                let refusal = Refusal::Http {
                    status,
                    retry_after,
                };
                give(machine, now, Input::Refused { epoch, refusal });
            }
            Kind::Formula => {
                self.tries += 1;
                self.wait(now);
            }
        }
    }

    fn wait(&mut self, now: u64) {
        let draw = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        self.at = now + self.policy.wait(self.tries, draw);
    }
}

/// Gives a machine an input and returns the transport that it opens, if it does.
fn give(machine: &mut Machine, now: u64, input: Input) -> Option<wakecast::machine::Epoch> {
    machine.handle(Instant::from_millis(DROP_AT + now), input);
    let mut opened = None;
    while let Some(output) = machine.poll() {
        if let Output::Effect(Effect::OpenTransport { epoch, .. }) = output {
            opened = Some(epoch);
        }
    }
    opened
}

/// A machine that is connected and has been told a spread.
fn connected_machine(seed: Seed, spread: u64) -> Machine {
    let config = Config::new("herd/1");
    let mut machine = Machine::new(config, seed);
    let mut inputs = vec![Input::Connect];
    while let Some(input) = inputs.pop() {
        machine.handle(Instant::from_millis(0), input);
        while let Some(output) = machine.poll() {
            let Output::Effect(effect) = output else {
                continue;
            };
            inputs.extend(match effect {
                Effect::FetchToken { generation, .. } => Some(Input::TokenReady {
                    generation,
                    token: Secret::new("token"),
                    expires_in: None,
                }),
                Effect::OpenTransport { epoch, .. } => Some(Input::TransportOpened {
                    epoch,
                    subprotocol: Some(wakecast::protocol::SUBPROTOCOL.into()),
                }),
                Effect::Send { epoch, text } => match ClientMessage::decode(text.expose()) {
                    Ok(ClientMessage::Hello(hello)) => Some(Input::Frame {
                        epoch,
                        text: Secret::new(welcome(hello.id, spread).encode()),
                    }),
                    _ => None,
                },
                _ => None,
            });
        }
    }
    machine
}

fn welcome(id: String, spread: u64) -> ServerMessage {
    ServerMessage::Welcome(Welcome {
        id,
        session: "session".into(),
        token_expires_in_ms: 3_600_000,
        heartbeat_ms: 270_000,
        max_age_ms: 7_200_000,
        reconnect_spread_ms: spread,
        leases: Vec::new(),
        requests: Vec::new(),
    })
}
