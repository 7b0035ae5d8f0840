//! Delivery of requests: written, acknowledged, sent again where that is safe, and ended once.

use super::Machine;
use super::constants::{
    ACK_TIMEOUT, FAREWELLS, MESSAGE_OVERHEAD, OPEN_REQUESTS, QUEUE_BYTES, QUEUE_REQUESTS,
    REQUEST_TIMEOUT,
};
use super::input::{Epoch, RequestKey};
use super::millis;
use super::output::{Answer, Event};
use super::requests::{Body, Request, truthful};
use crate::protocol::{
    Acquire, Cancel, ClientMessage, EndpointRequest, MAX_CLIENT_MESSAGE, Outcome, Release, Renew,
    StatusRequest,
};
use crate::{Error, ErrorCode, Stage};

impl Machine {
    /// Takes a request on: writes it if the link is live, else keeps it for the next one.
    pub(super) fn submit(&mut self, mut request: Request) {
        if request.id.is_empty() {
            request.id = self.random.id();
        }
        if request.waiter.is_some() {
            request.until = Some(self.now + request.life);
        }
        let farewell = request.farewell();
        self.requests.next += 1;
        self.requests
            .open
            .insert(self.requests.next, Box::new(request));
        if farewell {
            self.bound_farewells();
        }
        self.send_unsent();
    }

    /// Whether one more request of the app with this much text may be kept.
    pub(super) fn queue_room(&self, texts: usize) -> Result<(), Error> {
        let bytes = texts + MESSAGE_OVERHEAD;
        if bytes > MAX_CLIENT_MESSAGE {
            let error = Error::new(ErrorCode::MessageTooLarge, Outcome::NotSent, Stage::Local);
            return Err(error);
        }
        let unsent = || {
            self.requests
                .open
                .values()
                .filter(|request| request.unsent())
        };
        let waiting: usize = unsent()
            .map(|request| request.size() + self.acquire_size(&request.id))
            .sum();
        let full = !self.link_live()
            && (unsent().count() >= QUEUE_REQUESTS || waiting + bytes > QUEUE_BYTES);
        if full || self.requests.open.len() >= OPEN_REQUESTS {
            return Err(Error::new(
                ErrorCode::QueueFull,
                Outcome::NotSent,
                Stage::Local,
            ));
        }
        Ok(())
    }

    /// Withdrawals that wait for a link are bounded; the oldest matter least, since the server
    /// forgets absent rows by itself.
    fn bound_farewells(&mut self) {
        let open = self.requests.open.iter();
        let mut farewells = open.filter(|(_, request)| request.farewell());
        let oldest = farewells.next().map(|(sequence, _)| *sequence);
        // Those that came after the oldest.
        if farewells.count() >= FAREWELLS
            && let Some(oldest) = oldest
        {
            self.requests.open.remove(&oldest);
        }
    }

    /// Writes everything that waits for a live link, in order.
    pub(super) fn send_unsent(&mut self) {
        let Some(epoch) = self.live_epoch() else {
            return;
        };
        let unsent: Vec<u64> = (self.requests.open.iter())
            .filter(|(_, request)| request.unsent())
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in unsent {
            self.write_request(sequence, epoch);
        }
    }

    fn write_request(&mut self, sequence: u64, epoch: Epoch) {
        let now = self.now;
        let Some(message) = self
            .requests
            .open
            .get(&sequence)
            .and_then(|request| self.message(request))
        else {
            return;
        };
        let Some(request) = self.requests.open.get_mut(&sequence) else {
            return;
        };
        request.written = Some(epoch);
        request.ever_written = true;
        request.ack_due = (!request.acked).then(|| now + ACK_TIMEOUT);
        request.probing = false;
        if request.until.is_none() && request.body != Body::Acquire {
            request.until = Some(now + request.life);
        }
        if request.body == Body::Acquire {
            let id = request.id.clone();
            self.acquire_written(&id);
        }
        self.write_to(epoch, &message);
    }

