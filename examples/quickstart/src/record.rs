//! What truly happened in the cloud, whatever the people were told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The state of the one server, as the cloud knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Server {
    /// There is none yet.
    #[default]
    None,
    Booting,
    Ready,
    Draining,
    Stopping,
    Stopped,
}

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none yet",
            Self::Booting => "booting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// What the cloud recorded. Times count from the beginning of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) server: Server,
    /// Since when it is in that state.
    pub(crate) since: Duration,
    /// New instances.
    pub(crate) launches: Vec<Duration>,
    /// Starts of an instance that was there already.
    pub(crate) restarts: Vec<Duration>,
    /// When EC2 showed it running.
    pub(crate) running: Option<Duration>,
    /// When the media server first answered.
    pub(crate) warming: Option<Duration>,
    pub(crate) ready: Option<Duration>,
    /// When granting ended; each but the last was undone.
    pub(crate) drains: Vec<Duration>,
    /// Stops that EC2 accepted.
    pub(crate) stops: Vec<Duration>,
    pub(crate) stopped: Option<Duration>,
    /// The most that the media server counted.
    pub(crate) most_streams: u64,
    pub(crate) most_viewers: u64,
    /// When the gateway acknowledged which message, by its id: once for each time it was sent.
    pub(crate) acks: BTreeMap<String, Vec<Duration>>,
    /// What each connection was told of, by the ids of the requests.
    pub(crate) told: BTreeMap<String, BTreeSet<String>>,
    /// Tokens that the gateway accepted on a link that stood already.
    pub(crate) renewals: Vec<Renewal>,
    /// When we cut the publisher's socket.
    pub(crate) cut: Option<Duration>,
}

/// A token that was accepted in place of an older one, without a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renewal {
    pub(crate) at: Duration,
    pub(crate) connection: String,
}

impl Record {
    pub(crate) fn becomes(&mut self, server: Server, at: Duration) {
        self.server = server;
        self.since = at;
    }

    /// When the gateway acknowledged this message.
    pub(crate) fn acks_of(&self, id: &str) -> &[Duration] {
        self.acks.get(id).map_or(&[], Vec::as_slice)
    }

    /// Notes that a connection was told of a request.
    pub(crate) fn tell(&mut self, connection: &str, request: String) {
        let told = self.told.entry(connection.to_owned()).or_default();
        told.insert(request);
    }

    /// The ids of all requests that the cloud told anybody of.
    pub(crate) fn requests(&self) -> BTreeSet<&str> {
        self.told.values().flatten().map(String::as_str).collect()
    }

    /// When a token was renewed on a connection that was told of this request.
    pub(crate) fn renewals_for(&self, request: &str) -> Vec<Duration> {
        let is_theirs = |connection| {
            self.told
                .get(connection)
                .is_some_and(|told| told.contains(request))
        };
        let theirs = self
            .renewals
            .iter()
            .filter(|one| is_theirs(&one.connection));
        theirs.map(|renewal| renewal.at).collect()
    }

    /// How long the instance ran, which is what EC2 bills: neither `pending` nor `stopping`.
    pub(crate) fn up(&self) -> Option<Duration> {
        let stop = self.stops.first()?;
        Some(stop.saturating_sub(self.running?))
    }
}
