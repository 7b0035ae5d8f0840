//! What an operator sets for a fleet, checked at start.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::BootPath;

/// An instance type in an availability zone, with the subnet that leads there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offering {
    /// For example `c7g.xlarge`.
    pub instance_type: String,
    /// For example `eu-central-1a`.
    pub zone: String,
    /// The subnet of that zone.
    pub subnet: String,
}

/// One fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetConfig {
    /// Apps that must run before the server is ready.
    pub apps: Vec<String>,
    /// The setting that shows whether an early touch has reset an app's settings.
    pub known_setting: KnownSetting,
    /// Instances that are kept running with no demand: 0 or 1.
    pub min: u32,
    /// Instances that may live at once: 1.
    pub max: u32,
    /// Tried in this order.
    pub offerings: Vec<Offering>,
    /// The image id; an empty one means that this region has none.
    pub image: String,
    /// The launch template's version.
    pub template: String,
    /// How clients reach a ready server.
    pub endpoint: EndpointConfig,
    /// Which of the server's counts are measured.
    pub counts: Counts,
    /// Times and limits.
    pub timing: Timing,
    /// Caps.
    pub caps: Caps,
    /// Remaining time per path and phase before there is history.
    pub prior: Vec<Prior>,
    /// A random id of this table, so that two stacks never share a client token.
    pub table_id: String,
}

/// A setting whose configured value differs from the server's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSetting {
    /// The app.
    pub app: String,
    /// The setting's name, without a prefix.
    pub name: String,
    /// Its configured value as JSON.
    pub value: serde_json::Value,
}

/// How clients reach a ready server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// `{address}` stands for the instance's address; without it the host is fixed.
    pub websocket_url: String,
    /// Likewise.
    pub http_url: String,
    /// An Elastic IP stands behind the fixed host: it is associated last.
    pub elastic: bool,
}

/// Which counts a server measures: one that it does not is never read as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// `localWebRTCLiveStreams` and `localWebRTCViewers` (Enterprise).
    pub webrtc: bool,
    /// `localHLSViewers`.
    pub hls: bool,
    /// `localDASHViewers`.
    pub dash: bool,
}

/// Times and limits of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Continuous zeros before a drain: 300 s by default, between the vendor's 180 s and the
    /// 1 200 s of game servers.
    pub grace: Duration,
    /// Ready at least this long before a drain.
    pub min_up: Duration,
    /// Life of a stream token; the settle of a drain is this and 5 s.
    pub stream_token: Duration,
    /// How long a granted publisher protects before it is seen: time to set up an encoder.
    pub protect_publish: Duration,
    /// How long a granted player protects before it is seen.
    pub protect_play: Duration,
    /// From EC2's acceptance to `running`.
    pub pending_limit: Duration,
    /// From `running` to ready, from a stopped instance.
    pub boot_limit_stopped: Duration,
    /// From `running` to ready, from a new one: a fresh volume loads lazily.
    pub boot_limit_new: Duration,
    /// How long an offering without capacity is passed over.
    pub capacity_memory: Duration,
    /// No start after two failed boots.
    pub failed_pause: Duration,
    /// Between two tries while misconfigured.
    pub misconfigured_retry: Duration,
    /// 403 for this long after liveness means wrong secrets.
    pub forbidden_limit: Duration,
    /// An absent row protects and waits this long.
    pub absence: Duration,
    /// A row is remembered this long past its end.
    pub row_memory: Duration,
    /// The guarantee that a reconciler runs.
    pub tick: Duration,
    /// The round while something boots, drains or stops.
    pub round: Duration,
    /// The life of the lock unless it is extended.
    pub lock: Duration,
    /// What must be left of the lock for a power call.
    pub lock_reserve: Duration,
    /// EC2 still shows `running` this long after a stop that may have been sent.
    pub stop_doubt: Duration,
}

impl Timing {
    /// How long a drain waits before its last looks: a stream token handed out just before the
    /// drain must have ended.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.stream_token + Duration::from_secs(5)
    }
}

/// Caps of one fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// New instances an hour.
    pub launches_per_hour: u32,
    /// Starts of any kind an hour.
    pub starts_per_hour: u32,
}

/// The remaining time to ready on a path, before there is history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prior {
    /// The path.
    pub path: BootPath,
    /// The phase the boot is in.
    pub phase: wakecast::protocol::Phase,
    /// Half of the boots are ready within this time.
    pub p50: Duration,
    /// Nine in ten are.
    pub p90: Duration,
}
