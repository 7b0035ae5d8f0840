//! What a decision does, in a form that can be read, counted and compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::line::digest_of;
use crate::lifecycle::{Alarm, Decision, Next, Power, Stand, Transition};
use crate::model::{InstanceId, LaunchKind};
use crate::store::Commit;

/// Reasons that are kept: a herd whose wait ends gives one each, and nobody reads thousands.
const MOST_REASONS: usize = 64;

/// Everything a decision does. Two decisions do the same exactly if their summaries are equal:
/// `parts` covers what the rest leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// In the order in which they are carried out.
    pub actions: Vec<Action>,
    /// How instances moved through their lives.
    pub transitions: Vec<Transition>,
    /// What the operator hears.
    pub alarms: Vec<Alarm>,
    /// Reasons, in words.
    pub why: Vec<String>,
    /// When the reconciler looks again.
    pub next: Next,
    /// Hashes of what is done, each of them left out where nothing is.
    pub parts: Parts,
}

/// Hashes of the parts of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The records, in one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Row changes with what their owners are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Rows to grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<String>,
    /// Messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushes: Option<String>,
    /// Calls to EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<String>,
}

/// One thing that a decision does; what it does to many rows is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Writes an instance's record.
    Record {
        /// Which.
        instance: InstanceId,
        /// Where it stands from then on.
        stand: Stand,
    },
    /// Forgets an instance.
    Forget {
        /// Which.
        instance: InstanceId,
    },
    /// Writes an intent.
    Intend {
        /// Its number.
        sequence: u64,
        /// Its attempt.
        attempt: u32,
        /// The stopped instance that it starts; a new one without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<InstanceId>,
    },
    /// Closes an intent.
    Close {
        /// Its number.
        sequence: u64,
    },
    /// Charges a start.
    Charge {
        /// As a launch of a new instance, too.
        launch: bool,
    },
    /// Changes rows.
    Rows {
        /// How many.
        count: usize,
    },
    /// Grants rows.
    Grants {
        /// How many.
        count: usize,
    },
    /// Sends messages that change nothing.
    Pushes {
        /// How many.
        count: usize,
    },
    /// `RunInstances`.
    Run {
        /// The intent.
        sequence: u64,
    },
    /// `StartInstances`.
    Start {
        /// Which.
        instance: InstanceId,
        /// The intent.
        sequence: u64,
    },
    /// `StopInstances`.
    Stop {
        /// Which.
        instance: InstanceId,
    },
    /// Puts the Elastic IP on.
    Associate {
        /// Which.
        instance: InstanceId,
    },
    /// Takes the Elastic IP off.
    Disassociate,
}

/// Tells whether a decision does nothing and has nothing to say.
#[must_use]
pub fn is_quiet(decision: &Decision) -> bool {
    let Decision {
        commit,
        rows,
        grants,
        pushes,
        calls,
        next: _,
        alarms,
        transitions,
        why,
    } = decision;
    commit.is_none()
        && rows.is_empty()
        && grants.is_empty()
        && pushes.is_empty()
        && calls.is_empty()
        && alarms.is_empty()
        && transitions.is_empty()
        && why.is_empty()
}

impl Summary {
    /// Sums a decision up.
    #[must_use]
    pub fn of(decision: &Decision) -> Self {
        let Decision {
            commit,
            rows,
            grants,
            pushes,
            calls,
            next,
            alarms,
            transitions,
            why,
        } = decision;
        let mut actions = commit.as_ref().map(of_commit).unwrap_or_default();
        let counts = [
            Action::Rows { count: rows.len() },
            Action::Grants {
                count: grants.len(),
            },
            Action::Pushes {
                count: pushes.len(),
            },
        ];
        actions.extend(counts.into_iter().filter(|action| !action.is_nothing()));
        actions.extend(calls.iter().map(|call| of_call(&call.action)));
        Self {
            actions,
            transitions: transitions.clone(),
            alarms: alarms.clone(),
            why: few(why),
            next: *next,
            parts: Parts {
                commit: commit.as_ref().map(digest_of),
                rows: part(rows),
                grants: part(grants),
                pushes: part(pushes),
                calls: part(calls),
            },
        }
    }
}

