//! Carries faults out.

use std::time::Duration;

use wakecast_lambda::model::InstanceId;
use wakecast_lambda::ports::Ec2State;

use super::{AdminError, CallOutcome, Fault, FunctionOutcome};
use crate::cloud::{APP, Media, Parts, What, Whose};
use crate::ec2::{BootFault, CallFault, CallRule, CapacityRule, Ec2Model, Script};
use crate::gateway::{Counted, FunctionFault, GatewayFaults};
use crate::media::Faults;
use crate::random::Span;

/// Carries a fault out and says what was done.
pub(super) async fn apply(parts: &Parts, fault: Fault) -> Result<String, AdminError> {
    let name = format!("{fault:?}");
    let done = carry_out(parts, fault).await?;
    parts.timeline.record(What::Fault { fault: name });
    Ok(done)
}

/// Ends every fault that lasts.
///
/// # Errors
/// Somebody else has taken a port of the gateway that was down.
pub(super) async fn clear(parts: &Parts) -> Result<(), AdminError> {
    parts
        .sockets
        .set_faults(|faults| *faults = GatewayFaults::default());
    parts
        .ec2
        .with(|model, _| *model.script() = Script::default());
    if let Media::StandIns(machines) = &parts.media {
        machines.change_faults(|faults| *faults = Faults::default());
    }
    let started = parts.start_gateway().await;
    started.map_err(|error| AdminError::Nothing(error.to_string()))?;
    parts.timeline.record(What::Fault {
        fault: "none".to_owned(),
    });
    Ok(())
}

async fn carry_out(parts: &Parts, fault: Fault) -> Result<String, AdminError> {
    match fault {
        Fault::CutSockets {
            subject,
            client_id,
            silent,
        } => match parts.cut(&Whose { subject, client_id }, silent).await {
            0 => nothing("no open socket matches"),
            cut => Ok(format!("cut {cut} sockets")),
        },
        Fault::RefuseConnects { status, times } => {
            let refusal = Counted {
                what: status,
                times,
            };
            parts
                .sockets
                .set_faults(|faults| faults.refuse_connects = Some(refusal));
            Ok(format!("handshakes are refused with {status}"))
        }
        Fault::GatewayDown {} => {
            parts.kill_gateway().await;
            Ok("the gateway is down".to_owned())
        }
        Fault::DropPushes { times } => {
            let dropped = Counted { what: (), times };
            parts
                .sockets
                .set_faults(|faults| faults.drop_pushes = Some(dropped));
            Ok("pushes are dropped".to_owned())
        }
        Fault::ThrottlePushes { times } => {
            let throttled = Counted { what: (), times };
            parts
                .sockets
                .set_faults(|faults| faults.throttle_pushes = Some(throttled));
            Ok("pushes are throttled".to_owned())
        }
        Fault::Function { how, times } => {
            let what = match how {
                FunctionOutcome::Crash => FunctionFault::Crashes,
                FunctionOutcome::LoseResponse => FunctionFault::LosesResponse,
                FunctionOutcome::Hang => FunctionFault::Hangs,
            };
            let function = Counted { what, times };
            parts
                .sockets
                .set_faults(|faults| faults.function = Some(function));
            Ok("invocations go wrong".to_owned())
        }
        Fault::CrashReconciler {} => {
            parts.crash_reconciler();
            Ok("the runs under way have ended".to_owned())
        }
        Fault::NoCapacity {
            instance_type,
            zone,
            times,
        } => {
            let rule = CapacityRule {
                instance_type,
                zone,
                times,
            };
            parts
                .ec2
                .with(|model, _| model.script().capacity.push(rule));
            Ok("capacity is gone".to_owned())
        }
        Fault::Ec2 { how, call, times } => {
            let rule = CallRule {
                call,
                fault: call_fault(how),
                times,
            };
            parts.ec2.with(|model, _| model.script().calls.push(rule));
            Ok("EC2 calls go wrong".to_owned())
        }
        Fault::DescribeLag { ms } => {
            let lag = Span::exactly(Duration::from_millis(ms));
            parts
                .ec2
                .with(|model, _| model.script().describe_lag = Some(lag));
            Ok(format!("describe lags {ms} ms"))
        }
        Fault::FailBoot { falls_back } => {
            let boot = if falls_back {
                BootFault::FallsBack
            } else {
                BootFault::StaysPending
            };
            parts
                .ec2
                .with(|model, _| model.script().boots.push_back(boot));
            Ok("the next boot goes wrong".to_owned())
        }
        Fault::HangStop {} => {
            parts.ec2.with(|model, _| model.script().stuck_stops += 1);
            Ok("the next stop hangs".to_owned())
        }
        Fault::Terminate { instance } => {
            let alive = |state| !matches!(state, Ec2State::ShuttingDown | Ec2State::Terminated);
            parts.ec2.with(|model, now| {
                let ids = chosen(model, instance.as_deref(), alive)?;
                let ended = ids.iter().filter(|id| model.terminate(now, id)).count();
                Ok(format!("terminated {ended} instances"))
            })
        }
        Fault::StopOutside { instance } => {
            let running = |state| state == Ec2State::Running;
            parts.ec2.with(|model, now| {
                let ids = chosen(model, instance.as_deref(), running)?;
                for id in &ids {
                    model
                        .stop_outside(now, id)
                        .map_err(|why| none(&why.to_string()))?;
                }
                Ok(format!("stopped {} instances", ids.len()))
            })
        }
        fault => media(parts, fault),
    }
}

