//! Law 2: nothing is stopped while somebody is there, is on the way or waits.
//!
//! Three things must be true of every stop that we send to a server which had been ready: nobody
//! was in it; nobody who was given it, or who waits, was on record when the fleet committed itself
//! and still is; and it showed nothing but readable zeros for the grace and the settle, with two
//! looks after the last stream token had ended.

use super::facts::{Moment, Purpose, Standing};
use super::known::{Closing, Known, Lease, Promise, Server};

/// Two last looks lie this far apart.
const LOOKS_APART: u64 = 5_000;
/// A settle is the life of a stream token and this.
const SETTLE_MORE: u64 = 5_000;

/// Judges the commitment to a stop, and notes who is on record.
pub(super) fn closing(known: &Known, at: Moment, id: &str, again: bool) -> Option<Closing> {
    let server = known.servers.get(id)?;
    let over = known
        .leases
        .iter()
        .filter(|(_, lease)| needs(known, lease, id, server, at));
    Some(Closing {
        at,
        early: if again {
            None
        } else {
            early(known, server, at)
        },
        over: over.map(|(name, _)| name.clone()).collect(),
    })
}

/// Judges a stop of ours that EC2 has accepted.
pub(super) fn accepted(known: &Known, at: Moment, id: &str) -> Vec<String> {
    let Some(server) = known
        .servers
        .get(id)
        .filter(|server| server.opened.is_some() && !known.started_anew(server, at))
    else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    let (streams, viewers) = server.at_halt;
    if streams + viewers > 0 {
        broken.push(format!(
            "{id} is stopped with {streams} streams and {viewers} viewers"
        ));
    }
    // A stop that was never committed is judged by who is on record as it happens.
    let unannounced = || closing(known, at, id, false);
    if let Some(closing) = server.closing.clone().or_else(unannounced) {
        broken.extend(
            closing
                .early
                .map(|early| format!("{id} is stopped though {early}")),
        );
        let still = |name: &&String| {
            known.leases.get(*name).is_some_and(|lease| {
                lease.since <= closing.at && needs(known, lease, id, server, at)
            })
        };
        for name in closing.over.iter().filter(still) {
            broken.push(format!("{id} is stopped although {name} waits or protects"));
        }
    }
    for ((who, lease), promise) in &known.promises {
        let of_this = promise.server == id;
        if of_this && promise.token_until > at {
            let left = promise.token_until - at;
            broken.push(format!(
                "{id} is stopped although {who} may still come with {lease}: its token lives {left} ms"
            ));
        } else if of_this && promise.steady && awaited(known, lease, promise, server, at) {
            broken.push(format!(
                "{id} is stopped although {who} was promised it and may still come"
            ));
        }
    }
    if !looked_twice(server, known.rules.clocks_apart) {
        let zeros = server.zeros.len();
        broken.push(format!(
            "{id} is stopped without two looks after the last token ended ({zeros} zeros in a row)"
        ));
    }
    broken
}

/// Tells whether the ask certainly needs this server, from what the table took and AMS reported.
fn needs(known: &Known, lease: &Lease, id: &str, server: &Server, at: Moment) -> bool {
    let soon = at + known.slack();
    let asleep = lease
        .gone_since
        .is_some_and(|gone| gone + known.rules.absence <= soon);
    if lease.purpose == Purpose::Watch || asleep {
        return false;
    }
    match &lease.standing {
        // A boot that lost its settings is no use to who waits.
        Standing::Waits { until } => *until > soon && !server.unsound,
        Standing::Holds { server: held, boot } => {
            let counted = server.seen_at(lease.purpose);
            held == id
                && *boot == server.boot
                && lease.since + known.protection(lease.purpose) > soon
                && counted.is_none_or(|counted| counted + known.slack() <= lease.since)
        }
        Standing::Over => false,
    }
}

/// The same from what people were told: somebody with an endpoint and an unbroken link is awaited
/// from the earliest moment at which it can have been granted.
fn awaited(known: &Known, lease: &str, promise: &Promise, server: &Server, at: Moment) -> bool {
    // Who has asked anew since then waits for another one.
    let asked = known.leases.get(lease);
    let Some(lease) = asked.filter(|lease| lease.asked_at <= promise.first_at) else {
        return false;
    };
    let opened = server.opened.map_or(0, |(first, _)| first);
    let granted = lease.asked_at.max(opened);
    let seen = server.seen_at(lease.purpose);
    at + known.slack() < granted + known.protection(lease.purpose)
        && seen.is_none_or(|seen| seen + known.slack() <= granted)
}

/// Says why a commitment comes too early. A boot that lost its settings is not kept for the grace.
fn early(known: &Known, server: &Server, at: Moment) -> Option<String> {
    let rules = &known.rules;
    let (first, now) = server.opened.filter(|_| !server.unsound)?;
    let needed = rules.grace + rules.stream_token + SETTLE_MORE;
    let zeros_for = at.saturating_sub(server.busy_at.max(now)) + known.slack();
    if zeros_for < needed {
        return Some(format!(
            "it was busy, unreadable or reopened {zeros_for} ms before; {needed} are needed"
        ));
    }
    let up = at.saturating_sub(first) + known.slack();
    (up < rules.min_up).then(|| format!("it served for {up} ms only"))
}

/// Whether two looks far enough apart saw nobody, the last of them after the last token had ended:
/// whoever came with it is seen then. When it ended is reckoned on one clock and waited for on
/// another, so the first look may come earlier by their distance.
fn looked_twice(server: &Server, clocks_apart: u64) -> bool {
    let ended = server.token_until;
    let zeros = || server.zeros.iter().copied();
    let first = zeros().filter(|zero| zero + clocks_apart >= ended).min();
    let last = zeros().filter(|zero| *zero >= ended).max();
    matches!((first, last), (Some(first), Some(last)) if last - first >= LOOKS_APART)
}
