//! The lines that stay: what happened, one line each, with its time.

use std::time::Duration;

use wakecast::Phase;

use crate::journal::{Entry, Journal, News, Who};
use crate::paint::{Paint, Tone};
use crate::people::STREAM;
use crate::record::Record;
use crate::words;

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    at: Duration,
    subject: &'static str,
    tone: Tone,
    text: String,
}

impl Line {
    pub(crate) fn paint(&self, paint: Paint) -> String {
        format!(
            "  {}  {:<11}{}",
            paint.tone(Tone::Quiet, &words::moment(self.at)),
            self.subject,
            paint.tone(self.tone, &self.text)
        )
    }
}

/// What is said before anything has happened.
pub(crate) fn title(paint: Paint) -> Vec<String> {
    vec![
        String::new(),
        format!(
            "  {}  {}",
            paint.tone(Tone::Title, "wakecast"),
            "a media server that runs only while somebody needs it"
        ),
        String::new(),
        format!(
            "  {}",
            paint.tone(
                Tone::Quiet,
                "All on this machine, in real time. Client and cloud logic are the real ones;"
            )
        ),
        format!(
            "  {}",
            paint.tone(
                Tone::Quiet,
                "API Gateway, EC2 (here quicker) and Ant Media Server are stand-ins."
            )
        ),
        String::new(),
    ]
}

/// What is said of somebody's news, `before` which the journal stood. `phases` tells every phase
/// of the publisher's wait, for where no block shows it.
pub(crate) fn of_news(entry: &Entry, before: &Journal, phases: bool) -> Option<Line> {
    let who = entry.who;
    let (tone, text) = match &entry.news {
        News::Asked { .. } => (Tone::Plain, asks(who)),
        News::Waits(wait) => {
            let new = before.reached(who, wait.phase).is_none();
            let told = phases && new && who == Who::Publisher && wait.phase > Phase::Requested;
            if !told || wait.phase >= Phase::Verifying {
                return None;
            }
            let text = [words::phase(wait.phase).to_owned(), words::eta(wait)];
            let said: Vec<_> = text.into_iter().filter(|part| !part.is_empty()).collect();
            (Tone::Plain, said.join(", "))
        }
        News::Unlinked => {
            // Each further attempt is the same news.
            before.is_linked(who).then_some(())?;
            (Tone::Plain, "lost its connection, tries again".to_owned())
        }
        News::Linked { .. } => {
            before.first(who, |news| *news == News::Unlinked)?;
            (Tone::Plain, "is back, its request went on".to_owned())
        }
        News::Granted { .. } => (Tone::Plain, granted(who)),
        News::Live => (Tone::Good, "is live".to_owned()),
        News::Playing => (Tone::Good, "plays the stream".to_owned()),
        News::StreamEnded if who == Who::Publisher => (
            Tone::Plain,
            "ends the stream and gives the server back".to_owned(),
        ),
        News::Draining => (Tone::Plain, "is told that the server drains".to_owned()),
        News::Lost => (Tone::Plain, "is told that the server is gone".to_owned()),
        News::Explained(line) => (Tone::Quiet, line.clone()),
        News::Failed(why) => (Tone::Bad, why.clone()),
        News::StreamEnded | News::Released | News::TokenAsked(_) | News::Pong(_) => return None,
    };
    Some(Line {
        at: entry.at,
        subject: who.name(),
        tone,
        text,
    })
}

