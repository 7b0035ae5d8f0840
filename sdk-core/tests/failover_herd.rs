//! A whole region goes down under a herd: what arrives at the next region, and at the first one when
//! it is back. Virtual time, fixed seeds; the figures are printed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use wakecast::machine::{Config, Effect, Input, Machine, Output, Refusal, Seed, TransportEnd};
use wakecast::protocol::{ClientMessage, Pong, SUBPROTOCOL, ServerMessage, Welcome};
use wakecast::{Instant, Secret};

const CLIENTS: usize = 5_000;
/// New connections a second that each region lets through, and how many it saves up.
const QUOTA: f64 = 500.0;
/// What a region of so many clients tells them: 350 a second.
const SPREAD: u64 = CLIENTS as u64 * 1_000 / 350;
/// The preferred region goes down, and comes back.
const DOWN: u64 = 60_000;
const BACK: u64 = DOWN + 10 * 60_000;
const END: u64 = BACK + 15 * 60_000;

/// How the region goes down.
#[derive(Clone, Copy, PartialEq)]
enum Outage {
    /// The gateway answers 503.
    Unavailable,
    /// Nothing can be reached, and the device's side sees its own socket fail: no peer's word spreads
    /// the first attempts.
    Unreachable,
}

/// One region: its token bucket, and what arrived there in each second.
struct Region {
    tokens: f64,
    at: u64,
    arrivals: BTreeMap<u64, u32>,
    throttled: u32,
}

impl Region {
    fn new() -> Self {
        Self {
            tokens: QUOTA,
            at: 0,
            arrivals: BTreeMap::new(),
            throttled: 0,
        }
    }

    fn arrives(&mut self, now: u64) {
        *self.arrivals.entry(now / 1_000).or_default() += 1;
    }

    fn admits(&mut self, now: u64) -> bool {
        let gained = (now - self.at) as f64 / 1_000.0 * QUOTA;
        (self.tokens, self.at) = ((self.tokens + gained).min(QUOTA), now);
        let admits = self.tokens >= 1.0;
        if admits {
            self.tokens -= 1.0;
        } else {
            self.throttled += 1;
        }
        admits
    }

    /// Arrivals, and most of them in one second, within a time.
    fn seen(&self, from: u64, to: u64) -> (u32, u32) {
        let counts = || self.arrivals.range(from / 1_000..to / 1_000);
        let most = counts().map(|(_, count)| *count).max();
        (counts().map(|(_, count)| *count).sum(), most.unwrap_or(0))
    }
}

/// One machine, and the region of its link.
struct Client {
    machine: Machine,
    linked: Option<u8>,
}

struct World {
    outage: Outage,
    regions: Vec<Region>,
    /// When each client was first connected after the drop.
    back: Vec<u64>,
}

impl World {
    fn down(&self, region: u8, now: u64) -> bool {
        region == 0 && (DOWN..BACK).contains(&now)
    }

    /// Gives a machine an input and everything that the world answers to it.
    fn give(&mut self, client: &mut Client, now: u64, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            client.machine.handle(Instant::from_millis(now), input);
            while let Some(output) = client.machine.poll() {
                let Output::Effect(effect) = output else {
                    continue;
                };
                inputs.extend(self.answer(client, now, effect));
            }
        }
    }

    fn answer(&mut self, client: &mut Client, now: u64, effect: Effect) -> Option<Input> {
        match effect {
            Effect::FetchToken { generation, .. } => Some(Input::TokenReady {
                generation,
                token: Secret::new("token"),
                expires_in: None,
            }),
            Effect::OpenTransport { epoch, gateway, .. } => {
                let down = self.down(gateway.0, now);
                let region = &mut self.regions[usize::from(gateway.0)];
                region.arrives(now);
                let refusal = match (down, self.outage) {
                    (true, Outage::Unreachable) => Refusal::Unreachable {
                        message: "no route".into(),
                    },
                    (true, Outage::Unavailable) => http(503),
                    (false, _) if now > 0 && !region.admits(now) => http(429),
                    (false, _) => {
                        client.linked = Some(gateway.0);
                        return Some(Input::TransportOpened {
                            epoch,
                            subprotocol: Some(SUBPROTOCOL.into()),
                        });
                    }
                };
                Some(Input::Refused { epoch, refusal })
            }
            Effect::Send { epoch, text } => {
                let answer =
                    match ClientMessage::decode(text.expose()).expect("what we send decodes") {
                        ClientMessage::Hello(hello) => {
                            if now > DOWN {
                                self.back.push(now - DOWN);
                            }
                            ServerMessage::Welcome(Welcome {
                                id: hello.id,
                                session: "session".into(),
                                token_expires_in_ms: 6 * 3_600_000,
                                heartbeat_ms: 270_000,
                                max_age_ms: 7_200_000,
                                reconnect_spread_ms: SPREAD,
                                leases: Vec::new(),
                                requests: Vec::new(),
                            })
                        }
                        ClientMessage::Ping(_) => ServerMessage::Pong(Pong {}),
                        _ => return None,
                    };
                let text = Secret::new(answer.encode());
                Some(Input::Frame { epoch, text })
            }
            _ => None,
        }
    }
}

