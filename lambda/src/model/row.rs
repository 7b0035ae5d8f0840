//! A lease, a waiter or a tombstone: one row of a fleet's demand.

use serde::{Deserialize, Serialize};
use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Phase, Purpose};

use super::{BootId, ConnectionId, InstanceId, RowKey, Timestamp};

/// What one subject asked of one fleet under one id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Tenant, fleet, subject and id.
    pub key: RowKey,
    /// Rises with every write; the store refuses a write over another version.
    pub version: u64,
    /// The client's order of states: starts at the creation time in milliseconds and is raised by
    /// each change of state.
    pub rev: u64,
    /// What is asked for; `None` on the tombstone of an id that was cancelled before it arrived.
    pub ask: Option<Ask>,
    /// Waiting, held or ended.
    pub state: RowState,
    /// The link that claimed the row last.
    pub link: Option<Link>,
    /// Set when that link is gone; an absent row neither protects nor waits after 120 s.
    pub absent_since: Option<Timestamp>,
    /// When the present ask began: `elapsed_ms` counts from here.
    pub created_at: Timestamp,
    /// When the row may be forgotten.
    pub expires_at: Timestamp,
}

/// What an `acquire` asks for. The same id with another ask is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Publish, play or watch.
    pub purpose: Purpose,
    /// The media server's app.
    pub app: String,
    /// The stream, where the purpose names one.
    pub stream_id: Option<String>,
}

/// Where the row's owner can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The socket.
    pub connection: ConnectionId,
    /// Its `connectedAt`: an older socket does not take the row back.
    pub connected_at: Timestamp,
    /// The client behind it.
    pub client_id: String,
}

/// The life of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RowState {
    /// Waits for an instance.
    Waiting {
        /// The phase the client was told last; `Requested` until the reconciler has seen the row.
        phase: Phase,
        /// When the wait ends without an answer.
        deadline: Timestamp,
        /// How long the first ask may wait, for a revival.
        wait_ms: u64,
        /// What ends the wait.
        kind: WaitKind,
    },
    /// Holds an instance in one of its boots.
    Held {
        /// The instance.
        instance: InstanceId,
        /// Its boot.
        boot: BootId,
        /// When G1 was written: only samples that began later can end the protection.
        granted_at: Timestamp,
        /// The latest end of the protection.
        protected_until: Timestamp,
        /// How long the first ask might have waited, for a revival.
        wait_ms: u64,
        /// The holder was told that the instance drains.
        draining: bool,
        /// What the grant answered, so that it can be told again in the same words.
        owed: WaitKind,
    },
    /// Final.
    Ended {
        /// Why.
        end: RowEnd,
        /// Since when.
        at: Timestamp,
    },
}

/// What a waiting row is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitKind {
    /// An `acquire`: ends in `ready` or `error`.
    Acquire,
    /// An `endpoint` asked for a lease whose instance was not ready: ends in `endpoint` or `lost`.
    Endpoint {
        /// The id of the `endpoint` message; none where a drain was undone unasked.
        request: Option<String>,
    },
    /// A lease whose instance died: ends in `moved` or `lost`.
    Moving,
}

/// How a row ended. The same id again is answered with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowEnd {
    /// `cancel`; the id may have been granted meanwhile.
    Cancelled,
    /// `release`.
    Released,
    /// The wait ended with this error, a deadline included.
    Failed(ErrorCode),
    /// The lease was lost; the same `acquire` begins anew.
    Lost(LostReason),
    /// The item cannot be read: another version wrote it, or a hand. What it held is unknown, and
    /// unknown counts as busy: it protects every boot until it expires or is removed. Its owner's
    /// next message begins anew over it.
    Unreadable,
}

impl Row {
    /// Tells whether the item of this row could not be read.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        matches!(
            self.state,
            RowState::Ended {
                end: RowEnd::Unreadable,
                ..
            }
        )
    }
}
