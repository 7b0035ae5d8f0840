//! Everything the people did and learned, in order, with the time at which it happened.

use std::time::Duration;

use wakecast::{Phase, Progress, TokenReason};

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Publisher,
    FirstViewer,
    SecondViewer,
    Watcher,
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [
        Self::Publisher,
        Self::FirstViewer,
        Self::SecondViewer,
        Self::Watcher,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::FirstViewer => "viewer 1",
            Self::SecondViewer => "viewer 2",
            Self::Watcher => "watcher",
        }
    }
}

/// How long a person still waits, as the client told it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wait {
    pub(crate) phase: Phase,
    pub(crate) eta_p50: Option<Duration>,
    pub(crate) eta_p90: Option<Duration>,
    pub(crate) fraction: f32,
    pub(crate) overdue: bool,
}

impl From<Progress> for Wait {
    fn from(progress: Progress) -> Self {
        Self {
            phase: progress.phase,
            eta_p50: progress.eta_p50,
            eta_p90: progress.eta_p90,
            fraction: progress.fraction,
            overdue: progress.overdue,
        }
    }
}

/// What somebody did or learned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// Asked for a server, under this id.
    Asked { id: String },
    /// Came nearer to it.
    Waits(Wait),
    /// The link to the gateway stands; a reconnect is another session.
    Linked { session: String },
    /// The link broke; the client connects again by itself.
    Unlinked,
    /// The token provider was asked.
    TokenAsked(TokenReason),
    /// Holds a lease of this id, its endpoint proved by the client.
    Granted { id: String },
    /// The media server answered a ping of ours within this time.
    Pong(Duration),
    /// The media server said that the stream is live.
    Live,
    /// The media server sends the stream.
    Playing,
    /// The stream ended.
    StreamEnded,
    /// Was told that the server drains.
    Draining,
    /// Was told that the lease is over.
    Lost,
    /// Gave the lease back.
    Released,
    /// What the client says of itself before that, line by line.
    Explained(String),
    /// Cannot go on, in plain words.
    Failed(String),
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Since the program began.
    pub(crate) at: Duration,
    pub(crate) who: Who,
    pub(crate) news: News,
}

/// What happened, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal(Vec<Entry>);

impl Journal {
    pub(crate) fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// When `who` first told such news.
    pub(crate) fn first(&self, who: Who, such: impl Fn(&News) -> bool) -> Option<Duration> {
        self.of(who).find(|entry| such(&entry.news)).map(|e| e.at)
    }

    /// When `who` first told such news at `since` or later.
    pub(crate) fn first_since(
        &self,
        who: Who,
        since: Duration,
        such: impl Fn(&News) -> bool,
    ) -> Option<Duration> {
        self.of(who)
            .find(|entry| entry.at >= since && such(&entry.news))
            .map(|entry| entry.at)
    }

    /// When `who` was first told that the server is in this phase.
    pub(crate) fn reached(&self, who: Who, phase: Phase) -> Option<Duration> {
        self.first(
            who,
            |news| matches!(news, News::Waits(wait) if wait.phase == phase),
        )
    }

    /// Whether the link of `who` stood when it was last heard of.
    pub(crate) fn is_linked(&self, who: Who) -> bool {
        let links = self.of(who).filter_map(|entry| match entry.news {
            News::Linked { .. } => Some(true),
            News::Unlinked => Some(false),
            _ => None,
        });
        links.last() == Some(true)
    }

    /// Everything `who` told, in order.
    pub(crate) fn of(&self, who: Who) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |entry| entry.who == who)
    }

    /// What failed, and for whom.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Who, &str)> {
        self.0.iter().filter_map(|entry| match &entry.news {
            News::Failed(why) => Some((entry.who, why.as_str())),
            _ => None,
        })
    }
}