fn http(status: u16) -> Refusal {
    Refusal::Http {
        status,
        retry_after: None,
    }
}

struct Figures {
    /// Attempts for each client until the region was back.
    attempts: f64,
    second: (u32, u32),
    throttled: u32,
    half_s: f64,
    most_s: f64,
    returns: (u32, u32),
    home: usize,
}

fn run(outage: Outage, gateways: u8) -> Figures {
    let mut world = World {
        outage,
        regions: (0..gateways).map(|_| Region::new()).collect(),
        back: Vec::new(),
    };
    let mut due = BinaryHeap::new();
    let mut herd: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let config =
                (1..gateways).fold(Config::new("herd/1"), |config, _| config.fallback(false));
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
            let machine = Machine::new(config, Seed(seed));
            let mut client = Client {
                machine,
                linked: None,
            };
            world.give(&mut client, 0, Input::Connect);
            assert_eq!(client.linked, Some(0));
            client
        })
        .collect();
    for region in &mut world.regions {
        *region = Region::new();
    }
    for (number, client) in herd.iter_mut().enumerate() {
        let end = match outage {
            Outage::Unavailable => TransportEnd::Dropped,
            Outage::Unreachable => TransportEnd::Failed {
                message: "reset".into(),
            },
        };
        client.linked = None;
        let epoch = wakecast::machine::Epoch(1);
        world.give(client, DOWN, Input::TransportClosed { epoch, end });
        due.extend(next(client, number));
    }
    while let Some(Reverse((now, number))) = due.pop() {
        if now >= END {
            break;
        }
        world.give(&mut herd[number], now, Input::Timeout);
        due.extend(next(&herd[number], number));
    }
    world.back.sort_unstable();
    let part = |part: f64| {
        let index = (CLIENTS as f64 * part) as usize - 1;
        world
            .back
            .get(index)
            .map_or(f64::NAN, |at| *at as f64 / 1_000.0)
    };
    let until_back: u32 = world
        .regions
        .iter()
        .map(|region| region.seen(DOWN, BACK).0)
        .sum();
    let second = world.regions.get(1);
    Figures {
        attempts: f64::from(until_back) / CLIENTS as f64,
        second: second.map_or((0, 0), |region| region.seen(0, END)),
        throttled: second.map_or(0, |region| region.throttled),
        half_s: part(0.5),
        most_s: part(0.99),
        returns: world.regions[0].seen(BACK, END),
        home: herd
            .iter()
            .filter(|client| client.linked == Some(0))
            .count(),
    }
}

fn next(client: &Client, number: usize) -> Option<Reverse<(u64, usize)>> {
    let (at, _) = client.machine.next_timeout()?;
    Some(Reverse((at.as_millis(), number)))
}

#[test]
fn a_region_goes_down_and_the_next_one_is_not_stormed() {
    for (name, outage) in [
        ("503", Outage::Unavailable),
        ("unreachable", Outage::Unreachable),
    ] {
        let one = run(outage, 1);
        let two = run(outage, 2);
        println!(
            "{CLIENTS} clients, 10 min, {name}: second region: {} arrivals, peak {}/s, {} refused; half of \
             the herd there after {:.1} s, 99 % after {:.1} s; {:.2} attempts a client until it is back, \
             {:.2} with one gateway; back at the first: {} of them, peak {}/s",
            two.second.0,
            two.second.1,
            two.throttled,
            two.half_s,
            two.most_s,
            two.attempts,
            one.attempts,
            two.home,
            two.returns.1,
        );
        assert!(two.second.1 <= QUOTA as u32, "peak {}", two.second.1);
        assert_eq!(two.throttled, 0, "the next region's quota was not touched");
        assert!(two.most_s < 120.0, "99 % after {} s", two.most_s);
        assert!(
            two.attempts < one.attempts,
            "{} {}",
            two.attempts,
            one.attempts
        );
        assert!(two.returns.1 <= QUOTA as u32, "peak {}", two.returns.1);
        assert_eq!(two.home, CLIENTS, "all are back in the region they prefer");
    }
}
