use super::*;
use crate::journal::{Entry, Wait};
use crate::record::Renewal;

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
    add(0.1, Who::Watcher, News::Asked { id: id("x") });
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
        drains: vec![seconds(21.4)],
        stops: vec![seconds(37.0)],
        stopped: Some(seconds(40.0)),
        most_streams: 1,
        most_viewers: 2,
        acks: [("x", 0.1), ("p", 2.3), ("v", 3.1), ("w", 8.2)]
            .map(|(request, at)| (id(request), vec![seconds(at)]))
            .into(),
        told: [("1", "p"), ("2", "p"), ("3", "v"), ("4", "w"), ("5", "x")]
            .map(|(connection, request)| (id(connection), [id(request)].into()))
            .into(),
        renewals: vec![Renewal {
            at: seconds(12.1),
            connection: id("2"),
        }],
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
fn nothing_recorded_holds_no_claim_but_the_last() {
    assert_eq!(failed(Vec::new(), &Record::default(), 5.0).len(), 9);
}

#[test]
fn each_deviation_in_the_cloud_fails_its_own_claim() {
    type Change = fn(&mut Record);
    let deviations: [(&str, Change); 13] = [
        ("Watching alone", |r| r.launches = vec![seconds(1.0)]),
        ("Watching alone", |r| {
            r.acks.insert("x".to_owned(), vec![seconds(1.0)]);
        }),
        ("A cut", |r| r.acks.get_mut("p").unwrap().push(seconds(9.0))),
        ("Three people", |r| r.launches.push(seconds(9.0))),
        ("Three people", |r| r.restarts.push(seconds(9.0))),
        ("A cut", |r| r.cut = None),
        ("A cut", |r| r.cut = Some(seconds(3.0))),
        ("A cut", |r| r.tell("2", "q".to_owned())),
        ("The token", |r| r.renewals.clear()),
        ("The token", |r| r.renewals[0].connection = "3".to_owned()),
        ("The server counted", |r| r.most_viewers = 1),
        ("Stopped only", |r| r.stops = vec![seconds(30.0)]),
        ("Stopped only", |r| r.stopped = None),
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
        (|r: &mut Record| r.drains.insert(0, seconds(15.0))) as fn(&mut Record),
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
            "All got through, in less than a minute"
        ]
    );
}
