//! How near an acquisition is to its endpoint.

use std::time::Duration;

use crate::protocol::Phase;

/// How near an acquisition is to its endpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Time since the demand.
    pub elapsed: Duration,
    /// Median of the remaining time; `None` until the server has told.
    pub eta_p50: Option<Duration>,
    /// 90th percentile of the remaining time; `None` until the server has told.
    pub eta_p90: Option<Duration>,
    /// From 0 to 1; never goes back, and is 1 only when the endpoint is proved.
    pub fraction: f32,
    /// Longer than nine starts in ten.
    pub overdue: bool,
    /// A remark, such as `restarting`.
    pub note: Option<String>,
}

/// A fraction is never NaN.
impl Eq for Progress {}
