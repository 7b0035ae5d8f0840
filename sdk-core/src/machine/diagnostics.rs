//! What is safe to attach to a ticket: the state, its explanation, the counters and the last records.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::explain::{Explanation, ago, span};
use super::metrics::{Causes, Metrics, Timing};
use super::record::{Happening, Record};
use super::state::StateKind;
use super::words::in_millis;
#[cfg(feature = "native")]
use super::{Config, Input, Seed};
use super::{Machine, scrub};
use crate::Instant;
use crate::protocol::VERSION;

/// What one client knows about itself, at one moment. Everything in it was made fit to keep when it
/// was written down: it holds no token, no stream token, no query, and no text of a token provider
/// or server. At most 128 records; as text at most 64 KB, as much as a comment on an issue may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Version of this crate.
    pub version: &'static str,
    /// Name and version that the server sees, such as `wakecast-rust/0.1.0`.
    pub sdk: Box<str>,
    /// Version of the protocol.
    pub protocol: u32,
    /// The connection state.
    pub state: StateKind,
    /// The session that the server named, for its own logs; only while connected.
    pub session: Option<Box<str>>,
    /// The facts that the next decision rests on.
    pub facts: Facts,
    /// Why the client is where it is.
    pub explanation: Explanation,
    /// What was counted since the client was made.
    pub metrics: Metrics,
    /// Older records that made room.
    pub forgotten: u64,
    /// The last records, oldest first.
    pub records: Vec<Record>,
}

impl Diagnostics {
    /// What a client says of which nothing is left but that it is closed.
    #[cfg(feature = "native")]
    pub(crate) fn of_closed() -> Self {
        let mut machine = Machine::new(Config::new(""), Seed([0; 32]));
        machine.handle(Instant::default(), Input::Detach);
        machine.diagnostics(Instant::default())
    }

    /// Returns everything as one JSON object.
    pub fn to_json(&self) -> String {
        // Texts, numbers and lists only, which always can be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The facts that the next decision rests on, the same on every platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Facts {
    /// The system says that there is no network.
    pub offline: bool,
    /// The app is in the background.
    pub background: bool,
    /// Whether there is an access address to ask why a connection was refused.
    pub access_check: bool,
    /// Attempts since the backoff began anew.
    pub attempts: u32,
    /// Over how long the server wants reconnects to spread.
    #[serde(rename = "spread_ms", with = "in_millis")]
    pub spread: Duration,
    /// How long the token still lives; `None` if there is none, or nobody knows.
    #[serde(rename = "token_left_ms", serialize_with = "in_millis::option")]
    pub token_left: Option<Duration>,
    /// Fresh tokens that were refused in a row.
    pub token_refusals: u8,
    /// Acquisitions that are open.
    pub acquisitions: usize,
    /// Leases that are held, draining or moving.
    pub leases: usize,
    /// Requests that are open.
    pub requests: usize,
}

impl Machine {
    /// Returns what is safe to attach to a ticket, as of `now`. Changes nothing.
    pub fn diagnostics(&self, now: Instant) -> Diagnostics {
        let now = self.now.max(now);
        let book = self.journal.book();
        let entries = book.into_iter().flat_map(|book| &book.entries);
        let records = entries.map(|entry| Record {
            ago: now.since(entry.at),
            times: entry.times,
            what: entry.what.clone(),
        });
        Diagnostics {
            version: env!("CARGO_PKG_VERSION"),
            sdk: scrub::text(&self.config.sdk),
            protocol: VERSION,
            state: self.state.kind(),
            session: self.known_session(),
            facts: self.facts(now),
            explanation: self.explain(now),
            metrics: self.metrics(),
            forgotten: book.map_or(0, |book| book.forgotten),
            records: records.collect(),
        }
    }

