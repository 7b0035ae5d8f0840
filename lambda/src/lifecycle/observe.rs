//! What EC2 shows, against what is recorded.

use std::time::Duration;

use super::pass::Pass;
use super::{Alarm, answers, boots};
use crate::config::Offering;
use crate::model::{
    BootEnd, BootId, BootPath, Instance, InstanceId, InstanceStatus, Intent, LaunchKind, Missing,
    RowState,
};
use crate::ports::{Ec2Instance, Ec2State};

/// An instance is gone after this many describes without it …
const MISSES: u32 = 3;
/// … that lie this far apart …
const MISSES_APART: Duration = Duration::from_secs(20);
/// … over at least this time: EC2 omits one now and then.
const MISSES_OVER: Duration = Duration::from_secs(60);

/// EC2 says when an instance was started last. A start this long after the boot was proved is
/// another one: clocks differ by less, and a stop and a start take longer.
const STARTED_AFTER: Duration = Duration::from_secs(10);

pub(super) fn step(pass: &mut Pass<'_>) {
    let listed = match pass.snapshot.ec2 {
        Ok(listed) => listed,
        Err(error) => {
            pass.alarm(Alarm::Ec2Unreadable);
            pass.why(format!(
                "EC2 cannot be read, so nothing is started or stopped: {error}"
            ));
            return;
        }
    };
    for shown in listed {
        match pass.instances.get(&shown.id).cloned() {
            Some(mut known) => {
                known.missing = None;
                recorded(pass, known, shown);
            }
            None => unrecorded(pass, shown),
        }
    }
    for id in pass.ids() {
        if pass.shown(&id).is_none() {
            unlisted(pass, &id);
        }
    }
    forget_gone(pass);
}

/// Records a running or stopped instance; `boot` begins on it.
pub(super) fn adopt(pass: &mut Pass<'_>, shown: &Ec2Instance, boot: (BootId, BootPath)) {
    let instance = found(pass, shown, InstanceStatus::Booting);
    boots::begin(pass, instance, boot.0, boot.1);
}

fn recorded(pass: &mut Pass<'_>, mut known: Instance, shown: &Ec2Instance) {
    match shown.state {
        Ec2State::Pending | Ec2State::Running if started_anew(&known, shown) => {
            over(pass, &mut known);
        }
        Ec2State::Pending | Ec2State::Running => match known.status {
            InstanceStatus::Stopped => return revived(pass, known, shown),
            InstanceStatus::Booting if shown.state == Ec2State::Running => {
                let now = pass.now;
                if let Some(boot) = known.boot.as_mut().filter(|boot| boot.running_at.is_none()) {
                    boot.running_at = Some(now);
                    pass.again();
                }
            }
            _ => {}
        },
        Ec2State::Stopping | Ec2State::Stopped | Ec2State::ShuttingDown | Ec2State::Terminated => {
            going_down(pass, &mut known, shown.state);
        }
    }
    pass.instances.insert(known.id.clone(), known);
}

/// Tells whether the boot that is on record is over although EC2 shows the instance running: it
/// was stopped and started again between two looks, most likely at another address.
fn started_anew(known: &Instance, shown: &Ec2Instance) -> bool {
    let proved_at = known.boot.as_ref().and_then(|boot| boot.ready_at);
    let serves = matches!(
        known.status,
        InstanceStatus::Ready
            | InstanceStatus::Recovering { .. }
            | InstanceStatus::Draining { .. }
            | InstanceStatus::Stopping { failed: false, .. }
    );
    serves && proved_at.is_some_and(|at| shown.launched_at > at + STARTED_AFTER)
}

/// Ends a boot that nobody saw end. The next pass finds the instance running without an
/// explanation, after this one has told its leases.
fn over(pass: &mut Pass<'_>, known: &mut Instance) {
    if matches!(known.status, InstanceStatus::Stopping { .. }) {
        if let Some(boot) = &mut known.boot {
            boot.end = Some(BootEnd::Stopped);
        }
    } else {
        boots::died(pass, known);
    }
    known.status = InstanceStatus::Stopped;
    pass.why(format!("{} was stopped and started unseen", known.id));
    pass.again();
}

/// Follows an instance on its way down, whoever sent it there.
fn going_down(pass: &mut Pass<'_>, known: &mut Instance, state: Ec2State) {
    match &known.status {
        InstanceStatus::Ready
        | InstanceStatus::Recovering { .. }
        | InstanceStatus::Draining { .. } => boots::died(pass, known),
        InstanceStatus::Stopping { failed: false, .. } => {
            if let Some(boot) = &mut known.boot {
                boot.end = Some(BootEnd::Stopped);
            }
        }
        InstanceStatus::Booting => {
            // Right after a start EC2 may still show the time before.
            let before = matches!(state, Ec2State::Stopping | Ec2State::Stopped);
            if before && is_awaited(pass, known) {
                pass.stay();
                return;
            }
            boots::count_failure(pass, known, "EC2 took the instance down");
        }
        InstanceStatus::Stopping { failed: true, .. }
        | InstanceStatus::Stopped
        | InstanceStatus::Gone => {}
    }
    let before = known.status.clone();
    known.status = match (state, &before) {
        (Ec2State::Terminated, _) => InstanceStatus::Gone,
        (Ec2State::Stopped, _) => InstanceStatus::Stopped,
        // Stays what it is until EC2 says more; the start waits for `stopped` anyway.
        (_, InstanceStatus::Stopping { .. } | InstanceStatus::Stopped | InstanceStatus::Gone) => {
            return;
        }
        (_, _) => InstanceStatus::Stopping {
            failed: true,
            fence: pass.snapshot.lock.fence,
            since: pass.now,
            sent_at: Some(pass.now),
            first_look: None,
        },
    };
    if known.status == InstanceStatus::Stopped && before != InstanceStatus::Stopped {
        pass.why(format!("{} is stopped", known.id));
        pass.again();
    }
}

