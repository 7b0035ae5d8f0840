//! What the reconciler remembers of a fleet: its lock, its state, its instances and intents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wakecast::ErrorCode;
use wakecast::protocol::Phase;

use super::{BootId, Fence, InstanceId, Timestamp};
use crate::config::Offering;

/// Everything in the fleet's own partition but the lock, read in one consistent query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetRecords {
    /// The fleet's single `STATE` item.
    pub state: FleetState,
    /// Known instances by id.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// Launches and starts, by sequence number; closed ones are kept until they are folded away.
    pub intents: BTreeMap<u64, Intent>,
    /// Offerings that had no capacity lately.
    pub unavailable: Vec<Unavailable>,
}

/// The fleet's `STATE` item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetState {
    /// Rises with every commit; a commit over another version is refused.
    pub version: u64,
    /// The sequence number of the newest intent.
    pub sequence: u64,
    /// Boots in a row that failed for the present demand.
    pub failed_boots: u32,
    /// No start until its end.
    pub pause: Option<Pause>,
    /// Rounds in a row in which every offering was without capacity.
    pub exhausted_rounds: u32,
    /// When the offerings may be tried again after such a round.
    pub capacity_retry_at: Option<Timestamp>,
    /// When instances last died under their leases, newest last.
    pub deaths: Vec<Timestamp>,
}

/// Why nothing is started for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// What waiters are told: `start_failed`, `misconfigured` or `quota_exceeded`.
    pub code: ErrorCode,
    /// What went wrong, for the operator; never a secret.
    pub cause: String,
    /// When it began.
    pub since: Timestamp,
    /// When one try is allowed again.
    pub until: Timestamp,
}

/// One EC2 instance of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// EC2's id.
    pub id: InstanceId,
    /// Its type and zone.
    pub offering: Offering,
    /// Where it stands.
    pub status: InstanceStatus,
    /// The boot under way, or the last one.
    pub boot: Option<Boot>,
}

/// Where an instance stands in its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InstanceStatus {
    /// Started, not ready yet in this boot.
    Booting,
    /// Serves; the only state in which anything is granted.
    Ready,
    /// Grants nothing; a wake, a stream or an unknown sample leads back to ready.
    Draining {
        /// When granting ended.
        since: Timestamp,
        /// The first of the two last looks, once it has seen zeros.
        first_look: Option<Timestamp>,
    },
    /// S2 is committed: the stop call may have been sent.
    Stopping {
        /// Never ready in this boot: nothing to protect, never back to ready.
        failed: bool,
        /// Who committed S2. Under another fence the call counts as possibly sent.
        fence: Fence,
        /// When S2 was committed.
        since: Timestamp,
        /// When the stop call was announced; set before the call.
        sent_at: Option<Timestamp>,
        /// The first of two last looks, when a lost call is taken over.
        first_look: Option<Timestamp>,
    },
    /// Stopped, with its disk kept.
    Stopped,
}

/// One boot of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// The sequence number of the intent that started it.
    pub id: BootId,
    /// How it started, for limits and ETA.
    pub path: BootPath,
    /// When EC2 accepted it.
    pub started_at: Timestamp,
    /// When EC2 first showed `running`.
    pub running_at: Option<Timestamp>,
    /// How far warming has come.
    pub warm: WarmStep,
    /// When liveness first answered, for the 403 rule.
    pub live_at: Option<Timestamp>,
    /// A second try within this demand: the client is told `note: restarting`.
    pub restarted: bool,
    /// When it first became ready.
    pub ready_at: Option<Timestamp>,
    /// When it last became ready, undone drains included: the grace starts here.
    pub granting_since: Option<Timestamp>,
    /// The address that was proved; samples from another are unknown.
    pub address: Option<String>,
    /// The media server's own start time; a change means that it restarted by itself.
    pub server_start_ms: Option<u64>,
    /// Continuous zeros since then; cleared by any other sample.
    pub zero_since: Option<Timestamp>,
    /// The last readable sample.
    pub sample: Option<Sample>,
    /// When the last readable sample with publishers began.
    pub published_at: Option<Timestamp>,
    /// When the last readable sample with viewers began.
    pub played_at: Option<Timestamp>,
    /// What waiters were told last, so that only changes are pushed.
    pub told: Option<(Phase, u64)>,
}

/// How a boot began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootPath {
    /// It was running already, for example found without an open intent.
    Running,
    /// Started from a stopped instance.
    Stopped,
    /// A new instance.
    New,
}

/// The order of warming, and no other: any request to an app that is still starting can reset the
/// app's settings for the whole uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmStep {
    /// Root `liveness`, without a token, until it answers.
    Liveness,
    /// Root `applications` until it lists every app.
    Applications,
    /// One WebSocket ping on the app.
    Ping,
    /// One known setting of the app, read through the root API.
    Setting,
    /// The Elastic IP is associated.
    Address,
    /// One ping through the endpoint's own host.
    Endpoint,
    /// Warm.
    Done,
}

/// A readable look at a media server's load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When the request was sent.
    pub at: Timestamp,
    /// Streams that are published.
    pub streams: u64,
    /// Viewers of every configured kind.
    pub viewers: u64,
}

/// A launch or a start that was decided: committed with its caps before EC2 is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Its sequence number, the boot's id.
    pub sequence: u64,
    /// A new instance, or a stopped one.
    pub kind: LaunchKind,
    /// Rises only after a definite refusal; part of the client token.
    pub attempt: u32,
    /// When it was committed.
    pub created_at: Timestamp,
    /// The subject that is charged: the first waiter's.
    pub charged_to: Option<String>,
    /// What is known of the call.
    pub status: IntentStatus,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LaunchKind {
    /// `RunInstances`, every parameter resolved.
    New {
        /// Type, zone and subnet.
        offering: Offering,
        /// The image id.
        image: String,
        /// The launch template's version.
        template: String,
    },
    /// `StartInstances` of a stopped one.
    Start {
        /// Which.
        instance: InstanceId,
    },
}

/// What is known of an intent's call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IntentStatus {
    /// No definite answer yet: the identical request is sent (again).
    Open {
        /// When the identical request may be sent again.
        not_before: Timestamp,
        /// Calls so far that ended without a definite answer.
        unanswered: u32,
    },
    /// EC2 answered with this instance.
    Done {
        /// Which.
        instance: InstanceId,
    },
    /// EC2 refused definitely.
    Refused,
}

/// An offering that had no capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unavailable {
    /// Type and zone.
    pub offering: Offering,
    /// When the memory ends.
    pub until: Timestamp,
}

/// Spent caps, as the store counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// New instances in the last hour.
    pub launches: u32,
    /// Starts of any kind in the last hour.
    pub starts: u32,
}

/// The fleet's lock as it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// A random name of the holder.
    pub owner: String,
    /// Writes are conditional on it.
    pub fence: Fence,
    /// When this holder took it.
    pub taken_at: Timestamp,
    /// When it ends unless renewed.
    pub until: Timestamp,
    /// The demand number the holder has seen.
    pub demand_seen: u64,
}
