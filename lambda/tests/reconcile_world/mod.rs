//! A small world around one reconciler: fakes of all ports on a virtual clock.
//!
//! Every call to a port passes a gate before and after it takes effect. A gate is where a test
//! lets something else happen, and where a crash is: the run is dropped there, with the call
//! undone or done but unanswered.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of the world"
)]

mod clock;
pub mod fakes;
mod gates;
mod script;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use wakecast::protocol::{Phase, Purpose};
use wakecast_lambda::config::{
    Budget, Caps, Counts, EndpointConfig, FleetConfig, KnownSetting, LinkCaps, Offering, Prior,
    Timing,
};
use wakecast_lambda::fanout::FanoutPorts;
use wakecast_lambda::grant::{self, Granting};
use wakecast_lambda::guards::Guards;
use wakecast_lambda::leases;
use wakecast_lambda::model::{
    Ask, Boot, BootId, BootPath, Connection, ConnectionId, FleetKey, Grants, Instance, InstanceId,
    InstanceStatus, Link, Row, RowKey, RowState, Scope, Timestamp, WaitKind, WarmStep,
};
use wakecast_lambda::ports::Connections;
use wakecast_lambda::reconcile::{Outcome, Policy, Ports, Reconciler};
use wakecast_lambda::store::memory::MemoryStore;
use wakecast_lambda::store::{Commit, Store};

pub use clock::VirtualClock;
pub use fakes::{FakeConnections, FakeEc2, FakeMedia};
pub use gates::Gates;
#[allow(unused_imports, reason = "each test file uses a part of the world")]
pub use script::{Script, decision};

/// When every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Whether a grant was confirmed, and when.
pub type Granted = Option<(bool, Timestamp)>;

