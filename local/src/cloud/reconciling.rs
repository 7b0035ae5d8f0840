//! Runs the reconciler as AWS would: when it is woken, and at every tick.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use wakecast_lambda::model::FleetKey;
use wakecast_lambda::ports::{Clock, Wake};
use wakecast_lambda::reconcile::{Outcome, Reconciler};

/// The longest timeout of a Lambda function.
const FUNCTION_TIMEOUT: Duration = Duration::from_mins(15);

/// The `Wake` port: one message, one invocation.
#[derive(Clone, Debug)]
pub(super) struct Waker(mpsc::UnboundedSender<Order>);

/// What the loop is told.
#[derive(Debug)]
pub(super) enum Order {
    Run(FleetKey),
    Crash,
}

impl Waker {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (sender, orders) = mpsc::unbounded_channel();
        (Self(sender), orders)
    }

    /// Ends the runs under way at once, wherever they are.
    pub(super) fn crash(&self) {
        let _ = self.0.send(Order::Crash);
    }
}

#[async_trait]
impl Wake for Waker {
    async fn wake(&self, fleet: &FleetKey) {
        let _ = self.0.send(Order::Run(fleet.clone()));
    }
}

/// The loop that invokes. Dropping it ends the runs under way.
pub(super) struct Reconciling {
    last: Arc<Mutex<Last>>,
    task: JoinHandle<()>,
}

/// What is known of the invocations so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    pub(crate) runs: u64,
    pub(crate) outcome: Option<Outcome>,
}

impl Reconciling {
    pub(super) fn start(
        reconciler: Reconciler,
        clock: Arc<dyn Clock>,
        fleet: FleetKey,
        tick: Duration,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        let last = Arc::new(Mutex::new(Last::default()));
        let task = tokio::spawn(invoke(reconciler, clock, fleet, tick, orders, last.clone()));
        Self { last, task }
    }

    pub(super) fn last(&self) -> Last {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Reconciling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciling")
            .field("last", &self.last())
            .finish_non_exhaustive()
    }
}

async fn invoke(
    reconciler: Reconciler,
    clock: Arc<dyn Clock>,
    fleet: FleetKey,
    tick: Duration,
    mut orders: mpsc::UnboundedReceiver<Order>,
    last: Arc<Mutex<Last>>,
) {
    let mut runs = JoinSet::new();
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let order = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => order,
                None => return,
            },
            _ = ticks.tick() => Order::Run(fleet.clone()),
            Some(ended) = runs.join_next() => {
                note(&last, ended.ok());
                continue;
            }
        };
        match order {
            Order::Crash => runs.abort_all(),
            Order::Run(fleet) => {
                let reconciler = reconciler.clone();
                let deadline = clock.now() + FUNCTION_TIMEOUT;
                runs.spawn(async move { reconciler.run(&fleet, deadline).await });
            }
        }
    }
}

fn note(last: &Mutex<Last>, outcome: Option<Outcome>) {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    last.runs += 1;
    if outcome.is_some() {
        last.outcome = outcome;
    }
}
