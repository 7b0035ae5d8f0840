//! What truly happened, in order, with times.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use wakecast_lambda::lifecycle::Stand;
use wakecast_lambda::model::{ConnectionId, InstanceId, Timestamp};
use wakecast_lambda::ports::Clock;

use crate::ec2::{Happened, Happening};

/// How much of the record is kept: days of one developer, minutes of hundreds of clients, and a few
/// megabytes.
const KEPT: usize = 20_000;

/// The record of one cloud's life. Clones share it. It keeps the last 20 000 events, and counts
/// over all of them.
#[derive(Clone)]
pub struct Timeline {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    started: Timestamp,
    record: Mutex<Record>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Record {
    kept: VecDeque<Event>,
    /// How many came before those that are kept.
    forgotten: usize,
    counts: BTreeMap<Happened, usize>,
    /// Instances that are billed now, and since when.
    running: BTreeMap<InstanceId, Timestamp>,
    /// What was billed before.
    billed: Duration,
}

impl Record {
    fn len(&self) -> usize {
        self.forgotten + self.kept.len()
    }

    /// Returns the first event at or after a place, and its place.
    fn from(&self, place: usize) -> Option<(usize, Event)> {
        let place = place.max(self.forgotten);
        let event = self.kept.get(place - self.forgotten)?;
        Some((place, event.clone()))
    }

    fn push(&mut self, event: Event) {
        if let What::Ec2 { instance, happened } = &event.what {
            *self.counts.entry(*happened).or_default() += 1;
            self.bill(instance, *happened, event.at);
        }
        self.kept.push_back(event);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
            self.forgotten += 1;
        }
    }

    fn bill(&mut self, instance: &InstanceId, happened: Happened, at: Timestamp) {
        match happened {
            Happened::Launched | Happened::Started => {
                self.running.insert(instance.clone(), at);
            }
            Happened::StopAccepted | Happened::ShuttingDown | Happened::Terminated => {
                if let Some(since) = self.running.remove(instance) {
                    self.billed += at.since(since);
                }
            }
            _ => {}
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The wall clock, in milliseconds since 1970.
    pub at: Timestamp,
    /// Milliseconds since the cloud started.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// To an instance, in EC2.
    Ec2 {
        /// Which.
        instance: InstanceId,
        /// What.
        happened: Happened,
    },
    /// The reconciler moved an instance to another state.
    Stand {
        /// Which.
        instance: InstanceId,
        /// Its boot.
        boot: Option<u64>,
        /// Where it stands now.
        stand: Stand,
    },
    /// Why the reconciler acted.
    Decided {
        /// In words.
        why: String,
    },
    /// A media server's load or boot changed.
    Media {
        /// On which instance.
        instance: InstanceId,
        /// How far it is.
        phase: String,
        /// Published streams.
        publishers: u64,
        /// Viewers.
        viewers: u64,
    },
    /// A client was let in.
    Connected {
        /// The socket.
        connection: ConnectionId,
    },
    /// A socket ended.
    Disconnected {
        /// The socket.
        connection: ConnectionId,
        /// The close code; 1006 without one.
        code: u16,
    },
    /// A message of a client was answered on its own socket.
    Replied {
        /// The socket.
        connection: ConnectionId,
        /// The answer's type.
        kind: String,
        /// The request that it answers.
        id: Option<String>,
    },
    /// A message was pushed through `@connections`.
    Pushed {
        /// The socket.
        connection: ConnectionId,
        /// The message's type.
        kind: String,
        /// The acquire or lease it is about.
        id: Option<String>,
        /// The phase, in `progress`.
        phase: Option<String>,
        /// Whether it was accepted.
        accepted: bool,
    },
    /// Somebody asked for a fault.
    Fault {
        /// Which.
        fault: String,
    },
}

impl What {
    pub(crate) fn ec2(happening: &Happening) -> Self {
        Self::Ec2 {
            instance: happening.instance.clone(),
            happened: happening.what,
        }
    }
}

impl Timeline {
    /// Begins an empty record at the present moment.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            started: clock.now(),
            clock,
            record: Mutex::default(),
            count: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns when the cloud started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.shared.started
    }

    /// Returns what is kept.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().kept.iter().cloned().collect()
    }

    /// Follows the record from the oldest event that is kept.
    #[must_use]
    pub fn follow(&self) -> Follow {
        Follow {
            timeline: self.clone(),
            next: 0,
        }
    }

    /// Follows the record from now on.
    #[must_use]
    pub fn follow_from_now(&self) -> Follow {
        Follow {
            timeline: self.clone(),
            next: self.lock().len(),
        }
    }

    /// Waits for the first event that is wanted, past ones that are kept included.
    /// Cancel-safe; has no deadline.
    pub async fn wait_for(&self, wanted: impl FnMut(&Event) -> bool) -> Event {
        self.follow().find(wanted).await
    }

    /// Waits until there is an event at or after this place; returns those there are, and the
    /// place after the last. What is forgotten is skipped. Cancel-safe; has no deadline.
    pub async fn since(&self, place: usize) -> (usize, Vec<Event>) {
        let mut count = self.shared.count.subscribe();
        // The sender lives in `self`.
        let _ = count.wait_for(|count| *count > place).await;
        let record = self.lock();
        let skipped = place.saturating_sub(record.forgotten);
        (
            record.len(),
            record.kept.iter().skip(skipped).cloned().collect(),
        )
    }

    /// Counts what happened in EC2.
    #[must_use]
    pub fn count(&self, wanted: Happened) -> usize {
        self.lock().counts.get(&wanted).copied().unwrap_or_default()
    }

    /// Adds up how long instances were billed: from an accepted launch or start until a stop was
    /// accepted or the instance was lost, or now.
    #[must_use]
    pub fn billed(&self) -> Duration {
        let now = self.shared.clock.now();
        let record = self.lock();
        let running = record.running.values();
        running.fold(record.billed, |total, since| total + now.since(*since))
    }

    /// Records that something happened now.
    pub fn record(&self, what: What) {
        self.record_at(self.shared.clock.now(), what);
    }

    /// Records that something happened at `at`.
    pub fn record_at(&self, at: Timestamp, what: What) {
        let elapsed = at.since(self.shared.started).as_millis();
        let elapsed_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let mut record = self.lock();
        record.push(Event {
            at,
            elapsed_ms,
            what,
        });
        self.shared.count.send_replace(record.len());
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.shared
            .record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline")
            .field("events", &self.lock().len())
            .finish_non_exhaustive()
    }
}

/// A reader of the record with a place in it. What is forgotten before it is read is skipped.
#[derive(Debug)]
pub struct Follow {
    timeline: Timeline,
    next: usize,
}

impl Follow {
    /// Returns the next event, once there is one. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        let mut count = self.timeline.shared.count.subscribe();
        loop {
            let found = self.timeline.lock().from(self.next);
            if let Some((place, event)) = found {
                self.next = place + 1;
                return event;
            }
            // The sender lives in `timeline`, which is held here.
            let _ = count.changed().await;
        }
    }

    /// Reads on until a wanted event and returns it. Cancel-safe; has no deadline.
    pub async fn find(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await;
            if wanted(&event) {
                return event;
            }
        }
    }
}
