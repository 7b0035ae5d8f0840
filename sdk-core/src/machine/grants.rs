//! What the server says about an open acquisition, up to the grant.

use std::time::Duration;

use super::Machine;
use super::constants::REQUEST_TIMEOUT;
use super::leases::Lease;
use super::output::{Answer, Event};
use super::proof::Proof;
use super::record::Detail;
use super::requests::{Body, Request, truthful};
use crate::protocol::{Endpoint, LostReason, Outcome, Phase, ProgressPush, Ready, ReleaseReason};
use crate::{Error, ErrorCode, Instant, Stage};

impl Machine {
    /// `lost` for an open acquisition is its outcome.
    pub(super) fn acquisition_lost(&mut self, id: &str, rev: u64, reason: LostReason) {
        let open = self.acquisitions.get(id);
        if open.is_none_or(|open| !self.guards.is_news(rev, open.rev)) {
            return;
        }
        let code = match reason {
            LostReason::StartFailed => ErrorCode::StartFailed,
            _ => ErrorCode::LeaseLost,
        };
        let error = Error::new(code, Outcome::Rejected, Stage::Boot);
        let error = error.with_cause(format!("the server reported `{}`", reason.as_str()));
        self.acquisition_failed(id, error);
        self.note_why(id, Detail::Lost(reason));
    }

    /// `progress` for an acquisition. Older revisions, and older pushes of one revision, are dropped.
    pub(super) fn acquisition_progress(&mut self, push: &ProgressPush) {
        let now = self.now;
        let Some(acquisition) = self.acquisitions.get_mut(&push.id) else {
            return;
        };
        let elapsed = Duration::from_millis(push.elapsed_ms);
        let older = push.rev == acquisition.rev
            && acquisition
                .meter
                .pushed_elapsed()
                .is_some_and(|last| elapsed < last);
        if !self.guards.is_news(push.rev, acquisition.rev) || older {
            return;
        }
        if acquisition.proof.is_some() && push.rev == acquisition.rev {
            return;
        }
        acquisition.rev = push.rev;
        acquisition.asked.taken();
        let before = acquisition.meter.phase();
        acquisition.meter.take(now, push);
        let after = acquisition.meter.phase();
        // The instance that was being proved is gone.
        let proof = acquisition.proof.take();
        let progress = acquisition.meter.show(now);
        self.note_phase(&push.id, before, after);
        self.give_up_proof(proof.as_ref());
        self.emit(Event::Progress {
            id: push.id.clone(),
            progress,
        });
    }

    /// `welcome` says that an acquisition waits.
    pub(super) fn acquisition_waits(&mut self, id: &str, rev: u64, phase: Option<Phase>) {
        let now = self.now;
        let Some(acquisition) = self.acquisitions.get_mut(id) else {
            return;
        };
        let proving = acquisition.proof.is_some() && rev == acquisition.rev;
        if !self.guards.is_news(rev, acquisition.rev) || proving {
            return;
        }
        acquisition.rev = rev;
        acquisition.asked.taken();
        let before = acquisition.meter.phase();
        acquisition
            .meter
            .set_phase(phase.unwrap_or(Phase::Unrecognised));
        let after = acquisition.meter.phase();
        let proof = acquisition.proof.take();
        let progress = acquisition.meter.show(now);
        self.note_phase(id, before, after);
        self.give_up_proof(proof.as_ref());
        self.emit(Event::Progress {
            id: id.to_owned(),
            progress,
        });
    }

