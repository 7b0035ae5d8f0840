//! What `GET /status` shows. None of it is secret.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wakecast_lambda::model::InstanceId;
use wakecast_lambda::ports::Store;

use crate::cloud::{Media, Parts};
use crate::ec2::{Happened, Truth};

pub(super) async fn status(parts: &Parts) -> Value {
    let now = parts.clock.now();
    let uptime = now.since(parts.timeline.started()).as_millis();
    let rows = parts.store.rows(&parts.fleet, now).await;
    let records = parts.store.fleet(&parts.fleet).await;
    let lock = parts.store.lock(&parts.fleet).await;
    let last = parts.last_run();
    json!({
        "uptime_ms": u64::try_from(uptime).unwrap_or(u64::MAX),
        "fleet": parts.fleet.to_string(),
        "launches": parts.timeline.count(Happened::Launched),
        "starts": parts.timeline.count(Happened::Started),
        "billed_ms": u64::try_from(parts.timeline.billed().as_millis()).unwrap_or(u64::MAX),
        "instances": instances(parts),
        "records": known(records),
        "lock": known(lock),
        "rows": known(rows),
        "connections": parts.connections().await,
        "reconciler": {
            "runs": last.runs,
            "last": last.outcome.map(|outcome| outcome.end.to_string()),
        },
        "faults": {
            "gateway": parts.sockets.faults(),
            "gateway_down": parts.gateway_is_down().await,
            "ec2": parts.ec2.with(|model, _| json!(model.script())),
            "media": match &parts.media {
                Media::StandIns(machines) => Some(machines.faults()),
                Media::Real(_) => None,
            },
        },
    })
}

/// The truth, which the reconciler's records only follow.
fn instances(parts: &Parts) -> Vec<Value> {
    let media = media(&parts.media);
    let truths: Vec<Truth> = parts
        .ec2
        .with(|model, _| model.instances().cloned().collect());
    let shown = truths.into_iter().map(|truth| {
        let media = media(&truth.id);
        json!({
            "id": truth.id,
            "type": truth.placement.offering.instance_type,
            "zone": truth.placement.offering.zone,
            "state": truth.state,
            "address": truth.own_address,
            "sequence": truth.placement.sequence,
            "starts": truth.starts,
            "media": media,
        })
    });
    shown.collect()
}

/// What runs on an instance: a stand-in as it truly is, or the simulated power of a real server.
fn media(media: &Media) -> impl Fn(&InstanceId) -> Option<Value> {
    let running = match media {
        Media::StandIns(machines) => machines.running(),
        Media::Real(_) => BTreeMap::new(),
    };
    move |instance| match media {
        Media::Real(machines) => machines.runs(instance).then(|| json!({ "phase": "real" })),
        Media::StandIns(_) => running.get(instance).map(|process| {
            let status = process.status();
            json!({
                "phase": status.phase,
                "publishers": status.counts.live_streams,
                "viewers": status.counts.webrtc_viewers + status.counts.hls_viewers,
                "settings_lost": status.settings_lost,
            })
        }),
    }
}

fn known<T: serde::Serialize, E: ToString>(read: Result<T, E>) -> Value {
    match read {
        Ok(value) => serde_json::to_value(value).unwrap_or_else(|error| unreadable(&error)),
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &impl ToString) -> Value {
    json!({ "unreadable": error.to_string() })
}
