//! Sees what truly happens in a world and tells it to the judge, in plain facts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use wakecast::Secret;
use wakecast::protocol::{Endpoint, LeaseState, Purpose as Wanted, RequestState, ServerMessage};
use wakecast_lambda::config::{Counts, FleetConfig};
use wakecast_lambda::model::{InstanceId, InstanceStatus, Row, RowState, Timestamp};
use wakecast_lambda::ports::Load;
use wakecast_lambda::store::Commit;
use wakecast_local::ec2::{Happened, Happening};

use super::executor::VirtualClock;
use super::farm::{Farm, host_of};
use super::process::Role;
use super::timeline::Timeline;
use super::world::Surroundings;
use crate::judge::{Breach, Fact, Judge, Purpose, Rules, Standing};

/// How often the judge looks at the clock.
const CADENCE: Duration = Duration::from_secs(1);

/// Lets the judge look each second. Never returns.
pub(super) async fn watch(around: Surroundings) {
    let mut held = BTreeMap::new();
    let mut told = 0;
    loop {
        around.clock.sleep(CADENCE).await;
        let holds = around.ec2.with(|model, _| {
            let all = model.instances();
            all.map(|truth| (truth.id.clone(), truth.hold))
                .collect::<Vec<_>>()
        });
        for (id, on) in holds {
            if held.insert(id.clone(), on).unwrap_or(false) != on {
                around.observer.tell(&Fact::Hold {
                    server: id.to_string(),
                    on,
                });
            }
        }
        for (id, media) in around.farm.truths() {
            around.observer.tell(&Fact::Media {
                server: id.to_string(),
                media,
            });
        }
        if around.farm.comes_back() {
            around
                .observer
                .excuse_until(around.clock.true_now() + CADENCE * 2);
        }
        around.observer.look();
        // Nobody writes another's partition.
        let violations = around.store.violations();
        for violation in violations.iter().skip(told) {
            around.timeline.violation("writers", violation);
        }
        told = violations.len();
    }
}

/// The observer of a world. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Observer {
    shared: Arc<Mutex<Inner>>,
    clock: VirtualClock,
    timeline: Timeline,
    counts: Counts,
    grace_of_stream_tokens: Duration,
}

#[derive(Debug)]
struct Inner {
    judge: Judge,
    /// Which server each address has led to.
    addresses: BTreeMap<String, InstanceId>,
    /// Stop calls of ours that are under way.
    stops: BTreeMap<InstanceId, u32>,
    /// Calls of ours under way that move the fleet's address.
    addressing: u32,
    /// What happens now is another hand's doing.
    other_hand: bool,
    /// The newest intent to start something.
    intended: Option<u64>,
    processes: u64,
    /// Runs of the reconciler that crashed, failed or froze.
    crashes: usize,
    /// Processes that froze.
    freezes: usize,
}

impl Observer {
    /// Builds the observer of a fleet; its judge knows the operator's settings.
    #[must_use]
    pub fn new(clock: VirtualClock, timeline: Timeline, config: &FleetConfig) -> Self {
        Self::with_clocks_apart(clock, timeline, config, Duration::ZERO)
    }

    fn with_clocks_apart(
        clock: VirtualClock,
        timeline: Timeline,
        config: &FleetConfig,
        apart: Duration,
    ) -> Self {
        let inner = Inner {
            judge: Judge::new(rules(config, apart)),
            addresses: BTreeMap::new(),
            stops: BTreeMap::new(),
            addressing: 0,
            other_hand: false,
            intended: None,
            processes: 0,
            crashes: 0,
            freezes: 0,
        };
        Self {
            shared: Arc::new(Mutex::new(inner)),
            clock,
            timeline,
            counts: config.counts,
            grace_of_stream_tokens: config.timing.stream_token,
        }
    }

    /// Tells the judge that the clocks of the cloud may be this far apart; before anything happens.
    pub fn clocks_apart(&self, config: &FleetConfig, apart: Duration) {
        self.inner().judge = Judge::new(rules(config, apart));
    }