    /// `ready`: the grant. It is proved first, unless the app does not want that.
    pub(super) fn acquisition_ready(&mut self, ready: Ready) {
        let now = self.now;
        let Some(acquisition) = self.acquisitions.get_mut(&ready.id) else {
            return;
        };
        if !self.guards.is_news(ready.rev, acquisition.rev) {
            return;
        }
        acquisition.rev = ready.rev;
        acquisition.asked.taken();
        if !acquisition.spec.verify {
            return self.grant(&ready.id, ready.endpoint, now);
        }
        let known = acquisition
            .proof
            .as_mut()
            .filter(|proof| proof.is_for(&ready.endpoint));
        if let Some(proof) = known {
            return proof.refresh(now, ready.endpoint);
        }
        let spread = Duration::from_millis(ready.verify_spread_ms);
        let proof = Proof::new(now, ready.endpoint, self.random.up_to(spread));
        let old = acquisition.proof.replace(proof);
        acquisition.meter.set_phase(Phase::Verifying);
        let progress = acquisition.meter.show(now);
        self.give_up_proof(old.as_ref());
        self.emit(Event::Progress {
            id: ready.id,
            progress,
        });
    }

    /// `endpoint` or `moved` for an acquisition: to the server it is a lease, since its `ready` was
    /// lost on the way or is still being proved.
    pub(super) fn acquisition_regranted(&mut self, id: &str, rev: u64, endpoint: &Endpoint) {
        if self.acquisitions.contains_key(id) {
            self.acquisition_ready(Ready {
                id: id.to_owned(),
                rev,
                endpoint: endpoint.clone(),
                verify_spread_ms: 0,
            });
        }
    }

    /// `draining` for an acquisition. What is being proved drains from its first moment as a lease;
    /// where the `ready` was lost, the answer to another `acquire` says where it stands.
    pub(super) fn acquisition_draining(&mut self, id: &str, rev: u64, ends_in: Duration) {
        let now = self.now;
        let Some(acquisition) = self
            .acquisitions
            .get_mut(id)
            .filter(|open| self.guards.is_news(rev, open.rev))
        else {
            return;
        };
        let repeated = rev == acquisition.rev;
        acquisition.rev = rev;
        match &mut acquisition.proof {
            Some(proof) => proof.drains(now + ends_in),
            None if repeated => {}
            None => {
                self.resend_acquire(id);
            }
        }
    }

    /// The endpoint is proved: the acquisition becomes a lease.
    pub(super) fn grant(&mut self, id: &str, endpoint: Endpoint, received_at: Instant) {
        let Some(mut acquisition) = self.acquisitions.remove(id) else {
            return;
        };
        self.requests.take(id);
        let meter = &acquisition.meter;
        self.note_granted(id, meter.started(), meter.told(), received_at);
        acquisition.meter.set_phase(Phase::Ready);
        let progress = acquisition.meter.show(self.now);
        self.emit(Event::Progress {
            id: id.to_owned(),
            progress,
        });
        let lease = Lease::new(
            acquisition.key,
            acquisition.spec.fleet,
            acquisition.rev,
            endpoint.clone(),
            received_at,
        );
        self.leases.insert(id.to_owned(), Box::new(lease));
        self.settle(
            acquisition.key,
            Ok(Answer::Acquired {
                lease: id.to_owned(),
                endpoint,
            }),
        );
    }

    /// This network does not reach the endpoint: the grant is given back.
    pub(super) fn endpoint_unreachable(&mut self, id: &str, cause: String) {
        let Some(acquisition) = self.acquisitions.remove(id) else {
            return;
        };
        self.requests.take(id);
        let error = Error::new(
            ErrorCode::EndpointUnreachable,
            Outcome::Rejected,
            Stage::Verify,
        );
        let error = truthful(error.with_cause(cause), acquisition.asked.ever());
        let why = acquisition.proof.and_then(|proof| proof.last_failure);
        self.note_failed(Some(id), &error, why.map(|(_, detail)| detail));
        self.tell(acquisition.key, Err(error));
        let body = Body::Release {
            fleet: acquisition.spec.fleet,
            lease: id.to_owned(),
            reason: Some(ReleaseReason::Unreachable),
        };
        self.submit(Request::internal(body, REQUEST_TIMEOUT));
    }
}
