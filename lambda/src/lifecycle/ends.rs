//! Leases of boots that have ended: those in use move, the others are lost. Everything is read
//! from the records, so that a crash before the leases were told changes nothing.

use std::time::Duration;

use wakecast::protocol::{Lost, LostReason, Phase, Purpose, ServerMessage};

use super::pass::Pass;
use crate::leases;
use crate::model::{Boot, BootEnd, InstanceStatus, Row, RowEnd, RowState, WaitKind};

/// How long a lease waits for its next instance: the client's own default for an acquire.
const MOVING_WAIT: Duration = Duration::from_secs(600);

pub(super) fn step(pass: &mut Pass<'_>) {
    let held = pass
        .rows()
        .filter(|row| matches!(row.state, RowState::Held { .. }))
        .cloned()
        .collect::<Vec<_>>();
    for row in held {
        match fate(pass, &row) {
            None => {}
            Some(Fate::Lost(reason)) => lose(pass, row, reason),
            Some(Fate::Moves) => moves(pass, row),
            Some(Fate::Waits(owed)) => {
                let waiting = leases::wait_again(&row, owed, &pass.config.timing, pass.now);
                pass.why(format!("{} waits: its grant came too late", row.key.id));
                pass.change(waiting, None);
                pass.stay();
            }
        }
    }
}

enum Fate {
    Lost(LostReason),
    Moves,
    /// G1 was put after the boot had stopped granting, so that G2 never confirmed it: nothing was
    /// handed out, and the row is what G2 makes of it too, a waiter.
    Waits(WaitKind),
}

fn fate(pass: &Pass<'_>, row: &Row) -> Option<Fate> {
    let RowState::Held {
        instance,
        boot: held,
        granted_at,
        owed,
        ..
    } = &row.state
    else {
        return None;
    };
    let known = pass.instances.get(instance);
    let newest = known.and_then(|known| known.boot.as_ref());
    let Some(boot) = newest.filter(|boot| boot.id == *held) else {
        // A later boot has begun, or nobody remembers this one.
        return Some(match newest {
            Some(later) if *granted_at >= later.started_at => Fate::Waits(owed.clone()),
            _ => Fate::Lost(LostReason::InstanceGone),
        });
    };
    let ended = boot.end.is_some();
    if ended && boot.closed_at.is_some_and(|closed| *granted_at >= closed) {
        return Some(Fate::Waits(owed.clone()));
    }
    match boot.end {
        Some(BootEnd::Stopped) => Some(Fate::Lost(LostReason::Stopped)),
        Some(BootEnd::DiedAgain) => Some(Fate::Lost(LostReason::InstanceGone)),
        Some(BootEnd::Died) if in_use(pass, row, boot) => Some(Fate::Moves),
        Some(BootEnd::Died) => Some(Fate::Lost(LostReason::InstanceGone)),
        // A boot that has never been ready grants nothing; a lease on it is a leftover.
        None if known.is_some_and(|known| {
            matches!(known.status, InstanceStatus::Stopped | InstanceStatus::Gone)
        }) =>
        {
            Some(Fate::Lost(LostReason::InstanceGone))
        }
        None => None,
    }
}

/// Tells whether the lease has a live link and was protecting, or its kind was counted last.
fn in_use(pass: &Pass<'_>, row: &Row, boot: &Boot) -> bool {
    let linked = row.link.is_some() && row.absent_since.is_none();
    let counted =
        boot.sample
            .as_ref()
            .is_some_and(|sample| match row.ask.as_ref().map(|ask| ask.purpose) {
                Some(Purpose::Publish) => sample.streams > 0,
                Some(Purpose::Play | Purpose::Watch) => sample.viewers > 0,
                _ => false,
            });
    linked && (counted || leases::protects(row, boot, &pass.config.timing, pass.now))
}

/// The lease becomes a waiter; progress tells its owner, with the lease's id.
fn moves(pass: &mut Pass<'_>, mut row: Row) {
    let wait_ms = u64::try_from(MOVING_WAIT.as_millis()).unwrap_or(u64::MAX);
    row.state = RowState::Waiting {
        phase: Phase::Requested,
        deadline: pass.now + MOVING_WAIT,
        wait_ms,
        kind: WaitKind::Moving,
    };
    row.rev = row.rev.saturating_add(1);
    row.created_at = pass.now;
    pass.why(format!("lease {} moves", row.key.id));
    pass.change(row, None);
    pass.stay();
}

/// Ends a row as lost and tells its owner.
pub(super) fn lose(pass: &mut Pass<'_>, mut row: Row, reason: LostReason) {
    row.state = RowState::Ended {
        end: RowEnd::Lost(reason),
        at: pass.now,
    };
    row.rev = row.rev.saturating_add(1);
    row.expires_at = pass.now + pass.config.timing.row_memory;
    pass.why(format!("lease {} is lost: {}", row.key.id, reason.as_str()));
    let lost = Lost {
        lease: row.key.id.clone(),
        rev: row.rev,
        reason,
    };
    pass.change(row, Some(ServerMessage::Lost(lost)));
}