    /// Tells the judge a fact.
    pub fn tell(&self, fact: &Fact) {
        let now = self.clock.true_now().as_millis();
        let broken = self.inner().judge.hear(now, fact);
        self.report(broken);
    }

    fn look(&self) {
        let now = self.clock.true_now().as_millis();
        let broken = self.inner().judge.look(now);
        self.report(broken);
    }

    fn report(&self, broken: Vec<Breach>) {
        for (law, what) in broken {
            self.timeline.violation(law, what);
        }
    }

    /// Returns how often a server was launched or started.
    #[must_use]
    pub fn boots(&self) -> u64 {
        self.inner().judge.boots()
    }

    /// Numbers a process.
    #[must_use]
    pub fn next_process(&self) -> u64 {
        let mut inner = self.inner();
        inner.processes += 1;
        inner.processes
    }

    /// What EC2 did.
    pub fn happened(&self, happening: &Happening) {
        let server = happening.instance.to_string();
        let fact = match happening.what {
            Happened::Launched => Fact::Launched(server),
            Happened::Started => Fact::Started {
                server,
                ours: !self.inner().other_hand,
            },
            // Told by the machine that boots.
            Happened::Running => return,
            Happened::StopAccepted => {
                let inner = self.inner();
                let ours = inner.stops.contains_key(&happening.instance) && !inner.other_hand;
                drop(inner);
                Fact::StopAccepted { server, ours }
            }
            Happened::Stopped => Fact::Stopped(server),
            Happened::ShuttingDown | Happened::Terminated => Fact::Terminated(server),
            Happened::Associated | Happened::Disassociated => Fact::Address {
                server,
                on: happening.what == Happened::Associated,
                ours: self.inner().addressing > 0,
            },
        };
        self.tell(&fact);
    }

    /// A box runs, and can be reached at this address.
    pub fn runs(&self, server: &InstanceId, address: &str) {
        self.leads(address, Some(server));
        self.tell(&Fact::Runs(server.to_string()));
        if self.inner().other_hand {
            self.tell(&Fact::Stranger(server.to_string()));
        }
    }

    /// Whatever `act` does to EC2 is another hand's doing.
    pub fn by_another_hand<T>(&self, act: impl FnOnce() -> T) -> T {
        self.inner().other_hand = true;
        let done = act();
        self.inner().other_hand = false;
        done
    }

    /// A client found nothing at an endpoint that it was handed just before.
    pub fn unreachable(&self, who: &str, lease: &str, endpoint: &Endpoint) {
        let server = self.server_at(endpoint);
        self.tell(&Fact::Unreachable {
            who: who.to_owned(),
            lease: lease.to_owned(),
            server: server.map(|server| server.to_string()),
        });
    }

    /// What a client published or played was cut.
    pub fn cut(&self, who: &str, server: &InstanceId) {
        self.tell(&Fact::Cut {
            who: who.to_owned(),
            server: server.to_string(),
        });
    }

    /// The server that an endpoint leads to now.
    fn server_at(&self, endpoint: &Endpoint) -> Option<InstanceId> {
        let address = host_of(&endpoint.websocket_url)?;
        self.inner().addresses.get(address).cloned()
    }

    /// An address leads to a server, or nowhere.
    pub fn leads(&self, address: &str, to: Option<&InstanceId>) {
        let mut inner = self.inner();
        match to {
            Some(server) => inner.addresses.insert(address.to_owned(), server.clone()),
            None => inner.addresses.remove(address),
        };
    }

    /// A stop call of ours leaves, or its journey has ended.
    pub fn stopping(&self, server: &InstanceId, leaves: bool) {
        let mut inner = self.inner();
        let calls = inner.stops.entry(server.clone()).or_default();
        if leaves {
            *calls += 1;
        } else {
            *calls = calls.saturating_sub(1);
        }
        if *calls == 0 {
            inner.stops.remove(server);
        }
    }

