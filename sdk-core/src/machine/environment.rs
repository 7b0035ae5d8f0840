//! What the system says about network and foreground. Hints: they hurry or pause, never stop for good.

use std::time::Duration;

use super::{Intent, Machine};

/// What the system last said.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) offline: bool,
    pub(super) background: bool,
}

impl Machine {
    pub(super) fn network_up(&mut self) {
        if std::mem::take(&mut self.environment.offline) {
            self.probe_link(false);
        }
        self.cut_wait();
    }

    /// No network, says the system; with a VPN it is often wrong. A live link stays.
    pub(super) fn network_down(&mut self) {
        self.environment.offline = true;
    }

    pub(super) fn network_changed(&mut self) {
        self.environment.offline = false;
        self.attempts.network_changed();
        self.gateways_on_new_network();
        self.probe_link(false);
        self.hurry();
    }

    pub(super) fn foreground(&mut self) {
        let was_paused = self.paused();
        self.environment.background = false;
        // The state may say connected, but the device may have slept.
        self.probe_link(false);
        if was_paused {
            self.resume();
        } else {
            self.cut_wait();
        }
    }

    pub(super) fn background(&mut self) {
        self.environment.background = true;
    }

    /// The device slept, or somebody set its clock.
    pub(super) fn clock_jumped(&mut self) {
        if self.link_live() {
            self.probe_link(true);
        } else if self.links.active.is_none() {
            // The token may have ended meanwhile: ask before the socket.
            self.tokens.expire();
            self.cut_wait();
        }
    }

    /// Whether the background keeps us from having a link: nothing is held or waited for.
    pub(super) fn paused(&self) -> bool {
        self.environment.background
            && self.intent == Intent::Open
            && self.acquisitions.is_empty()
            && self.leases.is_empty()
            && !self.requests.any_waiter()
            && (self.requests.is_empty() || !self.link_live())
    }

    /// No link is wanted: closes what is open, and keeps only the wait before the next attempt and an
    /// open question to the provider: it may show a login, and the app be in the background for it.
    pub(super) fn rest(&mut self) {
        if self.intent == Intent::Closing {
            return;
        }
        self.pause_dialling();
        if self.links.active.is_some() {
            self.drop_links();
        }
        self.tokens.forget_appointment();
        // A wait that goes on keeps its reason: it is shown again when a link is wanted again.
        if !matches!(self.dial, super::dial::Dial::Wait { until } if until > self.now) {
            self.attempts.reason = None;
            self.attempts.shown_wait = Duration::ZERO;
        }
    }
}
