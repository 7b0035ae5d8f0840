//! Tells waiters how far it is: on a change of phase, once when a phase is overdue, and once when a
//! boot is tried again. That is at most eight pushes a boot.

use std::time::Duration;

use wakecast::protocol::{ProgressPush, ServerMessage};

use super::outlook::Outlook;
use super::pass::Pass;
use crate::leases;
use crate::model::RowState;

pub(super) fn step(pass: &mut Pass<'_>) {
    if pass.ready().is_some() {
        return;
    }
    let outlook = Outlook::from_parts(&pass.state, &pass.instances, &pass.intents, pass.now);
    let everyone = note_overdue(pass, &outlook) || pass.restarting;
    let waiting = pass
        .rows()
        .filter(|row| leases::grantable(row, &pass.config.timing, pass.now))
        .cloned()
        .collect::<Vec<_>>();
    for mut row in waiting {
        let changed = pass.untold(&row);
        let RowState::Waiting { phase, .. } = &mut row.state else {
            continue;
        };
        let further = outlook.phase > *phase;
        // A boot that is tried again keeps the phase it had reached.
        *phase = outlook.phase.max(*phase);
        let told = ServerMessage::Progress(ProgressPush {
            id: row.key.id.clone(),
            rev: row.rev,
            phase: *phase,
            elapsed_ms: millis(pass.now.since(row.created_at)),
            ..figures(pass, &outlook)
        });
        if changed || further {
            pass.change(row, Some(told));
        } else if everyone {
            pass.push(&row, told);
        }
    }
}

/// Notes on the boot that its phase takes longer than nine boots in ten; true the first time.
fn note_overdue(pass: &mut Pass<'_>, outlook: &Outlook) -> bool {
    let known = outlook
        .boot
        .as_ref()
        .and_then(|id| pass.instances.get(id))
        .cloned();
    let Some((mut known, mut boot)) = known.and_then(|mut known| {
        let boot = known.boot.take()?;
        Some((known, boot))
    }) else {
        return false;
    };
    if boot.overdue == Some(outlook.phase) || !figures(pass, outlook).overdue {
        return false;
    }
    boot.overdue = Some(outlook.phase);
    known.boot = Some(boot);
    pass.instances.insert(known.id.clone(), known);
    true
}

/// Returns the part of a message that is the same for every waiter.
fn figures(pass: &Pass<'_>, outlook: &Outlook) -> ProgressPush {
    let eta = outlook.eta(&pass.history, pass.config, pass.now);
    ProgressPush {
        id: String::new(),
        rev: 0,
        phase: outlook.phase,
        elapsed_ms: 0,
        eta_p50_ms: millis(eta.p50),
        eta_p90_ms: millis(eta.p90),
        overdue: eta.overdue,
        note: outlook.restarted.then(|| "restarting".to_owned()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
