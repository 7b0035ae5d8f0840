//! What the demonstration claims, each judged by what was recorded.

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
            "Idle for 3 s and drained for 10 s, then stopped",
            stopped(journal, record),
        ),
        claim("All of it took less than a minute", in_time(took_all)),
    ]
}

fn woke_nothing(journal: &Journal, record: &Record) -> Result<String, String> {
    let waits = record
        .watcher_waits
        .ok_or("the gateway knows of no watcher")?;
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
    let ids: Vec<&str> = journal
        .of(publisher)
        .filter_map(|entry| match &entry.news {
            News::Asked { id } | News::Granted { id } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let [asked, granted] = ids[..] else {
        return Err("the publisher was not granted what it had asked for".to_owned());
    };
    if asked != granted || record.publisher_requests != 1 {
        return Err(format!(
            "the gateway knows {} of the publisher",
            count(record.publisher_requests, "request", "requests")
        ));
    }
    Ok(format!("back after {}, same request", took(back - cut)))
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
    match record.renewals[..] {
        [] => Err("the gateway saw no renewal on an open socket".to_owned()),
        [at] => Ok(format!("once, at {}", took(at))),
        [first, .., last] => Ok(format!(
            "{} times, {} to {}",
            record.renewals.len(),
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
    let touched = record.stops.iter().chain(&record.draining);
    if let Some(at) = touched.clone().find(disturbed) {
        return Err(format!(
            "the server was drained or stopped at {}",
            took(*at)
        ));
    }
    if let Some((who, why)) = journal.failures().next() {
        return Err(format!("{}: {why}", who.name()));
    }
    match record.stops.first() {
        Some(stop) if *stop > ended => Ok(format!(
            "live {}, stop {} later",
            took(ended - live),
            took(*stop - ended)
        )),
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
        "{} after the server was ready",
        took(granted.saturating_sub(ready))
    ))
}

fn stopped(journal: &Journal, record: &Record) -> Result<String, String> {
    let (_, ended) = live(journal)?;
    let draining = record.draining.ok_or("the server did not drain")?;
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

fn in_time(took_all: Duration) -> Result<String, String> {
    if took_all < LIMIT {
        Ok(took(took_all))
    } else {
        Err(format!("it took {}", took(took_all)))
    }
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
mod tests {
    use super::*;
    use crate::journal::{Entry, Wait};

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn waits(phase: Phase) -> News {
        News::Waits(Wait {
            phase,
            eta_p50: None,
            eta_p90: None,
            fraction: 0.0,
            overdue: false,
        })
    }

    /// A run as it should be.
    fn good() -> (Vec<Entry>, Record) {
        let mut entries = Vec::new();
        let mut add = |at: f64, who, news| {
            entries.push(Entry {
                at: seconds(at),
                who,
                news,
            });
        };
        let id = |id: &str| id.to_owned();
        add(2.2, Who::Publisher, News::Asked { id: id("p") });
        add(2.3, Who::Publisher, News::Linked { session: id("1") });
        add(3.0, Who::FirstViewer, News::Asked { id: id("v") });
        add(7.1, Who::Publisher, News::Unlinked);
        add(8.0, Who::Publisher, News::Linked { session: id("2") });
        add(8.1, Who::SecondViewer, News::Asked { id: id("w") });
        let expiring = News::TokenAsked(TokenReason::Expiring);
        add(12.0, Who::Publisher, expiring);
        for (who, name) in [
            (Who::Publisher, "p"),
            (Who::FirstViewer, "v"),
            (Who::SecondViewer, "w"),
            (Who::Watcher, "x"),
        ] {
            add(13.0, who, waits(Phase::Verifying));
            add(13.1, who, News::Granted { id: id(name) });
            add(13.2, who, News::Pong(Duration::from_millis(2)));
        }
        add(13.5, Who::Publisher, News::Live);
        add(18.0, Who::Publisher, News::StreamEnded);
        add(21.5, Who::Watcher, News::Draining);
        let record = Record {
            launches: vec![seconds(2.5)],
            running: Some(seconds(6.5)),
            ready: Some(seconds(12.9)),
            draining: Some(seconds(21.4)),
            stops: vec![seconds(37.0)],
            stopped: Some(seconds(40.0)),
            most_streams: 1,
            most_viewers: 2,
            watcher_waits: Some(seconds(0.1)),
            publisher_requests: 1,
            renewals: vec![seconds(12.1)],
            cut: Some(seconds(7.0)),
            ..Record::default()
        };
        (entries, record)
    }

    fn failed(entries: Vec<Entry>, record: &Record, total: f64) -> Vec<&'static str> {
        let mut journal = Journal::default();
        entries.into_iter().for_each(|entry| journal.add(entry));
        let claims = judge(&journal, record, seconds(total));
        claims
            .iter()
            .filter(|claim| claim.verdict.is_err())
            .map(|claim| claim.text)
            .collect()
    }

    #[test]
    fn a_run_as_it_should_be_holds_every_claim() {
        let (entries, record) = good();
        assert_eq!(failed(entries, &record, 40.1), [""; 0]);
    }

    #[test]
    fn nothing_recorded_holds_no_claim_but_the_time() {
        assert_eq!(failed(Vec::new(), &Record::default(), 5.0).len(), 9);
    }

    #[test]
    fn each_deviation_in_the_cloud_fails_its_own_claim() {
        type Change = fn(&mut Record);
        let deviations: [(&str, Change); 11] = [
            ("Watching alone", |r| r.watcher_waits = Some(seconds(1.0))),
            ("Watching alone", |r| r.launches = vec![seconds(1.0)]),
            ("Three people", |r| r.launches.push(seconds(9.0))),
            ("Three people", |r| r.restarts.push(seconds(9.0))),
            ("A cut", |r| r.cut = None),
            ("A cut", |r| r.cut = Some(seconds(3.0))),
            ("A cut", |r| r.publisher_requests = 2),
            ("The token", |r| r.renewals.clear()),
            ("The server counted", |r| r.most_viewers = 1),
            ("Idle for", |r| r.stops = vec![seconds(30.0)]),
            ("Idle for", |r| r.stopped = None),
        ];
        for (claim, change) in deviations {
            let (entries, mut record) = good();
            change(&mut record);
            let failed = failed(entries, &record, 40.1);
            assert!(
                matches!(failed[..], [only] if only.starts_with(claim)),
                "{claim}: {failed:?}"
            );
        }
    }

    #[test]
    fn a_drain_or_stop_under_the_stream_fails() {
        for change in [
            (|r: &mut Record| r.draining = Some(seconds(15.0))) as fn(&mut Record),
            |r| r.stops = vec![seconds(15.0)],
        ] {
            let (entries, mut record) = good();
            change(&mut record);
            let failed = failed(entries, &record, 40.1);
            assert!(failed.contains(&"Nothing was stopped while it was live"));
        }
    }

    #[test]
    fn each_piece_of_news_that_is_missing_fails_its_own_claim() {
        type Such = fn(&Entry) -> bool;
        let missing: [(&str, Such); 4] = [
            ("A cut", |e| e.news == News::Unlinked),
            ("The token", |e| matches!(e.news, News::TokenAsked(_))),
            ("The endpoint", |e| {
                e.who == Who::FirstViewer && matches!(e.news, News::Pong(_))
            }),
            ("The watcher", |e| e.news == News::Draining),
        ];
        for (claim, such) in missing {
            let (mut entries, record) = good();
            entries.retain(|entry| !such(entry));
            let failed = failed(entries, &record, 40.1);
            assert!(
                matches!(failed[..], [only] if only.starts_with(claim)),
                "{claim}: {failed:?}"
            );
        }
    }

    #[test]
    fn an_endpoint_handed_over_before_its_proof_fails() {
        let (mut entries, record) = good();
        for entry in &mut entries {
            if entry.who == Who::SecondViewer && entry.news == waits(Phase::Verifying) {
                entry.at = seconds(13.3);
            }
        }
        let failed = failed(entries, &record, 40.1);
        assert_eq!(failed, ["The endpoint was proved by ping and pong"]);
    }

    #[test]
    fn another_id_or_a_minute_fails() {
        let (mut entries, record) = good();
        for entry in &mut entries {
            if entry.who == Who::Publisher && matches!(entry.news, News::Granted { .. }) {
                entry.news = News::Granted { id: "q".to_owned() };
            }
        }
        let failed = failed(entries, &record, 60.0);
        assert_eq!(
            failed,
            [
                "A cut in mid-boot lost no request",
                "All of it took less than a minute"
            ]
        );
    }
}
