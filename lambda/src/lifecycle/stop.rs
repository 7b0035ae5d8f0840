//! S3 and S4: what follows once S2 is committed, until EC2 shows the end.

use std::time::Duration;

use super::load::Verdict;
use super::pass::Pass;
use super::{Alarm, Power, boots, subjects};
use crate::config::FleetConfig;
use crate::guards::Guard;
use crate::model::{Instance, InstanceStatus, Lock, Timestamp};
use crate::ports::Ec2State;

/// Two last looks lie at least this far apart: a stream that is being set up shows in between.
pub(super) const LOOKS_APART: Duration = Duration::from_secs(5);

/// EC2 may take minutes from `stopping` to `stopped`; later a person must look.
const STUCK_STOPPING: Duration = Duration::from_secs(600);

/// Tells whether a stop that may have been sent has had no effect for so long that it is looked
/// at again. Under another fence the time counts from when our lock was taken, since its holder
/// may have sent until then.
pub(super) fn in_doubt(
    status: &InstanceStatus,
    lock: &Lock,
    now: Timestamp,
    config: &FleetConfig,
) -> bool {
    doubted_at(status, lock, config).is_some_and(|at| now >= at)
}

pub(super) fn step(pass: &mut Pass<'_>) {
    for id in pass.ids() {
        // As the snapshot holds it: rows were read after that, which S3 needs.
        let before = pass
            .snapshot
            .records
            .instances
            .get(&id)
            .map(|instance| &instance.status);
        let Some(instance) = pass.instances.get(&id).cloned() else {
            continue;
        };
        let InstanceStatus::Stopping { failed, since, .. } = instance.status else {
            continue;
        };
        pass.stay();
        match pass.shown(&id).map(|shown| shown.state) {
            Some(Ec2State::Running) if before == Some(&instance.status) => {
                if pass.held(&id) && failed {
                    pass.alarm(Alarm::BootStuck { instance: id });
                } else if failed {
                    failed_boot(pass, instance);
                } else {
                    ready_boot(pass, instance);
                }
            }
            // EC2 refuses to stop what has never run.
            Some(Ec2State::Pending) if pass.now.since(since) >= STUCK_STOPPING => {
                pass.alarm(Alarm::BootStuck { instance: id });
            }
            Some(Ec2State::Stopping | Ec2State::ShuttingDown)
                if pass.now.since(since) >= STUCK_STOPPING =>
            {
                pass.alarm(Alarm::StuckStopping { instance: id });
            }
            _ => {}
        }
    }
}

/// Nothing to protect: sent, and sent again while EC2 goes on showing `running`.
fn failed_boot(pass: &mut Pass<'_>, mut instance: Instance) {
    let now = pass.now;
    let doubt = pass.config.timing.stop_doubt;
    let InstanceStatus::Stopping { sent_at, fence, .. } = &mut instance.status else {
        return;
    };
    let again = sent_at.is_some();
    if sent_at.is_some_and(|at| now.since(at) < doubt) {
        return;
    }
    if again {
        pass.alarm(Alarm::StopNotSeen {
            instance: instance.id.clone(),
        });
    }
    if !pass.lock_lasts() {
        return;
    }
    *sent_at = Some(now);
    *fence = pass.snapshot.lock.fence;
    send(pass, instance);
}

/// S3, and S4 if nothing protects; after a doubtful stop the last looks come first.
fn ready_boot(pass: &mut Pass<'_>, mut instance: Instance) {
    let lock = pass.snapshot.lock;
    let protected = pass.guarded(Guard::SecondRead) && kept(pass, &instance);
    let never_sent = matches!(
        instance.status,
        InstanceStatus::Stopping { sent_at: None, fence, .. } if fence == lock.fence
    );
    if never_sent {
        if protected {
            return reopen(pass, instance, "S3 found a lease, a waiter or a hold");
        }
        return announce(pass, instance);
    }
    let Some(doubted_at) = doubted_at(&instance.status, lock, pass.config) else {
        return;
    };
    if pass.now < doubted_at {
        return;
    }
    pass.alarm(Alarm::StopNotSeen {
        instance: instance.id.clone(),
    });
    let look = pass
        .looks
        .get(&instance.id)
        .copied()
        .filter(|look| look.began >= doubted_at);
    let InstanceStatus::Stopping { first_look, .. } = &mut instance.status else {
        return;
    };
    match look.map(|look| (look.began, look.verdict)) {
        Some((_, Verdict::Busy)) => reopen(pass, instance, "it serves after a lost stop"),
        Some((_, Verdict::Zero)) if protected => {
            reopen(
                pass,
                instance,
                "S3 after a lost stop found a lease, a waiter or a hold",
            );
        }
        Some((began, Verdict::Zero)) => match *first_look {
            Some(first) if began.since(first) >= LOOKS_APART => announce(pass, instance),
            Some(_) => {}
            None => {
                *first_look = Some(began);
                pass.instances.insert(instance.id.clone(), instance);
            }
        },
        Some((_, Verdict::Unknown)) | None => {
            *first_look = None;
            pass.instances.insert(instance.id.clone(), instance);
        }
    }
}

/// S3: a lease, a waiter or a hold. Only its own leases keep a condemned boot; waiters wait for its
/// successor.
fn kept(pass: &Pass<'_>, instance: &Instance) -> bool {
    let Some(boot) = &instance.boot else {
        return true;
    };
    let awaited = pass.awaited() && !boot.condemned;
    awaited || pass.held(&instance.id) || pass.protected(boot)
}

/// Announces S4 under our own fence and calls, if the lock outlives the call.
fn announce(pass: &mut Pass<'_>, mut instance: Instance) {
    if !pass.lock_lasts() {
        return;
    }
    if let InstanceStatus::Stopping {
        sent_at,
        fence,
        first_look,
        ..
    } = &mut instance.status
    {
        *sent_at = Some(pass.now);
        *fence = pass.snapshot.lock.fence;
        *first_look = None;
    }
    send(pass, instance);
}

fn send(pass: &mut Pass<'_>, instance: Instance) {
    let id = instance.id.clone();
    pass.why(format!("the stop of {id} is sent"));
    pass.instances.insert(id.clone(), instance);
    pass.call(Power::Stop { instance: id });
}

/// Back to serving; a condemned boot goes back to draining.
fn reopen(pass: &mut Pass<'_>, mut instance: Instance, reason: &str) {
    pass.why(format!("{} is not stopped: {reason}", instance.id));
    if instance.boot.as_ref().is_some_and(|boot| boot.condemned) {
        instance.status = InstanceStatus::Draining {
            since: pass.now,
            first_look: None,
        };
        pass.instances.insert(instance.id.clone(), instance);
    } else {
        if pass.awaited() {
            subjects::undid(pass);
        }
        boots::open(pass, instance);
    }
}

fn doubted_at(status: &InstanceStatus, lock: &Lock, config: &FleetConfig) -> Option<Timestamp> {
    let InstanceStatus::Stopping {
        failed: false,
        fence,
        sent_at,
        ..
    } = status
    else {
        return None;
    };
    let doubt = config.timing.stop_doubt;
    if *fence == lock.fence {
        sent_at.map(|at| at + doubt)
    } else {
        Some(lock.taken_at + doubt)
    }
}
