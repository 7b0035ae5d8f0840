//! Why the client is where it is: a pure function of the machine. The result is data; `text` turns
//! it into plain words, and nothing else calls that.

mod connection;
mod remedies;
mod rows;
mod text;

use std::time::Duration;

use serde::Serialize;

use super::gateways::GatewayIndex;
use super::record::{Detail, EndCause, TokenFault};
use super::sorted::in_order;
use super::state::StateKind;
use super::timers::Timer;
use super::words::{in_millis, words};
use super::{Intent, Machine};
use crate::protocol::Phase;
use crate::{ErrorCode, Instant, LeaseStatus, Stage};

pub use remedies::Remedy;
pub(super) use text::{ago, span};

/// What ended longer ago than this is history: the longest default wait of an acquire.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// Why the client is where it is, what happens next, and what a person can do.
///
/// Made by [`Machine::explain`] and, for apps, by `Client::explain`. Its `Display` is plain English
/// for a terminal; a program reads the fields. It holds no token and no URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The answer in one word.
    pub headline: Headline,
    /// The connection state that it explains.
    pub state: StateKind,
    /// The first about the connection; then what is waited for, what is held and what ended, each
    /// part with the most pressing first.
    pub findings: Vec<Finding>,
    /// Where the gateways are, in order of preference; empty where the driver has not told.
    pub gateways: Vec<GatewayAddress>,
}

impl Explanation {
    /// Returns the findings about one acquisition or lease.
    pub fn about<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings
            .iter()
            .filter(move |finding| match &finding.about {
                Subject::Acquisition { id: known } | Subject::Lease { id: known } => **known == *id,
                Subject::Connection | Subject::Request => false,
            })
    }

    /// Returns whether everything is as the app wants it: connected, nothing is waited for, nothing
    /// drains, and nothing failed lately.
    pub fn is_fine(&self) -> bool {
        let well = |finding: &Finding| matches!(finding.what, Condition::Healthy | Condition::Held);
        self.headline == Headline::Connected && self.findings.iter().all(well)
    }
}

words! {
    /// The answer in one word.
    Headline {
        /// Nothing is wanted yet.
        Idle = "idle",
        /// The first connection is on its way.
        Connecting = "connecting",
        /// Connected; nothing is waited for.
        Connected = "connected",
        /// Connected; a server is on its way.
        Waiting = "waiting",
        /// The link is down and is tried again.
        Reconnecting = "reconnecting",
        /// The link is down, and the system says that there is no network.
        Offline = "offline",
        /// In the background with nothing held or waited for.
        Paused = "paused",
        /// Trying again is useless until somebody has done something.
        Failed = "failed",
        /// What is held is given back, then the client is closed.
        Closing = "closing",
        /// Closed for good.
        Closed = "closed",
    }
}

/// Where a gateway is, without user information and query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayAddress {
    /// The WebSocket address.
    pub gateway: String,
    /// The access address, if there is one.
    pub access: Option<String>,
}

/// One thing that is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub about: Subject,
    /// What is found.
    pub what: Condition,
    /// The code, where something is wrong.
    pub code: Option<ErrorCode>,
    /// What it rests on, the most telling first.
    pub evidence: Vec<Evidence>,
    /// What happens by itself, the soonest first.
    pub next: Vec<NextStep>,
    /// What a person can do, the best first; empty where nothing needs to be done.
    pub remedies: Vec<Remedy>,
}

