//! Leases: an endpoint that is held is a subscription, not a value.

use std::time::Duration;

use super::Machine;
use super::constants::{REQUEST_TIMEOUT, RESEND_INTERVAL, STREAM_TOKEN_MIN_LEFT};
use super::input::RequestKey;
use super::output::{Answer, Event, LeaseChange, LeaseStatus};
use super::progress::Meter;
use super::requests::{Body, Request, truthful};
use crate::protocol::{
    Endpoint, EndpointPush, LeaseReport, LeaseState, LostReason, Outcome, ProgressPush,
};
use crate::{Error, ErrorCode, Instant, Stage};

/// One lease that is held, draining or moving.
#[derive(Debug)]
pub(super) struct Lease {
    /// The key of its acquire.
    pub(super) acquired_as: RequestKey,
    pub(super) fleet: Option<String>,
    pub(super) status: LeaseStatus,
    pub(super) endpoint: Endpoint,
    rev: u64,
    received_at: Instant,
    /// While moving.
    meter: Option<Meter>,
    resend_at: Option<Instant>,
    /// While draining: when its instance stops.
    pub(super) stops_at: Option<Instant>,
}

impl Lease {
    pub(super) fn new(
        acquired_as: RequestKey,
        fleet: Option<String>,
        rev: u64,
        endpoint: Endpoint,
        received_at: Instant,
    ) -> Self {
        let status = LeaseStatus::Held;
        Self {
            acquired_as,
            fleet,
            status,
            endpoint,
            rev,
            received_at,
            meter: None,
            resend_at: None,
            stops_at: None,
        }
    }

    /// The endpoint, if its stream token can still be used.
    fn fresh(&self, now: Instant) -> Option<&Endpoint> {
        let left = |millis| (self.received_at + Duration::from_millis(millis)).since(now);
        let usable = match (
            &self.endpoint.stream_token,
            self.endpoint.stream_token_expires_in_ms,
        ) {
            (Some(_), Some(millis)) => left(millis) >= STREAM_TOKEN_MIN_LEFT,
            _ => true,
        };
        (usable && self.status == LeaseStatus::Held).then_some(&self.endpoint)
    }

    fn hold(&mut self, now: Instant, endpoint: Endpoint) {
        self.status = LeaseStatus::Held;
        self.endpoint = endpoint;
        self.received_at = now;
        self.meter = None;
        self.resend_at = None;
    }

    /// The progress of one that moves.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    pub(super) fn deadlines(&self) -> (Option<Instant>, Option<Instant>) {
        (
            self.resend_at,
            self.meter.as_ref().and_then(Meter::next_tick),
        )
    }
}

impl Machine {
    /// The app wants an endpoint that is valid now: the cached one, or a fresh one.
    pub(super) fn endpoint(&mut self, key: RequestKey, lease: String) {
        let Some(held) = self.leases.get(&lease) else {
            let error = Error::new(ErrorCode::LeaseLost, Outcome::NotSent, Stage::Lease);
            return self.settle(key, Err(error));
        };
        if let Some(endpoint) = held.fresh(self.now).cloned() {
            return self.settle(key, Ok(Answer::Endpoint(endpoint)));
        }
        let fleet = held.fleet.clone();
        if let Err(error) = self
            .accepts_requests()
            .and_then(|()| self.queue_room(lease.len()))
        {
            return self.settle(key, Err(error));
        }
        self.submit(Request::waited(Body::Endpoint { fleet, lease }, key));
        self.cut_wait();
    }

    /// The app gives a lease back. Giving back what is gone succeeds.
    pub(super) fn release(&mut self, key: RequestKey, id: String) {
        let Some(body) = self.take_back(&id) else {
            return self.settle(key, Ok(Answer::Released));
        };
        match self.accepts_requests().and_then(|()| self.queue_room(0)) {
            Ok(()) => self.submit(Request::waited(body, key)),
            Err(error) => {
                self.settle(key, Err(error));
                self.submit(Request::internal(body, REQUEST_TIMEOUT));
            }
        }
    }

    /// Gives a lease back that nobody took.
    pub(super) fn give_back(&mut self, id: &str) {
        if let Some(body) = self.take_back(id) {
            self.submit(Request::internal(body, REQUEST_TIMEOUT));
        }
    }

    /// Ends a lease on this side, and returns what to tell the server.
    fn take_back(&mut self, id: &str) -> Option<Body> {
        let lease = self.leases.remove(id)?;
        self.end_endpoint_requests(id, ErrorCode::Cancelled);
        self.emit(Event::Lease {
            lease: id.to_owned(),
            status: LeaseStatus::Released,
            change: LeaseChange::Released,
        });
        Some(Body::Release {
            fleet: lease.fleet,
            lease: id.to_owned(),
            reason: None,
        })
    }

