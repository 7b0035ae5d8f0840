//! What a decision may know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Power;
use crate::config::FleetConfig;
use crate::guards::Guards;
use crate::model::{Counters, FleetKey, FleetRecords, InstanceId, Lock, Row, Timestamp};
use crate::ports::{Ec2Error, Ec2Instance, Load, MediaError};

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
    /// Answers to [`probes`](super::probes), sent in this pass.
    pub observations: &'a [Observation],
    /// Answers to the calls of the previous pass of this invocation.
    pub answers: &'a [Answer],
    /// The rules in force: all of them.
    pub guards: Guards,
}

/// A look at a media server that the next decision needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The instance.
    pub instance: InstanceId,
    /// The address to look at, the instance's own until its Elastic IP is on.
    pub address: String,
    /// What to ask.
    pub question: Question,
}

/// What to ask a media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What was asked.
    pub probe: Probe,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What came back.
    pub result: Result<Reply, MediaError>,
}

/// A readable answer of a media server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The call.
    pub action: Power,
    /// What EC2 said; the instance for `Run`.
    pub result: Result<Option<Ec2Instance>, Ec2Error>,
    /// The call was dropped since its moment had passed: it was never sent.
    pub dropped: bool,
}
