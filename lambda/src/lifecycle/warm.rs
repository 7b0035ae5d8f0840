//! Warming: liveness, applications, ping, the known setting, then the endpoint's address.

use std::time::Duration;

use serde_json::Value;
use wakecast::ErrorCode;

use super::pass::Pass;
use super::{Alarm, Power, Question, Reply, boots};
use crate::model::{Boot, BootPath, Instance, InstanceId, InstanceStatus, Timestamp, WarmStep};
use crate::ports::MediaError;

/// The association is asked for again after this time: EC2 shows it a little later.
const ASSOCIATE_AGAIN: Duration = Duration::from_secs(5);

/// What a step of warming has come to.
enum Progress {
    /// No answer yet.
    Waits,
    /// On to the next step.
    Steps(WarmStep),
    /// Everything is proved.
    Warm,
    /// The known setting has another value.
    Lost(String),
    /// The server has refused our secrets for too long.
    Refused,
}

pub(super) fn step(pass: &mut Pass<'_>) {
    for id in pass.ids() {
        let Some(instance) = pass.instances.get(&id).cloned() else {
            continue;
        };
        match instance.status {
            InstanceStatus::Booting => boot(pass, instance),
            InstanceStatus::Recovering { since } => recover(pass, instance, since),
            _ => {}
        }
    }
}

fn boot(pass: &mut Pass<'_>, mut instance: Instance) {
    pass.stay();
    let id = instance.id.clone();
    let Some(boot) = instance.boot.as_mut() else {
        return;
    };
    let progress = if pass.runs(&id) {
        advance(pass, &id, boot)
    } else {
        Progress::Waits
    };
    match progress {
        Progress::Waits => {
            let limit = overdue(pass, boot);
            pass.instances.insert(id.clone(), instance.clone());
            if let Some(cause) = limit {
                expire(pass, instance, cause);
            }
        }
        Progress::Steps(step) => {
            boot.warm = step;
            pass.instances.insert(id, instance);
            pass.again();
        }
        Progress::Warm => {
            boot.warm = WarmStep::Done;
            boot.address = pass.shown(&id).and_then(|shown| {
                pass.config
                    .endpoint
                    .address_of(shown.address.as_deref(), shown.elastic)
            });
            boots::open(pass, instance);
        }
        Progress::Lost(found) => {
            pass.alarm(Alarm::SettingsLost {
                instance: id.clone(),
            });
            if pass.held(&id) {
                pass.instances.insert(id, instance);
                return;
            }
            boots::fail(
                pass,
                instance,
                &format!("the app's settings are lost: {found}"),
            );
        }
        Progress::Refused if pass.held(&id) => {
            pass.alarm(Alarm::BootStuck {
                instance: id.clone(),
            });
            pass.instances.insert(id, instance);
        }
        Progress::Refused => {
            let length = pass.config.timing.misconfigured_retry;
            let cause = "the media server refuses our token: check its JWT secret and clock";
            boots::pause(pass, ErrorCode::Misconfigured, cause, length);
            boots::stop_failed(pass, instance);
        }
    }
}

/// A server that restarted by itself proves itself again; nothing stops it meanwhile.
fn recover(pass: &mut Pass<'_>, mut instance: Instance, since: Timestamp) {
    // It may never answer again: the tick goes on looking.
    if pass.now.since(since) < pass.config.timing.boot_limit_stopped {
        pass.stay();
    }
    let id = instance.id.clone();
    let Some(boot) = instance.boot.as_mut() else {
        return;
    };
    match advance(pass, &id, boot) {
        Progress::Waits | Progress::Refused => {
            pass.instances.insert(id, instance);
        }
        Progress::Steps(step @ (WarmStep::Applications | WarmStep::Ping | WarmStep::Setting)) => {
            boot.warm = step;
            pass.instances.insert(id, instance);
            pass.again();
        }
        // Its address was proved before.
        Progress::Steps(_) | Progress::Warm => {
            boot.warm = WarmStep::Done;
            boot.condemned = false;
            boots::open(pass, instance);
        }
        Progress::Lost(found) => {
            pass.why(format!("{id} has lost its settings ({found}) and drains"));
            pass.alarm(Alarm::SettingsLost {
                instance: id.clone(),
            });
            boot.condemned = true;
            boot.warm = WarmStep::Done;
            instance.status = InstanceStatus::Draining {
                since: pass.now,
                first_look: None,
            };
            pass.instances.insert(id, instance);
            pass.stay();
        }
    }
}

