//! What the reconciler remembers of a fleet: its lock, its state, its instances and intents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wakecast::ErrorCode;
use wakecast::protocol::Phase;

use super::{BootHistory, BootId, Day, Fence, InstanceId, Timestamp};
use crate::config::Offering;
use crate::lifecycle::Alarm;

/// Everything in the fleet's own partition but the lock, read in one consistent query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetRecords {
    /// The fleet's single `STATE` item.
    pub state: FleetState,
    /// Known instances by id.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// Launches and starts without an outcome yet, by sequence number; at most one.
    pub intents: BTreeMap<u64, Intent>,
    /// Offerings that had no capacity lately.
    pub unavailable: Vec<Unavailable>,
    /// How long the last boots took.
    pub history: BootHistory,
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
    /// No start until its end; kept until a boot is ready, so that a failure is reported once.
    pub pause: Option<Pause>,
    /// Rounds in a row in which every offering was without capacity.
    pub exhausted_rounds: u32,
    /// When the offerings may be tried again after such a round; waiters wait for capacity.
    pub capacity_retry_at: Option<Timestamp>,
    /// When instances last died under their leases, newest last.
    pub deaths: Vec<Timestamp>,
    /// Alarms that hold now; one is reported when it is raised, not while it holds.
    pub raised: BTreeSet<Alarm>,
    /// The subject to which the boot under way is charged, until it is ready.
    pub woken_by: Option<String>,
    /// Boots and undone drains after which nothing has been streamed or played so far, oldest
    /// first.
    pub idle_wakes: Vec<IdleWake>,
    /// What has been counted of the time that instances run.
    pub ran: Ran,
}

/// A boot that a subject was charged for, or a drain that it undid, with no use since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleWake {
    /// Whose wait it was.
    pub subject: String,
    /// When the instance began to grant.
    pub at: Timestamp,
}

/// The time that the fleet's instances have run, as far as it has been counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Counted up to then; none while nothing runs.
    pub until: Option<Timestamp>,
    /// The last two days of UTC on which something ran.
    pub days: BTreeMap<Day, Duration>,
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
    /// Set while EC2 does not list it.
    pub missing: Option<Missing>,
}

/// Describes in which EC2 did not list a known instance: one alone proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The first.
    pub since: Timestamp,
    /// The last that was counted.
    pub last: Timestamp,
    /// Spaced ones so far.
    pub count: u32,
}

/// Where an instance stands in its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InstanceStatus {
    /// Started, not ready yet in this boot.
    Booting,
    /// Serves; the only state in which anything is granted.
    Ready,
    /// The media server restarted by itself: grants nothing until it has proved itself again. It
    /// may carry streams, so it is never stopped from here.
    Recovering {
        /// When that was seen.
        since: Timestamp,
    },
    /// Grants nothing; a wake, a stream or an unknown sample leads back to ready, unless the boot
    /// is condemned.
    Draining {
        /// When granting ended.
        since: Timestamp,
        /// When the first of the two last looks began, once it has seen zeros.
        first_look: Option<Timestamp>,
    },
    /// S2 is committed: the stop call may have been sent.
    Stopping {
        /// Never ready in this boot, or going down by another's hand: nothing to protect, never
        /// back to ready.
        failed: bool,
        /// Who committed S2. Under another fence the call counts as possibly sent.
        fence: Fence,
        /// When S2 was committed.
        since: Timestamp,
        /// When the stop call was announced; set before the call.
        sent_at: Option<Timestamp>,
        /// When the first of two last looks began, when a lost call is taken over.
        first_look: Option<Timestamp>,
    },
    /// Stopped, with its disk kept.
    Stopped,
    /// Terminated; kept until its leases are told.
    Gone,
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
    /// When the Elastic IP was last asked for.
    pub associated_at: Option<Timestamp>,
    /// When it first became ready.
    pub ready_at: Option<Timestamp>,
    /// When it last became ready, undone drains included: the grace starts here.
    pub granting_since: Option<Timestamp>,
    /// The address that was proved; samples from another are unknown.
    pub address: Option<String>,
    /// The media server's own start time; a change means that it restarted by itself.
    pub server_start_ms: Option<u64>,
    /// When it stopped granting, by a drain or by its death, unless it grants again. A row that was
    /// put later has never been confirmed by G2.
    pub closed_at: Option<Timestamp>,
    /// Continuous zeros since then; cleared by any other sample.
    pub zero_since: Option<Timestamp>,
    /// The last readable sample.
    pub sample: Option<Sample>,
    /// When the last readable sample with publishers began.
    pub published_at: Option<Timestamp>,
    /// When the last readable sample with viewers began.
    pub played_at: Option<Timestamp>,
    /// Samples in a row that could not be read.
    pub unknown: u32,
    /// The settings were lost when the media server restarted by itself: it drains to its end.
    pub condemned: bool,
    /// The phase for which waiters were told that it takes longer than nine boots in ten.
    pub overdue: Option<Phase>,
    /// How it ended, once it has.
    pub end: Option<BootEnd>,
}

/// How a boot that had been ready ended: what its leases are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootEnd {
    /// We stopped it.
    Stopped,
    /// It died under its leases: those in use move.
    Died,
    /// It died within an hour of another one: every lease is lost.
    DiedAgain,
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
    /// Rises only after a definite refusal, with which `kind` may change; part of the client token.
    pub attempt: u32,
    /// When it was committed.
    pub created_at: Timestamp,
    /// The subject that is charged: the first waiter's.
    pub charged_to: Option<String>,
    /// It has been charged as a launch of a new instance too.
    pub launch_charged: bool,
    /// When the present attempt may be sent (again).
    pub not_before: Timestamp,
    /// Calls of this attempt so far, for the backoff.
    pub tries: u32,
    /// Calls of this attempt without a definite answer, counted before each call. Above zero the
    /// identical request is the only way on; at zero the intent can be withdrawn.
    pub unanswered: u32,
}

impl Intent {
    /// Returns the id and the path of the boot that begins when EC2 accepts the intent.
    #[must_use]
    pub const fn boot(&self) -> (BootId, BootPath) {
        let path = match self.kind {
            LaunchKind::New { .. } => BootPath::New,
            LaunchKind::Start { .. } => BootPath::Stopped,
        };
        (BootId(self.sequence), path)
    }

    /// Turns to the next attempt after a definite refusal: another token, another candidate.
    pub const fn next_attempt(&mut self, now: Timestamp) {
        self.attempt = self.attempt.saturating_add(1);
        self.not_before = now;
        self.tries = 0;
        self.unanswered = 0;
    }
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

/// An offering that had no capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unavailable {
    /// Type and zone.
    pub offering: Offering,
    /// When the memory ends.
    pub until: Timestamp,
}

/// Spent caps and budgets, as the store counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// New instances in the last hour.
    pub launches: u32,
    /// Starts of any kind in the last hour.
    pub starts: u32,
    /// Starts of the last ten minutes that were charged to each subject that was asked for, newest
    /// first, at all fleets of the tenant.
    pub by_subject: BTreeMap<String, Vec<Timestamp>>,
    /// How long instances of the tenant have run today, in UTC.
    pub tenant_ran: Duration,
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