/// What is said of what changed in the cloud.
/// `publishers` is the id of the publisher's request.
pub(crate) fn of_record(before: &Record, now: &Record, publishers: Option<&str>) -> Vec<Line> {
    let renewed = |record: &Record| {
        let id = publishers?;
        record.renewals_for(id).first().copied()
    };
    let moments = [
        (
            before.launches.first().copied(),
            now.launches.first().copied(),
            "server",
            "is launched",
        ),
        (
            before.cut,
            now.cut,
            "cloud",
            "cuts the publisher's socket in mid-boot",
        ),
        (
            renewed(before),
            renewed(now),
            "publisher",
            "renewed its token on the open socket",
        ),
        (before.ready, now.ready, "server", "is ready"),
        (
            before.drains.first().copied(),
            now.drains.first().copied(),
            "server",
            "drains: nobody is left",
        ),
        (
            before.stops.first().copied(),
            now.stops.first().copied(),
            "server",
            "is stopped: the last looks saw nobody",
        ),
        (before.stopped, now.stopped, "server", "has stopped"),
    ];
    let new = moments
        .into_iter()
        .filter_map(|(before, now, subject, text)| {
            let at = now.filter(|_| before.is_none())?;
            Some(Line {
                at,
                subject,
                tone: Tone::Plain,
                text: text.to_owned(),
            })
        });
    let mut lines: Vec<_> = new.collect();
    lines.sort_by_key(|line| line.at);
    lines
}

fn asks(who: Who) -> String {
    match who {
        Who::Publisher => format!("asks for a server to publish {STREAM}"),
        Who::FirstViewer | Who::SecondViewer => format!("asks for a server to play {STREAM}"),
        Who::Watcher => format!("waits for {STREAM} without waking a server"),
    }
}

fn granted(who: Who) -> String {
    match who {
        Who::Watcher => "knows that the server is there".to_owned(),
        _ => "has its endpoint, proved by ping and pong".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Wait;

    /// Tells the news in order and returns the lines that stay.
    fn told(phases: bool, news: &[(Who, News)]) -> Vec<String> {
        let mut journal = Journal::default();
        let mut lines = Vec::new();
        for (who, news) in news {
            let entry = Entry {
                at: Duration::from_secs(1),
                who: *who,
                news: news.clone(),
            };
            lines.extend(of_news(&entry, &journal, phases).map(|line| line.text));
            journal.add(entry);
        }
        lines
    }

    fn waits(phase: Phase) -> News {
        News::Waits(Wait {
            phase,
            eta_p50: Some(Duration::from_secs(6)),
            eta_p90: Some(Duration::from_secs(9)),
            fraction: 0.3,
            overdue: false,
        })
    }

    #[test]
    fn a_broken_link_is_told_once_however_often_it_is_tried() {
        let session = || "s".to_owned();
        let publisher = |news| (Who::Publisher, news);
        let lines = told(
            false,
            &[
                publisher(News::Linked { session: session() }),
                publisher(News::Unlinked),
                publisher(News::Unlinked),
                publisher(News::Linked { session: session() }),
            ],
        );
        let expected = [
            "lost its connection, tries again",
            "is back, its request went on",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn each_phase_of_the_publisher_is_told_once_where_no_block_shows_it() {
        let booting = waits(Phase::Booting);
        let news = [
            (Who::Watcher, booting.clone()),
            (Who::Publisher, waits(Phase::Requested)),
            (Who::Publisher, booting.clone()),
            (Who::Publisher, booting),
            (Who::Publisher, waits(Phase::Verifying)),
        ];
        let expected = ["booting, about 6 s left, seldom over 9 s"];
        assert_eq!(told(true, &news), expected);
        assert_eq!(told(false, &news), [""; 0]);
    }

    #[test]
    fn what_happened_in_the_cloud_is_told_once_and_in_order() {
        let before = Record {
            launches: vec![Duration::from_secs(2)],
            ..Record::default()
        };
        let now = Record {
            ready: Some(Duration::from_secs(9)),
            cut: Some(Duration::from_secs(5)),
            ..before.clone()
        };
        let lines = of_record(&before, &now, None);
        let subjects: Vec<_> = lines
            .iter()
            .map(|line| (line.subject, line.at.as_secs()))
            .collect();
        assert_eq!(subjects, [("cloud", 5), ("server", 9)]);
        assert!(of_record(&now, &now, None).is_empty());
    }

    #[test]
    fn plain_lines_are_ascii_in_columns() {
        let line = Line {
            at: Duration::from_millis(4_449),
            subject: "publisher",
            tone: Tone::Bad,
            text: "is gone".to_owned(),
        };
        assert_eq!(line.paint(Paint::PLAIN), "   4.4 s  publisher  is gone");
        assert!(title(Paint::PLAIN).join("\n").is_ascii());
    }
}
