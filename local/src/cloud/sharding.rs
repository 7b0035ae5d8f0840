//! Runs the fan-out as AWS would: one task for one errand.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use wakecast_lambda::fanout::{Errand, Worker};
use wakecast_lambda::ports::{Clock, Fanout, NotSent};

/// The timeout of a shard's function: an errand lives ten seconds.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The `Fanout` port. Dropping it ends the shards under way.
pub(super) struct Sharding {
    worker: Worker,
    clock: Arc<dyn Clock>,
    shards: Mutex<JoinSet<()>>,
}

impl Sharding {
    pub(super) fn new(worker: Worker, clock: Arc<dyn Clock>) -> Self {
        Self {
            worker,
            clock,
            shards: Mutex::default(),
        }
    }
}

#[async_trait]
impl Fanout for Sharding {
    async fn send(&self, errand: &Errand) -> Result<(), NotSent> {
        let (worker, errand) = (self.worker.clone(), errand.clone());
        let deadline = self.clock.now() + FUNCTION_TIMEOUT;
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        while shards.try_join_next().is_some() {}
        shards.spawn(async move {
            worker.run(&errand, deadline).await;
        });
        Ok(())
    }
}

impl fmt::Debug for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Sharding")
            .field("shards", &shards.len())
            .finish_non_exhaustive()
    }
}
