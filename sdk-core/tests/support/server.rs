//! The scripted server: what it does with an attempt, a message, and a link that is old or idle.

use std::time::Duration;

use wakecast::machine::{AccessAnswer, Epoch, Input, Refusal, TransportEnd};
use wakecast::protocol::{
    Ack, ClientMessage, EndpointPush, ErrorPush, LeaseReport, LeaseState, Pong, Renewed,
    RequestReport, RequestState, ServerMessage, Status, Welcome,
};
use wakecast::{ErrorCode, Outcome, Phase, Secret};

use super::{HOUR, LATENCY, SECOND, Socket, World, endpoint, status};

/// What the gateway does with an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Accept {
    Yes,
    Refuse(Refusal),
    /// Never answers.
    Hang,
    /// Opens, then ends the link this many milliseconds after `welcome`.
    ThenClose(u64, TransportEnd),
    /// Opens without echoing the subprotocol.
    NoEcho,
}

/// What the token provider does.
#[derive(Clone, Debug, PartialEq)]
pub enum Provider {
    /// A new token each time, alive this long.
    Fresh(Option<Duration>),
    /// Always the same token.
    Same,
    Fail,
    Hang,
}

/// What the server says and does. Fields are set by a test at any time.
pub struct Script {
    pub accept: Accept,
    pub provider: Provider,
    pub access: AccessAnswer,
    /// Nothing gets through in either direction, and nobody is told.
    pub blackhole: bool,
    pub acks: bool,
    /// So many acquires are refused with this before one is taken.
    pub refused_acquires: u32,
    pub acquire_refusal: ErrorPush,
    pub welcomes: bool,
    /// Answers `hello` in place of `welcome`; an error gets the id of the `hello`.
    pub hello_answer: Option<ServerMessage>,
    pub pongs: bool,
    pub heartbeat: u64,
    pub max_age: u64,
    pub spread: u64,
    pub token_life: u64,
    /// The gateway's own limits, `None` for none: idle and age.
    pub limits: Option<(u64, u64)>,
    /// Whether endpoints answer probes.
    pub endpoint_reachable: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            accept: Accept::Yes,
            provider: Provider::Fresh(None),
            access: AccessAnswer::Http {
                status: 204,
                retry_after: None,
            },
            blackhole: false,
            acks: true,
            refused_acquires: 0,
            acquire_refusal: ErrorPush {
                id: None,
                code: ErrorCode::ServiceUnavailable,
                message: "the table did not answer".into(),
                retryable: true,
                retry_after_ms: Some(1_000),
                outcome: Outcome::Rejected,
            },
            welcomes: true,
            hello_answer: None,
            pongs: true,
            heartbeat: 270 * SECOND,
            max_age: 2 * HOUR,
            spread: SECOND,
            token_life: HOUR,
            limits: None,
            endpoint_reachable: true,
        }
    }
}

impl World {
    pub(super) fn open(&mut self, epoch: Epoch, token: Secret) {
        self.attempts.push((self.now, token));
        if self.script.blackhole {
            return;
        }
        let subprotocol = Some("wakecast.v1".to_owned());
        match self.script.accept.clone() {
            Accept::Hang => {}
            Accept::Refuse(refusal) => self.later(LATENCY, Input::Refused { epoch, refusal }),
            Accept::NoEcho => self.later(
                LATENCY,
                Input::TransportOpened {
                    epoch,
                    subprotocol: None,
                },
            ),
            Accept::Yes => {
                self.sockets.insert(
                    epoch,
                    Socket {
                        opened: self.now,
                        last_heard: self.now,
                    },
                );
                self.later(LATENCY, Input::TransportOpened { epoch, subprotocol });
            }
            Accept::ThenClose(after, end) => {
                self.sockets.insert(
                    epoch,
                    Socket {
                        opened: self.now,
                        last_heard: self.now,
                    },
                );
                self.later(LATENCY, Input::TransportOpened { epoch, subprotocol });
                self.later(4 * LATENCY + after, Input::TransportClosed { epoch, end });
            }
        }
    }

