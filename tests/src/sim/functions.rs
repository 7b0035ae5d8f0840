//! The two functions of a world, and what invokes the reconciler.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender};
use futures::future::AbortHandle;
use futures::stream::StreamExt;
use wakecast_lambda::gateway::{Gateway, GatewayPorts};
use wakecast_lambda::lifecycle::{Decision, Probe, Snapshot, Transition};
use wakecast_lambda::model::FleetKey;
use wakecast_lambda::ports::{Clock, Connections, Entropy, Fleet, MediaServer, Store, Wake};
use wakecast_lambda::reconcile::{self, End, Policy, Reconciler};

use super::chance::Chance;
use super::containers::{Function, Invocation};
use super::executor::{Tasks, VirtualClock};
use super::ports::Through;
use super::process::{Host, Process};
use super::setting;
use super::shards::Shards;
use super::timeline::Timeline;
use super::world::{Hands, Surroundings};
use crate::judge::Fact;

/// A reconciler's invocation may run this long: the function's timeout.
pub(super) const RECONCILER_TIMEOUT: Duration = Duration::from_mins(5);

/// The lifecycle's transitions that a world took.
#[derive(Debug, Default)]
pub(super) struct Steps(Mutex<BTreeSet<Transition>>);

impl Steps {
    pub(super) fn taken(&self) -> BTreeSet<Transition> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Asks for a run at every tick. Never returns.
pub(super) async fn tick(around: Surroundings, wakes: Arc<Alarm>) {
    loop {
        around.clock.sleep(around.config.timing.tick).await;
        let _ = wakes.0.unbounded_send(Call::Tick);
    }
}

/// Starts reconcile runs for wakes and ticks.
pub(super) struct Runner {
    pub(super) around: Surroundings,
    pub(super) tasks: Tasks,
    pub(super) hands: Rc<RefCell<Hands>>,
    pub(super) function: Rc<Function<Container>>,
    pub(super) chance: Chance,
    pub(super) runs: Rc<RefCell<Vec<AbortHandle>>>,
}

impl Runner {
    pub(super) async fn serve(mut self, mut requests: UnboundedReceiver<Call>) {
        while let Some(call) = requests.next().await {
            let hands = *self.hands.borrow();
            if call == Call::Wake && self.chance.happens(hands.wake_lost) {
                self.around.observer.hindered();
                continue;
            }
            self.run();
            if self.chance.happens(hands.wake_twice) {
                self.run();
            }
        }
    }

