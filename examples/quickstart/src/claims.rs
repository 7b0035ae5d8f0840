//! What the demonstration claims, each judged by what was recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use wakecast::{Phase, TokenReason};

use crate::journal::{Journal, News, Who};
use crate::record::Record;
use crate::words::{count, took};

/// The whole run, from the first line to the stopped instance.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Two passes of the demonstration's tick, so that the cloud had its chance to be wrong.
pub(crate) const ALONE: Duration = Duration::from_secs(2);
/// How long a server stays with nobody on it before it drains: the demonstration's grace.
pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// How long it drains at least: the life of a stream token (5 s) and 5 s.
pub(crate) const SETTLE: Duration = Duration::from_secs(10);

/// One claim and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) text: &'static str,
    /// What was measured, or what was seen instead.
    pub(crate) verdict: Result<String, String>,
}

/// Judges every claim. `took_all` is the length of the whole run.
pub(crate) fn judge(journal: &Journal, record: &Record, took_all: Duration) -> Vec<Claim> {
    let claim = |text, verdict| Claim { text, verdict };
    vec![
        claim("Watching alone woke nothing", woke_nothing(journal, record)),
        claim(
            "Three people asked, one server was launched",
            one_launch(journal, record),
        ),
        claim(
            "A cut in mid-boot lost no request",
            survived_the_cut(journal, record),
        ),
        claim(
            "The token was renewed on the open socket",
            renewed(journal, record),
        ),
        claim("The endpoint was proved by ping and pong", proved(journal)),
        claim(
            "The server counted the stream and its viewers",
            counted(record),
        ),
        claim(
            "Nothing was stopped while it was live",
            left_alone(journal, record),
        ),
        claim(
            "The watcher learned of it, and of its end",
            watched(journal, record),
        ),
        claim(
            "Stopped only after 3 s idle and 10 s of drain",
            stopped(journal, record),
        ),
        claim(
            "All got through, in less than a minute",
            got_through(journal, took_all),
        ),
    ]
}

fn woke_nothing(journal: &Journal, record: &Record) -> Result<String, String> {
    let waits = watches_since(journal, record).ok_or("the watcher's wish never arrived")?;
    let asked = asked(journal, Who::Publisher)?;
    let alone = asked.saturating_sub(waits);
    if alone < ALONE {
        return Err(format!("the watcher was alone for {} only", took(alone)));
    }
    let starts = record.launches.iter().chain(&record.restarts);
    match starts.min() {
        Some(first) if *first < asked => Err(format!(
            "a server was started at {}, before anybody else had asked",
            took(*first)
        )),
        _ => Ok(format!("alone for {}, no launch", took(alone))),
    }
}

fn one_launch(journal: &Journal, record: &Record) -> Result<String, String> {
    for who in [Who::Publisher, Who::FirstViewer, Who::SecondViewer] {
        let asked = asked(journal, who)?;
        if record.ready.is_none_or(|ready| asked > ready) {
            return Err(format!("the {} did not ask during the boot", who.name()));
        }
        granted(journal, who)?;
    }
    match (record.launches.len(), record.restarts.len()) {
        (1, 0) => Ok("1 launch, no other start".to_owned()),
        (launches, restarts) => Err(format!(
            "{}, {}",
            count(launches, "launch", "launches"),
            count(restarts, "other start", "other starts")
        )),
    }
}

fn survived_the_cut(journal: &Journal, record: &Record) -> Result<String, String> {
    let cut = record.cut.ok_or("the socket was never cut")?;
    let running = record.running.is_some_and(|running| running <= cut);
    if !running || record.ready.is_none_or(|ready| ready <= cut) {
        return Err(format!("the cut at {} was not in mid-boot", took(cut)));
    }
    let publisher = Who::Publisher;
    journal
        .first_since(publisher, cut, |news| *news == News::Unlinked)
        .ok_or("the client did not notice the cut")?;
    let back = journal
        .first_since(publisher, cut, |news| matches!(news, News::Linked { .. }))
        .ok_or("the publisher did not come back")?;
    let asked: BTreeSet<_> = people(|who| asked_for(journal, who));
    let granted: BTreeSet<_> = people(|who| granted_to(journal, who));
    if asked.len() != Who::ALL.len() || asked != granted {
        return Err("somebody was not granted what was asked for".to_owned());
    }
    let sent = asked_for(journal, publisher).map_or(0, |id| record.acks_of(id).len());
    if sent != 1 {
        return Err(format!("the publisher's request was sent {sent} times"));
    }
    if let Some(other) = record.requests().difference(&asked).next() {
        return Err(format!("the cloud served a request more: {other}"));
    }
    Ok(format!("back in {}, sent once", took(back - cut)))
}

fn renewed(journal: &Journal, record: &Record) -> Result<String, String> {
    let expiring = |news: &News| *news == News::TokenAsked(TokenReason::Expiring);
    journal
        .first(Who::Publisher, expiring)
        .ok_or("the token provider was not asked for a fresh token")?;
    let rejected = |news: &News| *news == News::TokenAsked(TokenReason::Rejected);
    if let Some(at) = journal.first(Who::Publisher, rejected) {
        return Err(format!("a token was refused at {}", took(at)));
    }
    let renewals = match asked_for(journal, Who::Publisher) {
        Some(id) => record.renewals_for(id),
        None => Vec::new(),
    };
    match renewals[..] {
        [] => Err("the gateway saw no renewal on an open socket".to_owned()),
        [at] => Ok(format!("once, at {}", took(at))),
        [first, .., last] => Ok(format!(
            "{} times, {} to {}",
            renewals.len(),
            took(first),
            took(last)
        )),
    }
}

