//! The fan-out function of a world: invoked by the reconciler, lost, late, doubled and crashed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::stream::StreamExt;
use wakecast_lambda::fanout::{Errand, FanoutPorts, Outcome, Worker};
use wakecast_lambda::ports::{Connections, Fanout, NotSent, Store};
use wakecast_lambda::reconcile::{FAN_OUT_ABOVE, Reconciler};

use super::chance::Chance;
use super::containers::{Function, Invocation};
use super::executor::Tasks;
use super::functions::Draws;
use super::guards::Guards;
use super::ports::Through;
use super::process::{Host, Process};
use super::setting;
use super::world::{Hands, Surroundings};

/// A shard's invocation may run this long: the function's timeout.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Invokes the fan-out.
#[derive(Clone, Debug)]
pub(super) struct Shards {
    sender: UnboundedSender<Errand>,
    above: usize,
}

#[async_trait]
impl Fanout for Shards {
    async fn send(&self, errand: &Errand) -> Result<(), NotSent> {
        let sent = self.sender.unbounded_send(errand.clone());
        sent.map_err(|error| NotSent(error.to_string()))
    }
}

impl Shards {
    /// The seed decides from how many rows on the fan-out is asked: in half of the worlds from the
    /// first, so that small worlds prove it too. A world without one of its guards is about that.
    pub(super) fn new(seed: u64, guards: &Guards) -> (Self, UnboundedReceiver<Errand>) {
        let (sender, errands) = unbounded();
        let often = seed % 2 == 1 && *guards == Guards::default();
        let above = if often { 0 } else { FAN_OUT_ABOVE };
        (Self { sender, above }, errands)
    }

    /// Gives a reconciler its way to them.
    pub(super) fn on_reconciler(&self, reconciler: Reconciler) -> Reconciler {
        reconciler.with_fanout(Arc::new(self.clone()), self.above)
    }
}

/// Carries errands out as AWS would: one invocation each, or none, or two. Never returns.
pub(super) async fn serve(
    around: Surroundings,
    base: (Host, Tasks),
    hands: Rc<RefCell<Hands>>,
    mut chance: Chance,
    mut errands: UnboundedReceiver<Errand>,
) {
    let tasks = base.1.clone();
    let function = Rc::new(function(&around, base, chance.fork()));
    while let Some(errand) = errands.next().await {
        let now = *hands.borrow();
        if chance.happens(now.wake_lost) {
            continue;
        }
        let times = 1 + u64::from(chance.happens(now.wake_twice));
        for _ in 0..times {
            let delay = chance.millis(5..800);
            let (around, function, errand) = (around.clone(), Rc::clone(&function), errand.clone());
            tasks.spawn(async move {
                around.clock.sleep(delay).await;
                let deadline = around.clock.true_now() + TIMEOUT;
                let outcome = function
                    .invoke(now.reconciler, |code| async move {
                        code.run(&errand, deadline).await
                    })
                    .await;
                match outcome {
                    Invocation::Crashed(call) => {
                        around.timeline.say("fan-out", format!("dies at {call}"));
                    }
                    Invocation::Returned(Outcome { told, due, .. }) if due > 0 => {
                        let text = format!("{told} of {due} told");
                        around.timeline.say("fan-out", text);
                    }
                    Invocation::Returned(_) => {}
                }
            });
        }
    }
}

fn function(
    around: &Surroundings,
    (host, tasks): (Host, Tasks),
    mut chance: Chance,
) -> Function<Worker> {
    let own = chance.fork();
    let chance = RefCell::new(chance);
    let around = around.clone();
    Function::new(host, tasks, own, move |process: &Process| {
        let store: Arc<dyn Store> = Arc::new(around.store.as_fanout());
        let connections = around.network.connections();
        let ports = FanoutPorts {
            store: Arc::new(Through::<dyn Store>::new(process, &store)),
            connections: Arc::new(Through::<dyn Connections>::new(process, &connections)),
            clock: Arc::new(process.clock()),
            entropy: Arc::new(Draws(Mutex::new(chance.borrow_mut().fork()))),
            stream_tokens: Arc::new(setting::stream_tokens()),
        };
        let configs = BTreeMap::from([(setting::fleet(), (*around.config).clone())]);
        Arc::new(Worker::new(ports, configs))
    })
}
