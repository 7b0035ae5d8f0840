//! A reconciler and the shards that it asks, on one virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, select};
use wakecast_lambda::fanout::{Errand, Outcome, Worker};
use wakecast_lambda::model::{InstanceStatus, Row, RowState, Timestamp};
use wakecast_lambda::ports::{Clock, Fanout, NotSent};
use wakecast_lambda::reconcile::{self, End, Reconciler};

use crate::reconcile_world::{Gates, START, World, config, fleet, instance, link};
use crate::sockets::{Counted, Open, Sockets};

/// From an invocation to the function's first line: a cold start.
const COLD_START: Duration = Duration::from_millis(400);

/// A request to the table.
const TABLE: Duration = Duration::from_millis(5);

/// The timeout of a shard's function.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What becomes of invocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Post {
    /// Shards whose first invocation is lost.
    pub(crate) lose: BTreeSet<u32>,
    /// Shards that are surely not invoked.
    pub(crate) refuse: BTreeSet<u32>,
    /// Every invocation comes twice.
    pub(crate) twice: bool,
    /// Invocations come this late.
    pub(crate) late: Duration,
}

/// One shard that was run.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) outcome: Outcome,
    pub(crate) most_open: usize,
    pub(crate) ended: Timestamp,
}

/// How a run of the reconciler went.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) shards: Vec<Shard>,
    pub(crate) sent: Vec<Errand>,
    /// From the lock taken to the lock released.
    pub(crate) lock_held: Duration,
    pub(crate) rounds: u32,
    /// Posts that the reconciler itself had under way at most.
    pub(crate) own_open: usize,
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) post: Post,
    /// Without a fan-out, the reconciler tells everybody itself.
    pub(crate) fanout: bool,
}

impl Stage {
    /// A ready server and a table of some milliseconds.
    pub(crate) fn ready() -> Self {
        let stage = Self::cold();
        stage
            .world
            .given(vec![instance("i-1", InstanceStatus::Ready)]);
        stage.world.ec2.running("i-1", START);
        stage
    }

    /// No server yet.
    pub(crate) fn cold() -> Self {
        let world = World::new();
        world.gates.table_takes(&world.clock, TABLE);
        Self {
            sockets: Sockets::new(&world.clock),
            world,
            post: Post::default(),
            fanout: true,
        }
    }

    /// Lets so many wait, by sockets that have been open for a while.
    pub(crate) fn herd(&self, count: usize) -> Vec<String> {
        let names: Vec<String> = (0..count).map(|number| format!("w{number:05}")).collect();
        for name in &names {
            self.world.waiter(name);
        }
        names
    }

    /// Lets one come just now.
    pub(crate) fn young(&self, name: &str) -> Row {
        let link = link(name, self.world.clock.time());
        self.world.waiter_by(name, link)
    }

    /// Runs the reconciler until it rests, and every shard to its end.
    pub(crate) fn run(&self) -> Told {
        let (sender, mut asked) = unbounded();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let invoke = Arc::new(Invoke {
            sender,
            sent: Arc::clone(&sent),
            refuse: self.post.refuse.clone(),
        });
        let own = Arc::new(Mutex::new(Open::default()));
        let ports = reconcile::Ports {
            connections: Arc::new(Counted {
                sockets: Arc::clone(&self.sockets),
                open: Arc::clone(&own),
            }),
            ..self.world.ports()
        };
        let mut reconciler = Reconciler::new(ports, BTreeMap::from([(fleet(), config())]));
        if self.fanout {
            reconciler = reconciler.with_fanout(invoke, reconcile::FAN_OUT_ABOVE);
        } else {
            drop(invoke);
        }
        let (world, sockets, post) = (
            self.world.clone(),
            Arc::clone(&self.sockets),
            self.post.clone(),
        );
        let work = async move {
            let begun = world.clock.time();
            let clock = Arc::clone(&world.clock);
            let run = async move {
                let outcome = reconciler
                    .run(&fleet(), begun + Duration::from_secs(900))
                    .await;
                (outcome, clock.time())
            };
            let mut run = Box::pin(run.fuse());
            let mut shards = FuturesUnordered::new();
            let (mut ended, mut done) = (None, Vec::new());
            let mut lose = post.lose.clone();
            loop {
                select! {
                    errand = asked.next() => {
                        let Some(errand) = errand else { continue };
                        if lose.remove(&errand.shard) {
                            continue;
                        }
                        for _ in 0..=u32::from(post.twice) {
                            shards.push(carry_out(world.clone(), Arc::clone(&sockets), Errand::clone(&errand), post.late));
                        }
                    }
                    shard = shards.select_next_some() => done.push(shard),
                    outcome = run => ended = Some(outcome),
                    complete => break,
                }
            }
            (begun, ended.expect("the run has ended"), done)
        };
        let (begun, (outcome, released), shards) = self.world.drive(work).expect("no crash");
        assert_eq!(outcome.end, End::Quiet);
        let sent = sent.lock().expect("the errands").clone();
        let own_open = own.lock().expect("a count").most;
        Told {
            shards,
            sent,
            lock_held: released.since(begun),
            rounds: outcome.rounds,
            own_open,
        }
    }

    pub(crate) fn is_held(&self, name: &str) -> bool {
        matches!(self.world.row(name).state, RowState::Held { .. })
    }
}

/// Runs one errand as an invocation would.
async fn carry_out(world: World, sockets: Arc<Sockets>, errand: Errand, late: Duration) -> Shard {
    let clock = &world.clock;
    clock.sleep_until(clock.now() + COLD_START + late).await;
    let open = Arc::new(Mutex::new(Open::default()));
    let gates = Arc::new(Gates::default());
    gates.table_takes(clock, TABLE);
    let counted = Counted {
        sockets,
        open: Arc::clone(&open),
    };
    let worker = worker(&world, &gates, counted);
    let outcome = worker.run(&errand, clock.now() + TIMEOUT).await;
    let most_open = open.lock().expect("a count").most;
    Shard {
        outcome,
        most_open,
        ended: clock.time(),
    }
}

/// The function over these sockets.
pub(crate) fn worker(world: &World, gates: &Arc<Gates>, sockets: Counted) -> Worker {
    let ports = world.fanout_ports(gates, Arc::new(sockets));
    Worker::new(ports, BTreeMap::from([(fleet(), config())]))
}

#[derive(Debug)]
struct Invoke {
    sender: UnboundedSender<Errand>,
    sent: Arc<Mutex<Vec<Errand>>>,
    refuse: BTreeSet<u32>,
}

#[async_trait]
impl Fanout for Invoke {
    async fn send(&self, errand: &Errand) -> Result<(), NotSent> {
        if self.refuse.contains(&errand.shard) {
            return Err(NotSent("429 TooManyRequestsException".to_owned()));
        }
        // As it goes over the wire.
        let text = serde_json::to_string(errand).expect("JSON");
        let errand: Errand = serde_json::from_str(&text).expect("an errand");
        self.sent.lock().expect("the errands").push(errand.clone());
        let _ = self.sender.unbounded_send(errand);
        Ok(())
    }
}
