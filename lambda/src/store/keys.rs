//! How the table is keyed.
//!
//! The partition key says who may write an item, so that a policy on leading keys can enforce it:
//!
//! | partition | sort keys | written by |
//! |---|---|---|
//! | `C#<connection>` | `CONNECTION` | gateway |
//! | `D#<tenant>#<fleet>` | `DEMAND`, `L#<subject>#<id>` | gateway; the reconciler moves phases |
//! | `F#<tenant>#<fleet>` | `LOCK`, `STATE`, `I#…`, `INTENT#…`, `UNAVAILABLE`, `BOOTS` | reconciler |
//! | `B#F#<tenant>#<fleet>` | `STARTS` | reconciler |
//! | `B#U#<tenant>#<subject>` | `STARTS`: those charged to the subject | reconciler |
//! | `B#T#<tenant>` | `DAY#<day>`: how long instances have run | reconciler |
//! | `B#S#<tenant>#<subject>` | `LINKS`, `CONNECTS#<minute>`, `ROWS#<fleet>`, `GUARD#<hour>#<fleet>`, `TICKET#<id>` | gateway |
//! | `B#CONNECTIONS` | `W#<window>` | gateway |
//!
//! What the reconciler counts bounds what is started, so the gateway cannot write it; what the
//! gateway counts bounds what it writes itself.
//!
//! Names that come from outside are escaped, so that no two names share a key.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{ConnectionId, Day, FleetKey, InstanceId, RowKey, Timestamp};

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
/// The links that a subject has open.
pub const LINKS: &str = "LINKS";
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

/// Caps of a fleet are per this much of time, sliding.
pub const CAP_WINDOW: Duration = Duration::from_secs(3600);

/// A subject's starts are counted per this much of time, sliding.
pub const SUBJECT_WINDOW: Duration = Duration::from_secs(600);

/// A subject's connects are counted per minute of the clock: one counter that is written with the
/// connection, and a sure end of each refusal.
pub const CONNECT_WINDOW: Duration = Duration::from_secs(60);

/// A subject's protecting leases for `play` are counted per hour of the clock.
pub const PROTECTION_WINDOW: Duration = Duration::from_secs(3600);

/// Returns the partition of a connection.
#[must_use]
pub fn connection(id: &ConnectionId) -> String {
    format!("C#{}", escape(id.as_str()))
}

/// Returns the partition of a fleet's demand.
#[must_use]
pub fn demand(fleet: &FleetKey) -> String {
    of_fleet("D", fleet)
}

/// Returns the partition of what the reconciler keeps of a fleet.
#[must_use]
pub fn records(fleet: &FleetKey) -> String {
    of_fleet("F", fleet)
}

/// Returns the partition of a fleet's spent caps.
#[must_use]
pub fn caps(fleet: &FleetKey) -> String {
    of_two("B#F", &fleet.tenant, &fleet.fleet)
}

/// Returns the partition of the starts that are charged to a subject.
#[must_use]
pub fn charged(tenant: &str, subject: &str) -> String {
    of_two("B#U", tenant, subject)
}

/// Returns the partition of what a tenant's instances have run.
#[must_use]
pub fn ran(tenant: &str) -> String {
    format!("B#T#{}", escape(tenant))
}

/// Returns the sort key of a day; keys sort by time.
#[must_use]
pub fn day(day: Day) -> String {
    format!("DAY#{:020}", day.0)
}

/// Returns the partition of what a subject has asked of the gateway.
#[must_use]
pub fn subject(tenant: &str, subject: &str) -> String {
    of_two("B#S", tenant, subject)
}

/// Returns the sort key of the minute in which a connect is counted.
#[must_use]
pub fn connects(at: Timestamp) -> String {
    format!("CONNECTS#{:020}", window_start(at, CONNECT_WINDOW))
}

/// Returns the sort key of a ticket's first use.
#[must_use]
pub fn ticket(id: &str) -> String {
    format!("TICKET#{}", escape(id))
}

/// Returns the sort key of a subject's rows at a fleet.
#[must_use]
pub fn row_count(fleet: &FleetKey) -> String {
    format!("ROWS#{}", escape(&fleet.fleet))
}

/// Returns the sort key of the hour in which a protecting lease is counted.
#[must_use]
pub fn protections(fleet: &FleetKey, at: Timestamp) -> String {
    let hour = window_start(at, PROTECTION_WINDOW);
    format!("GUARD#{hour:020}#{}", escape(&fleet.fleet))
}

/// Returns when the window around `at` ends.
#[must_use]
pub fn window_end(at: Timestamp, width: Duration) -> Timestamp {
    Timestamp::from_millis(window_start(at, width)) + width
}

/// Begins the sort keys of all rows of a subject within its fleet's demand.
#[must_use]
pub fn rows_of(subject: &str) -> String {
    format!("{ROW_PREFIX}{}#", escape(subject))
}

/// Returns the sort key of a row within its fleet's demand.
#[must_use]
pub fn row(key: &RowKey) -> String {
    format!("{}{}", rows_of(&key.subject), escape(&key.id))
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
    window_key(window_start(connected_at, CONNECTION_WINDOW))
}

/// Returns the sort key of the oldest window that can still hold an open connection at `now`.
#[must_use]
pub fn oldest_connection_window(now: Timestamp) -> String {
    let oldest = now.saturating_sub(CONNECTION_LIFE);
    window_key(window_start(oldest, CONNECTION_WINDOW))
}

fn window_start(at: Timestamp, width: Duration) -> u64 {
    let width = u64::try_from(width.as_millis()).unwrap_or(u64::MAX).max(1);
    at.as_millis() / width * width
}

fn window_key(start: u64) -> String {
    format!("W#{start:020}")
}

fn of_fleet(kind: &str, fleet: &FleetKey) -> String {
    of_two(kind, &fleet.tenant, &fleet.fleet)
}

fn of_two(kind: &str, one: &str, two: &str) -> String {
    format!("{kind}#{}#{}", escape(one), escape(two))
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