impl Finding {
    fn new(about: Subject, what: Condition) -> Self {
        Self {
            about,
            what,
            code: None,
            evidence: Vec::new(),
            next: Vec::new(),
            remedies: Vec::new(),
        }
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// The link to the service, its token among it.
    Connection,
    /// An acquisition.
    Acquisition {
        /// Its id.
        id: Box<str>,
    },
    /// A lease.
    Lease {
        /// Its id.
        id: Box<str>,
    },
    /// A request: an endpoint, a release or a status that was asked for, or an acquire that was
    /// never taken on.
    Request,
}

words! {
    /// What is found.
    Condition {
        /// Nothing is wanted yet.
        NothingWanted = "nothing_wanted",
        /// The token provider is asked.
        AskingToken = "asking_token",
        /// The token provider is asked again soon.
        TokenLater = "token_later",
        /// The service is asked over HTTP why it refuses.
        CheckingAccess = "checking_access",
        /// The socket is being opened.
        Opening = "opening",
        /// The socket is open; `welcome` should come.
        Greeting = "greeting",
        /// The next attempt waits.
        WaitingToRetry = "waiting_to_retry",
        /// Connected, and the server answers.
        Healthy = "healthy",
        /// Connected, but a ping is unanswered.
        Unanswered = "unanswered",
        /// Connected, but the token that is needed next is not there.
        TokenMissing = "token_missing",
        /// In the background with nothing held or waited for.
        Paused = "paused",
        /// Failed for good.
        Failed = "failed",
        /// Everything is being given back.
        Closing = "closing",
        /// Closed for good.
        Closed = "closed",

        /// The acquire waits for the link.
        Unsent = "unsent",
        /// The acquire was sent and is not answered yet.
        Asked = "asked",
        /// The server took the acquire.
        Requested = "requested",
        /// The server refused for a moment; the same is asked again.
        RefusedForNow = "refused_for_now",
        /// There is no capacity; other types and zones are tried.
        NoCapacity = "no_capacity",
        /// A server starts.
        Starting = "starting",
        /// A server starts, and takes longer than nine starts in ten.
        Overdue = "overdue",
        /// It waits for others' demand.
        Watching = "watching",
        /// The endpoint is there and is tried from this network, at a time that spreads a herd.
        ProofDue = "proof_due",
        /// The endpoint is tried from this network.
        Proving = "proving",
        /// The endpoint does not answer from this network so far.
        ProofFailing = "proof_failing",

        /// The lease can be used.
        Held = "held",
        /// The lease can be used; its server is kept although the link is down.
        HeldUnlinked = "held_unlinked",
        /// The lease's server will stop.
        Draining = "draining",
        /// The lease's server died; another one is started.
        Moving = "moving",

        /// A request or an acquisition ended with an error.
        Ended = "ended",
        /// The lease is gone.
        Lost = "lost",
        /// Something went wrong that belongs to no request.
        Reported = "reported",
    }
}

/// What a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// A failed attempt to connect, or a link that ended.
    Attempt {
        /// The gateway that it went to.
        gateway: GatewayIndex,
        /// How long ago it ended.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
        /// How long it lasted.
        #[serde(rename = "lasted_ms", with = "in_millis")]
        lasted: Duration,
        /// Whether it had been connected.
        welcomed: bool,
        /// Why it ended.
        cause: EndCause,
        /// What that means; `None` where this client ended it.
        code: Option<ErrorCode>,
        /// What else is known.
        detail: Option<Detail>,
    },
    /// The server asked for a wait.
    AskedToWait {
        /// How much of it is left.
        #[serde(rename = "left_ms", with = "in_millis")]
        left: Duration,
    },
    /// The system says that there is no network.
    NoNetwork,
    /// The app is in the background.
    InBackground,
    /// The token provider was asked.
    TokenAsked {
        /// How long ago.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
    },
    /// Something was wrong with a token.
    TokenFault {
        /// How long ago.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
        /// What.
        fault: TokenFault,
    },
    /// The token in use ends.
    TokenEnds {
        /// When; zero if it has ended.
        #[serde(rename = "left_ms", with = "in_millis")]
        left: Duration,
    },
    /// The service was asked over HTTP.
    AccessAnswer {
        /// How long ago.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
        /// The HTTP status; `None` without an answer.
        status: Option<u16>,
    },
    /// The link stands.
    Connected {
        /// For how long.
        #[serde(rename = "for_ms", with = "in_millis")]
        lasting: Duration,
        /// How long ago the server was last heard.
        #[serde(rename = "heard_ago_ms", with = "in_millis")]
        heard_ago: Duration,
        /// The last round trip of a ping.
        #[serde(rename = "round_trip_ms", serialize_with = "in_millis::option")]
        round_trip: Option<Duration>,
    },
    /// A ping has no answer yet.
    PingUnanswered {
        /// When it was sent.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
    },
    /// How long the app has waited.
    Waited {
        /// Since it asked.
        #[serde(rename = "for_ms", with = "in_millis")]
        lasting: Duration,
    },
    /// What the server said of the start.
    Start {
        /// The phase.
        phase: Phase,
        /// Time since the demand.
        #[serde(rename = "elapsed_ms", with = "in_millis")]
        elapsed: Duration,
        /// What half of all starts take in all; `None` until the server has told.
        #[serde(rename = "usual_p50_ms", serialize_with = "in_millis::option")]
        usual_p50: Option<Duration>,
        /// What nine starts in ten take in all; `None` until the server has told.
        #[serde(rename = "usual_p90_ms", serialize_with = "in_millis::option")]
        usual_p90: Option<Duration>,
        /// A remark of the server, such as `restarting`.
        note: Option<Box<str>>,
    },
    /// The server refused for a moment.
    Refused {
        /// How often in a row.
        times: u32,
        /// The last reason.
        code: ErrorCode,
    },
    /// The endpoint was tried from this network and did not answer.
    Unreached {
        /// How long ago the last time was.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
        /// How often it was tried.
        times: u32,
        /// Why the last try failed.
        detail: Detail,
    },
    /// The lease's server stops.
    Stops {
        /// When; zero if that has passed.
        #[serde(rename = "left_ms", with = "in_millis")]
        left: Duration,
    },
    /// It ended.
    Ended {
        /// How long ago; of several alike, the last.
        #[serde(rename = "ago_ms", with = "in_millis")]
        ago: Duration,
        /// How often the same happened.
        times: u32,
        /// How far it was.
        stage: Stage,
        /// What else is known.
        detail: Option<Detail>,
    },
}

