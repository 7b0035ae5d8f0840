//! Law 4: what nobody needs is stopped in time; and a boot that comes to nothing is ended.

use super::facts::{Moment, Purpose, Standing};
use super::known::{Known, Lease, Power, Server};

/// Two last looks, and the answers on the way.
const LOOKS: u64 = 15_000;
/// What a crash, or a stop call that failed, may cost beyond the lock: a minute of doubt and looks.
const DOUBT: u64 = 75_000;
const SETTLE_MORE: u64 = 5_000;

/// Looks at every running server; returns what is broken, each with its server.
pub(super) fn look(known: &mut Known, at: Moment) -> Vec<(String, String)> {
    let reasons: Vec<_> = known
        .servers
        .iter()
        .filter(|(_, server)| server.power == Power::Running)
        .map(|(id, server)| (id.clone(), has_reason(known, id, server, at)))
        .collect();
    let mut broken = Vec::new();
    for (id, reason) in reasons {
        if reason {
            known.server(&id).reason_at = at;
            continue;
        }
        let Some(server) = known.servers.get(&id) else {
            continue;
        };
        let idle = at.saturating_sub(server.reason_at);
        let allowed = allowed(known, server);
        if idle > allowed {
            let what = if server.opened.is_some() {
                "idle"
            } else {
                "booting"
            };
            let text = format!(
                "{id} is {what} for {} s, {} s are allowed",
                idle / 1_000,
                allowed / 1_000
            );
            broken.push((id, text));
        }
    }
    broken
}

fn has_reason(known: &Known, id: &str, server: &Server, at: Moment) -> bool {
    let serves = server.opened.is_some() && !server.proving;
    let kept = known.rules.min > 0 || server.held_since.is_some() || at < known.excused_until;
    let busy = server.media.streams > 0 || server.media.viewers > 0;
    // Who waits is no reason for a boot that never comes to an end.
    kept || server.proving
        || (serves
            && (busy
                || known
                    .leases
                    .values()
                    .any(|lease| may_need(known, lease, id, server, at))))
}

/// Tells whether the ask may need this server: the generous twin of what law 2 takes as certain.
fn may_need(known: &Known, lease: &Lease, id: &str, server: &Server, at: Moment) -> bool {
    let slack = known.slack();
    let asleep = lease
        .gone_since
        .is_some_and(|gone| gone + known.rules.absence + slack < at);
    if lease.purpose == Purpose::Watch || asleep {
        return false;
    }
    match &lease.standing {
        Standing::Waits { until } => *until + slack > at,
        Standing::Holds { server: held, boot } => {
            held == id
                && *boot == server.boot
                && lease.since + known.protection(lease.purpose) + slack > at
                && server
                    .seen_at(lease.purpose)
                    .is_none_or(|seen| seen <= lease.since)
        }
        Standing::Over => false,
    }
}

/// How long a server may run without a reason: more for each crash and each failed stop call since,
/// and for nothing else.
fn allowed(known: &Known, server: &Server) -> u64 {
    let rules = &known.rules;
    let since = server.reason_at;
    let base = match server.opened {
        Some((first, _)) => {
            let rest = (first + rules.min_up).saturating_sub(since);
            rules.grace.max(rest) + rules.stream_token + SETTLE_MORE
        }
        None => rules.boot,
    };
    base + 2 * rules.tick
        + LOOKS
        + known.slack()
        // The lock of who died shortly before is still held.
        + known.crashes_since(since.saturating_sub(rules.lock + rules.tick)) * (rules.lock + rules.tick + DOUBT)
        + known.failed_stops_since(since) * DOUBT
}
