//! Decides for one fleet: what it sees and the time lead to records, row changes, pushes and calls.
//!
//! Nothing here reads a clock, draws a random number, sleeps, spawns, locks or does I/O.

use std::time::Duration;

use serde_json::Value;
use wakecast::protocol::ServerMessage;

use crate::config::FleetConfig;
use crate::model::{Counters, FleetKey, FleetRecords, InstanceId, Link, Lock, Row, Timestamp};
use crate::ports::{Ec2Error, Ec2Instance, Load, MediaError};
use crate::store::Commit;

/// Everything one decision may know.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// The one time of this pass.
    pub now: Timestamp,
    /// The fleet.
    pub fleet: &'a FleetKey,
    /// What the operator set.
    pub config: &'a FleetConfig,
    /// The lock under which the decision is carried out.
    pub lock: &'a Lock,
    /// What EC2 shows; an error means that no power action may follow.
    pub ec2: Result<&'a [Ec2Instance], &'a Ec2Error>,
    /// What the fleet's partition holds, read before `rows`.
    pub records: &'a FleetRecords,
    /// Leases, waiters and tombstones, read after `records`: S3 rests on that order.
    pub rows: &'a [Row],
    /// Spent caps.
    pub counters: &'a Counters,
    /// Answers to [`probes`], sent in this pass.
    pub observations: &'a [Observation],
    /// Answers to the calls of the previous pass of this invocation.
    pub answers: &'a [Answer],
}

/// A look at a media server that the next decision needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The instance.
    pub instance: InstanceId,
    /// The address to look at, the instance's own until its Elastic IP is on.
    pub address: String,
    /// What to ask.
    pub question: Question,
}

/// What to ask a media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Root liveness.
    Liveness,
    /// Running apps.
    Applications,
    /// One WebSocket ping on this app.
    Ping {
        /// The app.
        app: String,
    },
    /// One setting of an app.
    Setting {
        /// The app.
        app: String,
        /// The setting.
        name: String,
    },
    /// One ping through the public endpoint.
    Endpoint {
        /// Its URL.
        websocket_url: String,
    },
    /// Streams and viewers.
    Load,
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was asked.
    pub probe: Probe,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What came back.
    pub result: Result<Reply, MediaError>,
}

/// A readable answer of a media server.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Liveness, ping or endpoint: it works.
    Yes,
    /// Running apps.
    Applications(Vec<String>),
    /// A setting's value, if it has one.
    Setting(Option<Value>),
    /// Streams and viewers.
    Load(Load),
}

/// One call to EC2, sent after the commit that announces it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What to do.
    pub action: Power,
    /// The call is dropped, not sent, when this moment has passed: the lock must outlive it.
    pub not_after: Timestamp,
}

/// A power action.
#[derive(Clone, Debug, PartialEq)]
pub enum Power {
    /// `RunInstances` for the intent, with its token.
    Run {
        /// The intent.
        sequence: u64,
        /// The idempotency token.
        token: String,
    },
    /// `StartInstances`.
    Start {
        /// The intent.
        sequence: u64,
        /// Which.
        instance: InstanceId,
    },
    /// `StopInstances`: S4.
    Stop {
        /// Which.
        instance: InstanceId,
    },
    /// Puts the Elastic IP on.
    Associate {
        /// Which.
        instance: InstanceId,
    },
    /// Takes the Elastic IP off.
    Disassociate,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The call.
    pub action: Power,
    /// What EC2 said; the instance for `Run`.
    pub result: Result<Option<Ec2Instance>, Ec2Error>,
    /// The call was dropped since its moment had passed.
    pub dropped: bool,
}

/// What follows, in the order in which it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// 1. Records, in one transaction. If it is refused, nothing else of this decision happens.
    pub commit: Option<Commit>,
    /// 2. Row changes; one that meets a newer version is left for the next pass.
    pub rows: Vec<RowChange>,
    /// 3. Waiters to grant on the ready boot, by G1 and G2.
    pub grants: Vec<Row>,
    /// 4. Pushes without a row change.
    pub pushes: Vec<Push>,
    /// 5. Calls to EC2.
    pub calls: Vec<Call>,
    /// 6. When to look again.
    pub next: Next,
    /// Why, in words, one per thing decided.
    pub why: Vec<String>,
}

/// A new value of a row and what its owner is told once it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The row; the store raises its version.
    pub row: Row,
    /// The version it replaces.
    pub expected: u64,
    /// Sent to the row's link if the write succeeded.
    pub tell: Option<ServerMessage>,
}

/// A message for one link.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Where to.
    pub link: Link,
    /// What.
    pub message: ServerMessage,
}

/// When the reconciler looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: a step was answered.
    Now,
    /// After this time, within the same invocation.
    After(Duration),
    /// Nothing moves: release the lock; the tick comes.
    Quiet,
}