    /// The app lets go of a lease without giving it back: it is no longer named to the server, which
    /// keeps it for 120 s after this link.
    pub(super) fn detach_lease(&mut self, id: &str) {
        if self.leases.remove(id).is_some() {
            self.end_endpoint_requests(id, ErrorCode::Cancelled);
        }
    }

    /// `progress` with a lease's id: its instance died, another one is started.
    pub(super) fn lease_progress(&mut self, push: &ProgressPush) {
        let now = self.now;
        let Some(lease) = self
            .leases
            .get_mut(&push.id)
            .filter(|lease| self.guards.is_news(push.rev, lease.rev))
        else {
            return;
        };
        let elapsed = Duration::from_millis(push.elapsed_ms);
        let last = lease.meter.as_ref().and_then(Meter::pushed_elapsed);
        // A boot's late progress carries the revision of the grant itself.
        let stale = push.rev == lease.rev
            && (lease.status != LeaseStatus::Moving || last.is_some_and(|last| elapsed < last));
        if stale {
            return;
        }
        let began = self.lease_moves(&push.id, push.rev);
        let Some(lease) = self.leases.get_mut(&push.id) else {
            return;
        };
        let meter = lease.meter.get_or_insert_with(|| Meter::new(now));
        let before = meter.phase();
        meter.take(now, push);
        let after = meter.phase();
        let progress = meter.show(now);
        self.note_phase(&push.id, before, after);
        if began {
            self.lease_changed(&push.id, LeaseChange::Moving);
        }
        self.emit(Event::Progress {
            id: push.id.clone(),
            progress,
        });
    }

    /// Marks a lease as moving. Returns whether that is news.
    fn lease_moves(&mut self, id: &str, rev: u64) -> bool {
        let at = self.now + RESEND_INTERVAL;
        let Some(lease) = self.leases.get_mut(id) else {
            return false;
        };
        lease.rev = rev;
        lease.resend_at.get_or_insert(at);
        std::mem::replace(&mut lease.status, LeaseStatus::Moving) != LeaseStatus::Moving
    }

    /// `endpoint`: the answer to a request, or the word that a drain was undone. One that is older
    /// than what is known answers nothing: the request stays open, and is asked once more.
    pub(super) fn lease_endpoint_push(&mut self, push: EndpointPush) {
        let now = self.now;
        let Some(lease) = self
            .leases
            .get_mut(&push.lease)
            .filter(|lease| self.guards.is_news(push.rev, lease.rev))
        else {
            return;
        };
        let moved = lease.endpoint.websocket_url != push.endpoint.websocket_url;
        let news = moved || lease.status != LeaseStatus::Held || push.id.is_none();
        lease.rev = push.rev;
        lease.hold(now, push.endpoint.clone());
        self.settle_endpoint_waiters(&push.lease, &push.endpoint);
        if news {
            let endpoint = push.endpoint;
            let change = if moved {
                LeaseChange::Moved { endpoint }
            } else {
                LeaseChange::Held { endpoint }
            };
            self.lease_changed(&push.lease, change);
        }
    }

    /// `draining`.
    pub(super) fn lease_draining(&mut self, id: &str, rev: u64, ends_in: Duration) {
        let Some(lease) = self
            .leases
            .get_mut(id)
            .filter(|lease| self.guards.is_news(rev, lease.rev))
        else {
            return;
        };
        let repeated = rev == lease.rev && lease.status == LeaseStatus::Draining;
        lease.rev = rev;
        lease.status = LeaseStatus::Draining;
        lease.meter = None;
        lease.resend_at = None;
        lease.stops_at = Some(self.now + ends_in);
        if !repeated {
            self.lease_changed(id, LeaseChange::Draining { ends_in });
        }
    }

    /// `moved`.
    pub(super) fn lease_moved(&mut self, id: &str, rev: u64, endpoint: Endpoint) {
        let now = self.now;
        let Some(lease) = self
            .leases
            .get_mut(id)
            .filter(|lease| self.guards.is_news(rev, lease.rev))
        else {
            return;
        };
        let repeated = rev == lease.rev
            && lease.status == LeaseStatus::Held
            && lease.endpoint.websocket_url == endpoint.websocket_url;
        lease.rev = rev;
        lease.hold(now, endpoint.clone());
        self.settle_endpoint_waiters(id, &endpoint);
        if !repeated {
            self.lease_changed(id, LeaseChange::Moved { endpoint });
        }
    }