/// Tells whether EC2 need not show yet what its answer to a launch or a start has confirmed.
fn is_awaited(pass: &Pass<'_>, known: &Instance) -> bool {
    known.status == InstanceStatus::Booting
        && known.boot.as_ref().is_some_and(|boot| {
            let waits = pass.now.since(boot.started_at);
            boot.running_at.is_none() && waits < pass.config.timing.pending_limit
        })
}

/// A stopped instance runs: an open start explains it, or nothing does.
fn revived(pass: &mut Pass<'_>, known: Instance, shown: &Ec2Instance) {
    let kind = LaunchKind::Start {
        instance: known.id.clone(),
    };
    match pass
        .intents
        .values()
        .find(|intent| intent.kind == kind && intent.unanswered > 0)
        .cloned()
    {
        Some(intent) => {
            let id = known.id.clone();
            pass.instances.insert(id.clone(), known);
            answers::accepted_start(pass, &intent, &id);
        }
        None => unexplained(pass, known, shown),
    }
}

/// An instance that no record names.
fn unrecorded(pass: &mut Pass<'_>, shown: &Ec2Instance) {
    match shown.state {
        Ec2State::Pending | Ec2State::Running => {
            let explains = |intent: &&Intent| {
                matches!(intent.kind, LaunchKind::New { .. })
                    && shown.sequence == Some(intent.sequence)
            };
            match pass.intents.values().find(explains).cloned() {
                Some(intent) => answers::accepted_new(pass, &intent, shown),
                None => {
                    let instance = found(pass, shown, InstanceStatus::Stopped);
                    unexplained(pass, instance, shown);
                }
            }
        }
        Ec2State::Stopped | Ec2State::Stopping => {
            let instance = found(pass, shown, InstanceStatus::Stopped);
            pass.instances.insert(instance.id.clone(), instance);
        }
        Ec2State::ShuttingDown | Ec2State::Terminated => {}
    }
}

/// Warms a running instance that nothing explains if none is live, else stops it as never ready.
fn unexplained(pass: &mut Pass<'_>, instance: Instance, shown: &Ec2Instance) {
    let others = pass.live().iter().filter(|id| **id != instance.id).count();
    let intended = pass
        .intents
        .values()
        .filter(|intent| intent.unanswered > 0)
        .count();
    let room = others + intended < pass.config.max as usize;
    pass.alarm(Alarm::Surplus {
        instance: instance.id.clone(),
    });
    if !room && shown.hold {
        // It may not be stopped and cannot serve: it counts, and an operator decides.
        pass.instances.insert(instance.id.clone(), instance);
        return;
    }
    pass.why(format!("{} runs and nothing explains it", instance.id));
    pass.state.sequence = pass.state.sequence.saturating_add(1);
    let id = BootId(pass.state.sequence);
    boots::begin(pass, instance.clone(), id, BootPath::Running);
    if !room && let Some(begun) = pass.instances.get(&instance.id).cloned() {
        boots::stop_failed(pass, begun);
    }
}

/// Counts spaced misses of an instance that EC2 does not list.
fn unlisted(pass: &mut Pass<'_>, id: &InstanceId) {
    let now = pass.now;
    let Some(mut known) = pass.instances.get(id).cloned() else {
        return;
    };
    if known.status == InstanceStatus::Gone {
        return;
    }
    pass.stay();
    if has_answered(pass, id) {
        // It lives, whatever the list says.
        known.missing = None;
        pass.instances.insert(id.clone(), known);
        return;
    }
    let missing = known.missing.get_or_insert(Missing {
        since: now,
        last: now,
        count: 1,
    });
    if now.since(missing.last) >= MISSES_APART {
        missing.last = now;
        missing.count = missing.count.saturating_add(1);
    }
    let enough = missing.count >= MISSES && now.since(missing.since) >= MISSES_OVER;
    if enough && !is_awaited(pass, &known) {
        pass.why(format!("{id} is not listed any more"));
        going_down(pass, &mut known, Ec2State::Terminated);
        known.status = InstanceStatus::Gone;
    }
    pass.instances.insert(id.clone(), known);
}

/// Tells whether the instance's media server has answered in this pass.
fn has_answered(pass: &Pass<'_>, id: &InstanceId) -> bool {
    pass.snapshot
        .observations
        .iter()
        .any(|observation| observation.probe.instance == *id && observation.result.is_ok())
}

/// Forgets terminated instances once no lease names them.
fn forget_gone(pass: &mut Pass<'_>) {
    let named = |id: &InstanceId| {
        pass.rows()
            .any(|row| matches!(&row.state, RowState::Held { instance, .. } if instance == id))
    };
    let told = pass
        .instances
        .values()
        .filter(|known| known.status == InstanceStatus::Gone && !named(&known.id))
        .map(|known| known.id.clone())
        .collect::<Vec<_>>();
    for id in told {
        pass.instances.remove(&id);
    }
}

fn found(pass: &Pass<'_>, shown: &Ec2Instance, status: InstanceStatus) -> Instance {
    let offered = pass.config.offerings.iter().find(|offering| {
        offering.instance_type == shown.instance_type && offering.zone == shown.zone
    });
    let offering = offered.cloned().unwrap_or_else(|| Offering {
        instance_type: shown.instance_type.clone(),
        zone: shown.zone.clone(),
        subnet: String::new(),
    });
    Instance {
        id: shown.id.clone(),
        offering,
        status,
        boot: None,
        missing: None,
    }
}
