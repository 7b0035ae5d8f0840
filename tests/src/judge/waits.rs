//! Law 3: everybody who asked is answered in time, and nobody's wake-up is lost.

use super::facts::{Moment, Standing};
use super::known::Known;

/// A late timer and a trip of the events, on the client.
const CLIENT_SLACK: u64 = 2_000;
/// A row ends within one tick, and this much for a round of slow calls.
const ROUND: u64 = 5_000;
/// Who holds the lock looks again within 10 s; a run that is woken needs a few calls, each of which
/// may take seconds.
const SEEN_WITHIN: u64 = 30_000;

/// Looks at every open question of an app, exact on the client.
pub(super) fn unanswered(known: &Known, at: Moment) -> Vec<(String, String)> {
    let late = known
        .asked
        .iter()
        .filter(|(_, until)| at > **until + CLIENT_SLACK);
    late.map(|((who, key), until)| {
        let text = format!(
            "{who} waits for an answer to {key}, {} ms too long",
            at - until
        );
        (format!("{who} {key}"), text)
    })
    .collect()
}

/// Looks at every ask that the table says waits, within one tick.
pub(super) fn overdue(known: &mut Known, at: Moment) -> Vec<(String, String)> {
    let (absence, slack) = (known.rules.absence, known.rules.clocks_apart);
    for lease in known.leases.values_mut() {
        let Standing::Waits { until } = lease.standing else {
            continue;
        };
        // Who was without a link before the deadline came sleeps, and so does the deadline.
        let asleep = lease
            .gone_since
            .is_some_and(|gone| until + slack >= gone + absence);
        // Nor can a row end that the table refuses to change.
        if at < until + slack || asleep || known.rows_refused {
            lease.late_since = None;
        } else {
            lease.late_since.get_or_insert(at);
        }
    }
    let rules = &known.rules;
    let troubled = rules.lock + rules.tick * 3;
    let late = known.leases.iter().filter_map(|(name, lease)| {
        let since = lease.late_since?;
        let crashes = known.crashes_since(since.saturating_sub(troubled));
        let allowed = rules.tick + ROUND + (rules.lock + rules.tick) * crashes;
        let late = at.saturating_sub(since);
        (late > allowed).then(|| {
            (
                name.clone(),
                format!("{name} is past its deadline for {late} ms"),
            )
        })
    });
    late.collect()
}

/// Looks at everybody whom the reconciler has not looked at since they asked. A lost wake or call
/// costs a tick, a crash the lock and a tick.
pub(super) fn unseen(known: &Known, at: Moment) -> Vec<(String, String)> {
    let late = known.unseen.iter().filter_map(|(name, since)| {
        let allowed = SEEN_WITHIN + known.delays(*since);
        let waits = at.saturating_sub(*since);
        (waits > allowed).then(|| {
            (
                name.clone(),
                format!("nobody has looked at {name} for {waits} ms"),
            )
        })
    });
    late.collect()
}