/// Something that the client does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct NextStep {
    /// How long until then; zero if it is due.
    #[serde(rename = "after_ms", with = "in_millis")]
    pub after: Duration,
    /// What it is.
    pub timer: Timer,
}

impl Machine {
    /// Explains the connection, what is waited for, what is held and what ended lately, as of `now`.
    /// Changes nothing; `now` may be later than the last input.
    pub fn explain(&self, now: Instant) -> Explanation {
        let now = self.now.max(now);
        let mut findings = self.connection_findings(now);
        findings.append(&mut self.row_findings(now));
        Explanation {
            headline: self.headline(),
            state: self.state.kind(),
            findings,
            gateways: Vec::new(),
        }
    }

    fn headline(&self) -> Headline {
        if self.intent == Intent::Closing {
            return Headline::Closing;
        }
        match self.state.kind() {
            StateKind::Idle => Headline::Idle,
            StateKind::Connecting => Headline::Connecting,
            StateKind::Connected => {
                let moving =
                    (self.leases.values()).any(|lease| lease.status == LeaseStatus::Moving);
                if self.acquisitions.is_empty() && !moving {
                    Headline::Connected
                } else {
                    Headline::Waiting
                }
            }
            StateKind::Reconnecting if self.environment.offline => Headline::Offline,
            StateKind::Reconnecting => Headline::Reconnecting,
            StateKind::Paused => Headline::Paused,
            StateKind::Failed => Headline::Failed,
            StateKind::Closed => Headline::Closed,
        }
    }
}

/// Sorts what comes next, and tells it from `now` on.
fn steps(now: Instant, due: Vec<Option<(Instant, Timer)>>) -> Vec<NextStep> {
    let steps = due.into_iter().flatten().map(|(at, timer)| NextStep {
        after: at.since(now),
        timer,
    });
    in_order(steps, |step| *step)
}
