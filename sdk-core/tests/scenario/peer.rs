//! The stand-in for the world around the machine: it answers as a well-behaved server, provider
//! and network would, at once, unless a scenario tells it otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wakecast::Secret;
use wakecast::machine::{Epoch, Generation, Input, ProbeId, TokenFailure, TransportEnd};

use super::input::{Access, End, Why, endpoint, secret};
use super::play::Play;
use super::words::Time;

/// What a scenario can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peer {
    pub token: TokenMode,
    pub socket: Socket,
    pub welcome: bool,
    pub heartbeat: Time,
    pub max_age: Time,
    pub spread: Time,
    pub token_life: Time,
    pub ack: bool,
    pub pong: bool,
    pub renew: bool,
    pub access: Access,
    pub probe: Proof,
    /// Nothing gets through in either direction, and nobody is told.
    pub silent: bool,
    /// Time until an answer.
    pub latency: Time,
    /// The gateway cuts after so long without a message, and at this age.
    pub idle_limit: Option<Time>,
    pub age_limit: Option<Time>,
    /// What `welcome` says of a lease or a request in place of `held` or `waiting`.
    pub leases: BTreeMap<String, Map<String, Value>>,
    pub requests: BTreeMap<String, Map<String, Value>>,
    /// What is otherwise at one gateway.
    pub at: BTreeMap<u8, At>,
}

/// What can differ between gateways.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct At {
    socket: Option<Socket>,
    access: Option<Access>,
    welcome: Option<bool>,
    silent: Option<bool>,
    spread: Option<Time>,
}

/// What the token provider does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenMode {
    /// `token-1`, `token-2`, …, without a word on how long they live.
    Fresh,
    /// The same, and each lives so long.
    Lives(Time),
    /// Always this one.
    Always(String),
    Fails,
    Hangs,
    /// Says that this user gets none.
    Refuses,
    /// Wants not to be asked for a minute.
    Busy,
}

/// What becomes of an attempt.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Socket {
    Opens,
    /// Opens without echoing the subprotocol.
    OpensWithoutEcho,
    Hangs,
    Refused(Why),
    /// Opens, and ends so long after.
    Ends {
        after: Time,
        end: End,
    },
}

/// What the media server does with a probe.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    Pong,
    Fails,
    Hangs,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            token: TokenMode::Fresh,
            socket: Socket::Opens,
            welcome: true,
            heartbeat: Time(270_000),
            max_age: Time(7_200_000),
            spread: Time(1_000),
            token_life: Time(3_600_000),
            ack: true,
            pong: true,
            renew: true,
            access: Access::Http {
                status: 204,
                retry_after: None,
            },
            probe: Proof::Pong,
            silent: false,
            latency: Time(0),
            idle_limit: None,
            age_limit: None,
            leases: BTreeMap::new(),
            requests: BTreeMap::new(),
            at: BTreeMap::new(),
        }
    }
}

/// What the stand-in remembers.
#[derive(Debug, Default)]
pub struct Memory {
    /// Open links: when each was opened, and when a message last went over it.
    pub links: BTreeMap<u64, (u64, u64)>,
    rows: BTreeSet<String>,
    pub rev: u64,
    /// The gateway of each link that was ever opened.
    pub gateways: BTreeMap<u64, u8>,
    tokens: u64,
    /// When each token was first seen.
    seen: BTreeMap<String, u64>,
    /// The token of each link.
    carries: BTreeMap<u64, String>,
}

impl Play {
    /// What is otherwise at the gateway of a link.
    fn at(&self, epoch: Epoch) -> At {
        let gateway = self.memory.gateways.get(&epoch.0);
        let at = gateway.and_then(|gateway| self.peer.at.get(gateway));
        at.cloned().unwrap_or_default()
    }

    /// The provider is asked.
    pub fn peer_fetch(&mut self, generation: Generation) {
        let (token, expires_in) = match &self.peer.token {
            TokenMode::Hangs => return,
            TokenMode::Refuses => {
                let failure = TokenFailure::refused("not signed in");
                return self.answer_later(Input::TokenFailed {
                    generation,
                    failure,
                });
            }
            TokenMode::Busy => {
                let wait = Some(std::time::Duration::from_secs(60));
                let failure = TokenFailure::new("overloaded").with_retry_after(wait);
                return self.answer_later(Input::TokenFailed {
                    generation,
                    failure,
                });
            }
            TokenMode::Fails => {
                let failure = TokenFailure::new("no session");
                return self.answer_later(Input::TokenFailed {
                    generation,
                    failure,
                });
            }
            TokenMode::Always(token) => (token.clone(), None),
            mode => {
                self.memory.tokens += 1;
                let lives = match mode {
                    TokenMode::Lives(time) => Some(std::time::Duration::from_millis(time.0)),
                    _ => None,
                };
                (format!("token-{}", self.memory.tokens), lives)
            }
        };
        self.answer_later(Input::TokenReady {
            generation,
            token: secret(&token),
            expires_in,
        });
    }

    /// A socket is asked for.
    pub fn peer_open(&mut self, epoch: Epoch, token: &Secret) {
        let echo = Some(wakecast::protocol::SUBPROTOCOL.to_owned());
        let at = self.at(epoch);
        let subprotocol = match at.socket.as_ref().unwrap_or(&self.peer.socket) {
            _ if at.silent.unwrap_or(self.peer.silent) => return,
            Socket::Hangs => return,
            Socket::Refused(why) => {
                let refusal = why.refusal();
                return self.answer_later(Input::Refused { epoch, refusal });
            }
            Socket::OpensWithoutEcho => None,
            Socket::Opens => echo,
            Socket::Ends { after, end } => {
                let (after, end) = (after.0 + self.peer.latency.0, end.end());
                self.later(after, Input::TransportClosed { epoch, end });
                echo
            }
        };
        self.memory.links.insert(epoch.0, (self.now, self.now));
        let token = token.expose().to_owned();
        self.memory.seen.entry(token.clone()).or_insert(self.now);
        self.memory.carries.insert(epoch.0, token);
        self.answer_later(Input::TransportOpened { epoch, subprotocol });
    }

