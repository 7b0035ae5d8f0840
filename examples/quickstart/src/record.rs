//! What truly happened in the cloud, whatever the people were told.

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
    /// New instances.
    pub(crate) launches: Vec<Duration>,
    /// Starts of an instance that was there already.
    pub(crate) restarts: Vec<Duration>,
    /// When EC2 showed it running.
    pub(crate) running: Option<Duration>,
    /// When the media server first answered.
    pub(crate) warming: Option<Duration>,
    pub(crate) ready: Option<Duration>,
    /// When granting last ended.
    pub(crate) draining: Option<Duration>,
    /// Stops that EC2 accepted.
    pub(crate) stops: Vec<Duration>,
    pub(crate) stopped: Option<Duration>,
    /// The most that one look of the reconciler counted.
    pub(crate) most_streams: u64,
    pub(crate) most_viewers: u64,
    /// When the gateway had stored the watcher's wish.
    pub(crate) watcher_waits: Option<Duration>,
    /// Requests of the publisher that the gateway stored: one, however often it was sent.
    pub(crate) publisher_requests: usize,
    /// Tokens that the gateway accepted on a link that stood already.
    pub(crate) renewals: Vec<Duration>,
    /// When we cut the publisher's socket.
    pub(crate) cut: Option<Duration>,
}

impl Record {
    /// How long the instance ran, which is what EC2 bills: neither `pending` nor `stopping`.
    pub(crate) fn up(&self) -> Option<Duration> {
        let stop = self.stops.first()?;
        Some(stop.saturating_sub(self.running?))
    }
}