fn advance(pass: &mut Pass<'_>, id: &InstanceId, boot: &mut Boot) -> Progress {
    match boot.warm {
        WarmStep::Liveness => match answer(pass, id, &Question::Liveness) {
            Some(Ok(_)) => {
                boot.live_at = Some(pass.now);
                Progress::Steps(WarmStep::Applications)
            }
            _ => Progress::Waits,
        },
        WarmStep::Applications => match answer(pass, id, &Question::Applications) {
            Some(Ok(Reply::Applications(running)))
                if pass.config.apps.iter().all(|app| running.contains(app)) =>
            {
                Progress::Steps(WarmStep::Ping)
            }
            other => refused(pass, boot, other),
        },
        WarmStep::Ping => {
            let answered = |app: &String| {
                matches!(
                    answer(pass, id, &Question::Ping { app: app.clone() }),
                    Some(Ok(_))
                )
            };
            if pass.config.apps.iter().all(answered) {
                Progress::Steps(WarmStep::Setting)
            } else {
                Progress::Waits
            }
        }
        WarmStep::Setting => setting(pass, id, boot),
        WarmStep::Address => {
            if pass.shown(id).is_some_and(|shown| shown.elastic) {
                return Progress::Steps(WarmStep::Endpoint);
            }
            let due = boot
                .associated_at
                .is_none_or(|at| pass.now.since(at) >= ASSOCIATE_AGAIN);
            if due && pass.lock_lasts() {
                boot.associated_at = Some(pass.now);
                pass.call(Power::Associate {
                    instance: id.clone(),
                });
            }
            Progress::Waits
        }
        WarmStep::Endpoint => match endpoint_answer(pass, id) {
            Some(Ok(_)) => Progress::Warm,
            _ => Progress::Waits,
        },
        WarmStep::Done => Progress::Warm,
    }
}

fn setting(pass: &Pass<'_>, id: &InstanceId, boot: &mut Boot) -> Progress {
    let known = &pass.config.known_setting;
    let question = Question::Setting {
        app: known.app.clone(),
        name: known.name.clone(),
    };
    match answer(pass, id, &question) {
        Some(Ok(Reply::Setting(found))) => {
            if found.as_ref() != Some(&known.value) {
                let found = found.as_ref().map_or_else(
                    || "absent".to_owned(),
                    |found| shown(found, "another value"),
                );
                let expected = shown(&known.value, "the configured one");
                return Progress::Lost(format!("{} is {found}, not {expected}", known.name));
            }
            // A server whose start is not known could restart unseen, and lose its settings.
            match answer(pass, id, &Question::Load) {
                Some(Ok(Reply::Load(load))) => boot.server_start_ms = load.start_time_ms,
                other => return refused(pass, boot, other),
            }
            let elastic = pass.config.endpoint.elastic;
            if elastic {
                Progress::Steps(WarmStep::Address)
            } else {
                Progress::Warm
            }
        }
        other => refused(pass, boot, other),
    }
}

/// Shows a setting's value; a text may be a secret of the app.
fn shown(value: &Value, instead: &str) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) | Value::Array(_) | Value::Object(_) => instead.to_owned(),
    }
}

/// 403 means "warming" right after liveness, and wrong secrets later.
fn refused(pass: &Pass<'_>, boot: &Boot, answer: Option<&Result<Reply, MediaError>>) -> Progress {
    let late = boot
        .live_at
        .is_some_and(|live| pass.now.since(live) > pass.config.timing.forbidden_limit);
    match answer {
        Some(Err(MediaError::Forbidden(_))) if late => Progress::Refused,
        _ => Progress::Waits,
    }
}

fn answer<'a>(
    pass: &Pass<'a>,
    id: &InstanceId,
    question: &Question,
) -> Option<&'a Result<Reply, MediaError>> {
    pass.snapshot
        .observations
        .iter()
        .find(|observation| {
            observation.probe.instance == *id && observation.probe.question == *question
        })
        .map(|observation| &observation.result)
}

fn endpoint_answer<'a>(pass: &Pass<'a>, id: &InstanceId) -> Option<&'a Result<Reply, MediaError>> {
    pass.snapshot
        .observations
        .iter()
        .find(|observation| {
            observation.probe.instance == *id
                && matches!(observation.probe.question, Question::Endpoint { .. })
        })
        .map(|observation| &observation.result)
}

/// Names the boot limit that has passed, if one has.
fn overdue(pass: &Pass<'_>, boot: &Boot) -> Option<&'static str> {
    let timing = &pass.config.timing;
    match boot.running_at {
        None => (pass.now.since(boot.started_at) >= timing.pending_limit)
            .then_some("EC2 did not bring it to running in time"),
        Some(running) => {
            let limit = match boot.path {
                BootPath::New => timing.boot_limit_new,
                BootPath::Stopped | BootPath::Running => timing.boot_limit_stopped,
            };
            (pass.now.since(running) >= limit).then_some("the media server was not ready in time")
        }
    }
}

/// Ends a boot that is past its limit, where that is certain and allowed.
fn expire(pass: &mut Pass<'_>, instance: Instance, cause: &'static str) {
    // An instance that EC2 does not list is judged by the misses.
    if pass.shown(&instance.id).is_none() {
        return;
    }
    if pass.held(&instance.id) {
        pass.alarm(Alarm::BootStuck {
            instance: instance.id,
        });
        return;
    }
    boots::fail(pass, instance, cause);
}
