//! What an operator sets for a fleet, checked at start.

mod caps;
mod check;
mod prior;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::BootPath;

pub use caps::{Budget, Caps, LinkCaps, SubjectCaps};
pub use check::ConfigError;

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

impl Offering {
    /// Tells whether both draw on the same capacity: type and zone, whatever the subnet.
    #[must_use]
    pub fn same_pool(&self, other: &Self) -> bool {
        self.instance_type == other.instance_type && self.zone == other.zone
    }
}

/// One fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Caps on starts, and on what one subject may ask for.
    pub caps: Caps,
    /// How long instances may run in a day.
    pub budget: Budget,
    /// Remaining time per path and phase before there is history.
    pub prior: Vec<Prior>,
    /// A random id of this table, so that two stacks never share a client token.
    pub table_id: String,
}

impl FleetConfig {
    /// Checks everything that can be checked without asking AWS.
    ///
    /// # Errors
    /// The first field that cannot work, what was expected and how to mend it. An empty image is
    /// no error here: stopped instances can still be started, and waiters are told.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check::fleet(self)
    }
}

/// A setting whose configured value differs from the server's default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSetting {
    /// The app.
    pub app: String,
    /// The setting's name, without a prefix.
    pub name: String,
    /// Its configured value as JSON.
    pub value: serde_json::Value,
}

/// How clients reach a ready server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointConfig {
    /// `{address}` stands for the instance's address, without it the host is fixed; `{app}` for
    /// the app.
    pub websocket_url: String,
    /// Likewise.
    pub http_url: String,
    /// An Elastic IP stands behind the fixed host: it is associated last.
    pub elastic: bool,
}

impl EndpointConfig {
    /// Fills in the signalling URL of an app.
    #[must_use]
    pub fn websocket_url(&self, address: Option<&str>, app: &str) -> String {
        fill(&self.websocket_url, address, app)
    }

    /// Fills in the HTTP URL of an app.
    #[must_use]
    pub fn http_url(&self, address: Option<&str>, app: &str) -> String {
        fill(&self.http_url, address, app)
    }

    /// Returns the host, with its port if it names one, at which the server itself is reached:
    /// the endpoint's own once the Elastic IP is on, the instance's until then.
    #[must_use]
    pub fn address_of(&self, own: Option<&str>, elastic: bool) -> Option<String> {
        if elastic {
            let (_, rest) = self.websocket_url.split_once("://")?;
            return rest.split('/').next().map(str::to_owned);
        }
        own.map(str::to_owned)
    }
}

fn fill(template: &str, address: Option<&str>, app: &str) -> String {
    template
        .replace("{address}", address.unwrap_or_default())
        .replace("{app}", app)
}

/// Which counts a server measures: one that it does not is never read as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// `localWebRTCLiveStreams` and `localWebRTCViewers` (Enterprise).
    pub webrtc: bool,
    /// `localHLSViewers`.
    pub hls: bool,
    /// `localDASHViewers`.
    pub dash: bool,
}

impl Counts {
    /// What the Enterprise Edition measures.
    pub const ENTERPRISE: Self = Self {
        webrtc: true,
        hls: true,
        dash: true,
    };
    /// What the Community Edition measures: it has no WebRTC.
    pub const COMMUNITY: Self = Self {
        webrtc: false,
        hls: true,
        dash: true,
    };
}

/// Times and limits of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Continuous zeros before a drain.
    pub grace: Duration,
    /// Ready at least this long before a drain.
    pub min_up: Duration,
    /// Life of a stream token; the settle of a drain is this and 5 s.
    pub stream_token: Duration,
    /// How long a granted publisher protects before it is seen.
    pub protect_publish: Duration,
    /// How long a granted player protects before it is seen.
    pub protect_play: Duration,
    /// From EC2's acceptance to `running`.
    pub pending_limit: Duration,
    /// From `running` to ready, from a stopped instance.
    pub boot_limit_stopped: Duration,
    /// From `running` to ready, from a new one.
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

impl Default for Timing {
    fn default() -> Self {
        const fn s(seconds: u64) -> Duration {
            Duration::from_secs(seconds)
        }
        Self {
            // Between the vendor's 180 s and the 1 200 s of game servers.
            grace: s(300),
            // A start bills at least a minute and costs a viewer half of one: no flapping.
            min_up: s(300),
            // Long enough to open a stream after `ready`, short enough to wait for in a drain.
            stream_token: s(60),
            // Time to set up an encoder.
            protect_publish: s(900),
            // Time to press play.
            protect_play: s(120),
            // Measured: 5 s, with polling artefacts 18 s; later EC2 has a problem.
            pending_limit: s(120),
            // Measured: 10 to 25 s from a stopped instance, on one slow core.
            boot_limit_stopped: s(240),
            // A fresh volume loads lazily, at worst 5 MiB/s.
            boot_limit_new: s(600),
            // Capacity comes back within minutes.
            capacity_memory: s(180),
            // A person should look before more money is spent.
            failed_pause: s(600),
            // The same, and soon enough after a mended configuration.
            misconfigured_retry: s(600),
            // 403 means "warming" for about a second after liveness.
            forbidden_limit: s(30),
            // A tunnel, a lift, a restarted app.
            absence: s(120),
            // Longer than any resend of a client.
            row_memory: s(900),
            // The shortest schedule of EventBridge.
            tick: s(60),
            // What a boot is noticed late by, at most.
            round: s(1),
            // Longer than any skew of clocks, short enough to wait for after a crash.
            lock: s(30),
            // Twice the timeout of a power call.
            lock_reserve: s(10),
            // EC2 shows `stopping` within seconds of a stop.
            stop_doubt: s(60),
        }
    }
}

impl Timing {
    /// The demonstration profile: the same lifecycle within a minute of real time.
    #[must_use]
    pub fn demonstration() -> Self {
        Self {
            grace: Duration::from_secs(3),
            min_up: Duration::from_secs(3),
            stream_token: Duration::from_secs(5),
            tick: Duration::from_secs(1),
            ..Self::default()
        }
    }

    /// How long a drain waits before its last looks: a stream token handed out just before the
    /// drain must have ended, with 5 s for the stream to show in the counts.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.stream_token + Duration::from_secs(5)
    }
}

/// The remaining time to ready on a path, from the moment the phase begins, before there is
/// history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Prior {
    /// Returns figures for EC2, before there is history.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        prior::ec2()
    }

    /// Returns figures for the simulated EC2 of the demonstration profile.
    #[must_use]
    pub fn demonstration() -> Vec<Self> {
        prior::demonstration()
    }
}
