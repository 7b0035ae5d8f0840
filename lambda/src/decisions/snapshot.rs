//! A snapshot as a line holds it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::line::Line;
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
    /// by a word for whether they are the configured one.
    #[must_use]
    pub fn of(snapshot: &Snapshot<'a>) -> Self {
        // Every field, so that a new one cannot be forgotten. A decision without a guard is a test.
        let Snapshot {
            now,
            fleet,
            config,
            lock,
            ec2,
            records,
            rows,
            counters,
            observations,
            answers,
            guards: _,
        } = *snapshot;
        Self {
            now,
            fleet: Cow::Borrowed(fleet),
            config: hide_setting(config),
            lock: Cow::Borrowed(lock),
            ec2: ec2.map(Cow::Borrowed).map_err(Cow::Borrowed),
            records: Cow::Borrowed(records),
            rows: Cow::Borrowed(rows),
            counters: Cow::Borrowed(counters),
            observations: hide_values(observations, &config.known_setting.value),
            answers: Cow::Borrowed(answers),
        }
    }

    /// Tells whether a line's own fields are those of this snapshot.
    pub(super) fn is_of(&self, line: &Line) -> bool {
        line.now == self.now
            && line.fleet == self.fleet.to_string()
            && line.fence == self.lock.fence.0
            && line.version == self.records.state.version
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

/// What stands for a hidden value that is the configured one.
const CONFIGURED: &str = "hidden:configured";

/// What stands for any other hidden value. Not its hash: a short secret could be guessed from that,
/// and salt that stands beside it would not help.
const OTHER: &str = "hidden:other";

fn hide_setting(config: &FleetConfig) -> Cow<'_, FleetConfig> {
    if is_shown(&config.known_setting.value) {
        return Cow::Borrowed(config);
    }
    let mut config = config.clone();
    config.known_setting.value = Value::from(CONFIGURED);
    Cow::Owned(config)
}

fn hide_values<'a>(observations: &'a [Observation], configured: &Value) -> Cow<'a, [Observation]> {
    let hidden = |observation: &Observation| match &observation.result {
        Ok(Reply::Setting(Some(value))) if !is_shown(value) => {
            let word = if value == configured {
                CONFIGURED
            } else {
                OTHER
            };
            Some(Value::from(word))
        }
        _ => None,
    };
    if observations.iter().all(|known| hidden(known).is_none()) {
        return Cow::Borrowed(observations);
    }
    let mut observations = observations.to_vec();
    for observation in &mut observations {
        if let Some(word) = hidden(observation) {
            observation.result = Ok(Reply::Setting(Some(word)));
        }
    }
    Cow::Owned(observations)
}

/// Switches and numbers may be seen; a text could be a key of the app.
const fn is_shown(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::Number(_))
}
