//! What may be asked for and spent, so that one stolen token or one faulty app costs little.
//!
//! A cap of one subject is told apart by the token's `tenant` and `sub`. Where many people share one
//! `sub` (a guest token that an app's backend hands to every viewer), they share its caps too:
//! raise those caps to what all of them need together, or switch them off with `None`. Better is a
//! `sub` of its own for each visitor, such as a random session id.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, check};

/// Caps of one fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// New instances an hour.
    pub launches_per_hour: u32,
    /// Starts of any kind an hour.
    pub starts_per_hour: u32,
    /// What one subject may ask of the fleet.
    pub subject: SubjectCaps,
}

impl Default for Caps {
    /// A fleet of one needs a new instance rarely; 20 starts an hour is one per grace and boot.
    fn default() -> Self {
        Self {
            launches_per_hour: 6,
            starts_per_hour: 20,
            subject: SubjectCaps::default(),
        }
    }
}

/// What one subject may ask of a fleet, over all its links; `None` switches a cap off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectCaps {
    /// Rows that wait or hold at the same time; a closed tab's do for two minutes. Four times as
    /// many are remembered, ended ones of the last 15 minutes included.
    pub live_rows: Option<u32>,
    /// Leases for `play` an hour that keep an instance from being stopped before anything is seen
    /// on it; later ones are granted without that. Whoever plays within the stream token's life
    /// needs none. Leases for `publish` always protect and are not counted: who may publish can
    /// keep an instance by publishing.
    pub protections_per_hour: Option<u32>,
    /// Starts within ten minutes that are charged to the subject, at all fleets of its tenant
    /// together.
    pub starts_per_10_min: Option<u32>,
    /// Starts and undone drains an hour after which nothing was streamed or played. With the cap on
    /// protections it bounds how long a token for `play` alone keeps an instance that nobody uses;
    /// one for `publish` is bounded by the running hours only.
    pub idle_wakes_per_hour: Option<u32>,
}

impl SubjectCaps {
    /// No cap at all, for tokens that many people share.
    pub const OFF: Self = Self {
        live_rows: None,
        protections_per_hour: None,
        starts_per_10_min: None,
        idle_wakes_per_hour: None,
    };
}

impl Default for SubjectCaps {
    fn default() -> Self {
        Self {
            // As many as one client of ours holds and waits for at most.
            live_rows: Some(128),
            // Twenty minutes of a player's protection: enough to hesitate ten times, too little to
            // keep a server by asking.
            protections_per_hour: Some(10),
            // A start, its retry, and one more.
            starts_per_10_min: Some(3),
            // Three looks whether the show has begun. Each keeps an instance for its grace, so that
            // nobody who may only play keeps one for more than half of the time without using it.
            idle_wakes_per_hour: Some(3),
        }
    }
}

/// What one subject may do with links, at all fleets of its tenant together; `None` switches a cap
/// off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCaps {
    /// Connects within a minute of the clock.
    pub connects_per_minute: Option<u32>,
    /// Links that are open at the same time, those included whose end nobody has told yet.
    pub open: Option<u32>,
}

impl LinkCaps {
    /// No cap at all, for tokens that many people share.
    pub const OFF: Self = Self {
        connects_per_minute: None,
        open: None,
    };
}

impl LinkCaps {
    /// Checks the caps.
    ///
    /// # Errors
    /// A cap of zero, which would lock everybody out.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check::link_caps(self)
    }
}

impl Default for LinkCaps {
    /// 10, more than a client whose links die at once makes in a minute; 64, a person's devices
    /// and tabs with some dead links, which the API Gateway notices after ten minutes.
    fn default() -> Self {
        Self {
            connects_per_minute: Some(10),
            open: Some(64),
        }
    }
}

/// How long instances may run in a day of UTC; `None` is no budget.
///
/// Time counts from EC2's acceptance of a start until EC2 shows the end, so that a little more
/// counts than EC2 bills. Once it is spent nothing is started until midnight; what runs goes on
/// while it is used, and drains as usual once it is idle. An instance that a fleet keeps by `min`
/// goes on too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Of this fleet.
    pub fleet_per_day: Option<Duration>,
    /// Of all fleets of the tenant together: give each of them the same value.
    pub tenant_per_day: Option<Duration>,
}

impl Default for Budget {
    /// A tenant pays for one instance around the clock at most: raise it for several fleets.
    fn default() -> Self {
        Self {
            fleet_per_day: None,
            tenant_per_day: Some(Duration::from_secs(24 * 3600)),
        }
    }
}