    fn run(&mut self) {
        let around = self.around.clone();
        let function = Rc::clone(&self.function);
        let hands = Rc::clone(&self.hands);
        let delay = self.chance.millis(5..120);
        let run = self.tasks.spawn(async move {
            around.clock.sleep(delay).await;
            let faults = hands.borrow().reconciler;
            let outcome = function
                .invoke(faults, |code| async move {
                    // Lambda says what is left, not when it ends: no clock is off against that.
                    let deadline = code.clock.now() + RECONCILER_TIMEOUT;
                    code.reconciler.run(&setting::fleet(), deadline).await
                })
                .await;
            around.notes.borrow_mut().runs += 1;
            match outcome {
                Invocation::Crashed(call) => {
                    around.timeline.say("reconciler", format!("dies at {call}"));
                    around.observer.crashed();
                }
                Invocation::Returned(outcome) => {
                    if outcome.end == End::TimeUp {
                        around.observer.tell(&Fact::RanOut);
                    }
                    if matches!(outcome.end, End::Failed(_) | End::LockLost | End::TimeUp) {
                        around
                            .timeline
                            .say("reconciler", format!("ends: {}", outcome.end));
                        around.observer.crashed();
                    }
                }
            }
        });
        let mut runs = self.runs.borrow_mut();
        runs.retain(|run| !run.is_aborted());
        runs.push(run);
    }
}

/// The reconciler's code with the clock of its container.
#[derive(Debug)]
pub(super) struct Container {
    reconciler: Reconciler,
    clock: VirtualClock,
}

/// Builds the gateway function.
pub(super) fn gateway_function(
    around: &Surroundings,
    base: (Host, Tasks),
    mut chance: Chance,
    wakes: Arc<Alarm>,
) -> Function<Gateway> {
    let own = chance.fork();
    let chance = RefCell::new(chance);
    let ports = around.clone();
    let (host, tasks) = base;
    Function::new(host, tasks, own, move |process| {
        let store: Arc<dyn Store> = Arc::new(ports.store.as_gateway());
        let connections = ports.network.connections();
        let entropy = Arc::new(Draws(Mutex::new(chance.borrow_mut().fork())));
        let gateway_ports = GatewayPorts {
            store: Arc::new(Through::<dyn Store>::new(process, &store)),
            connections: Arc::new(Through::<dyn Connections>::new(process, &connections)),
            wake: Arc::clone(&wakes) as Arc<dyn Wake>,
            clock: Arc::new(process.clock()),
            entropy,
            stream_tokens: Arc::new(setting::stream_tokens()),
        };
        let gateway = setting::gateway(gateway_ports, &ports.config, ports.links.get());
        Arc::new(ports.guards.on_gateway(gateway))
    })
}

/// Builds the reconciler function.
pub(super) fn reconciler_function(
    around: &Surroundings,
    base: (Host, Tasks),
    mut chance: Chance,
    steps: Arc<Steps>,
    shards: Shards,
) -> Function<Container> {
    let own = chance.fork();
    let chance = RefCell::new(chance);
    let around = around.clone();
    let (host, tasks) = base;
    Function::new(host, tasks, own, move |process: &Process| {
        let store: Arc<dyn Store> = Arc::new(around.store.as_reconciler());
        let fleet: Arc<dyn Fleet> = Arc::clone(&around.ec2) as Arc<dyn Fleet>;
        let media: Arc<dyn MediaServer> = Arc::new(around.farm.clone());
        let connections = around.network.connections();
        let policy = Arc::new(Scribe {
            timeline: around.timeline.clone(),
            steps: Arc::clone(&steps),
        });
        let ports = reconcile::Ports {
            store: Arc::new(Through::<dyn Store>::new(process, &store)),
            fleet: Arc::new(Through::<dyn Fleet>::new(process, &fleet)),
            media: Arc::new(Through::<dyn MediaServer>::new(process, &media)),
            connections: Arc::new(Through::<dyn Connections>::new(process, &connections)),
            clock: Arc::new(process.clock()),
            entropy: Arc::new(Draws(Mutex::new(chance.borrow_mut().fork()))),
            stream_tokens: Arc::new(setting::stream_tokens()),
        };
        let configs = BTreeMap::from([(setting::fleet(), (*around.config).clone())]);
        let reconciler = Reconciler::new(ports, configs).with_policy(policy);
        let reconciler = shards.on_reconciler(reconciler);
        Arc::new(Container {
            reconciler: around.guards.on_reconciler(reconciler),
            clock: process.clock(),
        })
    })
}

/// The lifecycle, with every decision written down.
#[derive(Debug)]
struct Scribe {
    timeline: Timeline,
    steps: Arc<Steps>,
}

impl Policy for Scribe {
    fn probes(&self, snapshot: &Snapshot<'_>) -> Vec<Probe> {
        wakecast_lambda::lifecycle::probes(snapshot)
    }

    fn decide(&self, snapshot: &Snapshot<'_>) -> Decision {
        let decision = wakecast_lambda::lifecycle::decide(snapshot);
        for why in &decision.why {
            self.timeline.say("decides", why.clone());
        }
        let mut steps = self.steps.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.extend(decision.transitions.iter().copied());
        decision
    }
}

/// Why a run is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// A hint, which may be lost or come twice.
    Wake,
    /// The schedule: the guarantee.
    Tick,
}

/// Wakes the reconciler.
#[derive(Debug)]
pub(super) struct Alarm(pub(super) UnboundedSender<Call>);

#[async_trait]
impl Wake for Alarm {
    async fn wake(&self, _fleet: &FleetKey) {
        let _ = self.0.unbounded_send(Call::Wake);
    }
}

#[derive(Debug)]
pub(super) struct Draws(pub(super) Mutex<Chance>);

impl Entropy for Draws {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bits()
    }
}
