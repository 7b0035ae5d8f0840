//! Why the link is up, on its way, or down.

use std::time::Duration;

use super::{Condition, Evidence, Finding, NextStep, Subject, remedies};
use crate::machine::constants::CLEAN_CHECKS_BLOCKED;
use crate::machine::dial::Dial;
use crate::machine::links::LinkStage;
use crate::machine::timers::Timer;
use crate::machine::{ConnectionState, Intent, Machine, scrub};
use crate::{ErrorCode, Instant};

/// A ping that is unanswered for less than this is nothing to tell: a slow network's round trip.
const SLOW_ROUND_TRIP: Duration = Duration::from_secs(1);

impl Machine {
    /// The findings about the connection: one, and a second where a token is missing that the link
    /// does not need yet.
    pub(super) fn connection_findings(&self, now: Instant) -> Vec<Finding> {
        let mut finding = Finding::new(Subject::Connection, self.link_condition(now));
        finding.code = self.link_code(finding.what);
        finding.evidence = self.link_evidence(now, finding.what);
        finding.next = self.link_next(now, finding.what);
        let fault = self.journal.book().and_then(|book| book.token_fault);
        finding.remedies = remedies::of_link(&finding, fault.map(|(_, fault)| fault));
        let healthy = matches!(finding.what, Condition::Healthy | Condition::Unanswered);
        let mut findings = vec![finding];
        if healthy {
            findings.extend(self.token_finding(now));
        }
        findings
    }

    fn link_condition(&self, now: Instant) -> Condition {
        match self.intent {
            Intent::Closed => return Condition::Closed,
            Intent::Closing => return Condition::Closing,
            Intent::Idle => return Condition::NothingWanted,
            Intent::Open => {}
        }
        if self.failed.is_some() {
            return Condition::Failed;
        }
        if self.paused() {
            return Condition::Paused;
        }
        match self.links.active.as_ref().map(|link| &link.stage) {
            Some(LinkStage::Live) => match self.ping_sent() {
                Some(sent) if now.since(sent) >= SLOW_ROUND_TRIP => Condition::Unanswered,
                _ => Condition::Healthy,
            },
            Some(LinkStage::Hello { .. }) => Condition::Greeting,
            Some(LinkStage::Opening { .. }) => Condition::Opening,
            None => match self.dial {
                Dial::Check { .. } => Condition::CheckingAccess,
                Dial::Token if self.tokens.deadline().is_some() => Condition::AskingToken,
                Dial::Token => Condition::TokenLater,
                Dial::Wait { .. } => Condition::WaitingToRetry,
                Dial::Rest => Condition::Opening,
            },
        }
    }

    fn link_code(&self, what: Condition) -> Option<ErrorCode> {
        match what {
            Condition::Failed => self.failed.as_ref().map(|error| scrub::code(error.code())),
            Condition::Closed => Some(ErrorCode::Closed),
            Condition::Unanswered => Some(ErrorCode::ConnectionLost),
            Condition::AskingToken
            | Condition::TokenLater
            | Condition::CheckingAccess
            | Condition::Opening
            | Condition::Greeting
            | Condition::WaitingToRetry => self.link_reason(),
            _ => None,
        }
    }

    /// Why the link is down. Where WebSockets are found to be blocked, further refusals without a
    /// word say nothing new.
    pub(super) fn link_reason(&self) -> Option<ErrorCode> {
        let attempts = &self.attempts;
        match attempts.reason.as_ref()? {
            ErrorCode::NetworkUnreachable | ErrorCode::ProtocolError
                if attempts.clean_checks >= CLEAN_CHECKS_BLOCKED && !attempts.proved_on_network =>
            {
                Some(ErrorCode::WebsocketBlocked)
            }
            code => Some(scrub::code(code)),
        }
    }

