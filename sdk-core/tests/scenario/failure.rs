//! What a person reads when a scenario fails.

use std::fmt;

use serde_json::Value;

/// Where a scenario failed, what was expected there, and what was seen.
#[derive(Debug)]
pub struct Failure {
    pub scenario: String,
    pub file: String,
    /// Place and source of the step.
    pub step: Option<(String, Value)>,
    pub seed: u64,
    /// Milliseconds since the scenario's beginning.
    pub at: i64,
    pub expected: String,
    pub seen: String,
    /// The last outputs.
    pub outputs: Vec<(i64, Value)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, source) = match &self.step {
            Some((place, source)) => (place.as_str(), source.to_string()),
            None => ("none", String::new()),
        };
        let Self {
            scenario, file, at, ..
        } = self;
        writeln!(f, "{scenario} failed in step {place} at {at} ms")?;
        writeln!(f, "  file      tests/scenarios/{file}")?;
        writeln!(f, "  step      {source}")?;
        writeln!(f, "  expected  {}", self.expected)?;
        writeln!(f, "  seen      {}", self.seen)?;
        writeln!(f, "  seed      {}", self.seed)?;
        writeln!(f, "  the last outputs:")?;
        for (at, output) in &self.outputs {
            writeln!(f, "  {at:>10} ms  {output}")?;
        }
        Ok(())
    }
}
