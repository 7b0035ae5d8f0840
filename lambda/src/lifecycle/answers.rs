//! What the calls of the last pass have answered.

use std::time::Duration;

use wakecast::ErrorCode;

use super::pass::Pass;
use super::{Alarm, Answer, Power, boots, observe, token};
use crate::guards::Guard;
use crate::model::{Instance, InstanceId, InstanceStatus, Intent, LaunchKind, Unavailable};
use crate::ports::{Ec2Error, Ec2Instance};

/// EC2 shows an instance within this time of its launch; later, a token that it holds against us
/// stands for no instance of ours.
const TOKEN_DOUBT: Duration = Duration::from_secs(60);

pub(super) fn step(pass: &mut Pass<'_>) {
    for answer in pass.snapshot.answers {
        match &answer.action {
            Power::Run {
                sequence,
                token: sent,
            } => {
                let intent = pass.intents.get(sequence).cloned();
                if let Some(intent) = intent.filter(|i| token::client_token(pass, i) == *sent) {
                    launch(pass, intent, answer);
                }
            }
            Power::Start { sequence, instance } => {
                let intent = pass.intents.get(sequence).cloned();
                let kind = LaunchKind::Start {
                    instance: instance.clone(),
                };
                if let Some(intent) = intent.filter(|i| i.kind == kind) {
                    launch(pass, intent, answer);
                }
            }
            Power::Stop { instance } => stop(pass, instance, answer),
            Power::Associate { .. } | Power::Disassociate => address(pass, answer),
        }
    }
}

/// Follows the answer to `Run` or `Start`. Only a definite refusal leads to another attempt.
fn launch(pass: &mut Pass<'_>, mut intent: Intent, answer: &Answer) {
    pass.stay();
    if answer.dropped {
        intent.unanswered = intent.unanswered.saturating_sub(1);
        intent.not_before = pass.now;
        pass.intents.insert(intent.sequence, intent);
        return;
    }
    match (&answer.result, &intent.kind) {
        (Ok(Some(shown)), LaunchKind::New { .. }) => accepted_new(pass, &intent, shown),
        (Ok(_), LaunchKind::Start { instance }) => {
            let instance = instance.clone();
            accepted_start(pass, &intent, &instance);
        }
        (Ok(None), LaunchKind::New { .. }) => {
            pass.why("EC2 accepted a launch without naming the instance: the request is repeated");
        }
        (Err(error), _) => refused(pass, intent, error),
    }
}

/// Takes a new instance that an intent explains.
pub(super) fn accepted_new(pass: &mut Pass<'_>, intent: &Intent, shown: &Ec2Instance) {
    pass.intents.remove(&intent.sequence);
    observe::adopt(pass, shown, intent.boot());
    pass.state.woken_by.clone_from(&intent.charged_to);
    pass.again();
}

/// Takes a stopped instance that an intent has started.
pub(super) fn accepted_start(pass: &mut Pass<'_>, intent: &Intent, id: &InstanceId) {
    pass.intents.remove(&intent.sequence);
    if let Some(instance) = pass.instances.get(id).cloned() {
        let (boot, path) = intent.boot();
        boots::begin(pass, instance, boot, path);
        pass.state.woken_by.clone_from(&intent.charged_to);
        pass.again();
    }
}

fn refused(pass: &mut Pass<'_>, mut intent: Intent, error: &Ec2Error) {
    pass.why(format!(
        "launch {} attempt {}: {error}",
        intent.sequence, intent.attempt
    ));
    match error {
        Ec2Error::Capacity(_) => {
            remember_unavailable(pass, &intent);
            intent.next_attempt(pass.now);
            pass.again();
        }
        // No effect, or none yet: the same request after the backoff that was set with the call.
        Ec2Error::Throttled(_) | Ec2Error::State(_) | Ec2Error::NotFound(_) => {
            intent.unanswered = intent.unanswered.saturating_sub(1);
        }
        Ec2Error::Ambiguous(_) if pass.guarded(Guard::Attempt) => {}
        Ec2Error::Ambiguous(_) => intent.next_attempt(pass.now),
        Ec2Error::TokenMismatch(_) => {
            pass.alarm(Alarm::TokenMismatch {
                sequence: intent.sequence,
            });
            if pass.now.since(intent.created_at) >= TOKEN_DOUBT {
                intent.next_attempt(pass.now);
            }
        }
        Ec2Error::Config(cause) | Ec2Error::Auth(cause) => {
            let length = pass.config.timing.misconfigured_retry;
            boots::pause(pass, ErrorCode::Misconfigured, cause, length);
            pass.intents.remove(&intent.sequence);
            return;
        }
        Ec2Error::Quota(cause) => {
            let length = pass.config.timing.misconfigured_retry;
            boots::pause(pass, ErrorCode::QuotaExceeded, cause, length);
            pass.intents.remove(&intent.sequence);
            return;
        }
    }
    pass.intents.insert(intent.sequence, intent);
}

fn remember_unavailable(pass: &mut Pass<'_>, intent: &Intent) {
    let offering = match &intent.kind {
        LaunchKind::New { offering, .. } => Some(offering.clone()),
        LaunchKind::Start { instance } => pass
            .instances
            .get(instance)
            .map(|instance| instance.offering.clone()),
    };
    if let Some(offering) = offering {
        let until = pass.now + pass.config.timing.capacity_memory;
        pass.unavailable
            .retain(|known| !known.offering.same_pool(&offering));
        pass.unavailable.push(Unavailable { offering, until });
    }
}

fn stop(pass: &mut Pass<'_>, id: &InstanceId, answer: &Answer) {
    if let Err(error) = &answer.result {
        pass.why(format!("the stop of {id} failed: {error}"));
    }
    let never_sent = answer.dropped;
    if let Some(Instance {
        status: InstanceStatus::Stopping { sent_at, .. },
        ..
    }) = pass.instances.get_mut(id)
        && never_sent
    {
        *sent_at = None;
    }
}

fn address(pass: &mut Pass<'_>, answer: &Answer) {
    if let Err(error) = &answer.result {
        pass.why(format!("the Elastic IP could not be moved: {error}"));
        if let Ec2Error::Auth(cause) | Ec2Error::Config(cause) = error {
            pass.alarm(Alarm::Misconfigured {
                cause: cause.clone(),
            });
        }
    }
}
