//! What is waited for, what is held, and what ended.

use super::{Condition, Evidence, Finding, RECENT, Remedy, Subject, remedies};
use crate::machine::acquisitions::Acquisition;
use crate::machine::journal::{Ending, EndingOf};
use crate::machine::leases::Lease;
use crate::machine::progress::Meter;
use crate::machine::record::Detail;
use crate::machine::sorted::in_order;
use crate::machine::timers::Timer;
use crate::machine::{LeaseStatus, Machine, scrub};
use crate::protocol::{LostReason, Phase};
use crate::{ErrorCode, Instant};

impl Machine {
    /// The findings about acquisitions, leases and ends, the most pressing of each first.
    pub(super) fn row_findings(&self, now: Instant) -> Vec<Finding> {
        let acquisitions = in_order(self.acquisitions.iter(), |(_, open)| {
            (
                pressing(self.wait_condition(now, open)),
                open.meter.started(),
            )
        });
        let acquisitions = acquisitions
            .into_iter()
            .map(|(id, open)| self.wait_finding(now, id, open));
        let leases = in_order(self.leases.iter(), |(_, lease)| {
            std::cmp::Reverse(lease.status)
        });
        let leases = leases
            .into_iter()
            .map(|(id, lease)| self.lease_finding(now, id, lease));
        let endings = self
            .journal
            .book()
            .into_iter()
            .flat_map(|book| book.endings.iter().rev());
        let endings = endings
            .filter(|ending| now.since(ending.at) < RECENT && !self.known_elsewhere(ending))
            .map(|ending| ending_finding(now, ending));
        acquisitions.chain(leases).chain(endings).collect()
    }

    fn wait_finding(&self, now: Instant, id: &str, open: &Acquisition) -> Finding {
        let about = Subject::Acquisition { id: scrub::id(id) };
        let mut finding = Finding::new(about, self.wait_condition(now, open));
        let progress = open.meter.peek(now);
        finding.code = match finding.what {
            Condition::RefusedForNow => open
                .asked
                .last_refusal()
                .map(|error| scrub::code(error.code())),
            Condition::NoCapacity => Some(ErrorCode::CapacityUnavailable),
            Condition::ProofFailing => Some(ErrorCode::EndpointUnreachable),
            Condition::Unsent => self.link_reason(),
            _ => None,
        };
        let waited = now.since(open.meter.started());
        finding.evidence.push(Evidence::Waited { lasting: waited });
        if let (Condition::RefusedForNow, Some(code)) = (finding.what, finding.code.clone()) {
            let times = open.asked.refusals();
            finding.evidence.push(Evidence::Refused { times, code });
        }
        if let Some(proof) = &open.proof {
            finding
                .evidence
                .extend(proof.last_failure.as_ref().map(|(at, detail)| {
                    let (ago, times) = (now.since(*at), proof.failed);
                    Evidence::Unreached {
                        ago,
                        times,
                        detail: detail.clone(),
                    }
                }));
        } else if progress.eta_p50.is_some() {
            finding.evidence.push(start_evidence(now, &open.meter));
        }
        finding.next = super::steps(
            now,
            vec![
                open.proof.as_ref().map(|proof| (proof.due(), Timer::Proof)),
                open.resend_at
                    .filter(|_| open.proof.is_none() && self.link_live())
                    .map(|at| (at, Timer::Resend)),
                Some((open.deadline, Timer::RequestDeadline)),
            ],
        );
        finding.remedies = remedies::of_wait(finding.what);
        finding
    }

