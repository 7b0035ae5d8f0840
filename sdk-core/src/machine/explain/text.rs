//! The explanation in plain English, for a person at a terminal. A build that does not show it
//! does not contain it.

use std::fmt;
use std::time::Duration;

use super::{
    Condition, Evidence, Explanation, Finding, GatewayAddress, Headline, NextStep, Remedy, Subject,
};
use crate::machine::GatewayIndex;
use crate::machine::record::{Detail, EndCause, TokenFault};
use crate::machine::timers::Timer;
use crate::protocol::{LostReason, Phase};
use crate::{ErrorCode, Stage};

/// Acquisitions and leases that are shown: more than a person reads at once.
const MOST_ROWS: usize = 8;
/// Column at which what follows a label begins.
const INDENT: usize = 12;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rows, mut left_out) = (0, 0);
        for (number, finding) in self.findings.iter().enumerate() {
            if number == 0 {
                headline(self, finding, f)?;
                // What a healthy link does next is of interest where it is all there is.
                let quiet = finding.what == Condition::Healthy && self.findings.len() > 1;
                body(finding, &self.gateways, quiet, f)?;
                continue;
            }
            let open = !matches!(finding.what, Condition::Ended | Condition::Lost);
            let row = open && finding.about != Subject::Connection;
            rows += usize::from(row);
            if row && rows > MOST_ROWS {
                left_out += 1;
                continue;
            }
            f.write_str("\n\n")?;
            sentence(finding, f)?;
            body(finding, &self.gateways, false, f)?;
        }
        match left_out {
            0 => Ok(()),
            1 => f.write_str("\n\nOne more acquisition or lease is left out."),
            more => write!(f, "\n\n{more} more acquisitions and leases are left out."),
        }
    }
}

impl fmt::Display for Finding {
    /// Writes one finding as a paragraph.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(self, f)?;
        body(self, &[], false, f)
    }
}

fn headline(all: &Explanation, finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match all.headline {
        Headline::Connected if all.is_fine() => f.write_str("Connected; everything is fine."),
        Headline::Connected if finding.what == Condition::Healthy => f.write_str("Connected."),
        Headline::Waiting if finding.what == Condition::Healthy => {
            f.write_str("Connected; waiting for a server.")
        }
        Headline::Offline => {
            f.write_str("Not connected: the system says that there is no network.")
        }
        _ => sentence(finding, f),
    }
}

/// Writes what is found in one sentence.
fn sentence(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &finding.about {
        Subject::Connection => return link_sentence(finding, f),
        Subject::Acquisition { id } => write!(f, "Acquisition {id}")?,
        Subject::Lease { id } => write!(f, "Lease {id}")?,
        Subject::Request => f.write_str("A request")?,
    }
    f.write_str(match finding.what {
        Condition::Unsent => " waits for the connection.",
        Condition::Asked => " was sent; the server has not answered yet.",
        Condition::Requested => " is taken; the server looks what there is.",
        Condition::RefusedForNow => " is refused for the moment",
        Condition::NoCapacity => " waits: there is no server capacity at the moment.",
        Condition::Starting => " waits for a server that starts",
        Condition::Overdue => " waits for a server that takes longer to start than nine in ten",
        Condition::Watching => " watches: it waits until somebody else's demand starts a server.",
        Condition::ProofDue => " is granted; the server is tried from this network in a moment.",
        Condition::Proving => " is granted; the server is being tried from this network.",
        Condition::ProofFailing => {
            " is granted, but this network does not reach the server so far."
        }
        Condition::Held => " is held.",
        Condition::HeldUnlinked => {
            " is held; what runs goes on, and the service keeps it for two minutes."
        }
        Condition::Draining => " is told to end: its server will stop.",
        Condition::Moving => " lost its server; another one starts for it.",
        Condition::Lost => return lost_sentence(finding, f),
        _ => " ended",
    })?;
    match (finding.what, &finding.code) {
        (Condition::Starting | Condition::Overdue, _) => match phase(finding) {
            Some(phase) => write!(f, ": {}.", phase_words(phase)),
            None => f.write_str("."),
        },
        (Condition::Ended | Condition::RefusedForNow, Some(code)) => {
            write!(f, ": {} ({code}).", wrong(code))
        }
        _ => Ok(()),
    }
}

