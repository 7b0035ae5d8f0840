//! `hello` and `welcome`: after every connect the server is told what is held and waited for, and
//! answers with its state. Pushes may be lost; this pull mends that.

use std::time::Duration;

use super::Machine;
use super::constants::{SPREAD_MAX, SPREAD_MIN};
use super::links::{LinkStage, Role};
use crate::protocol::{
    Hello, Outcome, Ready, RequestReport, RequestState, RowRef, VERSION, Welcome,
};
use crate::{Error, ErrorCode, Stage};

impl Machine {
    /// Builds the `hello` of a new link. An acquire that was never written is not named: the server
    /// cannot know it, and it is sent after `welcome` anyway.
    pub(super) fn hello(&self, id: String) -> Hello {
        let row = |id: &String, fleet: &Option<String>| RowRef {
            id: id.clone(),
            fleet: fleet.clone(),
        };
        Hello {
            id,
            v: VERSION,
            client_id: self.client_id.clone(),
            sdk: self.config.sdk.clone(),
            leases: self
                .leases
                .iter()
                .map(|(id, lease)| row(id, &lease.fleet))
                .collect(),
            requests: (self.acquisitions.iter())
                .filter(|(_, acquisition)| acquisition.asked.ever())
                .map(|(id, acquisition)| row(id, &acquisition.spec.fleet))
                .collect(),
        }
    }

    /// `welcome` proves a link.
    pub(super) fn welcomed(&mut self, role: Role, welcome: Welcome) {
        let now = self.now;
        let Some(link) = self.links.get_mut(role) else {
            return;
        };
        if !matches!(&link.stage, LinkStage::Hello { id, .. } if *id == welcome.id) {
            return self.protocol_error("a `welcome` came that answers no `hello`");
        }
        let (epoch, opened_at, token) = (link.epoch, link.opened_at, link.token.clone());
        let max_age = Duration::from_millis(welcome.max_age_ms);
        let (rotate_at, rotate_until) = self.rotation_plan(opened_at, max_age);
        if let Some(link) = self.links.get_mut(role) {
            link.stage = LinkStage::Live;
            link.live_since = now;
            link.last_heard = now;
            link.rotate_at = Some(rotate_at);
            link.rotate_until = rotate_until;
            link.set_heartbeat(welcome.heartbeat_ms);
        }
        self.note_welcomed(epoch, role == Role::Successor);
        if role == Role::Successor {
            self.promote_successor();
        } else {
            self.session = welcome.session;
        }
        self.attempts.proved();
        self.arrived();
        self.set_spread(welcome.reconnect_spread_ms);
        self.token_accepted(&token, Duration::from_millis(welcome.token_expires_in_ms));
        for report in welcome.leases {
            self.lease_report(report);
        }
        for report in welcome.requests {
            self.request_report(report);
        }
        self.renew_if_newer(&token);
        self.send_unsent();
    }

    /// Takes the server's word on how reconnects spread.
    pub(super) fn set_spread(&mut self, millis: u64) {
        let told = Duration::from_millis(millis);
        self.gateways.here.spread = Some(told.clamp(SPREAD_MIN, SPREAD_MAX));
    }

    /// The state of one request in `welcome`.
    fn request_report(&mut self, report: RequestReport) {
        let id = report.id;
        let Some(known) = self
            .acquisitions
            .get(&id)
            .map(|acquisition| acquisition.rev)
        else {
            return;
        };
        let rev = report.rev.unwrap_or(known);
        if report.state == RequestState::Unknown {
            // It never arrived: it is sent again with the same id.
            self.resend_acquire(&id);
            return;
        }
        if !self.guards.is_news(rev, known) {
            return;
        }
        // The server knows it: nothing is left to be acknowledged.
        self.requests.take(&id);
        match (report.state, report.endpoint) {
            (RequestState::Waiting, _) => self.acquisition_waits(&id, rev, report.phase),
            (RequestState::Ready, Some(endpoint)) => {
                // Links come back spread over time already, so their proofs do too.
                self.acquisition_ready(Ready {
                    id,
                    rev,
                    endpoint,
                    verify_spread_ms: 0,
                });
            }
            (RequestState::Ready, None) => {
                self.resend_acquire(&id);
            }
            (RequestState::Ended, _) => {
                let code = report.code.unwrap_or(ErrorCode::LeaseLost);
                let error = Error::new(code, Outcome::Rejected, Stage::Boot);
                self.acquisition_failed(&id, error);
            }
            (RequestState::Unknown | RequestState::Unrecognised, _) => {}
        }
    }
}