    fn wait_condition(&self, now: Instant, open: &Acquisition) -> Condition {
        if let Some(proof) = &open.proof {
            return match (proof.failed, proof.trying()) {
                (0, true) => Condition::Proving,
                (0, false) => Condition::ProofDue,
                _ => Condition::ProofFailing,
            };
        }
        if open.asked.waits_at(now) && open.asked.last_refusal().is_some() {
            return Condition::RefusedForNow;
        }
        let progress = open.meter.peek(now);
        match progress.phase {
            _ if !self.link_live() && progress.eta_p50.is_none() => Condition::Unsent,
            Phase::WaitingForCapacity => Condition::NoCapacity,
            // A watch waits for others' demand; once that starts a server, it waits for that.
            Phase::Requested if open.watches() => Condition::Watching,
            _ if progress.overdue => Condition::Overdue,
            Phase::Requested if progress.eta_p50.is_some() => Condition::Requested,
            Phase::Requested if open.asked.unanswered() || !open.asked.ever() => Condition::Asked,
            Phase::Requested => Condition::Requested,
            _ => Condition::Starting,
        }
    }

    fn lease_finding(&self, now: Instant, id: &str, lease: &Lease) -> Finding {
        let what = match lease.status {
            LeaseStatus::Draining => Condition::Draining,
            LeaseStatus::Moving => Condition::Moving,
            _ if !self.link_live() => Condition::HeldUnlinked,
            _ => Condition::Held,
        };
        let mut finding = Finding::new(Subject::Lease { id: scrub::id(id) }, what);
        if what == Condition::Draining {
            let left = lease.stops_at.map(|at| Evidence::Stops {
                left: at.since(now),
            });
            finding.evidence.extend(left);
        }
        if let Some(meter) = lease.meter() {
            finding.evidence.push(start_evidence(now, meter));
        }
        let (resend, _) = lease.deadlines();
        let resend = resend.filter(|_| self.link_live());
        finding.next = super::steps(now, vec![resend.map(|at| (at, Timer::Resend))]);
        finding.remedies = remedies::of_lease(what);
        finding
    }

    /// Whether what ended is told by the connection, or the token, already.
    fn known_elsewhere(&self, ending: &Ending) -> bool {
        let fault = self.journal.book().and_then(|book| book.token_fault);
        let token = fault.map(|(_, fault)| remedies::code_of_fault(fault));
        ending.of == EndingOf::Nothing
            && (token.as_ref() == Some(&ending.code)
                || !self.link_live() && self.link_reason().as_ref() == Some(&ending.code))
    }
}

/// How pressing a wait is; the least number is the most pressing.
fn pressing(what: Condition) -> u8 {
    match what {
        Condition::ProofFailing => 0,
        Condition::RefusedForNow => 1,
        Condition::NoCapacity => 2,
        Condition::Overdue => 3,
        Condition::Watching => 5,
        _ => 4,
    }
}

fn start_evidence(now: Instant, meter: &Meter) -> Evidence {
    let progress = meter.peek(now);
    Evidence::Start {
        phase: progress.phase,
        elapsed: progress.elapsed,
        usual_p50: meter.usual().map(|(p50, _)| p50),
        usual_p90: meter.usual().map(|(_, p90)| p90),
        note: progress.note.as_deref().map(scrub::remark),
    }
}

fn ending_finding(now: Instant, ending: &Ending) -> Finding {
    let (about, what) = match &ending.of {
        EndingOf::Acquisition(id) => (Subject::Acquisition { id: id.clone() }, Condition::Ended),
        EndingOf::Lease(id, _) => (Subject::Lease { id: id.clone() }, Condition::Lost),
        EndingOf::Request => (Subject::Request, Condition::Ended),
        EndingOf::Nothing => (Subject::Connection, Condition::Reported),
    };
    let detail = match &ending.of {
        EndingOf::Lease(_, reason) => Some(Detail::Lost(*reason)),
        _ => ending.detail.clone(),
    };
    let taken_over = detail == Some(Detail::Lost(LostReason::TakenOver));
    let mut finding = Finding::new(about, what);
    finding.code = Some(ending.code.clone());
    finding.evidence.push(Evidence::Ended {
        ago: now.since(ending.at),
        times: ending.times,
        stage: ending.stage,
        detail,
    });
    finding.remedies = match taken_over {
        true => vec![Remedy::OwnId],
        false => remedies::of_code(&ending.code),
    };
    finding
}
