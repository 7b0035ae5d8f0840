//! Laws 1, 5, 7 and 8, and the rules of the fleet's own address: what may be done to servers.

use super::facts::Moment;
use super::known::{Known, Power, Server};

const HOUR: u64 = 3_600_000;
/// A subject's starts count for so long.
const SUBJECT_WINDOW: u64 = 600_000;
/// From what another hand does to the moment at which whoever acts must have seen it: EC2 shows
/// changes late, and what was decided before is on its way.
const DECIDED: u64 = 60_000;
/// Whoever has seen that there is something to do has begun with it by then.
const BEGUN: u64 = 15_000;
/// A run of the reconciler lasts this long.
const RUN: u64 = 300_000;

/// Law 1: what lives never exceeds the maximum when one more begins by a call of ours. What another
/// hand has started counts from the moment at which whoever looks must have seen it.
pub(super) fn too_many(known: &Known, at: Moment) -> Option<String> {
    let counts = |server: &Server| {
        let lives = !matches!(server.power, Power::Stopped | Power::Gone);
        lives
            && server
                .foreign_since
                .is_none_or(|since| since + DECIDED <= at)
    };
    let live = known.servers.iter().filter(|(_, server)| counts(server));
    let live: Vec<_> = live.map(|(id, _)| id.as_str()).collect();
    (live.len() > known.rules.max)
        .then(|| format!("{} servers live: {}", live.len(), live.join(", ")))
}

/// Law 5: starts and launches within any hour stay under their caps.
pub(super) fn over_cap(known: &Known, at: Moment) -> Option<String> {
    // The counters' windows are read by clocks that differ.
    let from = at.saturating_sub(HOUR - known.rules.clocks_apart);
    let recent = || known.boots.iter().filter(|(boot, _)| *boot > from);
    let starts = recent().count();
    let launches = recent().filter(|(_, launched)| *launched).count();
    let rules = &known.rules;
    (starts > rules.starts_per_hour || launches > rules.launches_per_hour)
        .then(|| format!("{starts} starts and {launches} launches within an hour"))
}

/// Law 5: so do the starts that one subject pays for, within ten minutes.
pub(super) fn over_subject_cap(known: &Known, at: Moment) -> Option<String> {
    let from = at.saturating_sub(SUBJECT_WINDOW - known.rules.clocks_apart);
    known.paid.iter().find_map(|(subject, paid)| {
        let lately = paid.iter().filter(|start| **start > from).count();
        (lately > known.rules.subject_starts)
            .then(|| format!("{lately} starts for {subject} within ten minutes"))
    })
}

/// Law 7: what the operator holds is not stopped.
pub(super) fn held(known: &Known, at: Moment, id: &str) -> Option<String> {
    let since = known.servers.get(id)?.held_since?;
    let held = at.saturating_sub(since);
    (held > DECIDED).then(|| format!("{id} is stopped while it is held, for {held} ms now"))
}

/// Law 8: nothing is done by a process whose last look at EC2 failed, or that never looked.
pub(super) fn blind(known: &Known, by: u64, call: &str) -> Option<String> {
    (known.readable.get(&by) != Some(&true))
        .then(|| format!("{call} is sent by a process that cannot read EC2"))
}

/// No server is started with the address on it: players that reconnect by themselves would reach an
/// app that is still starting. Where another hand does that, it is ours only if we had seen the
/// server stand and had not begun to take the address off.
pub(super) fn starts_with_address(
    known: &Known,
    at: Moment,
    id: &str,
    ours: bool,
) -> Option<String> {
    let server = known.servers.get(id).filter(|server| server.address_on)?;
    let left_on = || {
        let stood = server.stood_at.filter(|_| server.held_since.is_none())?;
        let shown = known.shown(stood)?;
        let late = at > shown + BEGUN + known.delays(shown);
        (late && known.took_off_at < stood).then_some(())
    };
    (ours || left_on().is_some()).then(|| format!("{id} starts with the address on it"))
}

/// None loses the address while it serves.
pub(super) fn loses_address(known: &Known, id: &str) -> Option<String> {
    let server = known.servers.get(id)?;
    let serves = server.power == Power::Running && server.opened.is_some();
    (serves && !server.proving).then(|| format!("the address is taken off {id}, which serves"))
}

/// A run whose time is up found something to do.
pub(super) fn idle_run(known: &Known, at: Moment) -> Option<String> {
    let rests = |power| matches!(power, Power::Stopped | Power::Gone);
    let nothing = known.servers.values().all(|server| rests(server.power));
    // What EC2 has not shown is not known.
    let seen = known.shown(known.moved_at);
    (nothing && seen.is_some_and(|seen| at.saturating_sub(seen) > RUN))
        .then(|| "a run used up its time over nothing".to_owned())
}
