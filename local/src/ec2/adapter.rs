//! The `Fleet` port over the simulated EC2.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use futures_util::future::{self, Either, poll_fn};
use futures_util::task::AtomicWaker;
use wakecast_lambda::model::{FleetKey, InstanceId, Intent, Timestamp};
use wakecast_lambda::ports::{Clock, Ec2Error, Ec2Instance, Fleet};

use super::{Ec2Model, Launch};

/// EC2 of one stack on a clock. Dropping a call before its effect is a lost request, dropping it
/// afterwards a lost reply.
#[derive(Debug)]
pub struct SimulatedEc2 {
    stack: String,
    clock: Arc<dyn Clock>,
    model: Mutex<Ec2Model>,
    stirred: Signal,
}

impl SimulatedEc2 {
    /// Puts the port over a model. Somebody must poll [`SimulatedEc2::drive`].
    #[must_use]
    pub fn new(stack: impl Into<String>, clock: Arc<dyn Clock>, model: Ec2Model) -> Self {
        Self {
            stack: stack.into(),
            clock,
            model: Mutex::new(model),
            stirred: Signal::default(),
        }
    }

    /// Changes or reads the model at the present moment: scripts, outside hands, the truth.
    pub fn with<T>(&self, change: impl FnOnce(&mut Ec2Model, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut model = self.model();
        model.advance(now);
        let result = change(&mut model, now);
        drop(model);
        self.stirred.raise();
        result
    }

    /// Lets changes happen when they are due. Never returns; may be dropped at any time.
    pub async fn drive(&self) {
        loop {
            let next = self.model().next_change();
            let stirred = std::pin::pin!(self.stirred.raised());
            match next {
                None => stirred.await,
                Some(at) => {
                    let due = self.clock.sleep_until(at);
                    if let Either::Right(((), _)) = future::select(stirred, due).await {
                        self.model().advance(self.clock.now());
                    }
                }
            }
        }
    }

    async fn call<T>(
        &self,
        effect: impl FnOnce(&mut Ec2Model, Timestamp) -> Result<T, Ec2Error> + Send,
    ) -> Result<T, Ec2Error> {
        let (request, reply) = self.model().trip();
        self.clock.sleep_until(self.clock.now() + request).await;
        let result = self.with(effect);
        let wait = match result {
            Err(Ec2Error::Ambiguous(_)) => self.model().lost_after(),
            _ => reply,
        };
        self.clock.sleep_until(self.clock.now() + wait).await;
        result
    }

    fn model(&self) -> MutexGuard<'_, Ec2Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Fleet for SimulatedEc2 {
    async fn describe(&self, fleet: &FleetKey) -> Result<Vec<Ec2Instance>, Ec2Error> {
        self.call(|model, now| model.describe(now, &self.stack, fleet))
            .await
    }

    async fn run(
        &self,
        fleet: &FleetKey,
        launch: &Intent,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error> {
        let launch = Launch::from_intent(&self.stack, fleet, launch)?;
        self.call(|model, now| model.run(now, &launch, token)).await
    }

    async fn start(&self, instance: &InstanceId) -> Result<(), Ec2Error> {
        self.call(|model, now| model.start(now, instance)).await
    }

    async fn stop(&self, instance: &InstanceId) -> Result<(), Ec2Error> {
        self.call(|model, now| model.stop(now, instance)).await
    }

    async fn associate(&self, fleet: &FleetKey, instance: &InstanceId) -> Result<(), Ec2Error> {
        self.call(|model, now| model.associate(now, fleet, instance))
            .await
    }

    async fn disassociate(&self, fleet: &FleetKey) -> Result<(), Ec2Error> {
        self.call(|model, now| model.disassociate(now, fleet)).await
    }
}

/// A flag that wakes the one task that waits for it.
#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn raised(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.raised.swap(false, Ordering::AcqRel) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
