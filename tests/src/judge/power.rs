//! Laws 1, 5, 7 and 8, and the rules of the fleet's own address: what may be done to servers.

use super::facts::Moment;
use super::known::{Known, Power};

const HOUR: u64 = 3_600_000;
/// From a tag to the moment at which whoever looks must have seen it: EC2 shows changes late, and
/// what was decided before is on its way.
const TAG_SEEN: u64 = 60_000;
/// A run of the reconciler lasts this long.
const RUN: u64 = 300_000;

/// Law 1: what lives never exceeds the maximum, strangers aside.
pub(super) fn too_many(known: &Known) -> Option<String> {
    let lives = |power| !matches!(power, Power::Stopped | Power::Gone);
    let live = known
        .servers
        .iter()
        .filter(|(_, server)| lives(server.power));
    let live: Vec<_> = live.map(|(id, _)| id.as_str()).collect();
    let allowed = known.rules.max + known.strangers;
    (live.len() > allowed).then(|| format!("{} servers live: {}", live.len(), live.join(", ")))
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

/// Law 7: what the operator holds is not stopped.
pub(super) fn held(known: &Known, at: Moment, id: &str) -> Option<String> {
    let since = known.servers.get(id)?.held_since?;
    let held = at.saturating_sub(since);
    (held > TAG_SEEN).then(|| format!("{id} is stopped while it is held, for {held} ms now"))
}

/// Law 8: nothing is done by a process whose last look at EC2 failed, or that never looked.
pub(super) fn blind(known: &Known, by: u64, call: &str) -> Option<String> {
    (known.readable.get(&by) != Some(&true))
        .then(|| format!("{call} is sent by a process that cannot read EC2"))
}

/// No server starts with the address on it, and none loses it while it runs: players that reconnect
/// by themselves would reach an app that is still starting.
pub(super) fn address(known: &Known, id: &str, starts: bool) -> Option<String> {
    let server = known.servers.get(id)?;
    if starts {
        return server
            .address_on
            .then(|| format!("{id} starts with the address on it"));
    }
    let serves = server.power == Power::Running && server.opened.is_some();
    (serves && !server.proving).then(|| format!("the address is taken off {id}, which serves"))
}

/// A run whose time is up found something to do.
pub(super) fn idle_run(known: &Known, at: Moment) -> Option<String> {
    let rests = |power| matches!(power, Power::Stopped | Power::Gone);
    let nothing = known.servers.values().all(|server| rests(server.power));
    (nothing && at.saturating_sub(known.moved_at) > RUN)
        .then(|| "a run used up its time over nothing".to_owned())
}