    fn facts(&self, now: Instant) -> Facts {
        let ends = self.tokens.current.as_ref().and_then(|token| token.ends);
        Facts {
            offline: self.environment.offline,
            background: self.environment.background,
            access_check: self.config.can_check(self.gateway()),
            attempts: self.attempts.made,
            spread: self.gateways.spread(),
            token_left: ends.map(|ends| ends.since(now)),
            token_refusals: self.tokens.refusals,
            acquisitions: self.acquisitions.len(),
            leases: self.leases.len(),
            requests: self.requests.open.len(),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.explanation)?;
        writeln!(f, "\nClient")?;
        row(
            f,
            "sdk",
            format_args!(
                "{} (wakecast {}, protocol {})",
                self.sdk, self.version, self.protocol
            ),
        )?;
        row(f, "state", format_args!("{:?}", self.state))?;
        if let Some(session) = &self.session {
            row(f, "session", format_args!("{session}"))?;
        }
        for (number, address) in self.explanation.gateways.iter().enumerate() {
            let access = address.access.as_deref().unwrap_or("none");
            let (gateway, number) = (&address.gateway, number + 1);
            row(
                f,
                "gateway",
                format_args!("{number}: {gateway}, access {access}"),
            )?;
        }
        self.facts.fmt(f)?;
        writeln!(f, "\nCounted since the client was made")?;
        self.metrics.fmt(f)?;
        match self.forgotten {
            0 => writeln!(f, "\nRecords")?,
            older => writeln!(f, "\nRecords ({older} older ones made room)")?,
        }
        for record in &self.records {
            writeln!(f, "  {record}")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "  {name:<18}{value}")
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = match (self.offline, self.background) {
            (false, false) => "network, in front",
            (true, false) => "no network, in front",
            (false, true) => "network, in the background",
            (true, true) => "no network, in the background",
        };
        row(f, "system", format_args!("{environment}"))?;
        match self.token_left {
            Some(left) if left.is_zero() => row(f, "token", format_args!("has ended"))?,
            Some(left) => row(f, "token", format_args!("ends in {}", span(left)))?,
            None => row(f, "token", format_args!("none, or of unknown life"))?,
        }
        let (acquisitions, leases) = (self.acquisitions, self.leases);
        let open = format_args!(
            "{acquisitions} acquisitions, {leases} leases, {} requests",
            self.requests
        );
        row(f, "open", open)?;
        let spread = span(self.spread);
        row(
            f,
            "backoff",
            format_args!("attempt {}, spread {spread}", self.attempts),
        )
    }
}

impl fmt::Display for Metrics {
    /// Writes what was counted, one line for each kind; what never happened is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proved = format_args!(
            "{}, {} welcomed, {} reconnects, {} rotations",
            self.attempts, self.welcomes, self.reconnects, self.rotations
        );
        row(f, "attempts", proved)?;
        timing(f, "time to connect", &self.time_to_connect)?;
        timing(f, "round trip", &self.round_trip)?;
        causes(f, "failed attempts", &self.failed_attempts)?;
        causes(f, "drops", &self.drops)?;
        let (asked, fetched, faults) = (self.tokens_asked, self.tokens_fetched, self.token_faults);
        row(
            f,
            "tokens",
            format_args!("{asked} asked, {fetched} fetched, {faults} faults"),
        )?;
        row(
            f,
            "messages",
            format_args!(
                "{} sent, {} received",
                self.messages_sent, self.messages_received
            ),
        )?;
        if self.acquires > 0 {
            let acquires = format_args!(
                "{}, {} warm, {} cold, {} failed, {} cancelled",
                self.acquires,
                self.acquires_warm,
                self.acquires_cold,
                self.acquires_failed,
                self.acquires_cancelled
            );
            row(f, "acquires", acquires)?;
        }
        timing(f, "ready, warm", &self.time_to_ready_warm)?;
        timing(f, "ready, cold", &self.time_to_ready_cold)?;
        timing(f, "later than told", &self.eta_error.late())?;
        timing(f, "sooner than told", &self.eta_error.early())?;
        if self.proofs > 0 {
            row(
                f,
                "proofs",
                format_args!("{}, {} failed", self.proofs, self.proofs_failed),
            )?;
        }
        if self.leases_moved + self.leases_lost > 0 {
            row(
                f,
                "leases",
                format_args!("{} moved, {} lost", self.leases_moved, self.leases_lost),
            )?;
        }
        Ok(())
    }
}