    /// A call of ours that moves the fleet's address leaves, or its journey has ended.
    pub fn addressing(&self, leaves: bool) {
        let calls = &mut self.inner().addressing;
        *calls = if leaves {
            *calls + 1
        } else {
            calls.saturating_sub(1)
        };
    }

    /// A media server was asked for its load; `None` if nothing came back.
    pub fn reported(&self, by: u64, address: &str, began: Timestamp, load: Option<&Load>) {
        let server = self.inner().addresses.get(address).cloned();
        let Some(server) = server else { return };
        self.tell(&Fact::Reported {
            by,
            server: server.to_string(),
            began: began.as_millis(),
            counts: load.and_then(|load| self.counts_of(load)),
        });
    }

    /// Streams and viewers of every kind that this fleet measures; none if one of them is missing.
    fn counts_of(&self, load: &Load) -> Option<(u64, u64)> {
        let measured = |count: Option<u64>, measured: bool| match count {
            None if measured => None,
            count => Some(count.unwrap_or(0)),
        };
        let streams = load.live_streams?;
        let webrtc = measured(load.webrtc_streams, self.counts.webrtc)?;
        let viewers = measured(load.webrtc_viewers, self.counts.webrtc)?
            + measured(load.hls_viewers, self.counts.hls)?
            + measured(load.dash_viewers, self.counts.dash)?;
        Some((streams.max(webrtc), viewers))
    }

    /// The table took a row.
    pub fn row(&self, row: &Row) {
        let purpose = row.ask.as_ref().map(|ask| match ask.purpose {
            Wanted::Publish => Purpose::Publish,
            Wanted::Play => Purpose::Play,
            _ => Purpose::Watch,
        });
        let standing = match &row.state {
            RowState::Waiting { deadline, .. } => Standing::Waits {
                until: deadline.as_millis(),
            },
            RowState::Held { instance, boot, .. } => Standing::Holds {
                server: instance.to_string(),
                boot: boot.0,
            },
            RowState::Ended { .. } => Standing::Over,
        };
        self.tell(&Fact::Recorded {
            lease: row.key.id.clone(),
            subject: row.key.subject.clone(),
            purpose,
            standing,
            gone_since: row.absent_since.map(Timestamp::as_millis),
        });
    }

    /// The reconciler has written what it decided, and thereby says how its servers stand.
    pub fn wrote(&self, by: u64, commit: &Commit) {
        self.tell(&Fact::Wrote { by });
        for intent in &commit.put_intents {
            // An older one has only changed.
            let newest = Some(intent.sequence);
            let fresh = newest > self.inner().intended;
            if fresh {
                self.inner().intended = newest;
                self.tell(&Fact::Intended);
            }
        }
        for instance in &commit.put_instances {
            let server = instance.id.to_string();
            let Some(boot) = &instance.boot else { continue };
            match (&instance.status, boot.granting_since) {
                (InstanceStatus::Ready, Some(since)) => self.tell(&Fact::Opened {
                    server,
                    boot: boot.id.0,
                    since: since.as_millis(),
                }),
                (InstanceStatus::Recovering { .. }, _) => self.tell(&Fact::Proving(server)),
                (
                    InstanceStatus::Stopping {
                        failed: false,
                        sent_at,
                        first_look,
                        ..
                    },
                    _,
                ) if sent_at.is_none() || first_look.is_some() => {
                    let again = sent_at.is_some() || first_look.is_some();
                    self.tell(&Fact::Closing { server, again });
                }
                _ => {}
            }
        }
    }

    /// The world itself cuts, hides or kills servers until then.
    pub fn excuse_until(&self, until: Timestamp) {
        self.tell(&Fact::Excused {
            until: until.as_millis(),
        });
    }

    /// The table refuses most row writes, or no more.
    pub fn rows_refused(&self, on: bool) {
        self.tell(&Fact::RowsRefused(on));
    }

    /// A run of the reconciler crashed, failed or lost its lock.
    pub fn crashed(&self) {
        self.inner().crashes += 1;
        self.tell(&Fact::Crashed);
    }

