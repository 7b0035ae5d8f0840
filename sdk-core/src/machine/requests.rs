//! Requests: what is asked, by whom, and how far each is on its way. `delivery` moves them.

use std::time::Duration;

use super::constants::{MESSAGE_OVERHEAD, REQUEST_TIMEOUT};
use super::input::{Epoch, RequestKey};
use super::sorted::SortedMap;
use crate::protocol::{Outcome, ReleaseReason};
use crate::{Error, Instant, Secret};

/// The open requests, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) open: SortedMap<u64, Box<Request>>,
    pub(super) next: u64,
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    /// Its id on the wire; filled in when it is submitted.
    pub(super) id: String,
    pub(super) body: Body,
    /// Who waits for it.
    pub(super) waiter: Option<RequestKey>,
    /// When it ends; `None` for one that ends with its acquisition or waits for the next link.
    pub(super) until: Option<Instant>,
    pub(super) life: Duration,
    /// The transport it was last written to.
    pub(super) written: Option<Epoch>,
    /// Whether it was ever written: then its outcome is unknown until it is answered.
    pub(super) ever_written: bool,
    pub(super) acked: bool,
    pub(super) ack_due: Option<Instant>,
    pub(super) probing: bool,
    pub(super) resent: bool,
    pub(super) waits_for_token: bool,
    pub(super) token_retried: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The `acquire` of the acquisition with this request's id.
    Acquire,
    Cancel {
        fleet: Option<String>,
        acquire: String,
    },
    Endpoint {
        fleet: Option<String>,
        lease: String,
    },
    Release {
        fleet: Option<String>,
        lease: String,
        reason: Option<ReleaseReason>,
    },
    Status {
        fleet: Option<String>,
    },
    Renew {
        token: Secret,
        life: Option<Duration>,
    },
}

/// An error of a request, with the one thing that we know better than the server: whether the
/// request was ever written.
pub(super) fn truthful(error: Error, ever_written: bool) -> Error {
    let outcome = match error.outcome() {
        _ if !ever_written => Outcome::NotSent,
        Outcome::NotSent => Outcome::Unknown,
        outcome => outcome,
    };
    error.with_outcome(outcome)
}

impl Request {
    /// A request that somebody waits for.
    pub(super) fn waited(body: Body, waiter: RequestKey) -> Self {
        Self {
            waiter: Some(waiter),
            ..Self::internal(body, REQUEST_TIMEOUT)
        }
    }

    /// A request of the machine itself; ends `life` after it was written.
    pub(super) fn internal(body: Body, life: Duration) -> Self {
        Self {
            id: String::new(),
            body,
            waiter: None,
            until: None,
            life,
            written: None,
            ever_written: false,
            acked: false,
            ack_due: None,
            probing: false,
            resent: false,
            waits_for_token: false,
            token_retried: false,
        }
    }

    /// The `acquire` of an acquisition; ends with it.
    pub(super) fn acquire(id: String) -> Self {
        Self {
            id,
            ..Self::internal(Body::Acquire, REQUEST_TIMEOUT)
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.ever_written {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        }
    }

    /// Whether it must still be written: never was, or not on the link that is live now.
    pub(super) fn unsent(&self) -> bool {
        self.written.is_none() && !self.waits_for_token
    }

    /// A withdrawal that nobody waits for.
    pub(super) fn farewell(&self) -> bool {
        self.waiter.is_none() && matches!(self.body, Body::Cancel { .. } | Body::Release { .. })
    }

    pub(super) fn size(&self) -> usize {
        MESSAGE_OVERHEAD
            + match &self.body {
                Body::Acquire => 0,
                Body::Cancel { acquire, .. } => acquire.len(),
                Body::Endpoint { lease, .. } | Body::Release { lease, .. } => lease.len(),
                Body::Status { fleet } => fleet.as_ref().map_or(0, String::len),
                Body::Renew { token, .. } => token.expose().len(),
            }
    }
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether somebody waits for an answer, or an answer is due.
    pub(super) fn any_open(&self) -> bool {
        self.open
            .values()
            .any(|request| request.waiter.is_some() || request.ack_due.is_some())
    }

    /// Whether somebody waits until a lease is given back.
    pub(super) fn gives_back(&self) -> bool {
        (self.open.values())
            .any(|request| request.waiter.is_some() && matches!(request.body, Body::Release { .. }))
    }

    /// Whether nothing is open but renewals of the token.
    pub(super) fn only_renewals(&self) -> bool {
        (self.open.values()).all(|request| matches!(request.body, Body::Renew { .. }))
    }

    /// Whether any waiter is left.
    pub(super) fn any_waiter(&self) -> bool {
        self.open.values().any(|request| request.waiter.is_some())
    }

    pub(super) fn has_waiter(&self, key: RequestKey) -> bool {
        self.open
            .values()
            .any(|request| request.waiter == Some(key))
    }

    /// Whether anything written to this transport is still to be acknowledged.
    pub(super) fn unacked_on(&self, epoch: Epoch) -> bool {
        self.open
            .values()
            .any(|request| request.written == Some(epoch) && !request.acked)
    }

    /// The deadlines, with whether it is an acknowledgement that is missing.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (Instant, bool)> {
        self.open.values().flat_map(|request| {
            let ends = request.until.map(|at| (at, false));
            ends.into_iter().chain(request.ack_due.map(|at| (at, true)))
        })
    }

    fn sequence_of(&self, id: &str) -> Option<u64> {
        self.open
            .iter()
            .find(|(_, request)| request.id == id)
            .map(|(sequence, _)| *sequence)
    }

    /// Whether the request with this wire id waits for a renewed token.
    pub(super) fn waits_for_token(&self, id: &str) -> bool {
        self.open
            .values()
            .any(|request| request.id == id && request.waits_for_token)
    }

    /// Whether a request with this wire id is open.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.sequence_of(id).is_some()
    }

    /// Takes the request with this wire id out.
    pub(super) fn take(&mut self, id: &str) -> Option<Request> {
        self.open
            .remove(&self.sequence_of(id)?)
            .map(|request| *request)
    }

    /// Takes the `status` with this wire id out.
    pub(super) fn take_asked(&mut self, id: &str) -> Option<Request> {
        let asked = self.get_mut(id)?;
        matches!(asked.body, Body::Status { .. }).then_some(())?;
        self.take(id)
    }

    /// Takes all requests out that fit.
    pub(super) fn take_all(&mut self, fits: impl Fn(&Request) -> bool) -> Vec<Request> {
        let sequences: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, request)| fits(request))
            .map(|(at, _)| *at)
            .collect();
        sequences
            .iter()
            .filter_map(|sequence| self.open.remove(sequence))
            .map(|request| *request)
            .collect()
    }

    /// A renewal belongs to its link: a new link needs it anew.
    pub(super) fn move_renewals(&mut self) {
        let renewals = self.open.values_mut();
        for request in renewals.filter(|request| matches!(request.body, Body::Renew { .. })) {
            request.written = None;
        }
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Request> {
        self.open
            .values_mut()
            .map(|request| &mut **request)
            .find(|request| request.id == id)
    }
}
