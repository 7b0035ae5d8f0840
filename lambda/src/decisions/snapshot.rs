//! A snapshot as a line holds it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::line::digest;
use crate::config::FleetConfig;
use crate::guards::Guards;
use crate::lifecycle::{Answer, Observation, Reply, Snapshot};
use crate::model::{Counters, FleetKey, FleetRecords, Lock, Row, Timestamp};
use crate::ports::{Ec2Error, Ec2Instance};

/// A [`Snapshot`] that can be written and read: borrowed on the way out, owned on the way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedSnapshot<'a> {
    now: Timestamp,
    fleet: Cow<'a, FleetKey>,
    config: Cow<'a, FleetConfig>,
    lock: Cow<'a, Lock>,
    ec2: Result<Cow<'a, [Ec2Instance]>, Cow<'a, Ec2Error>>,
    records: Cow<'a, FleetRecords>,
    rows: Cow<'a, [Row]>,
    counters: Cow<'a, Counters>,
    observations: Cow<'a, [Observation]>,
    answers: Cow<'a, [Answer]>,
}

impl<'a> LoggedSnapshot<'a> {
    /// Takes what a decision has seen. Values of an app's settings that may be secrets are replaced
    /// by their hashes, alike on both sides of the comparison that is made of them.
    #[must_use]
    pub fn of(snapshot: &Snapshot<'a>) -> Self {
        Self {
            now: snapshot.now,
            fleet: Cow::Borrowed(snapshot.fleet),
            config: hide_setting(snapshot.config),
            lock: Cow::Borrowed(snapshot.lock),
            ec2: snapshot.ec2.map(Cow::Borrowed).map_err(Cow::Borrowed),
            records: Cow::Borrowed(snapshot.records),
            rows: Cow::Borrowed(snapshot.rows),
            counters: Cow::Borrowed(snapshot.counters),
            observations: hide_values(snapshot.observations),
            answers: Cow::Borrowed(snapshot.answers),
        }
    }

    /// Returns the snapshot to decide on.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            now: self.now,
            fleet: &self.fleet,
            config: &self.config,
            lock: &self.lock,
            ec2: self.ec2.as_deref().map_err(AsRef::as_ref),
            records: &self.records,
            rows: &self.rows,
            counters: &self.counters,
            observations: &self.observations,
            answers: &self.answers,
            guards: Guards::ALL,
        }
    }
}

fn hide_setting(config: &FleetConfig) -> Cow<'_, FleetConfig> {
    match hidden(&config.known_setting.value) {
        None => Cow::Borrowed(config),
        Some(hash) => {
            let mut config = config.clone();
            config.known_setting.value = hash;
            Cow::Owned(config)
        }
    }
}

fn hide_values(observations: &[Observation]) -> Cow<'_, [Observation]> {
    let hash = |observation: &Observation| match &observation.result {
        Ok(Reply::Setting(Some(value))) => hidden(value),
        _ => None,
    };
    if observations.iter().all(|known| hash(known).is_none()) {
        return Cow::Borrowed(observations);
    }
    let mut observations = observations.to_vec();
    for observation in &mut observations {
        if let Some(hash) = hash(observation) {
            observation.result = Ok(Reply::Setting(Some(hash)));
        }
    }
    Cow::Owned(observations)
}

/// Switches and numbers may be seen; a text could be a key of the app.
fn hidden(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(_) | Value::Array(_) | Value::Object(_) => {
            let hash = digest(value.to_string().as_bytes());
            Some(Value::String(format!("sha256:{hash}")))
        }
    }
}