    /// Returns how many runs of the reconciler crashed, failed or froze.
    #[must_use]
    pub fn crashes(&self) -> usize {
        self.inner().crashes
    }

    /// Returns how many processes froze.
    #[must_use]
    pub fn freezes(&self) -> usize {
        self.inner().freezes
    }

    /// A call failed or was held up, or a wake was lost.
    pub fn hindered(&self) {
        self.tell(&Fact::Hindered);
    }

    /// A process freezes: as good as a crash for as long as it does.
    pub fn froze(&self, role: Role, until: Timestamp) {
        let seconds = until.since(self.clock.true_now()).as_secs();
        self.inner().freezes += 1;
        let who = format!("{role:?}").to_lowercase();
        self.timeline.say(who, format!("freezes for {seconds} s"));
        if role == Role::Reconciler {
            self.crashed();
        }
    }

    /// A frame has reached a client: the endpoints in it are promises.
    pub fn frame(&self, farm: &Farm, who: &str, message: &ServerMessage) {
        let promise = |lease: &str, endpoint: &Endpoint| self.promised(farm, who, lease, endpoint);
        match message {
            ServerMessage::Ready(ready) => promise(&ready.id, &ready.endpoint),
            ServerMessage::Endpoint(push) => promise(&push.lease, &push.endpoint),
            ServerMessage::Moved(moved) => promise(&moved.lease, &moved.endpoint),
            ServerMessage::Lost(lost) => self.lost(who, &lost.lease),
            ServerMessage::Welcome(welcome) => {
                for lease in &welcome.leases {
                    match &lease.endpoint {
                        Some(endpoint) => promise(&lease.id, endpoint),
                        None if lease.state == LeaseState::Lost => self.lost(who, &lease.id),
                        None => {}
                    }
                }
                for request in &welcome.requests {
                    match &request.endpoint {
                        Some(endpoint) => promise(&request.id, endpoint),
                        None if request.state == RequestState::Ended => self.lost(who, &request.id),
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn promised(&self, farm: &Farm, who: &str, lease: &str, endpoint: &Endpoint) {
        let server = self.server_at(endpoint);
        if let Some(server) = &server
            && let Some(media) = farm.truth(server)
        {
            let server = server.to_string();
            self.tell(&Fact::Media { server, media });
        }
        let token_until = match &endpoint.stream_token {
            Some(token) => ends_at(token),
            None => (self.clock.true_now() + self.grace_of_stream_tokens).as_millis(),
        };
        self.tell(&Fact::Promised {
            who: who.to_owned(),
            lease: lease.to_owned(),
            server: server.map(|server| server.to_string()),
            token_until,
        });
    }

    fn lost(&self, who: &str, lease: &str) {
        self.tell(&Fact::Lost {
            who: who.to_owned(),
            lease: lease.to_owned(),
        });
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a stream token ends, as the media server will read it.
fn ends_at(token: &Secret) -> u64 {
    let token = jsonwebtoken::dangerous::insecure_decode::<Value>(token.expose());
    let exp = token
        .ok()
        .and_then(|token| token.claims.get("exp")?.as_u64());
    exp.unwrap_or(0) * 1_000
}

fn rules(config: &FleetConfig, apart: Duration) -> Rules {
    let timing = &config.timing;
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Rules {
        max: config.max as usize,
        min: config.min as usize,
        starts_per_hour: config.caps.starts_per_hour as usize,
        launches_per_hour: config.caps.launches_per_hour as usize,
        subject_starts: config
            .caps
            .subject
            .starts_per_10_min
            .map_or(usize::MAX, |cap| cap as usize),
        grace: ms(timing.grace),
        min_up: ms(timing.min_up),
        stream_token: ms(timing.stream_token),
        protect_publish: ms(timing.protect_publish),
        protect_play: ms(timing.protect_play),
        absence: ms(timing.absence),
        boot: ms(timing.boot_limit_new.max(timing.boot_limit_stopped)),
        tick: ms(timing.tick),
        lock: ms(timing.lock),
        clocks_apart: ms(apart),
    }
}