    /// What a well-behaved server answers.
    pub(super) fn answer(&mut self, epoch: Epoch, message: ClientMessage) {
        let reply = match message {
            ClientMessage::Hello(hello) if self.script.hello_answer.is_some() => {
                match self.script.hello_answer.clone() {
                    Some(ServerMessage::Error(error)) => ServerMessage::Error(ErrorPush {
                        id: Some(hello.id),
                        ..error
                    }),
                    Some(answer) => answer,
                    None => return,
                }
            }
            ClientMessage::Hello(hello) if self.script.welcomes => {
                let requests = hello
                    .requests
                    .iter()
                    .map(|row| self.request_report(&row.id));
                let leases = hello.leases.iter().map(|row| LeaseReport {
                    id: row.id.clone(),
                    state: LeaseState::Held,
                    rev: Some(self.rev),
                    endpoint: None,
                    deadline_ms: None,
                    reason: None,
                });
                ServerMessage::Welcome(Welcome {
                    id: hello.id,
                    session: format!("session-{}", epoch.0),
                    token_expires_in_ms: self.script.token_life,
                    heartbeat_ms: self.script.heartbeat,
                    max_age_ms: self.script.max_age,
                    reconnect_spread_ms: self.script.spread,
                    leases: leases.collect(),
                    requests: requests.collect(),
                })
            }
            ClientMessage::Ping(_) if self.script.pongs => ServerMessage::Pong(Pong {}),
            ClientMessage::Acquire(acquire) if self.script.refused_acquires > 0 => {
                self.script.refused_acquires -= 1;
                ServerMessage::Error(ErrorPush {
                    id: Some(acquire.id),
                    ..self.script.acquire_refusal.clone()
                })
            }
            ClientMessage::Acquire(acquire) => {
                self.rows.insert(acquire.id.clone());
                if !self.script.acks {
                    return;
                }
                ServerMessage::Ack(Ack { id: acquire.id })
            }
            ClientMessage::Cancel(cancel) if self.script.acks => {
                ServerMessage::Ack(Ack { id: cancel.id })
            }
            ClientMessage::Release(release) if self.script.acks => {
                ServerMessage::Ack(Ack { id: release.id })
            }
            ClientMessage::Endpoint(request) if self.script.acks => {
                ServerMessage::Endpoint(EndpointPush {
                    id: Some(request.id),
                    lease: request.lease,
                    rev: self.rev,
                    endpoint: endpoint("a"),
                })
            }
            ClientMessage::Status(request) if self.script.acks => ServerMessage::Status(Status {
                id: request.id,
                fleet: request.fleet.unwrap_or_else(|| "only".into()),
                ..status()
            }),
            ClientMessage::Renew(renew) if self.script.acks => ServerMessage::Renewed(Renewed {
                id: renew.id,
                expires_in_ms: self.script.token_life,
                reconnect_spread_ms: self.script.spread,
            }),
            _ => return,
        };
        self.push_to(epoch, reply);
    }

    fn request_report(&self, id: &str) -> RequestReport {
        let known = self.rows.contains(id);
        let granted = self.granted.contains(id);
        RequestReport {
            id: id.to_owned(),
            state: match (known, granted) {
                (_, true) => RequestState::Ready,
                (true, false) => RequestState::Waiting,
                (false, false) => RequestState::Unknown,
            },
            rev: known.then_some(self.rev),
            phase: (known && !granted).then_some(Phase::Booting),
            endpoint: granted.then(|| endpoint("a")),
            code: None,
        }
    }

    pub(super) fn next_limit(&self) -> Option<u64> {
        let (idle, age) = self.script.limits?;
        self.sockets
            .values()
            .map(|socket| (socket.last_heard + idle).min(socket.opened + age))
            .min()
    }

    pub(super) fn enforce_limits(&mut self) {
        let (idle, age) = self.script.limits.expect("limits are set");
        let now = self.now;
        let dead = self
            .sockets
            .iter()
            .find(|(_, socket)| (socket.last_heard + idle).min(socket.opened + age) <= now);
        if let Some(epoch) = dead.map(|(epoch, _)| *epoch) {
            self.sockets.remove(&epoch);
            self.input(Input::TransportClosed {
                epoch,
                end: TransportEnd::Code(1001),
            });
        }
    }
}
