//! Decides again what a log says was decided.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::line::{Line, VERSION, digest, digest_of};
use super::{LoggedSnapshot, Summary};
use crate::lifecycle;

/// How every line of the log begins, wherever in a line of a log it stands: tools that fetch logs
/// put times and names before it.
const MARK: &str = "{\"decision\":";

/// Reads a log line by line.
#[derive(Debug, Default)]
pub struct Replay {
    /// The last snapshot of each fleet: a line that repeats it holds its hash alone.
    last: BTreeMap<String, (String, Box<RawValue>)>,
}

/// What came of one logged decision.
#[derive(Debug)]
pub struct Replayed {
    /// The line, as far as it can be read.
    pub line: Option<Line>,
    /// What it would be now.
    pub verdict: Verdict,
}

/// Whether it would be decided the same.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It would.
    Same,
    /// It would not.
    Differs(Box<Difference>),
    /// It would, but this is not the line that was written: its snapshot's text is not the one that
    /// was hashed, or its time, fleet, fence or version is not the snapshot's.
    Altered,
    /// The snapshot was too large to log.
    NoSnapshot,
    /// The line, or its snapshot, cannot be read; why.
    Unreadable(String),
}

/// What would be decided now.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// What would be decided.
    pub now: Summary,
    /// Nor is this the line that was written, as for [`Verdict::Altered`].
    pub altered: bool,
}

#[derive(Deserialize)]
struct Head {
    decision: u32,
}

impl Replay {
    /// Begins a log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides again what a line tells of; `None` if it tells of no decision.
    pub fn line(&mut self, text: &str) -> Option<Replayed> {
        let text = text.get(text.find(MARK)?..)?;
        let read = read(text).and_then(|line| {
            let verdict = self.judge(&line)?;
            Ok((line, verdict))
        });
        Some(match read {
            Ok((line, verdict)) => Replayed {
                line: Some(line),
                verdict,
            },
            Err(why) => Replayed {
                line: None,
                verdict: Verdict::Unreadable(why),
            },
        })
    }

    fn judge(&mut self, line: &Line) -> Result<Verdict, String> {
        if let Some(text) = &line.snapshot {
            let known = (line.hash.clone(), text.clone());
            self.last.insert(line.fleet.clone(), known);
        }
        let Some((_, text)) = self
            .last
            .get(&line.fleet)
            .filter(|(hash, _)| *hash == line.hash)
        else {
            return Ok(Verdict::NoSnapshot);
        };
        let logged: LoggedSnapshot<'_> = serde_json::from_str(text.get()).map_err(|error| {
            format!("its snapshot was written by another version of this program: {error}")
        })?;
        let hash = digest(text.get().as_bytes());
        let altered = hash != line.hash || !logged.is_of(line);
        if !altered && digest_of(&logged) != hash {
            // What was read is not all that was seen: deciding on the rest would say nothing.
            return Err("its snapshot holds what this version of the program does not know".into());
        }
        let now = Summary::of(&lifecycle::decide(&logged.snapshot()));
        Ok(match (now == line.decided, altered) {
            (true, false) => Verdict::Same,
            (true, true) => Verdict::Altered,
            (false, altered) => Verdict::Differs(Box::new(Difference { now, altered })),
        })
    }
}

/// Reads what follows the mark; whatever comes after the JSON is somebody else's.
fn read(text: &str) -> Result<Line, String> {
    fn first<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, serde_json::Error> {
        T::deserialize(&mut serde_json::Deserializer::from_str(text))
    }
    let head: Head = first(text).map_err(|error| format!("it is no whole JSON: {error}"))?;
    if head.decision != VERSION {
        return Err(format!(
            "it has version {}, and this program reads version {VERSION}",
            head.decision
        ));
    }
    first(text).map_err(|error| format!("it was written by another version: {error}"))
}
