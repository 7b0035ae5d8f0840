//! The ends: `close()`, `detach()` and `Failed`. Each settles every waiter.

use super::constants::{CLOSE_FLUSH, REQUEST_TIMEOUT};
use super::dial::Dial;
use super::output::{Event, LeaseChange, LeaseStatus};
use super::requests::{Body, Request};
use super::{Intent, Machine};
use crate::protocol::Outcome;
use crate::{Error, ErrorCode, Stage};

impl Machine {
    /// Whether requests are taken on; if not, the error that tells why.
    pub(super) fn accepts_requests(&self) -> Result<(), Error> {
        match (&self.failed, self.intent) {
            (_, Intent::Closing | Intent::Closed) => Err(closed()),
            (Some(error), _) => Err(error.clone().with_outcome(Outcome::NotSent)),
            (None, _) => Ok(()),
        }
    }

    /// The app is done: gives everything back, waits at most [`CLOSE_FLUSH`] for the
    /// acknowledgements, then `Closed`.
    pub(super) fn close(&mut self) {
        if self.intent == Intent::Closing {
            return;
        }
        let live = self.link_live();
        self.settle_all(&closed());
        for (id, lease) in self.leases.take() {
            self.emit(Event::Lease {
                lease: id.clone(),
                status: LeaseStatus::Released,
                change: LeaseChange::Released,
            });
            if live {
                let body = Body::Release {
                    fleet: lease.fleet,
                    lease: id,
                    reason: None,
                };
                self.submit(Request::internal(body, REQUEST_TIMEOUT));
            }
        }
        self.stop_trying();
        self.send_unsent();
        self.intent = Intent::Closing;
        self.close_until = Some(self.now + CLOSE_FLUSH);
        self.flushed();
    }

    /// The app goes away but keeps what it holds for a successor: sends nothing.
    pub(super) fn detach(&mut self) {
        for (id, open) in self.acquisitions.take() {
            self.give_up_proof(open.proof.as_ref());
            let error = closed().with_outcome(open.outcome());
            self.note_failed(Some(&id), &error, None);
            self.tell(open.key, Err(error));
        }
        for request in self.requests.take_all(|_| true) {
            if let Some(waiter) = request.waiter {
                self.settle(waiter, Err(closed().with_outcome(request.outcome())));
            }
        }
        self.leases.clear();
        self.stop_trying();
        self.finish_close();
    }

    /// Nobody is left to ask for anything. A lease or a wish that was let go is left to the server;
    /// anything else is ended in order.
    pub(super) fn handles_gone(&mut self) {
        let let_go = self.acquisitions.values().any(|open| open.detached);
        if !self.leases.is_empty() || let_go {
            self.detach();
        } else {
            self.close();
        }
    }

    /// Trying again is useless until the app has done something.
    pub(super) fn fail(&mut self, error: Error) {
        if self.intent != Intent::Open {
            return self.drop_links();
        }
        self.failed = Some(error.clone());
        self.drop_links();
        self.stop_trying();
        self.settle_all(&error);
    }

    /// The app has mended what made the client fail.
    pub(super) fn retry(&mut self) {
        if self.failed.take().is_some() {
            self.tokens.start_over();
            self.attempts.reset();
            self.gateways_start_over();
            self.attempts.reason = None;
            self.attempts.last_error = None;
        } else {
            self.cut_wait();
        }
    }

    /// Fires the end of the flush.
    pub(super) fn fire_close(&mut self) {
        if self.close_until.is_some_and(|at| at <= self.now) {
            self.finish_close();
        }
    }

    /// Ends the flush once nothing waits for an acknowledgement.
    pub(super) fn flushed(&mut self) {
        if self.intent == Intent::Closing && (self.requests.is_empty() || !self.link_live()) {
            self.finish_close();
        }
    }

    /// Final: from here on there are no effects and no events but the answers to late requests.
    pub(super) fn finish_close(&mut self) {
        self.drop_links();
        self.requests.take_all(|_| true);
        self.close_until = None;
        self.intent = Intent::Closed;
    }

    /// Settles every waiter, withdrawing what may have arrived.
    fn settle_all(&mut self, error: &Error) {
        let ids: Vec<String> = self.acquisitions.keys().cloned().collect();
        for id in ids {
            let error = error.clone();
            self.end_acquisition(&id, |open| error.with_outcome(open.outcome()));
        }
        self.fail_requests(error);
    }

    /// Forgets attempts, rotations and questions to the provider.
    fn stop_trying(&mut self) {
        self.dial = Dial::Rest;
        self.tokens.stop();
        self.close_draining();
        if let Some(successor) = self.links.successor.take() {
            self.note_own_end(&successor);
            self.close_normally(successor.epoch);
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::Closed, Outcome::NotSent, Stage::Local)
}
