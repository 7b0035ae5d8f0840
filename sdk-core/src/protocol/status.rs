//! What a fleet does, for whoever asks, and more of it for its operator.

use serde::Serialize;

use super::words::{OverrideMode, Phase};
use crate::ErrorCode;

/// `status`: what a fleet does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Id of the request.
    pub id: String,
    /// The fleet.
    pub fleet: String,
    /// Whether an instance is ready: an `acquire` would be granted at once.
    pub ready: bool,
    /// `ready`, or how far the start under way is; absent while nothing is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Median of the time until an instance is ready, in milliseconds; of a whole start while none
    /// is under way.
    pub eta_p50_ms: u64,
    /// 90th percentile of that time, in milliseconds.
    pub eta_p90_ms: u64,
    /// The phase takes longer than nine starts in ten.
    pub overdue: bool,
    /// A remark, such as `restarting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why nothing is started at present: what an `acquire` would end with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// How long starts still pause, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What an operator sees; absent without the scope `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Box<OperatorStatus>>,
}

/// The part of `status` that needs the scope `admin`. Times are milliseconds, as on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorStatus {
    /// The fleet's override.
    pub mode: OverrideMode,
    /// How long the override still holds; absent when it holds for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_ends_in_ms: Option<u64>,
    /// Its instances, at most 32: those that live first.
    pub instances: Vec<InstanceReport>,
    /// Leases that are held, of everybody.
    pub leases: u32,
    /// Acquisitions and leases that wait for an instance, of everybody.
    pub waiters: u32,
    /// What is spent of each cap.
    pub caps: Vec<CapReport>,
    /// Why starts pause, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseReport>,
    /// What needs a person, at most 16, in the reconciler's words.
    pub alarms: Vec<String>,
}

/// One instance in `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceReport {
    /// EC2's id.
    pub id: String,
    /// Its state, in the reconciler's words: `booting`, `ready`, `recovering`, `draining`,
    /// `stopping`, `failing`, `stopped` or `gone`.
    pub state: String,
    /// How long its boot has been ready; absent for one that is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_for_ms: Option<u64>,
    /// Streams that were published to it when it was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<u64>,
    /// Viewers that it served when it was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u64>,
    /// How long ago that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_ago_ms: Option<u64>,
}

/// One cap in `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapReport {
    /// Which, such as `starts` or `launches`.
    pub name: String,
    /// How much is spent.
    pub spent: u64,
    /// How much may be.
    pub limit: u64,
    /// In how long, in milliseconds.
    pub window_ms: u64,
}

/// Why starts pause, in `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PauseReport {
    /// What waiters are told.
    pub code: ErrorCode,
    /// What went wrong, in EC2's or the media server's words.
    pub cause: String,
    /// When it began.
    pub began_ago_ms: u64,
    /// When it is tried again; zero where it is tried with the next demand.
    pub ends_in_ms: u64,
}