fn media(parts: &Parts, fault: Fault) -> Result<String, AdminError> {
    let Media::StandIns(machines) = &parts.media else {
        return Err(AdminError::RealServer);
    };
    match fault {
        Fault::MediaHangs {} => {
            machines.change_faults(|faults| faults.hang = true);
            Ok("media servers hang".to_owned())
        }
        Fault::MediaForbids {} => {
            machines.change_faults(|faults| faults.forbidden = true);
            Ok("media servers answer 403".to_owned())
        }
        Fault::MediaBootsSlowly { percent } => {
            machines.change_faults(|faults| faults.slowdown_percent = percent);
            Ok(format!("boots take {percent} percent of their time"))
        }
        Fault::MediaLosesSetting { name, value } => {
            let key = (APP.to_owned(), name.clone());
            machines.change_faults(|faults| {
                faults.wrong_settings.insert(key.clone(), value.clone());
            });
            Ok(format!("`{name}` reads another value"))
        }
        Fault::MediaCrashes { restart_after_ms } => {
            let running = machines.running();
            for process in running.values() {
                process.control(|model, now| model.crash(now, restart_after_ms));
            }
            counted(running.len(), "crashed", "no media server runs")
        }
        Fault::FreezePublisher { stream } => {
            let running = machines.running();
            let frozen = running
                .values()
                .filter(|process| process.control(|model, now| model.freeze(now, APP, &stream)))
                .count();
            counted(frozen, "froze", "no such stream is live")
        }
        fault => nothing(&format!("{fault:?} is not known here")),
    }
}

fn call_fault(how: CallOutcome) -> CallFault {
    match how {
        CallOutcome::Throttle => CallFault::Throttled,
        CallOutcome::Quota => CallFault::Quota,
        CallOutcome::Config => CallFault::Config,
        CallOutcome::Auth => CallFault::Auth,
        CallOutcome::LoseRequest => CallFault::LostRequest,
        CallOutcome::LoseReply => CallFault::LostReply,
    }
}

fn chosen(
    model: &Ec2Model,
    instance: Option<&str>,
    in_state: impl Fn(Ec2State) -> bool,
) -> Result<Vec<InstanceId>, AdminError> {
    let ids: Vec<_> = model
        .instances()
        .filter(|truth| instance.is_none_or(|id| truth.id.as_str() == id))
        .filter(|truth| in_state(truth.state))
        .map(|truth| truth.id.clone())
        .collect();
    if ids.is_empty() {
        Err(none("no instance in a state for it matches"))
    } else {
        Ok(ids)
    }
}

fn counted(count: usize, verb: &str, otherwise: &str) -> Result<String, AdminError> {
    if count == 0 {
        nothing(otherwise)
    } else {
        Ok(format!("{verb} {count}"))
    }
}

fn none(why: &str) -> AdminError {
    AdminError::Nothing(why.to_owned())
}

fn nothing(why: &str) -> Result<String, AdminError> {
    Err(none(why))
}
