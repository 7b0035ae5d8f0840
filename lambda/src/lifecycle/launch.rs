//! Brings an instance up: one intent at a time, a stopped instance before a new one, offering
//! after offering. Until an attempt is refused definitely, its identical request is the only way on.

use std::time::Duration;

use wakecast::ErrorCode;

use super::pass::Pass;
use super::subjects::{self, Payer};
use super::{Power, boots, budget, token};
use crate::config::Offering;
use crate::model::{InstanceId, InstanceStatus, Intent, LaunchKind};
use crate::ports::Ec2State;
use crate::store::{Charge, SubjectCharge};

/// The first wait before the identical request is sent again; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Its limit: EC2 refills its request buckets within seconds.
const LAST_BACKOFF: Duration = Duration::from_secs(20);
/// The first wait after a round in which no offering had capacity; it doubles.
const FIRST_ROUND: Duration = Duration::from_secs(15);
/// Its limit: a shortage lasts minutes to hours.
const LAST_ROUND: Duration = Duration::from_secs(300);

pub(super) fn step(pass: &mut Pass<'_>) {
    if pass.snapshot.ec2.is_ok() {
        match pass.intents.values().next().cloned() {
            Some(intent) => pursue(pass, intent),
            None => consider(pass),
        }
    }
    boots::report_pause(pass);
}

/// What can be started.
enum Choice {
    Stopped(InstanceId),
    New(Offering),
    /// Every offering has been without capacity lately.
    NoCapacity,
    /// A stopped instance cannot be started yet.
    NotYet,
    /// Only a new instance could help, and this region has no image.
    NoImage,
}

/// Opens an intent if one is wanted and may be.
fn consider(pass: &mut Pass<'_>) {
    if !pass.wanted() {
        // The next demand begins anew.
        if pass.live().is_empty() {
            pass.state.failed_boots = 0;
            if pass.state.capacity_retry_at.is_none_or(|at| at <= pass.now) {
                pass.state.capacity_retry_at = None;
                pass.state.exhausted_rounds = 0;
            }
        }
        return;
    }
    if !startable(pass) {
        if pass.awaited() && pass.ready().is_none() && !barred(pass) {
            // What is in the way goes up or down: the next step comes with it, not with the tick.
            pass.stay();
        }
        return;
    }
    let (charged_to, subject) = match subjects::payer(pass) {
        Payer::Nobody(first) => (first, None),
        Payer::Subject(charge) => (Some(charge.subject.clone()), Some(charge)),
        Payer::Spent => return,
        Payer::Unread => return pass.stay(),
    };
    let sequence = pass.state.sequence.saturating_add(1);
    let Some(kind) = choose(pass) else {
        return;
    };
    let mut intent = Intent {
        sequence,
        kind,
        attempt: 0,
        created_at: pass.now,
        charged_to,
        launch_charged: false,
        not_before: pass.now,
        tries: 0,
        unanswered: 0,
    };
    if !charge(pass, &mut intent, Some(subject)) {
        return;
    }
    if pass
        .state
        .pause
        .as_ref()
        .is_some_and(|pause| pause.code == ErrorCode::StartFailed)
        && pass.state.failed_boots >= boots::BOOTS_IN_A_ROW
    {
        // The pause is over: two boots again, and no more until the next one.
        pass.state.failed_boots = 0;
    }
    pass.state.sequence = sequence;
    pass.why(format!("launch {sequence} is intended"));
    announce(pass, intent);
}

/// Follows an open intent.
fn pursue(pass: &mut Pass<'_>, mut intent: Intent) {
    if intent.unanswered == 0 {
        if !pass.wanted() || !startable(pass) {
            pass.why(format!(
                "launch {} is withdrawn: nothing was sent",
                intent.sequence
            ));
            pass.intents.remove(&intent.sequence);
            return;
        }
        let target_left = match &intent.kind {
            LaunchKind::Start { instance } => !can_start(pass, instance),
            LaunchKind::New { .. } => false,
        };
        if target_left && intent.tries > 0 {
            intent.next_attempt(pass.now);
        }
        if intent.tries == 0 {
            let Some(kind) = choose(pass) else {
                pass.intents.insert(intent.sequence, intent);
                return;
            };
            intent.kind = kind;
            if !charge(pass, &mut intent, None) {
                pass.intents.remove(&intent.sequence);
                return;
            }
        }
    } else if let LaunchKind::Start { instance } = &intent.kind {
        let gone = pass
            .instances
            .get(instance)
            .is_none_or(|known| known.status == InstanceStatus::Gone);
        if gone {
            // It took its answer along.
            intent.next_attempt(pass.now);
            pass.intents.insert(intent.sequence, intent);
            pass.again();
            return;
        }
        if !can_start(pass, instance) {
            pass.stay();
            return;
        }
    }
    pass.stay();
    if pass.now >= intent.not_before {
        announce(pass, intent);
    } else {
        pass.intents.insert(intent.sequence, intent);
    }
}

/// Tells whether the fleet has room, running hours left and no pause.
fn startable(pass: &Pass<'_>) -> bool {
    pass.live().len() < pass.config.max as usize && !barred(pass)
}

fn barred(pass: &Pass<'_>) -> bool {
    paused(pass) || budget::spent(pass).is_some()
}

fn paused(pass: &Pass<'_>) -> bool {
    pass.state
        .pause
        .as_ref()
        .is_some_and(|pause| pass.now < pause.until)
}

