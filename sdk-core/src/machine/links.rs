//! Links: opening, proving and ending them. One at a time, two only while rotating.

use std::time::Duration;

use super::constants::{
    CLOSE_DEAD, CLOSE_NORMAL, CONNECT_TIMEOUT, HEARTBEAT_MAX, STABLE_AFTER, WELCOME_TIMEOUT,
};
use super::dial::{Dial, Waiting};
use super::gateways::GatewayIndex;
use super::guards::Guard;
use super::input::{Epoch, Refusal, TransportEnd};
use super::liveness::Ping;
use super::output::{Effect, Event};
use super::record::Happening;
use super::{Intent, Machine, backoff};
use crate::protocol::{ClientMessage, Outcome, SUBPROTOCOL};
use crate::{Error, ErrorCode, Instant, Secret, Stage};

/// The links that are open or being opened.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// The link, or the attempt at one.
    pub(super) active: Option<Box<Link>>,
    /// While rotating: the next link, until its `welcome`.
    pub(super) successor: Option<Box<Link>>,
    /// While rotating: the last link, until its acknowledgements have come.
    pub(super) draining: Option<Draining>,
    last_epoch: u64,
}

/// The old link of a rotation.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) epoch: Epoch,
    pub(super) until: Instant,
}

/// One transport.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) epoch: Epoch,
    pub(super) gateway: GatewayIndex,
    pub(super) token: Secret,
    pub(super) stage: LinkStage,
    pub(super) opened_at: Instant,
    pub(super) live_since: Instant,
    pub(super) last_heard: Instant,
    /// Whether anything but `welcome` was ever answered.
    pub(super) round_trip: bool,
    pub(super) ping: Option<Ping>,
    pub(super) heartbeat: Duration,
    pub(super) rotate_at: Option<Instant>,
    pub(super) rotate_until: Instant,
}

/// How far a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkStage {
    /// The socket is being opened.
    Opening { until: Instant },
    /// `hello` was written.
    Hello { id: String, until: Instant },
    /// Proved by `welcome`.
    Live,
}

/// Where an epoch belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Active,
    Successor,
    Draining,
}

impl Links {
    pub(super) fn role(&self, epoch: Epoch) -> Option<Role> {
        let is = |link: &Option<Box<Link>>| link.as_ref().is_some_and(|link| link.epoch == epoch);
        if is(&self.active) {
            Some(Role::Active)
        } else if is(&self.successor) {
            Some(Role::Successor)
        } else if self
            .draining
            .as_ref()
            .is_some_and(|link| link.epoch == epoch)
        {
            Some(Role::Draining)
        } else {
            None
        }
    }

    pub(super) fn get_mut(&mut self, role: Role) -> Option<&mut Link> {
        match role {
            Role::Active => self.active.as_deref_mut(),
            Role::Successor => self.successor.as_deref_mut(),
            Role::Draining => None,
        }
    }
}

impl Machine {
    /// Whether a link is proved and can carry requests.
    pub(super) fn link_live(&self) -> bool {
        self.live_epoch().is_some()
    }

    pub(super) fn live_epoch(&self) -> Option<Epoch> {
        let live = self
            .links
            .active
            .as_ref()
            .filter(|link| link.stage == LinkStage::Live);
        live.map(|link| link.epoch)
    }

    /// Tells where a callback's epoch belongs; a stale one belongs nowhere.
    pub(super) fn role_of(&self, epoch: Epoch) -> Option<Role> {
        let stale = || {
            let taken = !self.guards.on(Guard::Epoch) && self.links.active.is_some();
            taken.then_some(Role::Active)
        };
        self.links.role(epoch).or_else(stale)
    }

    /// Begins to open a transport.
    pub(super) fn open_link(&mut self, token: Secret, gateway: GatewayIndex) -> Box<Link> {
        self.links.last_epoch += 1;
        let epoch = Epoch(self.links.last_epoch);
        self.effect(Effect::OpenTransport {
            epoch,
            gateway,
            token: token.clone(),
        });
        Box::new(Link {
            epoch,
            gateway,
            token,
            stage: LinkStage::Opening {
                until: self.now + CONNECT_TIMEOUT,
            },
            opened_at: self.now,
            live_since: self.now,
            last_heard: self.now,
            round_trip: false,
            ping: None,
            heartbeat: HEARTBEAT_MAX,
            rotate_at: None,
            rotate_until: self.now,
        })
    }

