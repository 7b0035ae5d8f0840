//! The script of the story: what happens when. Everything but these cues happens by itself.

use std::time::Duration;

use wakecast::Phase;

use crate::claims::{ALONE, asked_for, watches_since};
use crate::journal::{Journal, News, Who};
use crate::record::Record;

/// How long the instance has run when the publisher's socket is cut: its boot takes seconds more.
const INTO_THE_BOOT: Duration = Duration::from_millis(500);
/// How long the stream goes on once everybody is there; longer if the token is still to be renewed.
const STREAM: Duration = Duration::from_secs(4);
/// The stream ends by then even if a viewer never came or the server never counted it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the story does to the people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cue {
    PublisherComes,
    FirstViewerComes,
    /// The publisher's socket is cut.
    Cut,
    SecondViewerComes,
    StreamEnds,
}

impl Cue {
    pub(crate) const ALL: [Self; 5] = [
        Self::PublisherComes,
        Self::FirstViewerComes,
        Self::Cut,
        Self::SecondViewerComes,
        Self::StreamEnds,
    ];

    /// Whether it is time.
    pub(crate) fn is_due(self, journal: &Journal, record: &Record, now: Duration) -> bool {
        let publisher = Who::Publisher;
        let after = |since: Option<Duration>, wait| since.is_some_and(|at| now >= at + wait);
        match self {
            // The cloud first has its chance to start a server for the watcher alone.
            Self::PublisherComes => after(watches_since(journal, record), ALONE),
            Self::FirstViewerComes => journal.reached(publisher, Phase::Launching).is_some(),
            Self::Cut => after(record.running, INTO_THE_BOOT),
            Self::SecondViewerComes => record.cut.is_some_and(|cut| {
                journal
                    .first_since(publisher, cut, |news| matches!(news, News::Linked { .. }))
                    .is_some()
            }),
            Self::StreamEnds => {
                let playing = |who| journal.first(who, |news| *news == News::Playing);
                let all = playing(Who::FirstViewer).zip(playing(Who::SecondViewer));
                let complete = all.map(|(first, second)| first.max(second));
                let counted = record.most_viewers >= 2;
                let renewed = asked_for(journal, publisher)
                    .is_some_and(|id| !record.renewals_for(id).is_empty());
                let live = journal.first(publisher, |news| *news == News::Live);
                (after(complete, STREAM) && counted && renewed) || after(live, PATIENCE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Entry;
    use crate::record::Renewal;

    fn journal(entries: &[(u64, Who, News)]) -> Journal {
        let mut journal = Journal::default();
        for (at, who, news) in entries {
            journal.add(Entry {
                at: Duration::from_secs(*at),
                who: *who,
                news: news.clone(),
            });
        }
        journal
    }

    #[test]
    fn the_publisher_leaves_the_watcher_alone_for_a_while() {
        let asked = journal(&[(1, Who::Watcher, News::Asked { id: "x".into() })]);
        let mut record = Record::default();
        let due = |record: &Record, at| {
            Cue::PublisherComes.is_due(&asked, record, Duration::from_secs(at))
        };
        assert!(!due(&record, 9), "the watcher's wish has not arrived");
        let arrived = vec![Duration::from_secs(1)];
        record.acks.insert("x".to_owned(), arrived);
        assert!(!due(&record, 2));
        assert!(due(&record, 3));
    }

    #[test]
    fn the_stream_ends_once_all_were_counted_or_nobody_comes() {
        let due = |entries: &[_], viewers, at| {
            let mut record = Record {
                most_viewers: viewers,
                ..Record::default()
            };
            record.tell("1", "p".to_owned());
            if at != 17 {
                record.renewals.push(Renewal {
                    at: Duration::from_secs(14),
                    connection: "1".to_owned(),
                });
            }
            Cue::StreamEnds.is_due(&journal(entries), &record, Duration::from_secs(at))
        };
        let all = [
            (2, Who::Publisher, News::Asked { id: "p".into() }),
            (10, Who::Publisher, News::Live),
            (11, Who::FirstViewer, News::Playing),
            (12, Who::SecondViewer, News::Playing),
        ];
        assert!(!due(&all, 2, 15));
        assert!(due(&all, 2, 16));
        assert!(!due(&all, 2, 17), "not renewed yet");
        assert!(!due(&all, 1, 19), "not counted yet");
        assert!(due(&all, 1, 20));
        assert!(!due(&all[..3], 2, 19), "a viewer is missing");
        assert!(due(&all[..3], 2, 20));
    }
}
