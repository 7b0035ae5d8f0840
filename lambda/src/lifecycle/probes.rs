//! Which looks at media servers a pass needs. The order of warming lives here: until the server
//! lists the app, only root paths are touched.

use super::stop;
use super::{Probe, Question, Snapshot};
use crate::guards::Guard;
use crate::model::{Instance, InstanceStatus, WarmStep};
use crate::ports::{Ec2Instance, Ec2State};

/// Lists the looks at media servers that the next decision needs.
#[must_use]
pub fn probes(snapshot: &Snapshot<'_>) -> Vec<Probe> {
    let listed = snapshot.ec2.unwrap_or_default();
    snapshot
        .records
        .instances
        .values()
        .flat_map(|instance| {
            let shown = listed.iter().find(|shown| shown.id == instance.id);
            of_instance(snapshot, instance, shown)
        })
        .collect()
}

fn of_instance(
    snapshot: &Snapshot<'_>,
    instance: &Instance,
    shown: Option<&Ec2Instance>,
) -> Vec<Probe> {
    let Some(boot) = &instance.boot else {
        return Vec::new();
    };
    let running = shown.filter(|shown| shown.state == Ec2State::Running);
    let (address, questions) = match &instance.status {
        InstanceStatus::Booting => {
            let address = running.and_then(|shown| {
                snapshot
                    .config
                    .endpoint
                    .address_of(shown.address.as_deref(), shown.elastic)
            });
            (address, warming(snapshot, boot.warm, running))
        }
        InstanceStatus::Recovering { .. } => {
            (boot.address.clone(), warming(snapshot, boot.warm, running))
        }
        InstanceStatus::Ready | InstanceStatus::Draining { .. } => {
            (boot.address.clone(), vec![Question::Load])
        }
        InstanceStatus::Stopping { .. } => {
            let doubt = running.is_some()
                && stop::in_doubt(
                    &instance.status,
                    snapshot.lock,
                    snapshot.now,
                    snapshot.config,
                );
            (
                boot.address.clone(),
                if doubt {
                    vec![Question::Load]
                } else {
                    Vec::new()
                },
            )
        }
        InstanceStatus::Stopped | InstanceStatus::Gone => (None, Vec::new()),
    };
    let Some(address) = address else {
        return Vec::new();
    };
    questions
        .into_iter()
        .map(|question| Probe {
            instance: instance.id.clone(),
            address: address.clone(),
            question,
        })
        .collect()
}

fn warming(snapshot: &Snapshot<'_>, step: WarmStep, shown: Option<&Ec2Instance>) -> Vec<Question> {
    let config = snapshot.config;
    let pings = || {
        let apps = config.apps.iter();
        apps.map(|app| Question::Ping { app: app.clone() })
    };
    let early = (!snapshot.guards.on(Guard::RootOnly)).then(pings);
    let early = early.into_iter().flatten();
    match step {
        WarmStep::Liveness => early.chain([Question::Liveness]).collect(),
        WarmStep::Applications => early.chain([Question::Applications]).collect(),
        WarmStep::Ping => pings().collect(),
        WarmStep::Setting => {
            let setting = &config.known_setting;
            let (app, name) = (setting.app.clone(), setting.name.clone());
            // The load is asked for its start time: a restart from here on is noticed.
            vec![Question::Setting { app, name }, Question::Load]
        }
        WarmStep::Endpoint => {
            let address = shown.and_then(|shown| shown.address.as_deref());
            config
                .apps
                .first()
                .map(|app| config.endpoint.websocket_url(address, app))
                .map(|websocket_url| Question::Endpoint { websocket_url })
                .into_iter()
                .collect()
        }
        WarmStep::Address | WarmStep::Done => Vec::new(),
    }
}
