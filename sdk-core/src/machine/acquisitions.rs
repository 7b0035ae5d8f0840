//! Acquisitions: from the app's wish to a proved endpoint, or to one clear error by the deadline.

use std::time::Duration;

use super::acquire::Acquire;
use super::backoff::{Backoff, Cause};
use super::constants::{
    DEADLINE_MAX, DEADLINE_MIN, NAME_MAX, REQUEST_TIMEOUT, RESEND_INTERVAL, ROWS,
    WATCH_RESEND_INTERVAL,
};
use super::input::RequestKey;
use super::leases::Lease;
use super::output::{Answer, Event};
use super::progress::Meter;
use super::proof::Proof;
use super::requests::{Body, Request};
use super::{Intent, Machine};
use crate::protocol::{
    Endpoint, LostReason, Outcome, Phase, ProgressPush, Purpose, Ready, ReleaseReason,
};
use crate::{Error, ErrorCode, Instant, Stage};

/// One open acquisition.
#[derive(Debug)]
pub(super) struct Acquisition {
    pub(super) key: RequestKey,
    pub(super) spec: Acquire,
    pub(super) deadline: Instant,
    /// Whether its `acquire` was ever written.
    pub(super) written: bool,
    pub(super) rev: u64,
    pub(super) meter: Meter,
    pub(super) proof: Option<Proof>,
    pub(super) resend_at: Option<Instant>,
    /// Refusals in a row that pass by themselves, for the backoff.
    refusals: u32,
    /// The last of them, to explain a deadline.
    last_refusal: Option<Error>,
}

impl Acquisition {
    /// Whether it only waits for others' demand.
    pub(super) fn watches(&self) -> bool {
        self.spec.purpose == Purpose::Watch
    }

    fn resend_interval(&self) -> Duration {
        if self.watches() {
            WATCH_RESEND_INTERVAL
        } else {
            RESEND_INTERVAL
        }
    }

    fn outcome(&self) -> Outcome {
        if self.written {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        }
    }

    fn stage(&self) -> Stage {
        match &self.proof {
            Some(_) => Stage::Verify,
            None if self.written => Stage::Boot,
            None => Stage::Connect,
        }
    }
}

impl Machine {
    /// The app wants an endpoint.
    pub(super) fn acquire(&mut self, key: RequestKey, mut spec: Acquire) {
        if let Err(error) = self.may_acquire(&spec) {
            return self.settle(key, Err(error));
        }
        let id = spec.id.take().unwrap_or_else(|| self.random.id());
        let deadline = self.now + spec.waits_at_most();
        let mut meter = Meter::new(self.now);
        let progress = meter.show(self.now);
        let acquisition = Acquisition {
            key,
            spec,
            deadline,
            written: false,
            rev: 0,
            meter,
            proof: None,
            resend_at: None,
            refusals: 0,
            last_refusal: None,
        };
        self.acquisitions.insert(id.clone(), Box::new(acquisition));
        self.emit(Event::Progress {
            id: id.clone(),
            progress,
        });
        self.intent = Intent::Open;
        self.submit(Request::acquire(id));
        self.cut_wait();
    }

    fn may_acquire(&self, spec: &Acquire) -> Result<(), Error> {
        self.accepts_requests()?;
        let wrong = |message: String| {
            let error = Error::new(ErrorCode::InvalidArgument, Outcome::NotSent, Stage::Local);
            Err(error.with_message(message))
        };
        for (name, value) in [("app", &spec.app), ("stream_id", &spec.stream_id)] {
            if value.is_empty() {
                return wrong(format!(
                    "`{name}` is empty: name the {name} that the endpoint is for"
                ));
            }
        }
        for (name, value) in [("id", &spec.id), ("fleet", &spec.fleet)] {
            if value.as_ref().is_some_and(|value| !is_name(value)) {
                return wrong(format!(
                    "`{name}` must be 1 to {NAME_MAX} of A–Z a–z 0–9 _ - . : characters"
                ));
            }
        }
        if spec
            .deadline
            .is_some_and(|deadline| !(DEADLINE_MIN..=DEADLINE_MAX).contains(&deadline))
        {
            return wrong("the deadline must be at least a second and at most 24 hours".into());
        }
        if let Some(id) = &spec.id
            && (self.acquisitions.contains_key(id) || self.leases.contains_key(id))
        {
            return wrong(
                "this id is already in use by this client: release or cancel it first".into(),
            );
        }
        if self.acquisitions.len() + self.leases.len() >= ROWS {
            let error = Error::new(ErrorCode::QueueFull, Outcome::NotSent, Stage::Local);
            return Err(error.with_message(format!(
                "{ROWS} acquisitions and leases are open: release or cancel some first"
            )));
        }
        self.queue_room(spec.app.len() + spec.stream_id.len())
    }

