//! How the table is keyed.
//!
//! The partition key says who may write an item, so that a policy on leading keys can enforce it:
//!
//! | partition | sort keys | written by |
//! |---|---|---|
//! | `C#<connection>` | `CONNECTION` | gateway |
//! | `D#<tenant>#<fleet>` | `DEMAND`, `L#<subject>#<id>` | gateway; the reconciler moves phases |
//! | `F#<tenant>#<fleet>` | `LOCK`, `STATE`, `I#…`, `INTENT#…`, `UNAVAILABLE`, `BOOTS` | reconciler |
//! | `B#<tenant>#<fleet>` | `STARTS` | reconciler |
//! | `B#CONNECTIONS` | `W#<window>` | gateway |
//!
//! Names that come from outside are escaped, so that no two names share a key.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{ConnectionId, FleetKey, InstanceId, RowKey, Timestamp};

/// The partition that counts open connections for the reconnect spread.
pub const CONNECTION_COUNTS: &str = "B#CONNECTIONS";

/// The only item of a connection's partition.
pub const CONNECTION: &str = "CONNECTION";
/// The rising number of a fleet's demand.
pub const DEMAND: &str = "DEMAND";
/// A fleet's lock.
pub const LOCK: &str = "LOCK";
/// A fleet's state.
pub const STATE: &str = "STATE";
/// The offerings without capacity: one item, since a commit replaces them all.
pub const UNAVAILABLE: &str = "UNAVAILABLE";
/// How long a fleet's last boots took: an item of its own, since it changes once a boot.
pub const BOOTS: &str = "BOOTS";
/// The times of a fleet's last starts.
pub const STARTS: &str = "STARTS";
/// Begins the sort key of every row.
pub const ROW_PREFIX: &str = "L#";
/// Begins the sort key of every instance.
pub const INSTANCE_PREFIX: &str = "I#";
/// Begins the sort key of every intent.
pub const INTENT_PREFIX: &str = "INTENT#";

/// Connections are counted per this much of their `connectedAt`: few counters, each written
/// seldom enough for one item.
pub const CONNECTION_WINDOW: Duration = Duration::from_secs(600);

/// The gateway cuts a connection at this age, so that older windows hold none.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(2 * 3600);

/// Caps are per this much of time, sliding.
pub const CAP_WINDOW: Duration = Duration::from_secs(3600);

/// Returns the partition of a connection.
#[must_use]
pub fn connection(id: &ConnectionId) -> String {
    format!("C#{}", escape(id.as_str()))
}

/// Returns the partition of a fleet's demand.
#[must_use]
pub fn demand(fleet: &FleetKey) -> String {
    of_fleet('D', fleet)
}

/// Returns the partition of what the reconciler keeps of a fleet.
#[must_use]
pub fn records(fleet: &FleetKey) -> String {
    of_fleet('F', fleet)
}

/// Returns the partition of a fleet's spent caps.
#[must_use]
pub fn caps(fleet: &FleetKey) -> String {
    of_fleet('B', fleet)
}

/// Returns the sort key of a row within its fleet's demand.
#[must_use]
pub fn row(key: &RowKey) -> String {
    format!("{ROW_PREFIX}{}#{}", escape(&key.subject), escape(&key.id))
}

/// Returns the sort key of an instance.
#[must_use]
pub fn instance(id: &InstanceId) -> String {
    format!("{INSTANCE_PREFIX}{}", escape(id.as_str()))
}

/// Returns the sort key of an intent; keys sort like the numbers.
#[must_use]
pub fn intent(sequence: u64) -> String {
    format!("{INTENT_PREFIX}{sequence:020}")
}

/// Returns the sort key of the window in which a connection is counted; keys sort by time.
#[must_use]
pub fn connection_window(connected_at: Timestamp) -> String {
    window_key(window_start(connected_at))
}

/// Returns the sort key of the oldest window that can still hold an open connection at `now`.
#[must_use]
pub fn oldest_connection_window(now: Timestamp) -> String {
    window_key(window_start(now.saturating_sub(CONNECTION_LIFE)))
}

fn window_start(at: Timestamp) -> u64 {
    let width = u64::try_from(CONNECTION_WINDOW.as_millis()).unwrap_or(u64::MAX);
    at.as_millis() / width * width
}

fn window_key(start: u64) -> String {
    format!("W#{start:020}")
}

fn of_fleet(kind: char, fleet: &FleetKey) -> String {
    format!("{kind}#{}#{}", escape(&fleet.tenant), escape(&fleet.fleet))
}

/// Keeps the separator out of names.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '#' | '%') {
            // Writing to a text cannot fail.
            let _ = write!(escaped, "%{:02X}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}