fn proved(journal: &Journal) -> Result<String, String> {
    let mut answers = Vec::new();
    for who in [Who::Publisher, Who::FirstViewer, Who::SecondViewer] {
        let granted = granted(journal, who)?;
        let verifying = journal.reached(who, Phase::Verifying);
        if verifying.is_none_or(|verifying| verifying > granted) {
            return Err(format!(
                "the {} was handed an endpoint that was not proved",
                who.name()
            ));
        }
        let pong = journal.of(who).find_map(|entry| match entry.news {
            News::Pong(time) => Some(time),
            _ => None,
        });
        answers.push(pong.ok_or(format!("the {}'s own ping was not answered", who.name()))?);
    }
    let slowest = answers.into_iter().max().unwrap_or_default();
    Ok(format!("and answered again in {}", took(slowest)))
}

fn counted(record: &Record) -> Result<String, String> {
    let streams = usize::try_from(record.most_streams).unwrap_or(usize::MAX);
    let viewers = usize::try_from(record.most_viewers).unwrap_or(usize::MAX);
    let seen = format!(
        "{}, {}",
        count(streams, "stream", "streams"),
        count(viewers, "viewer", "viewers")
    );
    if (streams, viewers) == (1, 2) {
        Ok(seen)
    } else {
        Err(format!("it counted {seen}; 1 and 2 were there"))
    }
}

fn left_alone(journal: &Journal, record: &Record) -> Result<String, String> {
    let (live, ended) = live(journal)?;
    let disturbed = |at: &&Duration| (live..=ended).contains(*at);
    if let Some(at) = record.stops.iter().chain(&record.drains).find(disturbed) {
        return Err(format!(
            "the server was drained or stopped at {}",
            took(*at)
        ));
    }
    match record.stops.first() {
        Some(stop) if *stop > ended => Ok(format!("stopped {} after it", took(*stop - ended))),
        Some(stop) => Err(format!("the server was stopped at {} already", took(*stop))),
        None => Ok(format!("live {}", took(ended - live))),
    }
}

fn watched(journal: &Journal, record: &Record) -> Result<String, String> {
    let ready = record.ready.ok_or("the server was never ready")?;
    let granted = granted(journal, Who::Watcher)?;
    let over = journal.first_since(Who::Watcher, granted, |news| {
        matches!(news, News::Draining | News::Lost)
    });
    over.ok_or("the watcher was not told that it ended")?;
    Ok(format!(
        "{} after it was ready",
        took(granted.saturating_sub(ready))
    ))
}

fn stopped(journal: &Journal, record: &Record) -> Result<String, String> {
    let (_, ended) = live(journal)?;
    let draining = *record.drains.last().ok_or("the server did not drain")?;
    let [stop] = record.stops[..] else {
        return Err(format!(
            "{} instead of one",
            count(record.stops.len(), "stop", "stops")
        ));
    };
    record.stopped.ok_or("the server did not stop in time")?;
    let (idle, drain) = (
        draining.saturating_sub(ended),
        stop.saturating_sub(draining),
    );
    let seen = format!("idle {}, drained {}", took(idle), took(drain));
    if idle < GRACE || drain < SETTLE {
        return Err(format!("{seen}: too early"));
    }
    Ok(seen)
}

fn got_through(journal: &Journal, took_all: Duration) -> Result<String, String> {
    if let Some((who, why)) = journal.failures().next() {
        return Err(format!("{}: {why}", who.name()));
    }
    if took_all < LIMIT {
        Ok(took(took_all))
    } else {
        Err(format!("it took {}", took(took_all)))
    }
}

/// Since when the watcher's wish waits in the cloud.
pub(crate) fn watches_since(journal: &Journal, record: &Record) -> Option<Duration> {
    let id = asked_for(journal, Who::Watcher)?;
    record.acks_of(id).first().copied()
}

/// The id of the request that `who` made; one is all that anybody makes.
pub(crate) fn asked_for(journal: &Journal, who: Who) -> Option<&str> {
    journal.of(who).find_map(|entry| match &entry.news {
        News::Asked { id } => Some(id.as_str()),
        _ => None,
    })
}

fn granted_to(journal: &Journal, who: Who) -> Option<&str> {
    journal.of(who).find_map(|entry| match &entry.news {
        News::Granted { id } => Some(id.as_str()),
        _ => None,
    })
}

fn people<'a>(id: impl Fn(Who) -> Option<&'a str>) -> BTreeSet<&'a str> {
    Who::ALL.into_iter().filter_map(id).collect()
}

fn asked(journal: &Journal, who: Who) -> Result<Duration, String> {
    journal
        .first(who, |news| matches!(news, News::Asked { .. }))
        .ok_or_else(|| format!("the {} never asked", who.name()))
}

fn granted(journal: &Journal, who: Who) -> Result<Duration, String> {
    journal
        .first(who, |news| matches!(news, News::Granted { .. }))
        .ok_or_else(|| format!("the {} got no endpoint", who.name()))
}

/// From when to when the stream was live.
fn live(journal: &Journal) -> Result<(Duration, Duration), String> {
    let publisher = Who::Publisher;
    let live = journal.first(publisher, |news| *news == News::Live);
    let ended = journal.first(publisher, |news| *news == News::StreamEnded);
    Ok((
        live.ok_or("the stream never went live")?,
        ended.ok_or("the stream never ended")?,
    ))
}

#[cfg(test)]
mod tests;
