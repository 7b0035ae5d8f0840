//! Acquisitions: from the app's wish to a proved endpoint, or to one clear error by the deadline.

use std::time::Duration;

use super::acquire::Acquire;
use super::constants::{
    DEADLINE_MIN, NAME_MAX, REQUEST_TIMEOUT, RESEND_INTERVAL, ROWS, WATCH_RESEND_INTERVAL,
};
use super::input::RequestKey;
use super::metrics::count;
use super::output::Event;
use super::progress::Meter;
use super::proof::Proof;
use super::record::Detail;
use super::refusals::Asked;
use super::requests::{Body, Request, truthful};
use super::{Intent, Machine, scrub};
use crate::protocol::{Outcome, Phase, Purpose};
use crate::{Error, ErrorCode, Instant, Stage};

/// One open acquisition.
#[derive(Debug)]
pub(super) struct Acquisition {
    pub(super) key: RequestKey,
    pub(super) spec: Acquire,
    pub(super) deadline: Instant,
    pub(super) asked: Asked,
    pub(super) rev: u64,
    pub(super) meter: Meter,
    pub(super) proof: Option<Proof>,
    pub(super) resend_at: Option<Instant>,
    /// Let go by the app, which no longer waits and has not cancelled it.
    pub(super) detached: bool,
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

    /// What is known about the wish at the server.
    pub(super) fn outcome(&self) -> Outcome {
        self.asked.outcome()
    }

    fn stage(&self) -> Stage {
        match &self.proof {
            Some(_) => Stage::Verify,
            None if self.asked.ever() => Stage::Boot,
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
            asked: Asked::default(),
            rev: 0,
            meter,
            proof: None,
            resend_at: None,
            detached: false,
        };
        self.acquisitions.insert(id.clone(), Box::new(acquisition));
        count(&mut self.counters().acquires);
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
            .is_some_and(|deadline| !(DEADLINE_MIN..=spec.longest()).contains(&deadline))
        {
            return wrong(format!(
                "the deadline must be at least 1 s and at most {} s: ask again after that",
                spec.longest().as_secs()
            ));
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

    /// Whoever waited for an acquire is gone: ends it, or gives back what it was granted.
    pub(super) fn abandon(&mut self, key: RequestKey) {
        let granted = (self.leases.iter()).find(|(_, lease)| lease.acquired_as == key);
        match granted.map(|(id, _)| id.clone()) {
            Some(id) if !self.acquires(key) => self.give_back(&id),
            _ => self.cancel(key),
        }
    }

    /// The app lets go of a wish that goes on.
    pub(super) fn detach_acquire(&mut self, key: RequestKey) {
        let mut open = self.acquisitions.values_mut();
        if let Some(open) = open.find(|open| open.key == key) {
            open.detached = true;
        }
    }

    /// Whether an acquire with this key is open.
    pub(super) fn acquires(&self, key: RequestKey) -> bool {
        self.acquisitions.values().any(|open| open.key == key)
    }

    /// The `acquire` was written: when it is sent again.
    pub(super) fn acquire_written(&mut self, id: &str) {
        let now = self.now;
        if let Some(acquisition) = self.acquisitions.get_mut(id) {
            acquisition.asked.written();
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

    /// Sends the `acquire` again, and returns whether it did. Without a link nothing is lost by
    /// waiting: `hello` asks for it. While a refusal is waited out, its own timer sends it.
    pub(super) fn resend_acquire(&mut self, id: &str) -> bool {
        let open = self.acquisitions.get(id);
        if !self.link_live()
            || self.requests.waits_for_token(id)
            || open.is_none_or(|open| open.asked.waits_at(self.now))
        {
            return false;
        }
        self.requests.take(id);
        self.submit(Request::acquire(id.to_owned()));
        true
    }

    /// Sends the watches whose turn comes by `until`, and returns whether there was any: they stand
    /// in for a ping, which would be billed as well.
    pub(super) fn resend_watches(&mut self, until: Instant) -> bool {
        let due: Vec<String> = (self.acquisitions.iter())
            .filter(|(_, open)| open.watches() && open.proof.is_none())
            .filter(|(_, open)| open.resend_at.is_some_and(|at| at <= until))
            .map(|(id, _)| id.clone())
            .collect();
        let sent = due.iter().filter(|id| self.resend_acquire(id)).count();
        sent > 0
    }

    fn deadline_passed(&mut self, id: &str) {
        let open = self.acquisitions.get(id);
        let why = (open.and_then(|open| open.asked.last_refusal()))
            .or(self.attempts.last_error.as_ref())
            .map(|error| Detail::Code(scrub::code(error.code())));
        let link = self.attempts.last_error.as_ref().map(Error::in_full);
        self.end_acquisition(id, |acquisition| {
            let refusal = acquisition.asked.last_refusal();
            let cause = refusal.map(Error::in_full).or(link);
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
        if let Some(why) = why {
            self.note_why(id, why);
        }
    }

    /// Ends an acquisition from this side: settles it, and withdraws it if it may have arrived.
    pub(super) fn end_acquisition(&mut self, id: &str, error: impl FnOnce(&Acquisition) -> Error) {
        let Some(acquisition) = self.acquisitions.remove(id) else {
            return;
        };
        let error = truthful(error(&acquisition), acquisition.asked.ever());
        self.requests.take(id);
        self.give_up_proof(acquisition.proof.as_ref());
        self.note_failed(Some(id), &error, None);
        self.tell(acquisition.key, Err(error));
        if acquisition.asked.may_stand() {
            let body = Body::Cancel {
                fleet: acquisition.spec.fleet,
                acquire: id.to_owned(),
            };
            self.submit(Request::internal(body, REQUEST_TIMEOUT));
        }
    }

    /// The server has ended an acquisition with an error.
    pub(super) fn acquisition_failed(&mut self, id: &str, error: Error) {
        let ever = (self.acquisitions.get(id)).is_some_and(|open| open.asked.ever());
        let error = truthful(error, ever);
        if error.outcome() == Outcome::Unknown {
            // It may yet be carried out: withdraw it.
            return self.end_acquisition(id, |_| error);
        }
        if let Some(acquisition) = self.acquisitions.remove(id) {
            self.requests.take(id);
            self.give_up_proof(acquisition.proof.as_ref());
            self.note_failed(Some(id), &error, None);
            self.tell(acquisition.key, Err(error));
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits)
}
