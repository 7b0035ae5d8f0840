//! `status`: what a fleet does, asked once and answered once.

use std::time::Duration;

use super::acquisitions::is_name;
use super::constants::NAME_MAX;
use super::input::RequestKey;
use super::output::Answer;
use super::requests::{Body, Request};
use super::{Intent, Machine};
use crate::protocol::{OperatorStatus, Outcome, Phase, Status};
use crate::{Error, ErrorCode, Stage};

/// What a fleet does, at the moment of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetStatus {
    /// The fleet.
    pub fleet: String,
    /// Whether an instance is ready: an acquire would be granted at once.
    pub ready: bool,
    /// `ready`, or how far the start under way is; `None` while nothing is under way.
    pub phase: Option<Phase>,
    /// Median of the time until an instance is ready; of a whole start while none is under way.
    pub eta_p50: Duration,
    /// 90th percentile of that time.
    pub eta_p90: Duration,
    /// The phase takes longer than nine starts in ten.
    pub overdue: bool,
    /// A remark, such as `restarting`.
    pub note: Option<String>,
    /// Why nothing is started at present: what an acquire would end with.
    pub code: Option<ErrorCode>,
    /// How long starts still pause.
    pub retry_after: Option<Duration>,
    /// What an operator sees: only with the scope `admin`.
    pub operator: Option<Box<OperatorStatus>>,
}

impl From<Status> for FleetStatus {
    fn from(status: Status) -> Self {
        let p50 = Duration::from_millis(status.eta_p50_ms);
        Self {
            fleet: status.fleet,
            ready: status.ready,
            phase: status.phase,
            eta_p50: p50,
            eta_p90: Duration::from_millis(status.eta_p90_ms).max(p50),
            overdue: status.overdue,
            note: status.note,
            code: status.code,
            retry_after: status.retry_after_ms.map(Duration::from_millis),
            operator: status.operator,
        }
    }
}

impl Machine {
    /// The app asks what a fleet does. That wants the link, as an acquire does.
    pub(super) fn status(&mut self, key: RequestKey, fleet: Option<String>) {
        if let Err(error) = self.may_ask(fleet.as_deref()) {
            return self.settle(key, Err(error));
        }
        self.intent = Intent::Open;
        self.submit(Request::waited(Body::Status { fleet }, key));
        self.cut_wait();
    }

    fn may_ask(&self, fleet: Option<&str>) -> Result<(), Error> {
        self.accepts_requests()?;
        if fleet.is_some_and(|fleet| !is_name(fleet)) {
            let error = Error::new(ErrorCode::InvalidArgument, Outcome::NotSent, Stage::Local);
            return Err(error.with_message(format!(
                "`fleet` must be 1 to {NAME_MAX} of A–Z a–z 0–9 _ - . : characters"
            )));
        }
        self.queue_room(fleet.map_or(0, str::len))
    }

    /// `status`: the answer to the request with its id; one that nobody waits for is dropped.
    pub(super) fn status_received(&mut self, status: Status) {
        let asked = self.requests.take_asked(&status.id);
        if let Some(waiter) = asked.and_then(|request| request.waiter) {
            self.settle(waiter, Ok(Answer::Status(Box::new(status.into()))));
        }
    }
}