fn timing(f: &mut fmt::Formatter<'_>, name: &str, timing: &Timing) -> fmt::Result {
    let (Some(last), Some(min), Some(mean), Some(max)) =
        (timing.last(), timing.min(), timing.mean(), timing.max())
    else {
        return Ok(());
    };
    let (last, min, mean, max) = (span(last), span(min), span(mean), span(max));
    row(
        f,
        name,
        format_args!(
            "last {last}, {min} to {max}, mean {mean} of {}",
            timing.count()
        ),
    )
}

fn causes(f: &mut fmt::Formatter<'_>, name: &str, causes: &Causes) -> fmt::Result {
    if causes.total() == 0 {
        return Ok(());
    }
    write!(f, "  {name:<18}{}", causes.total())?;
    for (cause, count) in causes.iter() {
        write!(f, ", {} {count}", cause.as_str())?;
    }
    f.write_str("\n")
}

impl fmt::Display for Record {
    /// Writes one line: how long ago, and what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>16}  {}", ago(self.ago).to_string(), self.what)?;
        match self.times {
            1 => Ok(()),
            times => write!(f, "  ({times} times)"),
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { wish, id: Some(id) } => write!(f, "app: {} {id}", wish.as_str()),
            Self::Asked { wish, id: None } => write!(f, "app: {}", wish.as_str()),
            Self::Environment { change } => write!(f, "system: {}", change.as_str()),
            Self::TokenAsked { reason } => write!(f, "token: asked for, {reason:?}"),
            Self::TokenCame { life: Some(life) } => write!(f, "token: came, lives {}", span(*life)),
            Self::TokenCame { life: None } => f.write_str("token: came"),
            Self::TokenFault { fault } => write!(f, "token: {}", fault.as_str()),
            Self::Opening { epoch, gateway } => {
                write!(f, "link {epoch}: opening, {gateway}")
            }
            Self::Opened { epoch } => write!(f, "link {epoch}: open"),
            Self::Welcomed { epoch, took } => {
                write!(f, "link {epoch}: welcomed after {}", span(*took))
            }
            Self::Ended {
                epoch,
                welcomed,
                cause,
                code,
                detail,
            } => {
                let what = if *welcomed { "ended" } else { "failed" };
                write!(f, "link {epoch}: {what}, {}", cause.as_str())?;
                if let Some(code) = code {
                    write!(f, ", {code}")?;
                }
                match detail {
                    Some(detail) => write!(f, ", {detail}"),
                    None => Ok(()),
                }
            }
            Self::Waiting {
                delay,
                asked: false,
            } => write!(f, "waits {}", span(*delay)),
            Self::Waiting { delay, asked: true } => {
                write!(f, "waits {}, as the server asked", span(*delay))
            }
            Self::AccessAsked { gateway } => write!(f, "access: asked, {gateway}"),
            Self::AccessAnswered {
                status: Some(status),
            } => write!(f, "access: HTTP {status}"),
            Self::AccessAnswered { status: None } => f.write_str("access: no answer"),
            Self::Sent { message } => write!(f, "-> {message}"),
            Self::Received { message } => write!(f, "<- {message}"),
            Self::Phase { id, phase } => write!(f, "{id}: {}", phase.as_str()),
            Self::Probing => f.write_str("proof: trying"),
            Self::Probed { failure: None } => f.write_str("proof: reached"),
            Self::Probed {
                failure: Some(detail),
            } => write!(f, "proof: failed, {detail}"),
            Self::Granted { id } => write!(f, "{id}: granted"),
            Self::Lease {
                id,
                status,
                reason: None,
            } => write!(f, "{id}: {status:?}"),
            Self::Lease {
                id,
                status,
                reason: Some(reason),
            } => {
                write!(f, "{id}: {status:?}, {}", reason.as_str())
            }
            Self::Failed {
                id,
                code,
                stage,
                outcome,
            } => {
                let id = id.as_deref().unwrap_or("request");
                write!(f, "{id}: failed, {code}, {stage:?}, {}", outcome.as_str())
            }
            Self::Reported { code, stage } => write!(f, "reported: {code}, {stage:?}"),
            Self::State { state, code: None } => write!(f, "state: {state:?}"),
            Self::State {
                state,
                code: Some(code),
            } => write!(f, "state: {state:?}, {code}"),
        }
    }
}