    pub(super) fn transport_opened(&mut self, epoch: Epoch, subprotocol: Option<&str>) {
        let Some(role) = self.role_of(epoch) else {
            return;
        };
        let now = self.now;
        let opening = |link: &mut Link| matches!(link.stage, LinkStage::Opening { .. });
        if !self.links.get_mut(role).is_some_and(opening) {
            return;
        }
        if subprotocol != Some(SUBPROTOCOL) {
            self.emit(Event::Diagnostic(LinkEnd::NoEcho.judge(false).0));
            return self.link_ended(epoch, LinkEnd::NoEcho);
        }
        let id = self.random.id();
        let hello = self.hello(id.clone());
        if let Some(link) = self.links.get_mut(role) {
            link.opened_at = now;
            link.stage = LinkStage::Hello {
                id,
                until: now + WELCOME_TIMEOUT,
            };
        }
        self.note(Happening::Opened { epoch: epoch.0 });
        self.write_to(epoch, &ClientMessage::Hello(hello));
    }

    pub(super) fn transport_refused(&mut self, epoch: Epoch, refusal: Refusal) {
        self.link_ended(epoch, LinkEnd::Refused(refusal));
    }

    pub(super) fn transport_closed(&mut self, epoch: Epoch, end: TransportEnd) {
        self.link_ended(epoch, LinkEnd::Transport(end));
    }

    /// Fires the deadlines of links that are being opened.
    pub(super) fn fire_links(&mut self) {
        for role in [Role::Active, Role::Successor] {
            let now = self.now;
            let late = self.links.get_mut(role).and_then(|link| match &link.stage {
                LinkStage::Opening { until } | LinkStage::Hello { until, .. } if *until <= now => {
                    Some(link.epoch)
                }
                _ => None,
            });
            if let Some(epoch) = late {
                self.link_ended(epoch, LinkEnd::TimedOut);
            }
        }
    }

    /// A link has ended, for whatever reason. The one place where that is decided.
    pub(super) fn link_ended(&mut self, epoch: Epoch, end: LinkEnd) {
        match self.role_of(epoch) {
            None => {}
            Some(Role::Draining) => {
                self.close_unless_ended(epoch, &end);
                self.links.draining = None;
                self.gap(epoch, end.fails_messages());
                self.send_unsent();
            }
            Some(Role::Successor) => self.successor_ended(epoch, end),
            Some(Role::Active) => self.active_ended(epoch, end),
        }
    }

    fn active_ended(&mut self, epoch: Epoch, end: LinkEnd) {
        self.close_unless_ended(epoch, &end);
        let Some(link) = self.links.active.take() else {
            return;
        };
        self.note_link_end(&link, &end);
        let was_live = link.stage == LinkStage::Live;
        let proved = link.round_trip && self.now.since(link.live_since) >= STABLE_AFTER;
        if was_live && (proved || !self.guards.on(Guard::BackoffReset)) {
            self.attempts.reset();
        }
        self.close_draining();
        self.gap(epoch, end.fails_messages());
        self.unsend_renewals();
        if self.intent == Intent::Closing {
            return self.finish_close();
        }
        if end.broke_policy() {
            self.token_broke_policy();
        }
        if end.device_slept() {
            self.tokens.expire();
        }
        self.judge_gateway(&link, &end);
        let end = match end {
            LinkEnd::Refused(refusal) if !was_live => return self.refused(&link.token, refusal),
            end => end,
        };
        let (error, waiting) = end.judge(was_live);
        match self.links.successor.take() {
            // The rotation's next link becomes the attempt that is under way.
            Some(successor) => {
                self.attempts.reason = Some(error.code().clone());
                self.attempts.last_error = Some(error);
                self.attempts.made = self.attempts.made.saturating_add(1);
                // Back to the preferred gateway, if that was where it led.
                self.move_to(successor.gateway);
                self.links.active = Some(successor);
                self.dial = Dial::Rest;
            }
            None => self.wait(error, waiting),
        }
    }

    /// Drops every link without a word about it, and with it what was written.
    pub(super) fn drop_links(&mut self) {
        self.close_draining();
        for link in [self.links.active.take(), self.links.successor.take()]
            .into_iter()
            .flatten()
        {
            self.note_own_end(&link);
            self.effect(Effect::CloseTransport {
                epoch: link.epoch,
                code: CLOSE_NORMAL,
            });
            self.gap(link.epoch, None);
        }
        self.unsend_renewals();
    }

    pub(super) fn close_draining(&mut self) {
        if let Some(draining) = self.links.draining.take() {
            self.effect(Effect::CloseTransport {
                epoch: draining.epoch,
                code: CLOSE_NORMAL,
            });
            self.gap(draining.epoch, None);
        }
    }

