//! The run as a table of measured times.

use std::time::Duration;

use crate::journal::{Journal, News, Who};
use crate::record::Record;

/// One stretch of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Since the publisher asked.
    pub(crate) at: Duration,
    /// Until the next stretch; zero for the last, which lasts.
    pub(crate) took: Duration,
}

/// The stretches that were reached, from the publisher's request to the stopped instance.
pub(crate) fn stretches(journal: &Journal, record: &Record) -> Vec<Stretch> {
    let publisher = Who::Publisher;
    let told = |news: &'static dyn Fn(&News) -> bool| journal.first(publisher, news);
    let moments = [
        (
            "asked",
            "the publisher's request",
            told(&|news| matches!(news, News::Asked { .. })),
        ),
        (
            "launching",
            "EC2 accepted the launch",
            record.launches.first().copied(),
        ),
        ("booting", "the instance runs", record.running),
        ("warming", "the media server answers", record.warming),
        ("ready", "tested, and open to clients", record.ready),
        ("live", "the stream", told(&|news| *news == News::Live)),
        (
            "idle",
            "nobody is left",
            told(&|news| *news == News::StreamEnded),
        ),
        (
            "draining",
            "no new clients, last looks",
            record.drains.last().copied(),
        ),
        (
            "stopping",
            "EC2 accepted the stop",
            record.stops.first().copied(),
        ),
        ("stopped", "only the disk is paid for", record.stopped),
    ];
    let mut reached: Vec<_> = moments
        .into_iter()
        .filter_map(|(name, what, at)| Some((name, what, at?)))
        .collect();
    reached.sort_by_key(|(_, _, at)| *at);
    let begun = reached.first().map_or(Duration::ZERO, |(_, _, at)| *at);
    let ends = reached.iter().skip(1).map(|(_, _, at)| *at);
    let last = reached.last().map_or(Duration::ZERO, |(_, _, at)| *at);
    let ends: Vec<_> = ends.chain([last]).collect();
    reached
        .into_iter()
        .zip(ends)
        .map(|((name, what, at), end)| Stretch {
            name,
            what,
            at: at - begun,
            took: end - at,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Entry;

    #[test]
    fn stretches_follow_each_other_without_a_gap_and_skip_what_was_not_reached() {
        let seconds = Duration::from_secs;
        let mut journal = Journal::default();
        for (at, news) in [
            (2, News::Asked { id: "p".into() }),
            (20, News::Live),
            (24, News::StreamEnded),
        ] {
            journal.add(Entry {
                at: seconds(at),
                who: Who::Publisher,
                news,
            });
        }
        let record = Record {
            launches: vec![seconds(3)],
            running: Some(seconds(8)),
            stopped: Some(seconds(40)),
            ..Record::default()
        };
        let found: Vec<_> = stretches(&journal, &record)
            .into_iter()
            .map(|s| (s.name, s.at.as_secs(), s.took.as_secs()))
            .collect();
        let expected = [
            ("asked", 0, 1),
            ("launching", 1, 5),
            ("booting", 6, 12),
            ("live", 18, 4),
            ("idle", 22, 16),
            ("stopped", 38, 0),
        ];
        assert_eq!(found, expected);
    }
}
