//! What an app can ask for.

use std::time::Duration;

use super::constants::ACQUIRE_DEADLINE;
use crate::protocol::{MAX_WAIT, MAX_WATCH, Purpose};

/// What an app asks for: an endpoint for one stream.
///
/// ```
/// use std::time::Duration;
/// use wakecast::Acquire;
///
/// let kept = "5d41402abc4b2a76b9719d911017c592"; // the id of before the app's restart
/// let acquire = Acquire::publish("live", "match-1")
///     .id(kept)
///     .deadline(Duration::from_secs(300));
/// assert_eq!(acquire.preset_id(), Some(kept));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Acquire {
    pub(crate) purpose: Purpose,
    pub(crate) app: String,
    pub(crate) stream_id: String,
    pub(crate) fleet: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) verify: bool,
}

impl Acquire {
    /// Asks for an endpoint to publish `stream_id` to the media server's application `app`.
    /// Waits 10 minutes unless told otherwise.
    pub fn publish(app: impl Into<String>, stream_id: impl Into<String>) -> Self {
        Self::new(Purpose::Publish, app.into(), stream_id.into())
    }

    /// Asks for an endpoint to play `stream_id`. Waits 10 minutes unless told otherwise.
    pub fn play(app: impl Into<String>, stream_id: impl Into<String>) -> Self {
        Self::new(Purpose::Play, app.into(), stream_id.into())
    }

    /// Waits, for at most a day, until somebody else's demand made an endpoint ready. Starts,
    /// protects and keeps no instance.
    pub fn watch(app: impl Into<String>, stream_id: impl Into<String>) -> Self {
        Self::new(Purpose::Watch, app.into(), stream_id.into())
    }

    /// Names the fleet; needed only where the token knows several.
    pub fn fleet(mut self, fleet: impl Into<String>) -> Self {
        self.fleet = Some(fleet.into());
        self
    }

    /// Sets the id, 1 to 64 of `A–Z a–z 0–9 _ - . :`, so that a reload or restart continues the same
    /// acquisition with one instance start. It must hold at least 128 random bits; without it
    /// the client draws one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets how long to wait: at least a second and at most an hour, or a day for
    /// [`watch`](Self::watch); anything else ends the acquisition as `invalid_argument`. Once it
    /// has passed, the acquisition ends as `start_timeout`, or as `capacity_unavailable` where
    /// that is what it waited for.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets whether the endpoint is proved from this network before it is handed over.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Returns how long it waits at most.
    pub fn waits_at_most(&self) -> Duration {
        let default = if self.purpose == Purpose::Watch {
            MAX_WATCH
        } else {
            ACQUIRE_DEADLINE
        };
        self.deadline.unwrap_or(default)
    }

    /// The longest deadline that may be set.
    pub(super) fn longest(&self) -> Duration {
        match self.purpose {
            Purpose::Watch => MAX_WATCH,
            Purpose::Publish | Purpose::Play => MAX_WAIT,
        }
    }

    /// Returns the id that was set.
    pub fn preset_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn new(purpose: Purpose, app: String, stream_id: String) -> Self {
        Self {
            purpose,
            app,
            stream_id,
            fleet: None,
            id: None,
            deadline: None,
            verify: true,
        }
    }
}