fn lost_sentence(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let reason = finding.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Ended {
            detail: Some(Detail::Lost(reason)),
            ..
        } => Some(*reason),
        _ => None,
    });
    write!(
        f,
        " is gone: {}.",
        lost_words(reason.unwrap_or(LostReason::Unrecognised))
    )
}

fn link_sentence(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let code = finding.code.as_ref();
    f.write_str(match (finding.what, code) {
        (Condition::NothingWanted, _) => "Idle: nothing has been asked for yet.",
        (Condition::Paused, _) => {
            "Paused: the app is in the background, and nothing is held or waited for."
        }
        (Condition::Closing, _) => "Closing: what is held is being given back.",
        (Condition::Closed, _) => "Closed.",
        (Condition::Healthy, _) => "Connected.",
        (Condition::Unanswered, _) => "Connected, but the server does not answer at the moment.",
        (Condition::AskingToken, None) => "Connecting: the token provider is being asked.",
        (Condition::TokenLater, None) => "Connecting: the token provider is asked again soon.",
        (Condition::CheckingAccess, None) => "Connecting: the service is asked why it refuses.",
        (Condition::Opening | Condition::WaitingToRetry, None) => {
            "Connecting: the connection is being opened."
        }
        (Condition::Greeting, None) => "Connecting: the server is there; its welcome should come.",
        (Condition::TokenMissing, Some(ErrorCode::InvalidArgument)) => {
            "The next token is missing: what the provider returned is no token (invalid_argument)."
        }
        (Condition::TokenMissing, Some(code)) => {
            return write!(f, "The next token is missing: {} ({code}).", wrong(code));
        }
        (Condition::Failed, Some(code)) => {
            return write!(
                f,
                "Failed: {} ({code}). It is not tried again by itself.",
                wrong(code)
            );
        }
        (Condition::Reported, Some(code)) => {
            return write!(f, "Something went wrong: {} ({code}).", wrong(code));
        }
        // On the way to a link the only argument is the token.
        (_, Some(ErrorCode::InvalidArgument)) => {
            "Not connected: what the token provider returned is no token (invalid_argument)."
        }
        (_, Some(code)) => return write!(f, "Not connected: {} ({code}).", wrong(code)),
        (_, None) => "Something went wrong.",
    })
}

/// Writes evidence, next steps and remedies, each part under its label.
fn body(
    finding: &Finding,
    gateways: &[GatewayAddress],
    quiet: bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let troubled = finding.about == Subject::Connection && finding.code.is_some();
    let mut label = match finding.what {
        Condition::Ended | Condition::Lost | Condition::Reported => "when",
        _ if troubled => "because",
        _ => "so far",
    };
    for evidence in &finding.evidence {
        line(&mut label, f)?;
        evidence_words(finding, evidence, gateways, f)?;
    }
    let mut label = "next";
    for step in finding.next.iter().filter(|_| !quiet) {
        line(&mut label, f)?;
        step_words(finding.what, *step, f)?;
    }
    let mut label = "you can";
    for remedy in &finding.remedies {
        line(&mut label, f)?;
        f.write_str(remedy_words(*remedy))?;
    }
    Ok(())
}

/// Begins a line, with its label the first time.
fn line(label: &mut &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "\n  {:<width$}",
        std::mem::take(label),
        width = INDENT - 2
    )
}