fn of_commit(commit: &Commit) -> Vec<Action> {
    let records = commit.put_instances.iter().map(|instance| Action::Record {
        instance: instance.id.clone(),
        stand: Stand::of(instance),
    });
    let forgotten = commit.forget_instances.iter().map(|id| Action::Forget {
        instance: id.clone(),
    });
    let intents = commit.put_intents.iter().map(|intent| Action::Intend {
        sequence: intent.sequence,
        attempt: intent.attempt,
        instance: match &intent.kind {
            LaunchKind::New { .. } => None,
            LaunchKind::Start { instance } => Some(instance.clone()),
        },
    });
    let closed = commit.forget_intents.iter().map(|sequence| Action::Close {
        sequence: *sequence,
    });
    let charge = commit.charge.iter().map(|charge| Action::Charge {
        launch: charge.launch,
    });
    records
        .chain(forgotten)
        .chain(intents)
        .chain(closed)
        .chain(charge)
        .collect()
}

fn of_call(power: &Power) -> Action {
    match power {
        Power::Run { sequence, .. } => Action::Run {
            sequence: *sequence,
        },
        Power::Start { sequence, instance } => Action::Start {
            instance: instance.clone(),
            sequence: *sequence,
        },
        Power::Stop { instance } => Action::Stop {
            instance: instance.clone(),
        },
        Power::Associate { instance } => Action::Associate {
            instance: instance.clone(),
        },
        Power::Disassociate => Action::Disassociate,
    }
}

fn few(why: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = why.iter().take(MOST_REASONS).cloned().collect();
    if let Some(more) = why.len().checked_sub(MOST_REASONS).filter(|more| *more > 0) {
        kept.push(format!("and {more} more"));
    }
    kept
}

fn part<T: Serialize>(part: &[T]) -> Option<String> {
    (!part.is_empty()).then(|| digest_of(&part))
}

impl Action {
    const fn is_nothing(&self) -> bool {
        matches!(
            self,
            Self::Rows { count: 0 } | Self::Grants { count: 0 } | Self::Pushes { count: 0 }
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { instance, stand } => write!(f, "{instance} is {stand}"),
            Self::Forget { instance } => write!(f, "forgets {instance}"),
            Self::Intend {
                sequence,
                attempt,
                instance,
            } => {
                match instance {
                    Some(instance) => write!(f, "intends to start {instance}")?,
                    None => f.write_str("intends a new instance")?,
                }
                write!(f, " (intent {sequence}, attempt {attempt})")
            }
            Self::Close { sequence } => write!(f, "closes intent {sequence}"),
            Self::Charge { launch: true } => f.write_str("charges a launch"),
            Self::Charge { launch: false } => f.write_str("charges a start"),
            Self::Rows { count } => write!(f, "changes {}", rows(*count)),
            Self::Grants { count } => write!(f, "grants {}", rows(*count)),
            Self::Pushes { count: 1 } => f.write_str("sends a message"),
            Self::Pushes { count } => write!(f, "sends {count} messages"),
            Self::Run { sequence } => write!(f, "launches (intent {sequence})"),
            Self::Start { instance, sequence } => {
                write!(f, "starts {instance} (intent {sequence})")
            }
            Self::Stop { instance } => write!(f, "stops {instance}"),
            Self::Associate { instance } => write!(f, "puts the Elastic IP on {instance}"),
            Self::Disassociate => f.write_str("takes the Elastic IP off"),
        }
    }
}

fn rows(count: usize) -> String {
    if count == 1 {
        "a row".to_owned()
    } else {
        format!("{count} rows")
    }
}