    fn message(&self, request: &Request) -> Option<ClientMessage> {
        let id = request.id.clone();
        Some(match &request.body {
            Body::Acquire => {
                let acquisition = self.acquisitions.get(&id)?;
                ClientMessage::Acquire(Acquire {
                    fleet: acquisition.spec.fleet.clone(),
                    app: acquisition.spec.app.clone(),
                    purpose: acquisition.spec.purpose,
                    stream_id: Some(acquisition.spec.stream_id.clone()),
                    deadline_ms: millis(acquisition.deadline.since(self.now)),
                    id,
                })
            }
            Body::Cancel { fleet, acquire } => ClientMessage::Cancel(Cancel {
                id,
                fleet: fleet.clone(),
                acquire: acquire.clone(),
            }),
            Body::Endpoint { fleet, lease } => ClientMessage::Endpoint(EndpointRequest {
                id,
                fleet: fleet.clone(),
                lease: lease.clone(),
            }),
            Body::Release {
                fleet,
                lease,
                reason,
            } => ClientMessage::Release(Release {
                id,
                fleet: fleet.clone(),
                lease: lease.clone(),
                reason: *reason,
            }),
            Body::Status { fleet } => ClientMessage::Status(StatusRequest {
                id,
                fleet: fleet.clone(),
            }),
            Body::Renew { token, .. } => ClientMessage::Renew(Renew {
                id,
                token: token.clone(),
            }),
        })
    }

    /// Fires request deadlines and missing acknowledgements.
    pub(super) fn fire_requests(&mut self) {
        let now = self.now;
        let ended = self
            .requests
            .take_all(|request| request.until.is_some_and(|at| at <= now));
        for request in ended {
            self.request_timed_out(request);
        }
        let live = self.link_live();
        let mut probe = false;
        for request in self.requests.open.values_mut() {
            if request.ack_due.is_some_and(|at| at <= now) {
                request.ack_due = None;
                // Sent again once already: now only its deadline is left.
                request.probing = !request.resent;
                probe |= request.probing;
            }
        }
        // A liveness deadline that has passed is judged right after: it asks again or ends the link.
        if probe && live && !self.pong_overdue() {
            self.probe_link(false);
        }
    }

    fn request_timed_out(&mut self, mut request: Request) {
        let outcome = request.outcome();
        if let Some(waiter) = request.waiter.take() {
            self.settle(
                waiter,
                Err(Error::new(
                    ErrorCode::RequestTimeout,
                    outcome,
                    Stage::Request,
                )),
            );
            // Nobody waits any longer, but what was given back must still reach the server.
            if matches!(request.body, Body::Release { .. }) {
                request.until = request.written.map(|_| self.now + REQUEST_TIMEOUT);
                self.requests.next += 1;
                self.requests
                    .open
                    .insert(self.requests.next, Box::new(request));
                self.bound_farewells();
            }
        } else if let Body::Renew { token, life } = request.body {
            self.renewal_unanswered(token, life);
        }
    }

    /// A probe was answered: what asked for it is sent once more.
    pub(super) fn resend_probed(&mut self) {
        for request in self
            .requests
            .open
            .values_mut()
            .filter(|request| request.probing)
        {
            request.probing = false;
            request.resent = true;
            request.written = None;
        }
        self.send_unsent();
    }

    /// The token was renewed: what was refused for the old one is sent once more.
    pub(super) fn send_waiting_for_token(&mut self) {
        for request in self
            .requests
            .open
            .values_mut()
            .filter(|request| request.waits_for_token)
        {
            request.waits_for_token = false;
            request.written = None;
        }
        self.send_unsent();
    }

    /// A link is gone: what was written to it and not answered is sent again on the next one,
    /// or ends with `code`.
    pub(super) fn gap(&mut self, epoch: Epoch, code: Option<ErrorCode>) {
        if let Some(code) = code {
            let failed = self
                .requests
                .take_all(|request| request.written == Some(epoch) && !request.acked);
            for request in failed {
                let error = Error::new(code.clone(), Outcome::Rejected, Stage::Request);
                self.request_refused(request, error);
            }
        }
        for request in self.requests.open.values_mut() {
            if request.written == Some(epoch) {
                request.written = None;
                request.ack_due = None;
                request.probing = false;
                request.resent = false;
                request.waits_for_token = false;
                if request.waiter.is_none() {
                    request.until = None;
                }
            }
        }
        // A moving lease asks by its own timer.
        let _ = self.requests.take_all(|request| {
            request.waiter.is_none()
                && request.written.is_none()
                && matches!(request.body, Body::Endpoint { .. })
        });
    }

