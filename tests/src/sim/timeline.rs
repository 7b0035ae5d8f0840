//! What happened in a world, in order, as a person reads it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wakecast_lambda::model::Timestamp;

use super::executor::VirtualClock;

/// Silence this long parts two acts of a story.
const ACT: Duration = Duration::from_secs(10);

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

    /// Tells the lines of those whom `keep` names, in three columns: the time since the world began,
    /// who, and what. A gap parts the acts.
    #[must_use]
    pub fn told_by(&self, keep: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        let mut before: Option<(Timestamp, &str)> = None;
        let story = self.story();
        for Entry { at, who, what } in story.entries.iter().filter(|entry| keep(&entry.who)) {
            if before.is_some_and(|(before, _)| at.since(before) >= ACT) {
                text.push('\n');
            }
            // What one hand does in one moment is told under one name.
            let (mut time, mut name) = (self.time(*at), who.as_str());
            if before == Some((*at, who.as_str())) {
                (time, name) = (String::new(), "");
            }
            text.push_str(&format!("{time:>11}  {name:<12} {what}\n"));
            before = Some((*at, who));
        }
        text
    }

    fn time(&self, at: Timestamp) -> String {
        let millis = at.since(self.start).as_millis();
        let (minutes, seconds) = (millis / 60_000, millis / 1_000 % 60);
        format!("{minutes}:{seconds:02}.{:03}", millis % 1_000)
    }

    fn story(&self) -> std::sync::MutexGuard<'_, Story> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told_by(|_| true))
    }
}

/// Says in the end which laws broke, in words, and how often each.
#[must_use]
pub fn verdict(violations: &[String]) -> String {
    if violations.is_empty() {
        return "every law held\n".to_owned();
    }
    let mut told: Vec<(&str, usize)> = Vec::new();
    for violation in violations {
        let law = violation.split(':').next().unwrap_or(violation);
        match told.iter_mut().find(|(known, _)| *known == law) {
            Some((_, times)) => *times += 1,
            None => told.push((law, 1)),
        }
    }
    let mut text = String::new();
    for (law, times) in told {
        let times = if times == 1 {
            "once".to_owned()
        } else {
            format!("{times} times")
        };
        let words = in_words(law).map_or(String::new(), |words| format!(": {words}"));
        text.push_str(&format!("BROKEN {times}: {law}{words}\n"));
        let first = violations
            .iter()
            .find(|violation| violation.starts_with(law));
        text.push_str(&format!("  first: {}\n", first.map_or("", String::as_str)));
    }
    text
}

/// The laws as the judges name them.
fn in_words(law: &str) -> Option<&'static str> {
    Some(match law {
        "law 1" => "never more instances than the maximum; many wakes launch once",
        "law 2" => "nothing in use, leased or waited for is stopped or cut",
        "law 3" => "every waiter gets `ready` or a clear error by its deadline",
        "law 4" => "an idle server is stopped in time",
        "law 5" => "starts and launches stay under their caps",
        "law 6" => "a crash, a lost reply or a duplicate changes nothing of the laws",
        "law 7" => "`off` starts nothing; `hold` touches nothing",
        "law 8" => "no power action while EC2 cannot be read",
        "rest" => "the reconciler does not run where nothing moves",
        "writers" => "each function writes its own partitions only",
        "client law 1" => "the machine names its next timer, and it is kept",
        "client law 3" => "one state event at most, equal to the state",
        "client law 4" => "one open transport, two while rotating",
        "client law 5" => "each request gets one outcome by its deadline",
        "client law 6" => "nothing comes after `Closed`, and no waiter is left",
        "client law 7" => "no secret is readable",
        "panic" => "nothing panics",
        _ => return None,
    })
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeline({} entries)", self.story().entries.len())
    }
}