fn evidence_words(
    finding: &Finding,
    evidence: &Evidence,
    gateways: &[GatewayAddress],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match evidence {
        Evidence::Attempt {
            gateway,
            ago,
            lasted,
            welcomed,
            cause,
            code,
            detail,
        } => {
            let after = if *welcomed { "connected for" } else { "after" };
            write!(f, "{}, {after} {}: ", Ago(*ago), span(*lasted))?;
            if *gateway != GatewayIndex::PREFERRED || gateways.len() > 1 {
                match gateways.get(usize::from(gateway.0)) {
                    Some(address) => write!(f, "{}: ", address.gateway)?,
                    None => write!(f, "{gateway}: ")?,
                }
            }
            cause_words(*cause, detail.as_ref(), f)?;
            match code {
                Some(code)
                    if Some(code) != finding.code.as_ref() && *cause != EndCause::Unexplained =>
                {
                    write!(f, " [{code}]")
                }
                _ => Ok(()),
            }
        }
        Evidence::AskedToWait { left } => {
            write!(
                f,
                "the server asked to be left alone for another {}",
                span(*left)
            )
        }
        Evidence::NoNetwork => f.write_str("the system says that there is no network"),
        Evidence::InBackground => f.write_str("the app is in the background"),
        Evidence::TokenAsked { ago } => {
            write!(f, "{}: the token provider was asked", Ago(*ago))
        }
        Evidence::TokenFault { ago, fault } => {
            write!(f, "{}: {}", Ago(*ago), fault_words(*fault))
        }
        Evidence::TokenEnds { left } if left.is_zero() => f.write_str("the token has ended"),
        Evidence::TokenEnds { left } => write!(f, "the token in use ends in {}", span(*left)),
        Evidence::AccessAnswer { ago, status: None } => {
            write!(f, "{}: the access address did not answer either", Ago(*ago))
        }
        Evidence::AccessAnswer {
            ago,
            status: Some(status @ 200..=299),
        } => {
            write!(
                f,
                "{}: over HTTP the service finds nothing wrong ({status})",
                Ago(*ago)
            )
        }
        Evidence::AccessAnswer {
            ago,
            status: Some(status),
        } => {
            write!(f, "{}: over HTTP the service answers {status}", Ago(*ago))
        }
        Evidence::Connected {
            lasting,
            heard_ago,
            round_trip,
        } => {
            write!(
                f,
                "connected for {}, heard {}",
                span(*lasting),
                Ago(*heard_ago)
            )?;
            match round_trip {
                Some(time) => write!(f, ", round trip {}", span(*time)),
                None => Ok(()),
            }
        }
        Evidence::PingUnanswered { ago } => {
            write!(f, "{}: a ping was sent and has no answer yet", Ago(*ago))
        }
        Evidence::Waited { lasting } => write!(f, "asked {}", Ago(*lasting)),
        Evidence::Start {
            elapsed,
            usual_p50,
            usual_p90,
            note,
            ..
        } => {
            write!(f, "{} so far", span(*elapsed))?;
            if let (Some(half), Some(most)) = (usual_p50, usual_p90) {
                let (half, most) = (span(*half), span(*most));
                write!(f, "; half of all starts take {half}, nine in ten {most}")?;
            }
            match note {
                Some(note) => write!(f, " ({note})"),
                None => Ok(()),
            }
        }
        Evidence::Refused { times: 1, .. } => f.write_str("refused once"),
        Evidence::Refused { times, .. } => write!(f, "refused {times} times in a row"),
        Evidence::Unreached { ago, times, detail } => {
            let tries = if *times == 1 { "try" } else { "tries" };
            write!(f, "{times} {tries}, the last {}: ", Ago(*ago))?;
            write!(f, "{detail}")
        }
        Evidence::Stops { left } if left.is_zero() => f.write_str("it stops now"),
        Evidence::Stops { left } => write!(f, "it stops in {}", span(*left)),
        Evidence::Ended {
            ago,
            times,
            stage,
            detail,
        } => {
            write!(f, "{}", Ago(*ago))?;
            if *times > 1 {
                write!(f, ", for the {} time", Ordinal(*times))?;
            }
            if finding.what != Condition::Lost {
                write!(f, ", {}", stage_words(*stage))?;
            }
            match detail {
                Some(Detail::Lost(_)) if finding.what == Condition::Lost => Ok(()),
                Some(detail) => write!(f, ": {detail}"),
                None => Ok(()),
            }
        }
    }
}

