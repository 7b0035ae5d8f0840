//! What a run says to the operator beside the decision log: each decision in short, and what went
//! wrong.
//! Messages and tokens are never logged.

use tracing::{debug, error, info, warn};

use super::Outcome;
use super::push::Delivered;
use crate::decisions::is_quiet;
use crate::lifecycle::{Alarm, Answer, Decision};
use crate::model::{FleetKey, FleetRecords, Lock};
use crate::ports::NotSent;
use crate::store::StoreError;

/// One line per decision; one that found nothing to do is for debugging only.
pub(super) fn decided(fleet: &FleetKey, lock: &Lock, records: &FleetRecords, decision: &Decision) {
    let (rows, grants) = (decision.rows.len(), decision.grants.len());
    let (pushes, calls) = (decision.pushes.len(), decision.calls.len());
    macro_rules! line {
        ($level:ident) => {
            $level!(
                %fleet, fence = lock.fence.0, version = records.state.version,
                commit = decision.commit.is_some(), rows, grants, pushes, calls,
                next = ?decision.next, why = ?decision.why,
                transitions = ?decision.transitions, "decided"
            )
        };
    }
    if is_quiet(decision) {
        line!(debug);
    } else {
        line!(info);
    }
}

/// What a person must hear: said once the commit that remembers it is through.
pub(super) fn alarms(fleet: &FleetKey, lock: &Lock, alarms: &[Alarm]) {
    for alarm in alarms {
        error!(%fleet, fence = lock.fence.0, ?alarm, "alarm");
    }
}

/// A power call's answer.
pub(super) fn called(fleet: &FleetKey, lock: &Lock, answer: &Answer) {
    let action = &answer.action;
    match &answer.result {
        _ if answer.dropped => warn!(%fleet, fence = lock.fence.0, ?action, "dropped a call"),
        Ok(_) => info!(%fleet, fence = lock.fence.0, ?action, "called"),
        Err(error) => warn!(%fleet, fence = lock.fence.0, ?action, %error, "a call failed"),
    }
}

/// How the pushes of a round went, where not all were sent.
pub(super) fn delivered(fleet: &FleetKey, lock: &Lock, delivered: &Delivered) {
    let Delivered {
        withheld,
        forbidden,
        failed,
        left,
        ..
    } = *delivered;
    let gone = delivered.gone.len();
    if forbidden > 0 {
        debug!(%fleet, fence = lock.fence.0, forbidden, "pushes were forbidden");
    }
    if failed > 0 || left > 0 {
        warn!(%fleet, fence = lock.fence.0, gone, withheld, failed, left, "pushes were not sent");
    } else if gone > 0 || withheld > 0 {
        debug!(%fleet, fence = lock.fence.0, gone, withheld, "pushes had nobody to go to");
    }
}

/// The gateway forbids posts: said once a run.
pub(super) fn forbidden(fleet: &FleetKey, lock: &Lock) {
    error!(%fleet, fence = lock.fence.0, "posts are forbidden: the gateway's address, its stage or the function's role is wrong");
}

/// Work that went to the fan-out.
pub(super) fn shared(fleet: &FleetKey, lock: &Lock, rows: usize, shards: usize) {
    info!(%fleet, fence = lock.fence.0, rows, shards, "the fan-out was asked");
}

/// A shard that was not invoked: its rows stay here.
pub(super) fn not_sent(fleet: &FleetKey, lock: &Lock, error: &NotSent) {
    warn!(%fleet, fence = lock.fence.0, %error, "a shard was not asked");
}

/// A row that could not be written now.
pub(super) fn row_left(fleet: &FleetKey, lock: &Lock, error: &StoreError) {
    debug!(%fleet, fence = lock.fence.0, %error, "left a row for the next round");
}

/// A round that the table ended.
pub(super) fn refused(fleet: &FleetKey, lock: &Lock, error: &StoreError) {
    warn!(%fleet, fence = lock.fence.0, %error, "a round was not carried out");
}

/// A record that cannot be read: a person must mend or remove it. Once a run, and a run a tick.
pub(super) fn unreadable(fleet: &FleetKey, lock: &Lock, error: &StoreError) {
    error!(%fleet, fence = lock.fence.0, %error, "alarm");
}

/// A chain of rounds that does not end.
pub(super) fn spinning(fleet: &FleetKey, lock: &Lock) {
    warn!(%fleet, fence = lock.fence.0, "too many rounds at once: slowed down");
}

/// A run's end.
pub(super) fn ended(fleet: &FleetKey, lock: &Lock, outcome: &Outcome) {
    let (end, rounds) = (&outcome.end, outcome.rounds);
    debug!(%fleet, fence = lock.fence.0, ?end, rounds, "the run ended");
}