    /// Takes renewals back when their link is gone.
    pub(super) fn unsend_renewals(&mut self) {
        for request in self
            .requests
            .take_all(|request| matches!(request.body, Body::Renew { .. }))
        {
            if let Body::Renew { token, life } = request.body {
                self.renewal_unanswered(token, life);
            }
        }
    }

    pub(super) fn renewing(&self) -> bool {
        self.requests
            .open
            .values()
            .any(|request| matches!(request.body, Body::Renew { .. }))
    }

    /// `ack`.
    pub(super) fn acked(&mut self, id: &str) {
        if let Some(acquisition) = self.acquisitions.get_mut(id) {
            acquisition.asked.acknowledged();
        }
        let Some(request) = self.requests.get_mut(id) else {
            return;
        };
        request.acked = true;
        request.ack_due = None;
        request.probing = false;
        match request.body {
            Body::Acquire => {
                self.requests.take(id);
            }
            Body::Cancel { .. } | Body::Release { .. } => {
                if let Some(waiter) = self.requests.take(id).and_then(|request| request.waiter) {
                    self.settle(waiter, Ok(Answer::Released));
                }
            }
            Body::Endpoint { .. } | Body::Renew { .. } | Body::Status { .. } => {}
        }
    }

    /// `error` with the id of a request. Returns whether there was one.
    pub(super) fn request_error(&mut self, id: &str, error: Error) -> bool {
        let Some(request) = self.requests.get_mut(id) else {
            return false;
        };
        let renewal = matches!(request.body, Body::Renew { .. });
        if *error.code() == ErrorCode::TokenExpired && !request.token_retried && !renewal {
            request.token_retried = true;
            request.waits_for_token = true;
            request.ack_due = None;
            request.probing = false;
            self.token_ended();
            return true;
        }
        if let Some(request) = self.requests.take(id) {
            self.request_refused(request, error);
        }
        true
    }

    /// A request ended with an error.
    fn request_refused(&mut self, request: Request, error: Error) {
        // An acquisition knows of every copy of its `acquire`.
        let error = match request.body {
            Body::Acquire => error,
            _ => truthful(error, request.ever_written),
        };
        match request.body {
            Body::Acquire => self.acquisition_refused(&request.id, error),
            Body::Renew { token, .. } => self.renewal_refused(&token, error.code()),
            Body::Endpoint { lease, .. } => {
                let gone = *error.code() == ErrorCode::LeaseLost;
                if let Some(waiter) = request.waiter {
                    self.settle(waiter, Err(error));
                }
                if gone {
                    self.lease_gone(&lease);
                }
            }
            Body::Cancel { .. } | Body::Release { .. } | Body::Status { .. } => {
                if let Some(waiter) = request.waiter {
                    self.settle(waiter, Err(error));
                }
            }
        }
    }

    /// Settles every waiter of a request with the same error. What was given back is still told to
    /// the server by the next link.
    pub(super) fn fail_requests(&mut self, error: &Error) {
        for mut request in self.requests.take_all(|request| !request.farewell()) {
            let outcome = request.outcome();
            if let Some(waiter) = request.waiter.take() {
                self.settle(waiter, Err(error.clone().with_outcome(outcome)));
            }
            if matches!(request.body, Body::Release { .. }) {
                self.submit(Request::internal(request.body, REQUEST_TIMEOUT));
            }
        }
    }

    /// Tells a waiter its one outcome, and notes a failure.
    pub(super) fn settle(&mut self, key: RequestKey, result: Result<Answer, Error>) {
        if let Err(error) = &result {
            self.note_failed(None, error, None);
        }
        self.tell(key, result);
    }

    /// Tells a waiter its one outcome, which is noted already.
    pub(super) fn tell(&mut self, key: RequestKey, result: Result<Answer, Error>) {
        self.emit(Event::Settled { key, result });
    }
}
