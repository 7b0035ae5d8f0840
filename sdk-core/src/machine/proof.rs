//! The proof of an endpoint from the client's own network, before it is handed over.

use std::time::Duration;

use super::Machine;
use super::constants::{PROOF_PAUSE, PROOF_PAUSE_JITTER, PROOF_TRY, PROOF_WINDOW};
use super::input::ProbeId;
use super::metrics::count;
use super::output::Effect;
use super::record::{Detail, Happening};
use crate::Instant;
use crate::protocol::Endpoint;

/// One endpoint that is being proved.
#[derive(Debug)]
pub(super) struct Proof {
    endpoint: Endpoint,
    received_at: Instant,
    step: Step,
    /// No try begins after this.
    pub(super) give_up: Instant,
    /// When its server is about to stop, if it drains.
    drains: Option<Instant>,
    /// Tries that failed.
    pub(super) failed: u32,
    /// When and why the last one failed.
    pub(super) last_failure: Option<(Instant, Detail)>,
}

#[derive(Debug)]
enum Step {
    Wait { until: Instant },
    Try { probe: ProbeId, until: Instant },
}

impl Proof {
    pub(super) fn new(now: Instant, endpoint: Endpoint, delay: Duration) -> Self {
        let first = now + delay;
        Self {
            endpoint,
            received_at: now,
            step: Step::Wait { until: first },
            give_up: first + PROOF_WINDOW,
            drains: None,
            failed: 0,
            last_failure: None,
        }
    }

    /// Whether this endpoint is the one being proved.
    pub(super) fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.endpoint.websocket_url == endpoint.websocket_url
    }

    /// The same endpoint with a fresh stream token: tries go on.
    pub(super) fn refresh(&mut self, now: Instant, endpoint: Endpoint) {
        self.endpoint = endpoint;
        self.received_at = now;
        self.drains = None;
    }

    /// Its server drains and is about to stop then.
    pub(super) fn drains(&mut self, ends_at: Instant) {
        self.drains = Some(ends_at);
    }

    /// Whether a try is under way.
    pub(super) fn trying(&self) -> bool {
        matches!(self.step, Step::Try { .. })
    }

    pub(super) fn due(&self) -> Instant {
        match self.step {
            Step::Wait { until } | Step::Try { until, .. } => until,
        }
    }
}

impl Machine {
    /// Begins tries and ends those that take too long.
    pub(super) fn fire_proofs(&mut self) {
        let now = self.now;
        let due: Vec<String> = (self.acquisitions.iter())
            .filter(|(_, open)| open.proof.as_ref().is_some_and(|proof| proof.due() <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let proof = self
                .acquisitions
                .get_mut(&id)
                .and_then(|open| open.proof.as_mut());
            let Some(proof) = proof else { continue };
            match proof.step {
                Step::Wait { .. } => {
                    self.next_probe += 1;
                    let probe = ProbeId(self.next_probe);
                    proof.step = Step::Try {
                        probe,
                        until: now + PROOF_TRY,
                    };
                    let url = proof.endpoint.websocket_url.clone();
                    let stream_token = proof.endpoint.stream_token.clone();
                    self.effect(Effect::Probe {
                        probe,
                        url,
                        stream_token,
                    });
                }
                Step::Try { probe, .. } => {
                    self.effect(Effect::CancelProbe { probe });
                    self.try_failed(&id, "no pong from the media server within 5 s".into());
                }
            }
        }
    }

    pub(super) fn probed(&mut self, answered: ProbeId, result: Result<(), String>) {
        let open =
            self.acquisitions
                .iter()
                .find_map(|(id, open)| match open.proof.as_ref()?.step {
                    Step::Try { probe, .. } if probe == answered => Some(id.clone()),
                    _ => None,
                });
        let Some(id) = open else { return };
        match result {
            Ok(()) => {
                self.note(Happening::Probed { failure: None });
                let proof = self
                    .acquisitions
                    .get_mut(&id)
                    .and_then(|open| open.proof.take());
                if let Some(Proof {
                    endpoint,
                    received_at,
                    drains,
                    ..
                }) = proof
                {
                    let rev = self.acquisitions.get(&id).map(|open| open.rev);
                    self.grant(&id, endpoint, received_at);
                    if let (Some(ends_at), Some(rev)) = (drains, rev) {
                        self.lease_draining(&id, rev, ends_at.since(self.now));
                    }
                }
            }
            Err(cause) => self.try_failed(&id, cause),
        }
    }

    fn try_failed(&mut self, id: &str, cause: String) {
        let pause = PROOF_PAUSE + self.random.up_to(PROOF_PAUSE_JITTER);
        let until = self.now + pause;
        let detail = Detail::text(&cause);
        count(&mut self.counters().proofs_failed);
        self.note(Happening::Probed {
            failure: Some(detail.clone()),
        });
        let now = self.now;
        let proof = self
            .acquisitions
            .get_mut(id)
            .and_then(|open| open.proof.as_mut());
        let Some(proof) = proof else { return };
        proof.failed = proof.failed.saturating_add(1);
        proof.last_failure = Some((now, detail));
        if until < proof.give_up {
            proof.step = Step::Wait { until };
        } else {
            self.endpoint_unreachable(id, cause);
        }
    }

    /// Ends a try that is no longer wanted.
    pub(super) fn give_up_proof(&mut self, proof: Option<&Proof>) {
        if let Some(Proof {
            step: Step::Try { probe, .. },
            ..
        }) = proof
        {
            self.effect(Effect::CancelProbe { probe: *probe });
        }
    }
}
