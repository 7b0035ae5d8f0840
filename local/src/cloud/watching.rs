//! Puts the timeline between the parts: each wrapper only records and passes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use wakecast_lambda::gateway::Gateway;
use wakecast_lambda::lifecycle::{Decision, Probe, Snapshot, Stand};
use wakecast_lambda::model::{ConnectionId, Instance, InstanceId, InstanceStatus};
use wakecast_lambda::ports::{Connections, PostError};
use wakecast_lambda::reconcile::{Lifecycle, Policy};

use super::timeline::{Timeline, What};
use crate::gateway::{Crash, Function};

/// Records what the lifecycle decides.
#[derive(Debug)]
pub(super) struct WatchedPolicy {
    timeline: Timeline,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    stands: BTreeMap<InstanceId, Stand>,
    why: Vec<String>,
}

impl WatchedPolicy {
    pub(super) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            told: Mutex::default(),
        }
    }

    fn note(&self, decision: &Decision) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.why != decision.why {
            told.why.clone_from(&decision.why);
            for why in &decision.why {
                self.timeline.record(What::Decided { why: why.clone() });
            }
        }
        let changed = decision
            .commit
            .iter()
            .flat_map(|commit| &commit.put_instances);
        for instance in changed {
            let stand = stand(&instance.status);
            if told.stands.insert(instance.id.clone(), stand) != Some(stand) {
                self.timeline.record(moved(instance, stand));
            }
        }
    }
}

impl Policy for WatchedPolicy {
    fn probes(&self, snapshot: &Snapshot<'_>) -> Vec<Probe> {
        Lifecycle.probes(snapshot)
    }

    fn decide(&self, snapshot: &Snapshot<'_>) -> Decision {
        let decision = Lifecycle.decide(snapshot);
        self.note(&decision);
        decision
    }
}

fn moved(instance: &Instance, stand: Stand) -> What {
    let boot = instance.boot.as_ref().map(|boot| boot.id.0);
    What::Stand {
        instance: instance.id.clone(),
        boot,
        stand,
    }
}

fn stand(status: &InstanceStatus) -> Stand {
    match status {
        InstanceStatus::Booting => Stand::Booting,
        InstanceStatus::Ready => Stand::Ready,
        InstanceStatus::Recovering { .. } => Stand::Recovering,
        InstanceStatus::Draining { .. } => Stand::Draining,
        InstanceStatus::Stopping { failed: false, .. } => Stand::Stopping,
        InstanceStatus::Stopping { failed: true, .. } => Stand::Failing,
        InstanceStatus::Stopped => Stand::Stopped,
        InstanceStatus::Gone => Stand::Gone,
    }
}

/// Records what is pushed.
#[derive(Debug)]
pub(super) struct WatchedConnections {
    pub(super) inner: Arc<dyn Connections>,
    pub(super) timeline: Timeline,
}

#[async_trait]
impl Connections for WatchedConnections {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let result = self.inner.post(connection, text).await;
        self.timeline
            .record(pushed(connection, text, result.is_ok()));
        result
    }

    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError> {
        self.inner.delete(connection).await
    }
}

fn pushed(connection: &ConnectionId, text: &str, accepted: bool) -> What {
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
    What::Pushed {
        connection: connection.clone(),
        kind: field("type").unwrap_or_default(),
        id: field("lease").or_else(|| field("id")),
        phase: field("phase"),
        accepted,
    }
}

fn replied(connection: ConnectionId, text: &str) -> What {
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
    What::Replied {
        connection,
        kind: field("type").unwrap_or_default(),
        id: field("id"),
    }
}

/// The gateway function behind the WebSocket API.
#[derive(Debug)]
pub(super) struct WebSocketFunction {
    pub(super) gateway: Arc<Gateway>,
    pub(super) timeline: Timeline,
}

#[async_trait]
impl Function for WebSocketFunction {
    async fn invoke(&self, event: Value) -> Result<Value, Crash> {
        let context = &event["requestContext"];
        let connection = ConnectionId::new(context["connectionId"].as_str().unwrap_or_default());
        let kind = context["eventType"].as_str().unwrap_or_default().to_owned();
        let code = context["disconnectStatusCode"]
            .as_u64()
            .and_then(|code| code.try_into().ok());
        let response = self.gateway.websocket(&event).await;
        if kind == "CONNECT" && response["statusCode"] == 200 {
            self.timeline.record(What::Connected { connection });
        } else if kind == "DISCONNECT" {
            let code = code.unwrap_or(1006);
            self.timeline
                .record(What::Disconnected { connection, code });
        } else if let Some(text) = response["body"].as_str() {
            self.timeline.record(replied(connection, text));
        }
        Ok(response)
    }
}

/// The gateway function behind the HTTP API.
#[derive(Debug)]
pub(super) struct HttpFunction(pub(super) Arc<Gateway>);

#[async_trait]
impl Function for HttpFunction {
    async fn invoke(&self, event: Value) -> Result<Value, Crash> {
        Ok(self.0.http(&event).await)
    }
}
