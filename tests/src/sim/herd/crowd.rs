//! A crowd in one world: what many clients do alike, and how it went for all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::channel::oneshot;
use wakecast::Error;
use wakecast::machine::{Acquire, Answer, LeaseChange, LeaseStatus, StateKind};
use wakecast_lambda::model::Timestamp;
use wakecast_local::ec2::Ec2Settings;

use super::Showed;
use crate::sim::client::{Client, ClientSetup};
use crate::sim::explore::Summary;
use crate::sim::setting;
use crate::sim::world::{Surroundings, World};

/// What the names of a crowd begin with.
const FAN: &str = "fan-";

/// How finely a crowd is looked at: figures are good to this much.
const STEP: Duration = Duration::from_millis(250);

/// Many clients in one world.
#[derive(Debug)]
pub struct Crowd {
    /// The world.
    pub world: World,
    /// The clients, in the order in which they came.
    pub clients: Vec<Client>,
    /// The lease of each client that has one.
    pub leases: BTreeMap<usize, String>,
    open: BTreeMap<usize, oneshot::Receiver<Result<Answer, Error>>>,
    figures: Vec<String>,
    broken: Vec<String>,
}

/// When the first and the last of a crowd had what they wanted.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first.
    pub first: Duration,
    /// The last.
    pub last: Duration,
}

impl Crowd {
    /// Brings so many clients into a world without faults. None has opened its link yet.
    #[must_use]
    pub fn of(count: usize, seed: u64) -> Self {
        let mut world = World::new(seed, setting::config(), Ec2Settings::default());
        let clients = (0..count)
            .map(|number| world.client(ClientSetup::named(&format!("{FAN}{number}"))))
            .collect();
        Self {
            world,
            clients,
            leases: BTreeMap::new(),
            open: BTreeMap::new(),
            figures: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Returns everybody's number.
    #[must_use]
    pub fn everybody(&self) -> Vec<usize> {
        (0..self.clients.len()).collect()
    }

    /// Returns what everybody can reach.
    #[must_use]
    pub fn around(&self) -> &Surroundings {
        self.world.around()
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.around().clock.true_now()
    }

    /// These clients ask, all in this moment.
    pub fn ask(
        &mut self,
        who: impl IntoIterator<Item = usize>,
        acquire: impl Fn(usize) -> Acquire,
    ) {
        for number in who {
            if let Some(client) = self.clients.get(number) {
                let (_, outcome) = client.acquire(acquire(number));
                self.open.insert(number, outcome);
            }
        }
    }

    /// Lets time pass until everybody who asked is answered, for `limit` at most. Whoever is not
    /// served by then breaks law 3.
    pub fn all_served(&mut self, limit: Duration) -> Span {
        let began = self.now();
        let mut span = Span {
            first: Duration::ZERO,
            last: Duration::ZERO,
        };
        let mut served = 0_u64;
        while !self.open.is_empty() && self.now().since(began) < limit {
            self.world.run_for(STEP);
            let passed = self.now().since(began);
            for number in self.open.keys().copied().collect::<Vec<_>>() {
                let answer = self.open.get_mut(&number).map(oneshot::Receiver::try_recv);
                let lease = match answer {
                    Some(Ok(None)) | None => continue,
                    Some(Ok(Some(Ok(Answer::Acquired { lease, .. })))) => lease,
                    Some(other) => {
                        self.open.remove(&number);
                        let text = format!("law 3: {FAN}{number} was not served: {other:?}");
                        self.broken.push(text);
                        continue;
                    }
                };
                self.open.remove(&number);
                self.leases.insert(number, lease);
                if let Some(client) = self.clients.get(number) {
                    self.around().served(&client.name);
                }
                if served == 0 {
                    span.first = passed;
                }
                served += 1;
                span.last = passed;
            }
        }
        for number in std::mem::take(&mut self.open).into_keys() {
            let waited = limit.as_secs();
            self.broken
                .push(format!("law 3: {FAN}{number} waits for {waited} s"));
        }
        span
    }

    /// Lets time pass until `done` holds, for `limit` at most, and returns how long that took. If it
    /// does not hold by then, `law` is broken.
    pub fn until(&mut self, law: &str, limit: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let began = self.now();
        while !done(self) {
            if self.now().since(began) >= limit {
                let text = format!("{law}, not within {} s", limit.as_secs());
                self.broken.push(text);
                break;
            }
            self.world.run_for(STEP);
        }
        self.now().since(began)
    }

    /// Counts the clients in a state.
    #[must_use]
    pub fn in_state(&self, state: StateKind) -> usize {
        let all = self.clients.iter();
        all.filter(|client| client.state().is_some_and(|now| now.kind() == state))
            .count()
    }

    /// Counts the leases of this status.
    #[must_use]
    pub fn leases_that_are(&self, status: LeaseStatus) -> usize {
        self.of_leases(|client, lease| client.lease_status(lease) == Some(status))
    }

    /// Counts the leases whose owners were told this.
    #[must_use]
    pub fn leases_told(&self, told: impl Fn(&LeaseChange) -> bool) -> usize {
        self.of_leases(|client, lease| client.lease_changes(lease).iter().any(&told))
    }

    fn of_leases(&self, which: impl Fn(&Client, &str) -> bool) -> usize {
        let all = self.leases.iter();
        all.filter(|(number, lease)| {
            self.clients
                .get(**number)
                .is_some_and(|client| which(client, lease))
        })
        .count()
    }

    /// Everybody gives their lease back and stays connected.
    pub fn release_all(&mut self) {
        for (number, lease) in std::mem::take(&mut self.leases) {
            if let Some(client) = self.clients.get(number) {
                // Its answer matters to nobody here; its effect does.
                drop(client.release(&lease));
            }
        }
    }

    /// Notes a figure.
    pub fn figure(&mut self, text: impl Into<String>) {
        self.figures.push(text.into());
    }

    /// Says that a law is broken unless `holds`.
    pub fn law(&mut self, law: &str, holds: bool, broken: impl Into<String>) {
        if !holds {
            self.broken.push(format!("{law}: {}", broken.into()));
        }
    }

    /// Ends the herd.
    #[must_use]
    pub fn end(self) -> Showed {
        let around = self.world.around();
        let notes = around.notes();
        let mut violations = around.timeline.violations();
        violations.extend(self.broken);
        // What thousands do alike would bury what the cloud did.
        let cloud = |who: &str| !who.starts_with(FAN);
        let timeline = (!violations.is_empty()).then(|| around.timeline.told_by(cloud));
        let summary = Summary {
            seed: 0,
            served: notes.served.len(),
            boots: notes.boots,
            outcomes: notes.outcomes,
            transitions: self.world.transitions(),
            states: notes.states,
            violations,
        };
        Showed {
            summary,
            figures: self.figures,
            timeline,
        }
    }
}
