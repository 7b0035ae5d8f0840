//! Who waits for what, and the leases that were handed out.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::{broadcast, watch};

use super::events::CHANGE_CAPACITY;
use super::handle::{AcquireWaiter, Command, Grant, Waiter};
use crate::machine::{Answer, Input, RequestKey};
use crate::{Endpoint, Error, FleetStatus, LeaseChange, LeaseStatus, Progress};

/// The waiters of one client, and the latest values of its leases.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    acquires: BTreeMap<RequestKey, Acquiring>,
    endpoints: BTreeMap<RequestKey, Waiter<Endpoint>>,
    releases: BTreeMap<RequestKey, Waiter<()>>,
    statuses: BTreeMap<RequestKey, Waiter<FleetStatus>>,
    leases: BTreeMap<String, Held>,
    orphans: VecDeque<Input>,
}

#[derive(Debug)]
struct Acquiring {
    waiter: AcquireWaiter,
    detached: bool,
}

#[derive(Debug)]
struct Held {
    status: watch::Sender<LeaseStatus>,
    changes: broadcast::Sender<LeaseChange>,
}

impl Waiters {
    /// Takes a command apart: the waiter stays here, the input is returned.
    pub(super) fn admit(&mut self, command: Command) -> Option<Input> {
        match command {
            Command::Input(input) => Some(input),
            Command::Acquire { input, key, waiter } => {
                self.acquires.insert(
                    key,
                    Acquiring {
                        waiter,
                        detached: false,
                    },
                );
                Some(input)
            }
            Command::DetachAcquire(key) => {
                if let Some(acquiring) = self.acquires.get_mut(&key) {
                    acquiring.detached = true;
                }
                None
            }
            // The driver answers it by itself.
            Command::Diagnose(_) => None,
            Command::Endpoint { input, key, waiter } => {
                self.endpoints.insert(key, waiter);
                Some(input)
            }
            Command::Release { input, key, waiter } => {
                self.releases.insert(key, waiter);
                Some(input)
            }
            Command::Status { input, key, waiter } => {
                self.statuses.insert(key, waiter);
                Some(input)
            }
        }
    }

    /// Whether an open wish was let go without being cancelled.
    pub(super) fn any_detached(&self) -> bool {
        self.acquires.values().any(|acquiring| acquiring.detached)
    }

    /// Gives a waiter its outcome. One that no longer waits gets none.
    pub(super) fn settle(&mut self, key: RequestKey, result: Result<Answer, Error>) {
        if let Some(acquiring) = self.acquires.remove(&key) {
            self.settle_acquire(key, acquiring, result);
        } else if let Some(waiter) = self.endpoints.remove(&key) {
            if let Some(outcome) = narrowed(result, |answer| match answer {
                Answer::Endpoint(endpoint) => Some(endpoint),
                _ => None,
            }) {
                let _ = waiter.send(outcome);
            }
        } else if let Some(waiter) = self.releases.remove(&key) {
            if let Some(outcome) = narrowed(result, |answer| match answer {
                Answer::Released => Some(()),
                _ => None,
            }) {
                let _ = waiter.send(outcome);
            }
        } else if let Some(waiter) = self.statuses.remove(&key)
            && let Some(outcome) = narrowed(result, |answer| match answer {
                Answer::Status(status) => Some(*status),
                _ => None,
            })
        {
            let _ = waiter.send(outcome);
        }
    }

    fn settle_acquire(
        &mut self,
        key: RequestKey,
        acquiring: Acquiring,
        result: Result<Answer, Error>,
    ) {
        let Acquiring { waiter, detached } = acquiring;
        match result {
            Ok(Answer::Acquired { lease, .. }) => {
                let grant = self.grant(lease.clone());
                if waiter.granted.send(Ok(grant)).is_err() && !detached {
                    // The acquire's key is free again, so its release may bear it.
                    self.orphans.push_back(Input::Release { key, lease });
                }
            }
            Err(error) => {
                let _ = waiter.granted.send(Err(error));
            }
            Ok(_) => {}
        }
    }

    /// What is left to do for leases that were granted to nobody.
    pub(super) fn next_orphan(&mut self) -> Option<Input> {
        self.orphans.pop_front()
    }

    pub(super) fn progress(&self, id: &str, progress: &Progress) {
        for acquiring in self
            .acquires
            .values()
            .filter(|acquiring| acquiring.waiter.id == id)
        {
            acquiring
                .waiter
                .progress
                .send_replace(Some(progress.clone()));
        }
    }

    /// Hands a change on. The streams of a lease that is gone end.
    pub(super) fn lease(&mut self, lease: &str, status: LeaseStatus, change: &LeaseChange) {
        let Some(held) = self.leases.get(lease) else {
            return;
        };
        held.status.send_replace(status);
        // Without a reader it goes nowhere.
        let _ = held.changes.send(change.clone());
        if matches!(status, LeaseStatus::Lost | LeaseStatus::Released) {
            self.leases.remove(lease);
        }
    }

    fn grant(&mut self, lease: String) -> Grant {
        let held = self.leases.entry(lease.clone()).or_insert_with(|| Held {
            status: watch::Sender::new(LeaseStatus::Held),
            changes: broadcast::Sender::new(CHANGE_CAPACITY),
        });
        Grant {
            lease,
            status: held.status.subscribe(),
            changes: held.changes.subscribe(),
        }
    }
}

/// Keeps an answer of the right kind. The machine gives no other.
fn narrowed<T>(
    result: Result<Answer, Error>,
    narrow: impl FnOnce(Answer) -> Option<T>,
) -> Option<Result<T, Error>> {
    match result {
        Ok(answer) => narrow(answer).map(Ok),
        Err(error) => Some(Err(error)),
    }
}