    /// A message was sent.
    pub fn peer_receive(&mut self, epoch: Epoch, message: &Value) {
        let at = self.at(epoch);
        let Some((_, heard)) = self.memory.links.get_mut(&epoch.0) else {
            return;
        };
        if at.silent.unwrap_or(self.peer.silent) {
            return;
        }
        *heard = self.now;
        if let Some(token) = message["token"].as_str() {
            self.memory.seen.entry(token.to_owned()).or_insert(self.now);
            self.memory.carries.insert(epoch.0, token.to_owned());
        }
        let peer = &self.peer;
        let ack = || {
            peer.ack
                .then(|| json!({"type": "ack", "id": message["id"]}))
        };
        let reply = match message["action"].as_str().unwrap_or_default() {
            "hello" if at.welcome.unwrap_or(peer.welcome) => Some(self.welcome(epoch, message)),
            "ping" if peer.pong => Some(json!({"type": "pong"})),
            "acquire" => {
                let reply = ack();
                let id = message["id"].as_str().unwrap_or_default().to_owned();
                self.memory.rows.insert(id);
                reply
            }
            "cancel" | "release" => ack(),
            "endpoint" if peer.ack => Some(json!({
                "type": "endpoint", "id": message["id"], "lease": message["lease"],
                "rev": self.memory.rev, "endpoint": endpoint("a"),
            })),
            "renew" if peer.renew => Some(json!({
                "type": "renewed", "id": message["id"], "expires_in_ms": peer.token_life.0,
                "reconnect_spread_ms": peer.spread.0,
            })),
            _ => None,
        };
        if let Some(reply) = reply {
            let text = Secret::new(reply.to_string());
            self.answer_later(Input::Frame { epoch, text });
        }
    }

    fn welcome(&self, epoch: Epoch, hello: &Value) -> Value {
        let rows = |kind: &str| hello[kind].as_array().cloned().unwrap_or_default();
        let report = |row: &Value, known: Value, told: &BTreeMap<String, Map<String, Value>>| {
            let id = row["id"].as_str().unwrap_or_default();
            let mut report = json!({"id": id});
            let fields = told.get(id).cloned();
            let fields = fields.or_else(|| known.as_object().cloned());
            for (name, value) in fields.unwrap_or_default() {
                // An endpoint is the only thing here that may stand for something else.
                report[&name] = self.resolve(&value).unwrap_or(value);
            }
            report
        };
        let leases = rows("leases").into_iter().map(|row| {
            let held = json!({"state": "held", "rev": self.memory.rev});
            report(&row, held, &self.peer.leases)
        });
        let requests = rows("requests").into_iter().map(|row| {
            let arrived = row["id"]
                .as_str()
                .is_some_and(|id| self.memory.rows.contains(id));
            let known = if arrived {
                json!({"state": "waiting", "rev": self.memory.rev, "phase": "booting"})
            } else {
                json!({"state": "unknown"})
            };
            report(&row, known, &self.peer.requests)
        });
        let seen = self
            .memory
            .carries
            .get(&epoch.0)
            .and_then(|token| self.memory.seen.get(token));
        let age = seen.map_or(0, |seen| self.now - seen);
        json!({
            "type": "welcome",
            "id": hello["id"],
            "session": format!("session-{}", epoch.0),
            "token_expires_in_ms": self.peer.token_life.0.saturating_sub(age),
            "heartbeat_ms": self.peer.heartbeat.0,
            "max_age_ms": self.peer.max_age.0,
            "reconnect_spread_ms": self.at(epoch).spread.unwrap_or(self.peer.spread).0,
            "leases": leases.collect::<Vec<_>>(),
            "requests": requests.collect::<Vec<_>>(),
        })
    }

    pub fn peer_check(&mut self, check: wakecast::machine::CheckId, gateway: u8) {
        let at = self.peer.at.get(&gateway).and_then(|at| at.access.as_ref());
        if let Some(answer) = at
            .unwrap_or(&self.peer.access)
            .answer()
            .filter(|_| !self.peer.silent)
        {
            self.answer_later(Input::AccessChecked { check, answer });
        }
    }

    pub fn peer_probe(&mut self, probe: ProbeId) {
        let result = match self.peer.probe {
            Proof::Pong => Ok(()),
            Proof::Fails => Err("connection refused".to_owned()),
            Proof::Hangs => return,
        };
        self.answer_later(Input::ProbeResult { probe, result });
    }

    /// When the gateway cuts the next link.
    pub fn next_cut(&self) -> Option<u64> {
        let times = self.memory.links.values();
        times.filter_map(|times| self.cut_at(*times)).min()
    }

    fn cut_at(&self, (opened, heard): (u64, u64)) -> Option<u64> {
        let idle = self.peer.idle_limit.map(|limit| heard + limit.0);
        let age = self.peer.age_limit.map(|limit| opened + limit.0);
        [idle, age].into_iter().flatten().min()
    }

    /// Cuts a link that is over its limit.
    pub fn cut_due(&mut self) -> Option<Input> {
        let links = self.memory.links.iter();
        let due = links
            .filter(|(_, times)| self.cut_at(**times).is_some_and(|at| at <= self.now))
            .map(|(link, _)| *link)
            .next()?;
        Some(Input::TransportClosed {
            epoch: Epoch(due),
            end: TransportEnd::Code(1001),
        })
    }
}