    /// Text of the `acquire` that waits under this id, in bytes.
    pub(super) fn acquire_size(&self, id: &str) -> usize {
        self.acquisitions
            .get(id)
            .map_or(0, |open| open.spec.app.len() + open.spec.stream_id.len())
    }

    /// The app no longer wants it.
    pub(super) fn cancel(&mut self, key: RequestKey) {
        let open = self
            .acquisitions
            .iter()
            .find(|(_, acquisition)| acquisition.key == key);
        if let Some(id) = open.map(|(id, _)| id.clone()) {
            self.end_acquisition(&id, |acquisition| {
                Error::new(
                    ErrorCode::Cancelled,
                    acquisition.outcome(),
                    acquisition.stage(),
                )
            });
        }
    }

    /// The `acquire` was written: when it is sent again.
    pub(super) fn acquire_written(&mut self, id: &str) {
        let now = self.now;
        if let Some(acquisition) = self.acquisitions.get_mut(id) {
            acquisition.written = true;
            acquisition.resend_at = Some(now + acquisition.resend_interval());
        }
    }

    /// Fires deadlines, resends and progress.
    pub(super) fn fire_acquisitions(&mut self) {
        let now = self.now;
        let ids: Vec<String> = self.acquisitions.keys().cloned().collect();
        for id in ids {
            let Some(acquisition) = self.acquisitions.get_mut(&id) else {
                continue;
            };
            if acquisition.deadline <= now {
                self.deadline_passed(&id);
                continue;
            }
            let progress = acquisition.meter.tick(now);
            if acquisition.resend_at.is_some_and(|at| at <= now) {
                acquisition.resend_at = Some(now + acquisition.resend_interval());
                if acquisition.proof.is_none() {
                    self.resend_acquire(&id);
                }
            }
            if let Some(progress) = progress {
                self.emit(Event::Progress { id, progress });
            }
        }
    }

    /// Sends the `acquire` again. Without a link nothing is lost by waiting: `hello` asks for it.
    pub(super) fn resend_acquire(&mut self, id: &str) {
        if !self.link_live() || self.requests.waits_for_token(id) {
            return;
        }
        self.requests.take(id);
        self.submit(Request::acquire(id.to_owned()));
    }

    fn deadline_passed(&mut self, id: &str) {
        let link = self.attempts.last_error.as_ref().map(ToString::to_string);
        self.end_acquisition(id, |acquisition| {
            let refusal = acquisition.last_refusal.as_ref();
            let cause = refusal.map(ToString::to_string).or(link);
            // The server would say the same a tick later.
            let code = match acquisition.meter.phase() {
                Phase::WaitingForCapacity => ErrorCode::CapacityUnavailable,
                _ => ErrorCode::StartTimeout,
            };
            let error = Error::new(code, acquisition.outcome(), acquisition.stage());
            match cause {
                Some(cause) => error.with_cause(cause),
                None => error,
            }
        });
    }

    /// Ends an acquisition from this side: settles it, and withdraws it if it may have arrived.
    pub(super) fn end_acquisition(&mut self, id: &str, error: impl FnOnce(&Acquisition) -> Error) {
        let Some(acquisition) = self.acquisitions.remove(id) else {
            return;
        };
        let error = error(&acquisition);
        self.requests.take(id);
        self.give_up_proof(acquisition.proof.as_ref());
        self.settle(acquisition.key, Err(error));
        if acquisition.written {
            let body = Body::Cancel {
                fleet: acquisition.spec.fleet,
                acquire: id.to_owned(),
            };
            self.submit(Request::internal(body, REQUEST_TIMEOUT));
        }
    }