/// Writes down that the call is made, and makes it.
fn announce(pass: &mut Pass<'_>, mut intent: Intent) {
    pass.stay();
    if pass.lock_lasts() {
        let doublings = intent.tries.min(8);
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << doublings)
            .min(LAST_BACKOFF);
        intent.tries = intent.tries.saturating_add(1);
        intent.unanswered = intent.unanswered.saturating_add(1);
        intent.not_before = pass.now + backoff;
        let sequence = intent.sequence;
        pass.call(match &intent.kind {
            LaunchKind::New { .. } => Power::Run {
                sequence,
                token: token::client_token(pass, &intent),
            },
            LaunchKind::Start { instance } => Power::Start {
                sequence,
                instance: instance.clone(),
            },
        });
    }
    pass.intents.insert(intent.sequence, intent);
}

/// Picks what is started; a failure to pick is recorded as a wait or a pause.
fn choose(pass: &mut Pass<'_>) -> Option<LaunchKind> {
    if pass.state.capacity_retry_at.is_some_and(|at| pass.now < at) {
        return None;
    }
    if pass.state.capacity_retry_at.take().is_some() {
        // A new round: everything is tried once.
        pass.unavailable.clear();
    }
    let now = pass.now;
    pass.unavailable.retain(|known| known.until > now);
    match pick(pass) {
        Choice::Stopped(instance) => Some(LaunchKind::Start { instance }),
        Choice::New(offering) => Some(LaunchKind::New {
            offering,
            image: pass.config.image.clone(),
            template: pass.config.template.clone(),
        }),
        Choice::NotYet => {
            pass.stay();
            None
        }
        Choice::NoCapacity => {
            let doublings = pass.state.exhausted_rounds.min(8);
            let wait = FIRST_ROUND.saturating_mul(1 << doublings).min(LAST_ROUND);
            pass.state.exhausted_rounds = pass.state.exhausted_rounds.saturating_add(1);
            pass.state.capacity_retry_at = Some(now + wait);
            pass.why(format!(
                "no offering has capacity; tried again in {} s",
                wait.as_secs()
            ));
            None
        }
        Choice::NoImage => {
            let length = pass.config.timing.misconfigured_retry;
            let cause = "no image is configured for this region";
            boots::pause(pass, ErrorCode::Misconfigured, cause, length);
            None
        }
    }
}

fn pick(pass: &Pass<'_>) -> Choice {
    let available = |offering: &Offering| {
        !pass
            .unavailable
            .iter()
            .any(|known| known.offering.same_pool(offering))
    };
    let stopped = pass
        .instances
        .values()
        .filter(|known| known.status == InstanceStatus::Stopped && !pass.held(&known.id))
        .collect::<Vec<_>>();
    // The one that was ready last: its disk is warm, and it works.
    let best = stopped
        .iter()
        .filter(|known| can_start(pass, &known.id) && available(&known.offering))
        .max_by_key(|known| {
            known
                .boot
                .as_ref()
                .map(|boot| (boot.ready_at.is_some(), boot.id))
        });
    if let Some(known) = best {
        return Choice::Stopped(known.id.clone());
    }
    // Not listed, still with the Elastic IP, or just coming down: it will be startable shortly.
    if stopped
        .iter()
        .any(|known| !can_start(pass, &known.id) && available(&known.offering))
    {
        return Choice::NotYet;
    }
    match pass
        .config
        .offerings
        .iter()
        .find(|offering| available(offering))
    {
        Some(_) if pass.config.image.is_empty() => Choice::NoImage,
        Some(offering) => Choice::New(offering.clone()),
        None => Choice::NoCapacity,
    }
}

fn can_start(pass: &Pass<'_>, id: &InstanceId) -> bool {
    let recorded = pass
        .instances
        .get(id)
        .is_some_and(|known| known.status == InstanceStatus::Stopped);
    let shown = pass
        .shown(id)
        .is_some_and(|shown| shown.state == Ec2State::Stopped && !shown.hold && !shown.elastic);
    recorded && shown
}

/// Charges the caps in the transaction of the intent: a start once, a launch when it first asks
/// for a new instance. A spent cap pauses starts. `opens` says that the intent is new, and which
/// subject is charged for it.
fn charge(pass: &mut Pass<'_>, intent: &mut Intent, opens: Option<Option<SubjectCharge>>) -> bool {
    let launch = matches!(intent.kind, LaunchKind::New { .. }) && !intent.launch_charged;
    if opens.is_none() && !launch {
        return true;
    }
    let (caps, spent) = (pass.caps(), pass.snapshot.counters);
    let cause = if spent.starts >= caps.starts_per_hour {
        Some("the cap on starts an hour is spent")
    } else if launch && spent.launches >= caps.launches_per_hour {
        Some("the cap on launches an hour is spent")
    } else {
        None
    };
    if let Some(cause) = cause {
        let length = pass.config.timing.misconfigured_retry;
        boots::pause(pass, ErrorCode::QuotaExceeded, cause, length);
        return false;
    }
    intent.launch_charged |= launch;
    pass.charge = Some(Charge {
        launch,
        launch_cap: caps.launches_per_hour,
        start_cap: caps.starts_per_hour,
        at: pass.now,
        subject: opens.flatten(),
        tenant_budget: pass.config.budget.tenant_per_day,
    });
    true
}