fn cause_words(
    cause: EndCause,
    detail: Option<&Detail>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let words = match cause {
        EndCause::CloseCode => "the server closed the connection",
        EndCause::Dropped => "the connection was cut without a word",
        EndCause::LocalFailure => "the connection failed on this side",
        EndCause::Silent => "the server no longer answered",
        EndCause::Bye => "the server said goodbye",
        EndCause::NotOpened => "the socket did not open in time",
        EndCause::NotWelcomed => "no welcome came in time",
        EndCause::Unreachable => "no connection",
        EndCause::Tls => "no secure connection",
        EndCause::HttpStatus => "refused",
        EndCause::BadHandshake => "the answer was not that of a WebSocket",
        EndCause::Unexplained => "refused without a reason",
        EndCause::NoEcho => "the server did not echo the subprotocol wakecast.v1",
        EndCause::HelloRefused => "the server refused the hello",
        EndCause::Rotation => "a move to a fresh connection failed",
        EndCause::Own => "given up by this client",
    };
    // The words of the network stack begin with what failed.
    let said = matches!(
        cause,
        EndCause::Unreachable | EndCause::Tls | EndCause::BadHandshake
    );
    match detail {
        Some(Detail::Text(text)) if said => f.write_str(text),
        Some(Detail::Text(text)) => write!(f, "{words}: {text}"),
        Some(detail) => write!(f, "{words} with {detail}"),
        None => f.write_str(words),
    }
}

impl fmt::Display for GatewayIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gateway {}", u16::from(self.0) + 1)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "HTTP status {status}"),
            Self::CloseCode(code) => write!(f, "code {code}"),
            Self::Lost(reason) => f.write_str(lost_words(*reason)),
            Self::Code(code) => write!(f, "{} ({code})", wrong(code)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn step_words(what: Condition, step: NextStep, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let words = match (step.timer, what) {
        (Timer::Attempt, _) => "tries again",
        (Timer::ConnectTimeout | Timer::WelcomeTimeout, _) => "gives this attempt up",
        (Timer::AccessTimeout, _) => "goes on without an answer",
        (Timer::TokenTimeout, _) => "gives up on this question to the token provider",
        (Timer::TokenFetch, Condition::Healthy | Condition::Unanswered) => "fetches the next token",
        (Timer::TokenFetch, _) => "asks the token provider again",
        (Timer::Heartbeat, _) => "asks the server for a sign of life",
        (Timer::PongTimeout, _) => "counts the connection as lost",
        (Timer::Rotation, _) => "moves to a fresh connection",
        (Timer::Return, _) => "tries the preferred gateway again",
        (Timer::RequestDeadline, _) => "ends",
        (Timer::Resend, _) => "asks the server again",
        (Timer::Proof, Condition::Proving) => "counts this try as failed",
        (Timer::Proof, _) => "tries the server",
        (Timer::CloseFlush, _) => "is closed at the latest",
        (timer, _) => return write!(f, "{timer:?} {}", After(step.after)),
    };
    write!(f, "{words} {}", After(step.after))?;
    f.write_str(match step.timer {
        Timer::PongTimeout => ", unless something comes",
        Timer::RequestDeadline => ", if nothing is ready by then",
        _ => "",
    })
}

fn remedy_words(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AskForSomething => "call acquire(), or connect() to be ready sooner",
        Remedy::CheckNetwork => "check the network of this device",
        Remedy::CheckAddress => "check the address that the client was built with",
        Remedy::CheckCertificates => "check the device's clock and the root certificates",
        Remedy::AllowWebsockets => "try another network, or let this one allow wss",
        Remedy::AllowMediaServer => {
            "let this network reach the media server's port, or try another"
        }
        Remedy::MendTokenProvider => "mend the token provider; it is asked again by itself",
        Remedy::FetchFreshToken => "let the token provider return a fresh token, not a cached one",
        Remedy::SignIn => "sign in again",
        Remedy::CallRetry => "call retry() once that is done",
        Remedy::UpdateSdk => "update the SDK",
        Remedy::AskOperator => "ask the operator of the service",
        Remedy::BringToFront => "bring the app to the front, or acquire",
        Remedy::AcquireAgain => "acquire again",
        Remedy::LongerDeadline => "set a longer deadline",
        Remedy::OwnId => "use an id in one client at a time",
        Remedy::FinishSoon => "finish what runs, and acquire again for what comes after",
        Remedy::SendLess => "send less in one message",
        Remedy::AskLess => "wait until some requests have ended",
        Remedy::MendArgument => "mend the argument that the error names",
        Remedy::NewClient => "make a new client",
        Remedy::TryLater => "try again later",
    }
}

