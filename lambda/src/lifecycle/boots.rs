//! The turning points of a boot: it begins, it is ready, it fails, it ends.

use wakecast::ErrorCode;

use std::time::Duration;

use super::pass::Pass;
use super::{Alarm, subjects};
use crate::model::{
    Boot, BootEnd, BootId, BootPath, BootTimes, Instance, InstanceStatus, Pause, WarmStep,
};

/// Boots that may fail in a row before starts pause: the first and one retry.
pub(super) const BOOTS_IN_A_ROW: u32 = 2;

/// A second death within this time loses every lease: what dies twice may die of its streams.
const DEATHS_APART: Duration = Duration::from_secs(3600);

/// Begins a boot.
pub(super) fn begin(pass: &mut Pass<'_>, mut instance: Instance, id: BootId, path: BootPath) {
    pass.why(format!("{} boots as {}", instance.id, id.0));
    instance.status = InstanceStatus::Booting;
    instance.missing = None;
    instance.boot = Some(Boot {
        id,
        path,
        started_at: pass.now,
        running_at: None,
        warm: WarmStep::Liveness,
        live_at: None,
        restarted: pass.state.failed_boots > 0,
        associated_at: None,
        ready_at: None,
        granting_since: None,
        address: None,
        server_start_ms: None,
        zero_since: None,
        sample: None,
        published_at: None,
        played_at: None,
        unknown: 0,
        closed_at: None,
        condemned: false,
        overdue: None,
        end: None,
    });
    pass.state.exhausted_rounds = 0;
    pass.state.capacity_retry_at = None;
    pass.state.woken_by = None;
    pass.instances.insert(instance.id.clone(), instance);
    pass.stay();
}

/// Opens an instance for grants, for the first time or again. The grace starts anew.
pub(super) fn open(pass: &mut Pass<'_>, mut instance: Instance) {
    let now = pass.now;
    instance.status = InstanceStatus::Ready;
    if let Some(boot) = &mut instance.boot {
        if boot.ready_at.is_none() {
            boot.ready_at = Some(now);
            if let Some(times) = BootTimes::of(boot, now) {
                pass.history.remember(boot.path, times);
            }
            pass.state.failed_boots = 0;
            pass.state.pause = None;
            if let Some(subject) = pass.state.woken_by.take() {
                subjects::woke(pass, subject);
            }
        }
        boot.granting_since = Some(now);
        boot.closed_at = None;
        boot.zero_since = None;
    }
    pass.why(format!("{} grants", instance.id));
    pass.instances.insert(instance.id.clone(), instance);
    pass.stay();
}

/// Ends a boot that was never ready: it is stopped, and tried again once.
pub(super) fn fail(pass: &mut Pass<'_>, instance: Instance, cause: &str) {
    count_failure(pass, &instance, cause);
    stop_failed(pass, instance);
}

/// Counts a failed boot; the second in a row pauses starts.
pub(super) fn count_failure(pass: &mut Pass<'_>, instance: &Instance, cause: &str) {
    pass.why(format!("the boot of {} failed: {cause}", instance.id));
    pass.state.failed_boots = pass.state.failed_boots.saturating_add(1);
    if pass.state.failed_boots >= BOOTS_IN_A_ROW {
        let length = pass.config.timing.failed_pause;
        pause(pass, ErrorCode::StartFailed, cause, length);
    } else {
        pass.restarting = true;
    }
}

/// Stops an instance that has nothing to protect: without settle, looks or S3.
pub(super) fn stop_failed(pass: &mut Pass<'_>, mut instance: Instance) {
    instance.status = InstanceStatus::Stopping {
        failed: true,
        fence: pass.snapshot.lock.fence,
        since: pass.now,
        sent_at: None,
        first_look: None,
    };
    pass.instances.insert(instance.id.clone(), instance);
    pass.again();
}

/// Pauses starts and reports why.
pub(super) fn pause(pass: &mut Pass<'_>, code: ErrorCode, cause: &str, length: Duration) {
    pass.why(format!("starts pause ({code}): {cause}"));
    let known = pass.state.pause.as_ref().filter(|pause| pause.code == code);
    let since = known.map_or(pass.now, |pause| pause.since);
    pass.state.pause = Some(Pause {
        code,
        cause: cause.to_owned(),
        since,
        until: pass.now + length,
    });
}

/// Raises the alarm of a pause for as long as it is not overcome.
pub(super) fn report_pause(pass: &mut Pass<'_>) {
    let Some(pause) = &pass.state.pause else {
        return;
    };
    let cause = pause.cause.clone();
    let alarm = match pause.code {
        ErrorCode::Misconfigured => Alarm::Misconfigured { cause },
        ErrorCode::QuotaExceeded => Alarm::QuotaExceeded { cause },
        _ => Alarm::StartFailed { cause },
    };
    pass.alarm(alarm);
}

/// Notes that a boot which had been ready died; its leases are told from the record.
pub(super) fn died(pass: &mut Pass<'_>, instance: &mut Instance) {
    let now = pass.now;
    pass.state.deaths.retain(|at| now.since(*at) < DEATHS_APART);
    let again = !pass.state.deaths.is_empty();
    pass.state.deaths.push(now);
    if let Some(boot) = &mut instance.boot {
        boot.closed_at.get_or_insert(now);
        boot.end = Some(if again {
            BootEnd::DiedAgain
        } else {
            BootEnd::Died
        });
    }
    pass.why(format!("{} died under its leases", instance.id));
    pass.alarm(Alarm::Died {
        instance: instance.id.clone(),
    });
}
