//! What the people of a run have counted together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wakecast::{Error, ErrorCode};

/// How many complaints are kept in words; all are counted.
const KEPT: usize = 20;

/// Outcomes that faults explain. Any other says that somebody has made a mistake.
const EXPLAINED: [ErrorCode; 14] = [
    ErrorCode::StartTimeout,
    ErrorCode::StartFailed,
    ErrorCode::CapacityUnavailable,
    ErrorCode::EndpointUnreachable,
    ErrorCode::LeaseLost,
    ErrorCode::RequestTimeout,
    ErrorCode::GatewayError,
    ErrorCode::ServiceUnavailable,
    ErrorCode::Throttled,
    ErrorCode::ConnectionLost,
    ErrorCode::NetworkUnreachable,
    ErrorCode::ConnectTimeout,
    ErrorCode::Cancelled,
    ErrorCode::Closed,
];

/// Counters that all people share. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acquires that were made.
    pub acquires: u64,
    /// Their outcomes: `lease`, `let go`, an error's code.
    pub outcomes: BTreeMap<String, u64>,
    /// Outcomes of endpoint requests and releases.
    pub requests: BTreeMap<String, u64>,
    /// Streams published and played, or what the media server said instead.
    pub streams: BTreeMap<String, u64>,
    /// Clients that were made, and how they ended.
    pub clients: BTreeMap<String, u64>,
    /// Waiters that got no outcome in time, and people who did not end.
    pub lost: Complaints,
    /// Outcomes that nothing explains, and leases that did not end exactly once.
    pub wrong: Complaints,
    /// How long after its deadline the latest outcome of an acquire came.
    pub latest: Duration,
}

/// Complaints: all counted, the first few in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub words: Vec<String>,
}

impl Complaints {
    fn add(&mut self, words: String) {
        self.count += 1;
        if self.words.len() < KEPT {
            self.words.push(words);
        }
    }
}

impl Counts {
    /// Returns how many acquires have no outcome.
    #[must_use]
    pub fn open(&self) -> u64 {
        let ended: u64 = self.outcomes.values().sum();
        self.acquires.saturating_sub(ended)
    }

    /// Returns how many acquires ended with a lease.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.outcomes.get("lease").copied().unwrap_or_default()
    }
}

impl Tally {
    /// Returns what was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Counts an acquire that begins.
    pub fn acquire(&self) {
        self.lock().acquires += 1;
    }

    /// Counts an acquire's outcome, which came `late` after its deadline.
    pub fn outcome(&self, result: Result<(), &Error>, late: Duration, whose: &str) {
        let mut counts = self.lock();
        counts.latest = counts.latest.max(late);
        let name = counts.explain(result, "lease", whose);
        *counts.outcomes.entry(name).or_default() += 1;
    }

    /// Counts an acquire that was dropped on purpose.
    pub fn let_go(&self) {
        *self.lock().outcomes.entry("let go".to_owned()).or_default() += 1;
    }

    /// Counts an acquire that got no outcome long after its deadline.
    pub fn lost_acquire(&self, words: String) {
        *self.lock().outcomes.entry("lost".to_owned()).or_default() += 1;
        self.lost(words);
    }

    /// Counts the outcome of another request.
    pub fn request(&self, kind: &str, result: Result<(), &Error>, whose: &str) {
        let mut counts = self.lock();
        let name = counts.explain(result, "ok", whose);
        let name = format!("{kind} {name}");
        *counts.requests.entry(name).or_default() += 1;
    }

    /// Counts what came of a stream.
    pub fn stream(&self, result: &str) {
        *self.lock().streams.entry(result.to_owned()).or_default() += 1;
    }

    /// Counts a client that begins or ends.
    pub fn client(&self, what: &str) {
        *self.lock().clients.entry(what.to_owned()).or_default() += 1;
    }

    /// Notes a waiter without an outcome.
    pub fn lost(&self, words: String) {
        self.lock().lost.add(words);
    }

    /// Notes what should not be.
    pub fn wrong(&self, words: String) {
        self.lock().wrong.add(words);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn explain(&mut self, result: Result<(), &Error>, ok: &str, whose: &str) -> String {
        let Err(error) = result else {
            return ok.to_owned();
        };
        if !EXPLAINED.contains(error.code()) {
            self.wrong.add(format!("{whose}: {error}"));
        }
        error.code().to_string()
    }
}