    fn link_evidence(&self, now: Instant, what: Condition) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        match what {
            Condition::NothingWanted | Condition::Closing | Condition::Closed => return evidence,
            Condition::Paused => return vec![Evidence::InBackground],
            Condition::Healthy | Condition::Unanswered => {
                self.live_evidence(now, what, &mut evidence);
                return evidence;
            }
            _ => {}
        }
        if self.environment.offline && what != Condition::Failed {
            evidence.push(Evidence::NoNetwork);
        }
        if let Some(floor) = self.floor().filter(|floor| *floor > now) {
            evidence.push(Evidence::AskedToWait {
                left: floor.since(now),
            });
        }
        let asking = matches!(what, Condition::AskingToken | Condition::TokenLater);
        if asking && let Some(asked) = self.tokens.last_call {
            evidence.push(Evidence::TokenAsked {
                ago: now.since(asked),
            });
        }
        let Some(book) = self.journal.book() else {
            return evidence;
        };
        if let Some((at, fault)) = book.token_fault {
            evidence.push(Evidence::TokenFault {
                ago: now.since(at),
                fault,
            });
        }
        if let Some((at, status)) = book.access {
            evidence.push(Evidence::AccessAnswer {
                ago: now.since(at),
                status,
            });
        }
        for one in book.tries.iter().rev() {
            if let Some(end) = &one.ended {
                evidence.push(Evidence::Attempt {
                    gateway: one.gateway,
                    ago: now.since(end.at),
                    lasted: end.at.since(one.welcomed.unwrap_or(one.began)),
                    welcomed: one.welcomed.is_some(),
                    cause: end.cause,
                    code: end.code.clone(),
                    detail: end.detail.clone(),
                });
            }
            // What was before the last connection is another story.
            if one.welcomed.is_some() {
                break;
            }
        }
        evidence
    }

    fn live_evidence(&self, now: Instant, what: Condition, evidence: &mut Vec<Evidence>) {
        if what == Condition::Unanswered
            && let Some(sent) = self.ping_sent()
        {
            evidence.push(Evidence::PingUnanswered {
                ago: now.since(sent),
            });
        }
        if let Some(link) = self.links.active.as_deref() {
            evidence.push(Evidence::Connected {
                lasting: now.since(link.live_since),
                heard_ago: now.since(link.last_heard),
                round_trip: self
                    .journal
                    .book()
                    .and_then(|book| book.metrics.round_trip.last()),
            });
        }
    }

    fn link_next(&self, now: Instant, what: Condition) -> Vec<NextStep> {
        let link = self.links.active.as_deref();
        let stage = link.and_then(|link| match link.stage {
            LinkStage::Opening { until } => Some((until, Timer::ConnectTimeout)),
            LinkStage::Hello { until, .. } => Some((until, Timer::WelcomeTimeout)),
            LinkStage::Live => None,
        });
        let fetch = self.tokens.fetch_due().map(|at| (at, Timer::TokenFetch));
        let steps = match what {
            Condition::Closing => vec![self.close_until.map(|at| (at, Timer::CloseFlush))],
            Condition::Opening | Condition::Greeting => vec![stage],
            Condition::AskingToken => {
                vec![self.tokens.deadline().map(|at| (at, Timer::TokenTimeout))]
            }
            Condition::TokenLater => vec![fetch],
            Condition::CheckingAccess | Condition::WaitingToRetry => vec![match self.dial {
                // What is owed to another network cuts the wait.
                Dial::Wait { until } => {
                    let cut = self.attempts.cut_due().unwrap_or(until);
                    Some((until.min(cut), Timer::Attempt))
                }
                Dial::Check { until, .. } => Some((until, Timer::AccessTimeout)),
                Dial::Rest | Dial::Token => None,
            }],
            Condition::Healthy | Condition::Unanswered => vec![
                link.and_then(|link| link.ping)
                    .map(|ping| (ping.until, Timer::PongTimeout)),
                self.heartbeat_due().map(|at| (at, Timer::Heartbeat)),
                fetch,
                self.rotation_due().map(|at| (at, Timer::Rotation)),
            ],
            _ => Vec::new(),
        };
        super::steps(now, steps)
    }

    /// The link stands, but the next token does not come.
    fn token_finding(&self, now: Instant) -> Option<Finding> {
        let (at, fault) = self.journal.book()?.token_fault?;
        let mut finding = Finding::new(Subject::Connection, Condition::TokenMissing);
        finding.code = Some(remedies::code_of_fault(fault));
        finding.evidence.push(Evidence::TokenFault {
            ago: now.since(at),
            fault,
        });
        let ends = self.tokens.current.as_ref().and_then(|token| token.ends);
        finding
            .evidence
            .extend(ends.map(|ends| Evidence::TokenEnds {
                left: ends.since(now),
            }));
        finding.next = super::steps(
            now,
            vec![
                self.tokens.deadline().map(|at| (at, Timer::TokenTimeout)),
                self.tokens.fetch_due().map(|at| (at, Timer::TokenFetch)),
            ],
        );
        finding.remedies = remedies::of_fault(fault);
        Some(finding)
    }

    /// When the oldest ping without an answer was sent on the link.
    fn ping_sent(&self) -> Option<Instant> {
        let link = self.links.active.as_deref()?;
        link.ping?;
        let (epoch, sent) = self.journal.book()?.ping?;
        (epoch == link.epoch).then_some(sent)
    }

    /// The session that the server named, for its own logs.
    pub(in crate::machine) fn known_session(&self) -> Option<Box<str>> {
        match &self.state {
            ConnectionState::Connected { session } => Some(scrub::id(session)),
            _ => None,
        }
    }
}
