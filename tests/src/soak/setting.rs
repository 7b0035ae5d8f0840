//! The cloud of a soak: the demonstration profile, with what takes hours made to take a minute.

use std::time::Duration;

use wakecast_local::{LocalConfig, Profile};

/// The client believes a heartbeat from 10 s up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// API Gateway's 10 min of idleness at the pace of that heartbeat: a link that was cut silently
/// leaves the gateway within the run.
pub(super) const IDLE: Duration = Duration::from_secs(45);

/// API Gateway's two hours: each link is rotated a few times within ten minutes. The client
/// believes 60 s and more.
const AGE: Duration = Duration::from_secs(120);

/// Builds the configuration.
pub(super) fn config(seed: u64) -> LocalConfig {
    let mut config = LocalConfig::profile(Profile::Demonstration);
    config.seed = Some(seed);
    config.limits.idle = IDLE;
    config.limits.age = AGE;
    config.link.heartbeat = HEARTBEAT;
    config.link.max_age = AGE;
    let timing = &mut config.timing;
    // A lease that its holder forgot must not keep the instance through a whole lull.
    timing.protect_publish = Duration::from_secs(20);
    timing.protect_play = Duration::from_secs(10);
    timing.absence = Duration::from_secs(10);
    // Rows of fifteen minutes would still be growing when ten minutes are over.
    timing.row_memory = Duration::from_secs(60);
    // Faults of this run are over within seconds, and so are the pauses after them.
    timing.capacity_memory = Duration::from_secs(5);
    timing.failed_pause = Duration::from_secs(8);
    timing.misconfigured_retry = Duration::from_secs(8);
    timing.pending_limit = Duration::from_secs(15);
    timing.boot_limit_stopped = Duration::from_secs(40);
    timing.boot_limit_new = Duration::from_secs(40);
    timing.forbidden_limit = Duration::from_secs(10);
    config
}
