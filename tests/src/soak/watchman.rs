//! Follows what truly happens to instances, and checks what must hold at every moment.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;
use wakecast_lambda::model::InstanceId;
use wakecast_local::cloud::{Event, Follow, What};
use wakecast_local::ec2::Happened;

/// The most instances that the fleet may have.
const MOST: usize = 1;

/// What was seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Pending, running and stopping instances.
    live: BTreeSet<InstanceId>,
    /// Streams and viewers as each instance's server last told.
    counts: BTreeMap<InstanceId, u64>,
    /// The most live instances at once.
    pub most: usize,
    /// Launches.
    pub launches: u64,
    /// Starts of stopped instances.
    pub starts: u64,
    /// Stops that ended in `stopped`.
    pub stops: u64,
    /// Stops that were sent while a server had streams or viewers.
    pub busy_stops: u64,
    /// Sockets that were let in.
    pub connects: u64,
    /// Sockets that ended.
    pub disconnects: u64,
    /// Messages that were pushed.
    pub pushes: u64,
    /// What was wrong, in words.
    pub wrong: Vec<String>,
}

impl Seen {
    /// Tells whether no instance is pending, running or stopping.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.live.is_empty()
    }

    /// Returns how many streams and viewers there are.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Takes the next event in.
    pub fn take(&mut self, event: &Event) {
        match &event.what {
            What::Ec2 { instance, happened } => self.ec2(event.elapsed_ms, instance, *happened),
            What::Media {
                instance,
                publishers,
                viewers,
                ..
            } => {
                self.counts.insert(instance.clone(), publishers + viewers);
            }
            What::Connected { .. } => self.connects += 1,
            What::Disconnected { .. } => self.disconnects += 1,
            What::Pushed { .. } => self.pushes += 1,
            _ => {}
        }
    }

    fn ec2(&mut self, at: u64, instance: &InstanceId, happened: Happened) {
        match happened {
            Happened::Launched | Happened::Started => {
                if happened == Happened::Launched {
                    self.launches += 1;
                } else {
                    self.starts += 1;
                }
                self.live.insert(instance.clone());
                self.most = self.most.max(self.live.len());
                if self.live.len() > MOST {
                    let words = format!("{} instances live at {at} ms", self.live.len());
                    self.wrong.push(words);
                }
            }
            Happened::StopAccepted => {
                let load = self.counts.get(instance).copied().unwrap_or_default();
                if load > 0 {
                    self.busy_stops += 1;
                    self.wrong.push(format!(
                        "{instance} was stopped at {at} ms with {load} streams and viewers"
                    ));
                }
            }
            Happened::Stopped | Happened::ShuttingDown | Happened::Terminated => {
                if happened == Happened::Stopped {
                    self.stops += 1;
                }
                self.live.remove(instance);
                self.counts.remove(instance);
            }
            _ => {}
        }
    }
}

/// Follows the record for ever.
pub(super) async fn follow(mut record: Follow, seen: watch::Sender<Seen>) {
    loop {
        let event = record.next().await;
        seen.send_modify(|seen| seen.take(&event));
    }
}
