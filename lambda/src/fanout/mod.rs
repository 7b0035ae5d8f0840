//! The fan-out: one invocation that grants or tells one shard of a fleet's rows, so that the
//! reconciler need not hold the fleet's lock while thousands are told.
//!
//! The reconciler asks by the [`Fanout`](crate::ports::Fanout) port, once a row and run, and does
//! itself what no shard has done a while later: an errand may be lost, late, or come twice. A
//! shard grants by G1 and G2 as everybody does, so that it needs no lock; it holds no port that
//! starts anything, so that nothing it does can come back to it.

mod errand;
mod worker;

use std::sync::Arc;

use crate::ports::{Clock, Connections, Entropy, Store, StreamTokens};

pub use errand::{ERRAND_LIFE, Errand, MOST_SHARDS, Task};
pub(crate) use errand::{common, shard_of, shards_for, with_phase};
pub use worker::{Dropped, Outcome, Worker};

/// What a shard needs of the world: no EC2, and nothing that wakes or invokes.
#[derive(Clone, Debug)]
pub struct FanoutPorts {
    /// The table, with the right to write rows and demand alone.
    pub store: Arc<dyn Store>,
    /// `@connections`.
    pub connections: Arc<dyn Connections>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Stream tokens.
    pub stream_tokens: Arc<dyn StreamTokens>,
}
