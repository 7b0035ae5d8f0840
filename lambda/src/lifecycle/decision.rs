//! What follows from a snapshot.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wakecast::protocol::ServerMessage;

use super::{Alarm, Transition};
use crate::model::{InstanceId, Link, Row, Timestamp};
use crate::store::Commit;

/// What follows, in the order in which it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// 1. Records, in one transaction. If it is refused, nothing else of this decision happens.
    pub commit: Option<Commit>,
    /// 2. Row changes; one that meets a newer version is left for the next pass.
    pub rows: Vec<RowChange>,
    /// 3. Rows to grant on the ready boot, by G1 and G2: waiters, and holders who were told of a
    ///    drain that is undone (`Held { draining: true }`: they are told by `endpoint`, and keep
    ///    the end of their protection).
    pub grants: Vec<Row>,
    /// 4. Pushes without a row change.
    pub pushes: Vec<Push>,
    /// 5. Calls to EC2.
    pub calls: Vec<Call>,
    /// 6. When to look again.
    pub next: Next,
    /// What the operator must hear, each once while it holds; logged after the commit.
    pub alarms: Vec<Alarm>,
    /// How instances moved through their lives.
    pub transitions: Vec<Transition>,
    /// Why, in words, one per thing decided.
    pub why: Vec<String>,
}

/// A new value of a row and what its owner is told once it is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowChange {
    /// The row; the store raises its version.
    pub row: Row,
    /// The version it replaces.
    pub expected: u64,
    /// Sent to the row's link if the write succeeded.
    pub tell: Option<ServerMessage>,
}

/// A message for one link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Push {
    /// Where to.
    pub link: Link,
    /// What.
    pub message: ServerMessage,
}

/// One call to EC2, sent after the commit that announces it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// What to do.
    pub action: Power,
    /// The call is dropped, not sent, when this moment has passed: the lock must outlive it.
    pub not_after: Timestamp,
}

/// A power action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// When the reconciler looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// At once: a step was answered.
    Now,
    /// After this time, within the same invocation.
    After(Duration),
    /// Nothing moves: release the lock; the tick comes.
    Quiet,
}