    /// `lost`. Without a revision it is believed.
    pub(super) fn lease_lost(&mut self, id: &str, rev: Option<u64>, reason: LostReason) {
        let stale = |lease: &Lease| rev.is_some_and(|rev| !self.guards.is_news(rev, lease.rev));
        if self.leases.get(id).is_none_or(|lease| stale(lease)) {
            return;
        }
        self.leases.remove(id);
        self.end_endpoint_requests(id, ErrorCode::LeaseLost);
        self.emit(Event::Lease {
            lease: id.to_owned(),
            status: LeaseStatus::Lost,
            change: LeaseChange::Lost { reason },
        });
    }

    /// The server does not know the lease.
    pub(super) fn lease_gone(&mut self, id: &str) {
        self.lease_lost(id, None, LostReason::Unrecognised);
    }

    /// The state of a lease in `welcome`.
    pub(super) fn lease_report(&mut self, report: LeaseReport) {
        let now = self.now;
        if report.state == LeaseState::Lost {
            let reason = report.reason.unwrap_or(LostReason::Unrecognised);
            return self.lease_lost(&report.id, report.rev, reason);
        }
        let rev = report.rev.unwrap_or(0);
        let Some(lease) = self
            .leases
            .get_mut(&report.id)
            .filter(|lease| self.guards.is_news(rev, lease.rev))
        else {
            return;
        };
        match report.state {
            LeaseState::Held => {
                let endpoint = report.endpoint.unwrap_or_else(|| lease.endpoint.clone());
                let moved = lease.endpoint.websocket_url != endpoint.websocket_url;
                let news = moved || lease.status != LeaseStatus::Held;
                lease.rev = rev;
                // Without an endpoint in the report the known one keeps its age.
                let received_at = if lease.endpoint == endpoint {
                    lease.received_at
                } else {
                    now
                };
                lease.hold(received_at, endpoint.clone());
                let fresh = lease.fresh(now).cloned();
                if let Some(endpoint) = fresh {
                    self.settle_endpoint_waiters(&report.id, &endpoint);
                }
                if news {
                    let change = if moved {
                        LeaseChange::Moved { endpoint }
                    } else {
                        LeaseChange::Held { endpoint }
                    };
                    self.lease_changed(&report.id, change);
                }
            }
            LeaseState::Draining => {
                let ends_in = Duration::from_millis(report.deadline_ms.unwrap_or(0));
                self.lease_draining(&report.id, rev, ends_in);
            }
            LeaseState::Moving => {
                if self.lease_moves(&report.id, rev) {
                    self.lease_changed(&report.id, LeaseChange::Moving);
                }
            }
            LeaseState::Lost | LeaseState::Unrecognised => {}
        }
    }

    /// Asks for moving leases again, and shows their progress.
    pub(super) fn fire_leases(&mut self) {
        let now = self.now;
        let live = self.link_live();
        let (mut asks, mut shows) = (Vec::new(), Vec::new());
        for (id, lease) in self.leases.iter_mut() {
            if lease.resend_at.is_some_and(|at| at <= now) {
                lease.resend_at = Some(now + RESEND_INTERVAL);
                if live {
                    asks.push((id.clone(), lease.fleet.clone()));
                }
            }
            if let Some(progress) = lease.meter.as_mut().and_then(|meter| meter.tick(now)) {
                shows.push((id.clone(), progress));
            }
        }
        for (lease, fleet) in asks {
            self.submit(Request::internal(
                Body::Endpoint { fleet, lease },
                REQUEST_TIMEOUT,
            ));
        }
        for (id, progress) in shows {
            self.emit(Event::Progress { id, progress });
        }
    }

    fn lease_changed(&mut self, id: &str, change: LeaseChange) {
        if let Some(status) = self.leases.get(id).map(|lease| lease.status) {
            self.emit(Event::Lease {
                lease: id.to_owned(),
                status,
                change,
            });
        }
    }

    fn settle_endpoint_waiters(&mut self, id: &str, endpoint: &Endpoint) {
        for request in self.requests.take_all(|request| asks_endpoint(request, id)) {
            if let Some(waiter) = request.waiter {
                self.settle(waiter, Ok(Answer::Endpoint(endpoint.clone())));
            }
        }
    }

    fn end_endpoint_requests(&mut self, id: &str, code: ErrorCode) {
        for request in self.requests.take_all(|request| asks_endpoint(request, id)) {
            if let Some(waiter) = request.waiter {
                let error = Error::new(code.clone(), Outcome::Rejected, Stage::Lease);
                self.settle(waiter, Err(truthful(error, request.ever_written)));
            }
        }
    }
}

fn asks_endpoint(request: &Request, id: &str) -> bool {
    matches!(&request.body, Body::Endpoint { lease, .. } if lease == id)
}