/// The world.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<VirtualClock>,
    pub gates: Arc<Gates>,
    pub table: MemoryStore,
    pub ec2: Arc<FakeEc2>,
    pub media: Arc<FakeMedia>,
    pub sockets: Arc<FakeConnections>,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(VirtualClock::at(START));
        let gates = Arc::new(Gates::default());
        Self {
            table: MemoryStore::new(),
            ec2: Arc::new(FakeEc2::new(Arc::clone(&gates), Arc::clone(&clock))),
            media: Arc::new(FakeMedia::new(Arc::clone(&gates), Arc::clone(&clock))),
            sockets: Arc::new(FakeConnections::new(Arc::clone(&gates), Arc::clone(&clock))),
            clock,
            gates,
        }
    }

    pub fn ports(&self) -> Ports {
        Ports {
            store: Arc::new(store::Gated {
                table: self.table.as_reconciler(),
                gates: Arc::clone(&self.gates),
            }),
            fleet: self.ec2.clone(),
            media: self.media.clone(),
            connections: self.sockets.clone(),
            clock: self.clock.clone(),
            entropy: Arc::new(fakes::Counting::default()),
            stream_tokens: Arc::new(fakes::Tokens),
        }
    }

    /// The ports of a fan-out with gates of its own: it crashes alone.
    pub fn fanout_ports(&self, gates: &Arc<Gates>, sockets: Arc<dyn Connections>) -> FanoutPorts {
        FanoutPorts {
            store: Arc::new(store::Gated {
                table: self.table.as_fanout(),
                gates: Arc::clone(gates),
            }),
            connections: sockets,
            clock: self.clock.clone(),
            entropy: Arc::new(fakes::Counting::default()),
            stream_tokens: Arc::new(fakes::Tokens),
        }
    }

    pub fn reconciler(&self, policy: Arc<dyn Policy>) -> Reconciler {
        Reconciler::new(self.ports(), BTreeMap::from([(fleet(), config())])).with_policy(policy)
    }

    /// Runs the fleet with fifteen minutes of time, on the virtual clock.
    pub fn run(&self, policy: Arc<dyn Policy>) -> Outcome {
        self.run_for(policy, Duration::from_secs(900))
            .expect("the run was made to crash")
    }

    /// Runs the fleet; `None` if the gates made it crash.
    pub fn run_for(&self, policy: Arc<dyn Policy>, time: Duration) -> Option<Outcome> {
        let reconciler = self.reconciler(policy);
        let deadline = self.clock.time() + time;
        self.drive(async move { reconciler.run(&fleet(), deadline).await })
    }

    /// Lets the fleet live under its own lifecycle with ticks and, where the gates say so, one
    /// crash, until `done` or the end of the time; returns whether it was done.
    pub fn live(&self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.clock.time() + time;
        let configs = BTreeMap::from([(fleet(), brief())]);
        while self.clock.time() < end {
            let reconciler = Reconciler::new(self.ports(), configs.clone());
            let deadline = self.clock.time() + Duration::from_secs(900);
            let outcome = self.drive(async move { reconciler.run(&fleet(), deadline).await });
            if outcome.is_none() {
                self.gates.heal();
            }
            if done(self) {
                return true;
            }
            self.clock.jump(brief().timing.tick);
        }
        false
    }

    /// Drives the work on the virtual clock until it ends or crashes, and drops it.
    pub fn drive<T: 'static>(&self, work: impl Future<Output = T> + 'static) -> Option<T> {
        let mut pool = LocalPool::new();
        let mut handle = pool
            .spawner()
            .spawn_local_with_handle(work)
            .expect("a live pool");
        loop {
            pool.run_until_stalled();
            if let Some(output) = (&mut handle).now_or_never() {
                return Some(output);
            }
            if self.gates.crashed() {
                return None;
            }
            assert!(
                self.clock.advance(),
                "nothing is left to wait for: {:#?}",
                self.gates.log()
            );
        }
    }

    /// Does something with the table at once, as the gateway.
    pub fn gateway<T>(&self, work: impl AsyncFnOnce(MemoryStore) -> T) -> T {
        at_once(work(self.table.as_gateway()))
    }

    /// Lets a waiter come by a socket of its own: connection, row, demand.
    pub fn waiter(&self, name: &str) -> Row {
        let link = link(
            name,
            self.clock.time().saturating_sub(Duration::from_secs(60)),
        );
        self.waiter_by(name, link)
    }

    pub fn waiter_by(&self, name: &str, link: Link) -> Row {
        let now = self.clock.time();
        self.gateway(async |table| {
            table
                .put_connection(&connection(&link, now), &LinkCaps::OFF)
                .await
                .expect("a connection");
            let row = table
                .put_row(&waiting(name, link, now), None)
                .await
                .expect("a row");
            table.raise_demand(&fleet()).await.expect("a raise");
            row
        })
    }

    /// Lets the gateway grant a new row on the instance `i-1`: G1 at one gate, G2 at a later one.
    /// The answer is noted: whether it was ready, and when.
    pub fn grant_at(&self, name: &str, put: usize, read: usize) -> Arc<Mutex<Granted>> {
        let noted = Arc::new(Mutex::new(None));
        let name = name.to_owned();
        let (world, answer) = (self.clone(), Arc::clone(&noted));
        self.gates.at(put, move || {
            let now = world.clock.time();
            let link = link(&name, now);
            let row = waiting(&name, link.clone(), now);
            let held = leases::hold(
                &row,
                &(InstanceId::new("i-1"), BootId(1)),
                &brief().timing,
                now,
            );
            let held = world.gateway(async |table| {
                table
                    .put_connection(&connection(&link, now), &LinkCaps::OFF)
                    .await
                    .expect("a connection");
                table.put_row(&held, None).await.expect("G1")
            });
            world.gates.note("gateway put its row");
            let confirm = {
                let world = world.clone();
                move || world.confirm(&held, now, &answer)
            };
            if read == put {
                confirm()
            } else {
                world.gates.at(read, confirm)
            }
        });
        noted
    }

    /// G2, and what follows where it fails: the row waits again, and the demand is raised.
    fn confirm(&self, held: &Row, put_at: Timestamp, answer: &Mutex<Granted>) {
        let now = self.clock.time();
        self.gateway(async |table| {
            let tokens = fakes::Tokens;
            let granting = Granting {
                store: &table,
                tokens: &tokens,
                config: &brief(),
                guards: Guards::ALL,
            };
            let found = granting.verify(held, put_at, now).await.expect("G2");
            let ready = matches!(found, grant::Granted::Ready(_));
            if !ready {
                let waiting = leases::wait_again(held, WaitKind::Acquire, &brief().timing, now);
                // A conflict: the reconciler was faster, and has seen the row.
                let _ = table.put_row(&waiting, Some(held.version)).await;
                table.raise_demand(&fleet()).await.expect("a raise");
            }
            *answer.lock().expect("a note") = Some((ready, now));
        });
    }

    pub fn row(&self, name: &str) -> Row {
        self.gateway(async |table| table.row(&row_key(name)).await)
            .expect("a read")
            .expect("the row")
    }

    /// Writes that the instance drains, as a run with a newer lock would have.
    pub fn table_drains(&self) {
        let now = self.clock.time() + Duration::from_secs(31);
        let since = now;
        let draining = instance(
            "i-1",
            InstanceStatus::Draining {
                since,
                first_look: None,
            },
        );
        self.committed(vec![draining], now);
    }

    /// Writes instances as an earlier run would have.
    pub fn given(&self, instances: Vec<Instance>) {
        self.committed(instances, self.clock.time());
    }

    fn committed(&self, instances: Vec<Instance>, now: Timestamp) {
        at_once(async {
            let until = now + Duration::from_millis(1);
            let lock = self
                .table
                .take_lock(&fleet(), "given", now, until)
                .await
                .expect("the lock");
            let state = self.table.fleet(&fleet()).await.expect("a read").state;
            let commit = Commit {
                put_instances: instances,
                ..commit(state.version)
            };
            self.table
                .commit(&fleet(), &lock, now, &commit)
                .await
                .expect("a commit");
            let demand = self.table.demand(&fleet()).await.expect("a read");
            self.table
                .release_lock(&fleet(), &lock, demand)
                .await
                .expect("a release");
        });
    }
}

