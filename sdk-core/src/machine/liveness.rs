//! Is the link still alive? Heartbeats, probes, and what a late deadline means.

use super::constants::{
    HEARTBEAT_BUSY, HEARTBEAT_MAX, HEARTBEAT_MIN, LATE, LATE_PROBES, PONG_TIMEOUT, PROBE_TIMEOUT,
};
use super::links::{Link, LinkEnd, LinkStage, Role};
use super::{Intent, Machine};
use crate::Instant;
use crate::protocol::{ClientMessage, Ping as PingMessage};

/// A ping that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    /// When the link counts as dead. Further pings never push it back.
    pub(super) until: Instant,
    /// Probes that followed a deadline which was handled late.
    late_probes: u8,
    /// Whether the device may have slept.
    slept: bool,
}

impl Machine {
    /// Anything at all came in: the link is alive. Returns whether a ping waited for that.
    pub(super) fn heard(&mut self, role: Role) -> bool {
        let now = self.now;
        let Some(link) = self.links.get_mut(role) else {
            return false;
        };
        link.last_heard = now;
        let answered = link.ping.take().is_some();
        link.round_trip |= answered;
        answered
    }

    /// A request was answered: the service, not only the gateway, is well.
    pub(super) fn answered(&mut self, role: Role) {
        if let Some(link) = self.links.get_mut(role) {
            link.round_trip = true;
        }
    }

    /// Asks for a sign of life within 3 s. Harmless without a live link.
    pub(super) fn probe_link(&mut self, slept: bool) {
        let (now, Some(epoch)) = (self.now, self.live_epoch()) else {
            return;
        };
        let Some(link) = self.links.active.as_deref_mut() else {
            return;
        };
        let ping = match link.ping {
            // Probed often enough: the passed deadline ends the link.
            Some(ref mut ping) if ping.until <= now && ping.late_probes >= LATE_PROBES => {
                ping.slept |= slept;
                return;
            }
            // A deadline that has already passed was slept through.
            Some(ping) if ping.until <= now => Ping {
                until: now + PROBE_TIMEOUT,
                late_probes: ping.late_probes.saturating_add(1),
                slept: ping.slept || slept,
            },
            Some(ping) => Ping {
                until: ping.until.min(now + PROBE_TIMEOUT),
                slept: ping.slept || slept,
                ..ping
            },
            None => Ping {
                until: now + PROBE_TIMEOUT,
                late_probes: 0,
                slept,
            },
        };
        link.ping = Some(ping);
        self.write_to(epoch, &ClientMessage::Ping(PingMessage {}));
    }

    /// Whether the answer to a ping should have come by now.
    pub(super) fn pong_overdue(&self) -> bool {
        let ping = self.links.active.as_ref().and_then(|link| link.ping);
        ping.is_some_and(|ping| ping.until <= self.now)
    }

    /// Fires heartbeat, pong and probe deadlines.
    pub(super) fn fire_liveness(&mut self) {
        if self.intent != Intent::Open {
            return;
        }
        let (now, Some(epoch)) = (self.now, self.live_epoch()) else {
            return;
        };
        let heartbeat = self.heartbeat_due();
        let Some(link) = self.links.active.as_deref_mut() else {
            return;
        };
        match link.ping {
            Some(ping) if ping.until <= now => {
                let late = now.since(ping.until) > LATE || ping.late_probes > 0;
                if late && ping.late_probes < LATE_PROBES {
                    let late_probes = ping.late_probes.saturating_add(1);
                    link.ping = Some(Ping {
                        until: now + PROBE_TIMEOUT,
                        late_probes,
                        ..ping
                    });
                    self.write_to(epoch, &ClientMessage::Ping(PingMessage {}));
                } else {
                    self.link_ended(epoch, LinkEnd::Silent { slept: ping.slept });
                }
            }
            None if heartbeat.is_some_and(|at| at <= now) => {
                link.ping = Some(Ping {
                    until: now + PONG_TIMEOUT,
                    late_probes: 0,
                    slept: false,
                });
                let next = if self.busy_since.is_some() {
                    HEARTBEAT_BUSY.min(link.heartbeat)
                } else {
                    link.heartbeat
                };
                // Any answer proves the link as well as a pong does.
                if !self.resend_watches(now + next) {
                    self.write_to(epoch, &ClientMessage::Ping(PingMessage {}));
                }
            }
            _ => {}
        }
    }

    /// When the next ping is due; `None` while one is unanswered or there is no live link.
    pub(super) fn heartbeat_due(&self) -> Option<Instant> {
        let link = self.links.active.as_deref()?;
        if link.stage != LinkStage::Live || link.ping.is_some() {
            return None;
        }
        Some(match self.busy_since {
            Some(since) => {
                let busy = link.last_heard.max(since) + HEARTBEAT_BUSY;
                busy.min(link.last_heard + link.heartbeat)
            }
            None => link.last_heard + link.heartbeat,
        })
    }

    /// Notes when the link became busy: somebody waits for an answer.
    pub(super) fn note_busy(&mut self) {
        let busy = self.requests.any_open()
            || self
                .acquisitions
                .values()
                .any(|acquisition| !acquisition.watches());
        self.busy_since = busy.then(|| self.busy_since.unwrap_or(self.now));
    }
}

impl Link {
    /// Takes the server's word on the heartbeat of a quiet link.
    pub(super) fn set_heartbeat(&mut self, millis: u64) {
        let told = std::time::Duration::from_millis(millis);
        self.heartbeat = told.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
    }
}
