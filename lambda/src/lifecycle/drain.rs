//! From ready to S2: the grace, the drain, its settle and the two last looks.

use wakecast::protocol::{Draining, ServerMessage};

use super::load::{Look, Verdict};
use super::pass::Pass;
use super::stop::LOOKS_APART;
use super::{boots, subjects};
use crate::guards::Guard;
use crate::model::{Boot, Instance, InstanceStatus, RowState, Timestamp};

/// Why a drain is undone by a wake alone.
const WAITED_FOR: &str = "somebody waits";

pub(super) fn step(pass: &mut Pass<'_>) {
    for id in pass.ids() {
        let Some(instance) = pass.instances.get(&id).cloned() else {
            continue;
        };
        match instance.status {
            InstanceStatus::Ready if idle(pass, &instance) => start(pass, instance),
            InstanceStatus::Draining { since, first_look } => {
                pass.stay();
                follow(pass, instance, since, first_look);
                let after = pass.instances.get(&id).cloned();
                if let Some(after) = after.filter(|after| after.status != InstanceStatus::Ready) {
                    tell_holders(pass, &after, since);
                }
            }
            _ => {}
        }
    }
}

/// Tells whether nothing speaks for the instance any more: the grace has passed over readable
/// zeros, nobody holds or waits, and more is up than the minimum.
fn idle(pass: &Pass<'_>, instance: &Instance) -> bool {
    let Some(boot) = &instance.boot else {
        return false;
    };
    let timing = &pass.config.timing;
    let zero = pass
        .looks
        .get(&instance.id)
        .is_some_and(|look| look.verdict == Verdict::Zero);
    let graced = match (boot.zero_since, boot.granting_since) {
        (Some(zero), Some(granting)) => pass.now.since(zero.max(granting)) >= timing.grace,
        _ => false,
    };
    let up = boot
        .ready_at
        .is_some_and(|ready| pass.now.since(ready) >= timing.min_up);
    zero && graced
        && up
        && pass.runs(&instance.id)
        && !pass.held(&instance.id)
        && !pass.awaited()
        && !pass.protected(boot)
        && pass.live().len() > pass.config.min as usize
}

fn start(pass: &mut Pass<'_>, mut instance: Instance) {
    let since = pass.now;
    pass.why(format!(
        "{} has been idle for the grace and drains",
        instance.id
    ));
    if let Some(boot) = &mut instance.boot {
        boot.closed_at = Some(since);
    }
    instance.status = InstanceStatus::Draining {
        since,
        first_look: None,
    };
    tell_holders(pass, &instance, since);
    pass.instances.insert(instance.id.clone(), instance);
    pass.stay();
}

/// Tells each holder once that the instance drains and how long until the stop.
fn tell_holders(pass: &mut Pass<'_>, instance: &Instance, since: Timestamp) {
    let Some(drained) = instance.boot.as_ref().map(|boot| boot.id) else {
        return;
    };
    let stops_at = since + pass.config.timing.settle() + LOOKS_APART;
    let deadline_ms = stops_at.as_millis().saturating_sub(pass.now.as_millis());
    let untold = |state: &RowState| matches!(state, RowState::Held { boot, draining: false, .. } if *boot == drained);
    let rows = pass
        .rows()
        .filter(|row| untold(&row.state))
        .cloned()
        .collect::<Vec<_>>();
    for mut row in rows {
        if let RowState::Held { draining, .. } = &mut row.state {
            *draining = true;
        }
        row.rev = row.rev.saturating_add(1);
        let told = Draining {
            lease: row.key.id.clone(),
            rev: row.rev,
            deadline_ms,
        };
        pass.change(row, Some(ServerMessage::Draining(told)));
    }
}

/// A wake, a stream or an unknown sample leads back; two zeros after the settle lead to S2.
fn follow(
    pass: &mut Pass<'_>,
    mut instance: Instance,
    since: Timestamp,
    first_look: Option<Timestamp>,
) {
    let Some(boot) = instance.boot.clone() else {
        return;
    };
    let look = pass.looks.get(&instance.id).copied();
    if let Some(reason) = kept(pass, &instance, &boot, look) {
        if reason == WAITED_FOR && !boot.condemned {
            subjects::undid(pass);
        }
        return undo(pass, instance, since, reason);
    }
    let settled = if pass.guarded(Guard::Settle) {
        since + pass.config.timing.settle()
    } else {
        since
    };
    let Some(look) = look.filter(|look| look.began >= settled && pass.runs(&instance.id)) else {
        return;
    };
    match first_look.or((!pass.guarded(Guard::LastLook)).then_some(since)) {
        None => {
            instance.status = InstanceStatus::Draining {
                since,
                first_look: Some(look.began),
            };
        }
        Some(first) if look.began.since(first) >= LOOKS_APART => {
            pass.why(format!(
                "{} showed zeros twice after the settle: S2",
                instance.id
            ));
            instance.status = InstanceStatus::Stopping {
                failed: false,
                fence: pass.snapshot.lock.fence,
                since: pass.now,
                sent_at: None,
                first_look: None,
            };
            pass.again();
        }
        Some(_) => return,
    }
    pass.instances.insert(instance.id.clone(), instance);
}

/// Returns what keeps a draining instance, if anything does.
fn kept(
    pass: &Pass<'_>,
    instance: &Instance,
    boot: &Boot,
    look: Option<Look>,
) -> Option<&'static str> {
    let verdict = match look {
        _ if !pass.guarded(Guard::LastLook) => Verdict::Zero,
        Some(look) => look.verdict,
        None => Verdict::Unknown,
    };
    // Only its own streams and leases keep a condemned boot; waiters wait for its successor.
    let awaited = pass.awaited() && !boot.condemned;
    let minimum = pass.live().len() <= pass.config.min as usize && !boot.condemned;
    match verdict {
        Verdict::Busy => Some("it is in use"),
        Verdict::Unknown => Some("what is not known counts as busy"),
        Verdict::Zero if awaited => Some(WAITED_FOR),
        Verdict::Zero if pass.protected(boot) => Some("a lease protects it"),
        Verdict::Zero if pass.held(&instance.id) => Some("the operator holds it"),
        Verdict::Zero if minimum => Some("the minimum wants it"),
        Verdict::Zero => None,
    }
}

fn undo(pass: &mut Pass<'_>, mut instance: Instance, since: Timestamp, reason: &str) {
    if instance.boot.as_ref().is_some_and(|boot| boot.condemned) {
        instance.status = InstanceStatus::Draining {
            since,
            first_look: None,
        };
        pass.instances.insert(instance.id.clone(), instance);
        return;
    }
    pass.why(format!("the drain of {} is undone: {reason}", instance.id));
    boots::open(pass, instance);
}