/// Runs what never waits, such as an operation of the table in memory.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("nothing to wait for")
}

pub fn fleet() -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: "main".to_owned(),
    }
}

pub fn row_key(name: &str) -> RowKey {
    RowKey {
        fleet: fleet(),
        subject: name.to_owned(),
        id: name.to_owned(),
    }
}

pub fn link(name: &str, connected_at: Timestamp) -> Link {
    Link {
        connection: ConnectionId::new(format!("c-{name}")),
        connected_at,
        client_id: name.to_owned(),
    }
}

pub fn connection(link: &Link, now: Timestamp) -> Connection {
    Connection {
        id: link.connection.clone(),
        connected_at: link.connected_at,
        grants: Grants {
            subject: link.client_id.clone(),
            tenant: "acme".to_owned(),
            fleets: vec!["main".to_owned()],
            apps: vec!["live".to_owned()],
            streams: vec!["*".to_owned()],
            scopes: BTreeSet::from([Scope::Play, Scope::Publish]),
            expires_at: now + Duration::from_secs(3_600),
        },
        client_id: Some(link.client_id.clone()),
        rows: BTreeSet::new(),
    }
}

pub fn waiting(name: &str, link: Link, now: Timestamp) -> Row {
    Row {
        key: row_key(name),
        version: 0,
        rev: now.as_millis(),
        ask: Some(Ask {
            purpose: Purpose::Publish,
            app: "live".to_owned(),
            stream_id: Some("match-1".to_owned()),
        }),
        state: RowState::Waiting {
            phase: Phase::Requested,
            deadline: now + Duration::from_secs(600),
            wait_ms: 600_000,
            kind: WaitKind::Acquire,
        },
        link: Some(link),
        absent_since: None,
        created_at: now,
        expires_at: now + Duration::from_secs(1_500),
    }
}

pub fn offering() -> Offering {
    Offering {
        instance_type: "c7g.xlarge".to_owned(),
        zone: "a".to_owned(),
        subnet: "subnet-a".to_owned(),
    }
}

pub fn instance(id: &str, status: InstanceStatus) -> Instance {
    Instance {
        id: InstanceId::new(id),
        offering: offering(),
        status,
        boot: Some(Boot {
            id: BootId(1),
            path: BootPath::New,
            started_at: START,
            running_at: Some(START),
            warm: WarmStep::Done,
            live_at: Some(START),
            restarted: false,
            associated_at: None,
            ready_at: Some(START),
            granting_since: Some(START),
            address: Some("203.0.113.7".to_owned()),
            server_start_ms: None,
            zero_since: None,
            sample: None,
            published_at: None,
            played_at: None,
            unknown: 0,
            closed_at: None,
            condemned: false,
            overdue: None,
            end: None,
        }),
        missing: None,
    }
}

pub fn commit(expected: u64) -> Commit {
    Commit {
        expected,
        state: wakecast_lambda::model::FleetState::default(),
        put_instances: Vec::new(),
        forget_instances: Vec::new(),
        put_intents: Vec::new(),
        forget_intents: Vec::new(),
        unavailable: None,
        history: None,
        charge: None,
        ran: BTreeMap::new(),
    }
}

pub fn config() -> FleetConfig {
    FleetConfig {
        apps: vec!["live".to_owned()],
        known_setting: KnownSetting {
            app: "live".to_owned(),
            name: "jwtControlEnabled".to_owned(),
            value: true.into(),
        },
        min: 0,
        max: 1,
        offerings: vec![offering()],
        image: "ami-1".to_owned(),
        template: "1".to_owned(),
        endpoint: EndpointConfig {
            websocket_url: "wss://{address}:5443/{app}/websocket".to_owned(),
            http_url: "https://{address}:5443/{app}".to_owned(),
            elastic: false,
        },
        counts: Counts::ENTERPRISE,
        timing: Timing::default(),
        caps: Caps::default(),
        budget: Budget::default(),
        prior: Prior::defaults(),
        table_id: "table".to_owned(),
    }
}

/// The same fleet with the short times of the demonstration, so that a whole life fits in a test.
pub fn brief() -> FleetConfig {
    FleetConfig {
        timing: Timing::demonstration(),
        ..config()
    }
}
