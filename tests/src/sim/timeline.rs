//! What happened in a world, in order, as a person reads it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wakecast_lambda::model::Timestamp;

use super::executor::VirtualClock;

/// The story of one world. Cloning shares it.
#[derive(Clone)]
pub struct Timeline {
    clock: VirtualClock,
    start: Timestamp,
    shared: Arc<Mutex<Story>>,
}

#[derive(Default)]
struct Story {
    entries: Vec<Entry>,
    violations: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    at: Timestamp,
    who: String,
    what: String,
}

impl Timeline {
    /// Starts an empty story.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        let start = clock.true_now();
        Self {
            clock,
            start,
            shared: Arc::default(),
        }
    }

    /// Adds a line.
    pub fn say(&self, who: impl Into<String>, what: impl Into<String>) {
        let entry = Entry {
            at: self.clock.true_now(),
            who: who.into(),
            what: what.into(),
        };
        self.story().entries.push(entry);
    }

    /// Adds a line that a law is broken.
    pub fn violation(&self, law: &str, what: impl fmt::Display) {
        let text = format!("{law}: {what}");
        self.say("LAW", text.clone());
        self.story().violations.push(text);
    }

    /// Returns the broken laws.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.story().violations.clone()
    }

    fn story(&self) -> std::sync::MutexGuard<'_, Story> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { at, who, what } in &self.story().entries {
            let millis = at.since(self.start).as_millis();
            let (minutes, seconds) = (millis / 60_000, millis / 1_000 % 60);
            writeln!(
                f,
                "{minutes:>4}:{seconds:02}.{:03}  {who:<12} {what}",
                millis % 1_000
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeline({} entries)", self.story().entries.len())
    }
}