fn fault_words(fault: TokenFault) -> &'static str {
    match fault {
        TokenFault::Provider => "the token provider failed",
        TokenFault::NoAnswer => "the token provider did not answer in time",
        TokenFault::Unusable => "the token provider returned something that is no token",
        TokenFault::Stale => "the token provider returned a token that was refused before",
        TokenFault::Refused => "the server refused the token",
        TokenFault::Ended => "the token had ended",
    }
}

fn lost_words(reason: LostReason) -> &'static str {
    match reason {
        LostReason::Stopped => "its server was stopped",
        LostReason::InstanceGone => "its server died",
        LostReason::StartFailed => "no server could be started for it",
        LostReason::TakenOver => "another client claimed its id",
        LostReason::Released => "it had been given back",
        LostReason::Unrecognised => "the service does not know it",
    }
}

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Requested => "asked for",
        Phase::WaitingForCapacity => "no capacity yet",
        Phase::Launching => "launching",
        Phase::Booting => "booting",
        Phase::Warming => "loading the media server",
        Phase::Verifying => "being tried",
        Phase::Ready => "ready",
        Phase::Unrecognised => "on its way",
    }
}

fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Local => "before anything was sent",
        Stage::Token => "while a token was fetched",
        Stage::Connect => "before there was a connection",
        Stage::Link => "on the connection",
        Stage::Request => "while it was asked for",
        Stage::Boot => "while a server was on its way",
        Stage::Verify => "while the server was tried from this network",
        Stage::Lease => "while it was held",
    }
}

fn phase(finding: &Finding) -> Option<Phase> {
    finding.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Start { phase, .. } => Some(*phase),
        _ => None,
    })
}

/// What was wrong: the first half of a code's remedy.
fn wrong(code: &ErrorCode) -> &'static str {
    let remedy = code.remedy();
    remedy.split_once(": ").map_or(remedy, |(wrong, _)| wrong)
}

/// Writes a duration as people say it: `250 ms`, `12 s`, `1 min 5 s`, `2 h 3 min`, `3 days`.
pub(in crate::machine) fn span(duration: Duration) -> impl fmt::Display {
    Span(duration)
}

struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = crate::time::millis(self.0);
        if millis < 1_000 {
            return write!(f, "{millis} ms");
        }
        // Rounded once, so that 59.9 s is a minute and not 60 s.
        let secs = self.0.as_secs() + u64::from(self.0.subsec_millis() >= 500);
        let (large, small) = match secs {
            0..60 => return write!(f, "{secs} s"),
            60..3_600 => ((secs / 60, "min"), (secs % 60, "s")),
            3_600..172_800 => ((secs / 3_600, "h"), (secs / 60 % 60, "min")),
            _ => ((secs / 86_400, "days"), (secs / 3_600 % 24, "h")),
        };
        write!(f, "{} {}", large.0, large.1)?;
        match small.0 {
            0 => Ok(()),
            value => write!(f, " {value} {}", small.1),
        }
    }
}

/// Writes how long ago something was.
pub(in crate::machine) fn ago(duration: Duration) -> impl fmt::Display {
    Ago(duration)
}

struct Ago(Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            f.write_str("just now")
        } else {
            write!(f, "{} ago", Span(self.0))
        }
    }
}

/// How long until something.
struct After(Duration);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            f.write_str("now")
        } else {
            write!(f, "in {}", Span(self.0))
        }
    }
}

struct Ordinal(u32);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{ending}", self.0)
    }
}