    /// Closes a transport in order.
    pub(super) fn close_normally(&mut self, epoch: Epoch) {
        self.effect(Effect::CloseTransport {
            epoch,
            code: CLOSE_NORMAL,
        });
    }

    /// Tells the driver to close, unless the transport is known to be gone.
    pub(super) fn close_unless_ended(&mut self, epoch: Epoch, end: &LinkEnd) {
        if !matches!(end, LinkEnd::Transport(_) | LinkEnd::Refused(_)) {
            let code = if matches!(end, LinkEnd::Bye { .. }) {
                CLOSE_NORMAL
            } else {
                CLOSE_DEAD
            };
            self.effect(Effect::CloseTransport { epoch, code });
        }
    }

    /// Writes a message to a transport.
    pub(super) fn write_to(&mut self, epoch: Epoch, message: &ClientMessage) {
        self.note_sent(epoch, message);
        self.effect(Effect::Send {
            epoch,
            text: Secret::new(message.encode()),
        });
    }
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkEnd {
    /// The transport ended.
    Transport(TransportEnd),
    /// The transport was refused.
    Refused(Refusal),
    /// It was not open, or not welcomed, in time.
    TimedOut,
    /// The subprotocol was not echoed.
    NoEcho,
    /// A ping or probe was not answered. `slept` if the device had slept before.
    Silent { slept: bool },
    /// The server answered `hello` with an error; `refused` if it surely did nothing about it.
    HelloRefused {
        code: ErrorCode,
        retry_after: Option<Duration>,
        refused: bool,
    },
    /// The server said `bye`.
    Bye {
        code: ErrorCode,
        retry_after: Option<Duration>,
    },
    /// The next link of a rotation ended so after its `hello`, and may have taken the rows with it.
    Successor(Box<Self>),
}

impl LinkEnd {
    /// The outcome of what was written and not acknowledged, if it is never sent again.
    fn fails_messages(&self) -> Option<ErrorCode> {
        let too_large = matches!(self, Self::Transport(TransportEnd::Code(1009)));
        too_large.then_some(ErrorCode::MessageTooLarge)
    }

    fn broke_policy(&self) -> bool {
        match self {
            Self::Transport(end) => *end == TransportEnd::Code(1008),
            Self::Successor(end) => end.broke_policy(),
            _ => false,
        }
    }

    fn device_slept(&self) -> bool {
        matches!(self, Self::Silent { slept: true })
    }

    /// Returns the error that tells the end, and how the next attempt waits.
    pub(super) fn judge(self, was_live: bool) -> (Error, Waiting) {
        use backoff::Cause::{Other, Own, Peer};
        let stage = if was_live {
            Stage::Link
        } else {
            Stage::Connect
        };
        let make = |code| Error::new(code, Outcome::Unknown, stage);
        let (error, cause, later) = match self {
            Self::Transport(TransportEnd::Code(code)) => {
                let error = make(ErrorCode::ConnectionLost)
                    .with_cause(format!("the server closed the connection with code {code}"));
                (error, Peer, matches!(code, 1012 | 1013))
            }
            Self::Transport(TransportEnd::Dropped) => {
                let error = make(ErrorCode::ConnectionLost)
                    .with_cause("the peer ended the connection without a close code");
                (error, Peer, false)
            }
            Self::Transport(TransportEnd::Failed { message }) => (
                make(ErrorCode::ConnectionLost).with_cause(message),
                Other,
                false,
            ),
            Self::Refused(refusal) => (super::handshake::judge(refusal).1, Other, false),
            Self::TimedOut => (make(ErrorCode::ConnectTimeout), Other, false),
            Self::NoEcho => {
                let message = "$connect did not return Sec-WebSocket-Protocol: it must echo the \
                               subprotocol wakecast.v1";
                (
                    make(ErrorCode::ProtocolError).with_message(message),
                    Other,
                    false,
                )
            }
            Self::Silent { .. } => {
                let error =
                    make(ErrorCode::ConnectionLost).with_cause("the server no longer answered");
                (error, Own, false)
            }
            Self::HelloRefused {
                code, retry_after, ..
            }
            | Self::Bye { code, retry_after } => {
                (make(code).with_retry_after(retry_after), Peer, false)
            }
            Self::Successor(end) => return end.judge(false),
        };
        let waiting = Waiting {
            cause,
            retry_after: error.retry_after(),
            later,
        };
        (error, waiting)
    }
}
