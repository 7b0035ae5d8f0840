//! The file's words. An unknown one is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

const TEXT: &str = include_str!("../../scenarios/end-to-end.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[expect(dead_code, reason = "for people")]
    about: String,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    pub(crate) proves: String,
    #[serde(default)]
    pub(crate) cloud: CloudSetup,
    #[serde(default)]
    pub(crate) apps: BTreeMap<String, AppSetup>,
    pub(crate) steps: Vec<Step>,
}

/// What the local cloud is started with, beside `--profile test`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudSetup {
    pub(crate) links: Option<u32>,
}

/// Whose tokens an app's provider hands out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppSetup {
    /// Its own name without one.
    pub(crate) subject: Option<String>,
    pub(crate) token_life_s: Option<u64>,
    /// What is handed out first.
    #[serde(default)]
    pub(crate) tokens: Vec<ScriptedToken>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScriptedToken {
    /// One that no issuer has signed.
    Wrong,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) who: String,
    pub(crate) does: Option<Does>,
    pub(crate) sees: Option<Sees>,
    pub(crate) now: Option<Map<String, Value>>,
    pub(crate) counts: Option<Map<String, Value>>,
    pub(crate) is: Option<Value>,
    pub(crate) accepts: Option<String>,
    pub(crate) refuses: Option<String>,
    pub(crate) of: Option<String>,
    pub(crate) stream: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// One word, or one with its object.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Does {
    Word(String),
    With(Map<String, Value>),
}

/// One entry, or several in this order.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Sees {
    One(Map<String, Value>),
    Several(Vec<Map<String, Value>>),
}

impl Sees {
    pub(crate) fn all(self) -> Vec<Map<String, Value>> {
        match self {
            Self::One(entry) => vec![entry],
            Self::Several(entries) => entries,
        }
    }
}

impl File {
    pub(crate) fn read() -> Self {
        serde_json::from_str(TEXT).unwrap_or_else(|error| panic!("end-to-end.json: {error}"))
    }
}
