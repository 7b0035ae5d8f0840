//! What the table holds: the words that gateway, reconciler and store share.

mod connection;
mod fleet;
mod history;
mod ids;
mod row;

pub use connection::{Connection, Grants, Scope};
pub use fleet::{
    Boot, BootEnd, BootPath, Counters, FleetRecords, FleetState, IdleWake, Instance,
    InstanceStatus, Intent, LaunchKind, Lock, Missing, Pause, Ran, Sample, Unavailable, WarmStep,
};
pub use history::{BootHistory, BootTimes};
pub use ids::{BootId, ConnectionId, Day, Fence, FleetKey, InstanceId, RowKey, Timestamp};
pub use row::{Ask, Link, Row, RowEnd, RowState, WaitKind};
