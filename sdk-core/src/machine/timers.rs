//! The machine's one timer: every deadline by name.

use serde::Serialize;

use super::dial::Dial;
use super::links::LinkStage;
use super::{Intent, Machine};
use crate::Instant;

/// Which deadline the armed timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Timer {
    /// The next connection attempt or access check.
    Attempt,
    /// The socket should be open.
    ConnectTimeout,
    /// `welcome` should have come.
    WelcomeTimeout,
    /// The access check should have been answered.
    AccessTimeout,
    /// The token provider should have answered.
    TokenTimeout,
    /// The token provider is asked, for renewal or again.
    TokenFetch,
    /// A ping is due.
    Heartbeat,
    /// An answer to a ping should have come.
    PongTimeout,
    /// A link has reached the age for its rotation.
    Rotation,
    /// From another gateway the preferred one is tried.
    Return,
    /// The old link of a rotation is closed.
    RotationDrain,
    /// An acknowledgement should have come.
    AckTimeout,
    /// A request ends.
    RequestDeadline,
    /// An acquire, or the `endpoint` of a moving lease, is sent again.
    Resend,
    /// An endpoint's probe is due, late, or has failed for good.
    Proof,
    /// Progress is interpolated.
    Progress,
    /// The flush of `close()` ends.
    CloseFlush,
}

impl Machine {
    /// Returns when to call [`Machine::handle`] with [`super::Input::Timeout`] at the latest, and
    /// why; `None` while nothing is waited for. To be asked after every `handle`.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match self.intent {
            Intent::Closed => None,
            Intent::Closing => self.close_until.map(|at| (at, Timer::CloseFlush)),
            Intent::Idle | Intent::Open => self.deadlines().min(),
        }
    }

    /// Fires every deadline that has passed.
    pub(super) fn fire(&mut self) {
        match self.intent {
            Intent::Closed => {}
            Intent::Closing => self.fire_close(),
            Intent::Idle | Intent::Open => {
                self.fire_acquisitions();
                self.fire_requests();
                self.fire_links();
                self.fire_liveness();
                self.fire_rotation();
                self.fire_return();
                self.fire_dial();
                self.fire_tokens();
                self.fire_proofs();
                self.fire_leases();
            }
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = (Instant, Timer)> {
        let dial = match self.dial {
            Dial::Wait { until } => Some((until, Timer::Attempt)),
            Dial::Check { until, .. } => Some((until, Timer::AccessTimeout)),
            Dial::Rest | Dial::Token => None,
        };
        let dial = dial.filter(|_| self.wants_link());
        let cut = self.attempts.cut_due().filter(|_| self.wants_link());
        let links = [&self.links.active, &self.links.successor]
            .into_iter()
            .flatten();
        let links = links.filter_map(|link| match (&link.stage, link.ping) {
            (LinkStage::Opening { until }, _) => Some((*until, Timer::ConnectTimeout)),
            (LinkStage::Hello { until, .. }, _) => Some((*until, Timer::WelcomeTimeout)),
            (LinkStage::Live, Some(ping)) => Some((ping.until, Timer::PongTimeout)),
            (LinkStage::Live, None) => None,
        });
        let singles = [
            dial,
            self.heartbeat_due().map(|at| (at, Timer::Heartbeat)),
            self.rotation_due().map(|at| (at, Timer::Rotation)),
            self.return_due().map(|at| (at, Timer::Return)),
            cut.map(|at| (at, Timer::Attempt)),
            self.links
                .draining
                .as_ref()
                .map(|link| (link.until, Timer::RotationDrain)),
            self.tokens.deadline().map(|at| (at, Timer::TokenTimeout)),
            self.tokens.fetch_due().map(|at| (at, Timer::TokenFetch)),
        ];
        let requests = self.requests.deadlines().map(|(at, ack)| {
            (
                at,
                if ack {
                    Timer::AckTimeout
                } else {
                    Timer::RequestDeadline
                },
            )
        });
        let acquisitions = self.acquisitions.values().flat_map(|open| {
            [
                Some((open.deadline, Timer::RequestDeadline)),
                open.resend_at.map(|at| (at, Timer::Resend)),
                open.meter.next_tick().map(|at| (at, Timer::Progress)),
                open.proof.as_ref().map(|proof| (proof.due(), Timer::Proof)),
            ]
        });
        let leases = self.leases.values().flat_map(|lease| {
            let (resend, tick) = lease.deadlines();
            [
                resend.map(|at| (at, Timer::Resend)),
                tick.map(|at| (at, Timer::Progress)),
            ]
        });
        let many = acquisitions.chain(leases).chain(singles).flatten();
        many.chain(links).chain(requests)
    }
}
