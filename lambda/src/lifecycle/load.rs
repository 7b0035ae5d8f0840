//! Looks at the load of servers that have been ready. What cannot be read counts as busy.

use super::pass::Pass;
use super::{Alarm, Observation, Question, Reply};
use crate::config::Counts;
use crate::guards::Guard;
use crate::model::{Boot, Instance, InstanceId, InstanceStatus, Sample, Timestamp, WarmStep};
use crate::ports::{Ec2State, Load};

/// Unreadable samples in a row before the operator is told: one or two are a slow answer.
const UNKNOWN_IN_A_ROW: u32 = 3;

/// One pass's look at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// When the request was sent.
    pub(super) began: Timestamp,
    /// What it showed.
    pub(super) verdict: Verdict,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Streams or viewers.
    Busy,
    /// Neither, on every count that is measured.
    Zero,
    /// Not readable, not complete, or not surely of this boot at its proved address.
    Unknown,
}

pub(super) fn step(pass: &mut Pass<'_>) {
    for id in pass.ids() {
        let Some(instance) = pass.instances.get(&id).cloned() else {
            continue;
        };
        let watched = matches!(
            instance.status,
            InstanceStatus::Ready
                | InstanceStatus::Recovering { .. }
                | InstanceStatus::Draining { .. }
                | InstanceStatus::Stopping { failed: false, .. }
        );
        // A stopping server is looked at only when its stop is in doubt.
        let asked = pass.snapshot.observations.iter().any(|observation| {
            observation.probe.instance == id && observation.probe.question == Question::Load
        });
        let stopping = matches!(instance.status, InstanceStatus::Stopping { .. });
        if watched && (asked || !stopping) {
            look(pass, instance);
        }
    }
}

fn look(pass: &mut Pass<'_>, mut instance: Instance) {
    let id = instance.id.clone();
    let Some(mut boot) = instance.boot.take() else {
        return;
    };
    let reading = reading(pass, &id, &boot);
    let started = reading.as_ref().and_then(|(_, load)| load.start_time_ms);
    let restarted = match (started, boot.server_start_ms) {
        (Some(now), Some(before)) => now != before,
        _ => false,
    };
    let proving = matches!(instance.status, InstanceStatus::Recovering { .. });
    let sample = reading
        .filter(|_| !restarted && !proving)
        .and_then(|(began, load)| sample(pass.config.counts, &load, began));
    if !restarted && boot.server_start_ms.is_none() {
        boot.server_start_ms = started;
    }
    let sample = sample.or_else(|| {
        // A test of the guard's absence: nothing is known, so nobody is there.
        (!pass.guarded(Guard::UnknownIsBusy)).then_some(Sample {
            at: pass.now,
            streams: 0,
            viewers: 0,
        })
    });
    let verdict = note(&mut boot, sample.as_ref());
    if verdict == Verdict::Busy {
        // It was worth waking, whoever uses it.
        pass.state.idle_wakes.clear();
    }
    let began = sample.map_or(pass.now, |sample| sample.at);
    pass.looks.insert(id.clone(), Look { began, verdict });
    if boot.unknown >= UNKNOWN_IN_A_ROW {
        pass.alarm(Alarm::Unknown {
            instance: id.clone(),
        });
    }
    // From a stop in doubt too: it has not taken place, and only a proof makes it readable again.
    if restarted {
        pass.why(format!("the media server on {id} restarted by itself"));
        boot.server_start_ms = None;
        boot.warm = WarmStep::Liveness;
        instance.status = InstanceStatus::Recovering { since: pass.now };
        pass.again();
    }
    instance.boot = Some(boot);
    pass.instances.insert(id, instance);
}

/// Returns the one answer that is surely of this instance, at the address that was proved.
fn reading(pass: &mut Pass<'_>, id: &InstanceId, boot: &Boot) -> Option<(Timestamp, Load)> {
    let running = pass
        .shown(id)
        .filter(|shown| shown.state == Ec2State::Running);
    let moved = running.is_some_and(|shown| {
        boot.address
            != pass
                .config
                .endpoint
                .address_of(shown.address.as_deref(), shown.elastic)
    });
    if moved {
        pass.alarm(Alarm::AddressChanged {
            instance: id.clone(),
        });
        return None;
    }
    pass.snapshot.observations.iter().find_map(|observation| {
        let Observation {
            probe,
            sent_at,
            result: Ok(Reply::Load(load)),
        } = observation
        else {
            return None;
        };
        let same = probe.instance == *id
            && probe.question == Question::Load
            && Some(&probe.address) == boot.address.as_ref();
        same.then(|| (*sent_at, load.clone()))
    })
}

/// Reads the counts. One that is measured but missing makes the sample unreadable; one that is
/// not measured but counts is believed.
fn sample(counts: Counts, load: &Load, at: Timestamp) -> Option<Sample> {
    let read = |count: Option<u64>, measured: bool| match count {
        Some(count) => Some(count),
        None => (!measured).then_some(0),
    };
    let streams = load
        .live_streams?
        .max(read(load.webrtc_streams, counts.webrtc)?);
    let viewers = read(load.webrtc_viewers, counts.webrtc)?
        .saturating_add(read(load.hls_viewers, counts.hls)?)
        .saturating_add(read(load.dash_viewers, counts.dash)?);
    Some(Sample {
        at,
        streams,
        viewers,
    })
}

/// Notes a sample on the boot. Zeros are continuous: anything else starts them anew.
fn note(boot: &mut Boot, sample: Option<&Sample>) -> Verdict {
    let Some(sample) = sample else {
        boot.zero_since = None;
        boot.unknown = boot.unknown.saturating_add(1);
        return Verdict::Unknown;
    };
    boot.unknown = 0;
    boot.sample = Some(sample.clone());
    if sample.streams > 0 {
        boot.published_at = Some(sample.at);
    }
    if sample.viewers > 0 {
        boot.played_at = Some(sample.at);
    }
    if sample.streams > 0 || sample.viewers > 0 {
        boot.zero_since = None;
        return Verdict::Busy;
    }
    boot.zero_since.get_or_insert(sample.at);
    Verdict::Zero
}