    /// The server has ended an acquisition with an error. One that passes by itself is no end: the
    /// same `acquire` is sent again until its deadline.
    pub(super) fn acquisition_failed(&mut self, id: &str, error: Error) {
        if passes(&error) {
            return self.ask_again(id, error);
        }
        if error.outcome() == Outcome::Unknown {
            // It may yet be carried out: withdraw it.
            return self.end_acquisition(id, |_| error);
        }
        if let Some(acquisition) = self.acquisitions.remove(id) {
            self.requests.take(id);
            self.give_up_proof(acquisition.proof.as_ref());
            self.settle(acquisition.key, Err(error));
        }
    }

    fn ask_again(&mut self, id: &str, error: Error) {
        self.requests.take(id);
        let draws = [self.random.fraction(), self.random.fraction()];
        let Some(acquisition) = self.acquisitions.get_mut(id) else {
            return;
        };
        let backoff = Backoff {
            cause: Cause::Other,
            attempt: acquisition.refusals,
            spread: self.attempts.spread,
            retry_after: error.retry_after(),
            later: false,
        };
        acquisition.refusals = acquisition.refusals.saturating_add(1);
        acquisition.last_refusal = Some(error);
        acquisition.resend_at = Some(self.now + backoff.delay(draws));
    }

    /// `lost` for an open acquisition is its outcome.
    pub(super) fn acquisition_lost(&mut self, id: &str, rev: u64, reason: LostReason) {
        if self
            .acquisitions
            .get(id)
            .is_none_or(|acquisition| rev < acquisition.rev)
        {
            return;
        }
        let code = match reason {
            LostReason::StartFailed => ErrorCode::StartFailed,
            _ => ErrorCode::LeaseLost,
        };
        let error = Error::new(code, Outcome::Rejected, Stage::Boot);
        let error = error.with_cause(format!("the server reported `{}`", reason.as_str()));
        self.acquisition_failed(id, error);
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
        if push.rev < acquisition.rev || older {
            return;
        }
        if acquisition.proof.is_some() && push.rev == acquisition.rev {
            return;
        }
        acquisition.rev = push.rev;
        acquisition.refusals = 0;
        acquisition.last_refusal = None;
        acquisition.meter.take(now, push);
        // The instance that was being proved is gone.
        let proof = acquisition.proof.take();
        let progress = acquisition.meter.show(now);
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
        if rev < acquisition.rev || proving {
            return;
        }
        acquisition.rev = rev;
        acquisition
            .meter
            .set_phase(phase.unwrap_or(Phase::Unrecognised));
        let proof = acquisition.proof.take();
        let progress = acquisition.meter.show(now);
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
        if ready.rev < acquisition.rev {
            return;
        }
        acquisition.rev = ready.rev;
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

    /// The endpoint is proved: the acquisition becomes a lease.
    pub(super) fn grant(&mut self, id: &str, endpoint: Endpoint, received_at: Instant) {
        let Some(mut acquisition) = self.acquisitions.remove(id) else {
            return;
        };
        self.requests.take(id);
        acquisition.meter.set_phase(Phase::Ready);
        let progress = acquisition.meter.show(self.now);
        self.emit(Event::Progress {
            id: id.to_owned(),
            progress,
        });
        let lease = Lease::new(
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
        self.settle(acquisition.key, Err(error.with_cause(cause)));
        let body = Body::Release {
            fleet: acquisition.spec.fleet,
            lease: id.to_owned(),
            reason: Some(ReleaseReason::Unreachable),
        };
        self.submit(Request::internal(body, REQUEST_TIMEOUT));
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits)
}

/// Whether a refusal says nothing about the request: the table or a quota was busy for a moment.
fn passes(error: &Error) -> bool {
    let code = matches!(
        error.code(),
        ErrorCode::ServiceUnavailable | ErrorCode::Throttled
    );
    code && error.retryable()
}
