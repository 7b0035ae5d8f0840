//! Sockets of a herd: most take a post, some are slow down, young, closed or hang.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use wakecast_lambda::model::{ConnectionId, Timestamp};
use wakecast_lambda::ports::{Clock, Connections, PostError};

use crate::reconcile_world::VirtualClock;

/// What a post takes.
pub(crate) const POST: Duration = Duration::from_millis(30);

/// How a socket answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes posts.
    Open,
    /// It is inside `$connect` for so many posts.
    Young(u32),
    /// It is closed.
    Closed,
    /// It never answers.
    Hangs,
    /// It is always throttled.
    Throttled,
    /// The gateway forbids posts.
    Forbidden,
}

/// One message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) at: Timestamp,
    pub(crate) kind: String,
    pub(crate) phase: Option<String>,
}

/// All sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    clock: Arc<VirtualClock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    manners: BTreeMap<ConnectionId, Manner>,
    arrived: BTreeMap<ConnectionId, Vec<Arrived>>,
    posts: u64,
    throttled: u64,
    /// A post meets 429 so often, in per mille.
    throttle: u64,
    drawn: u64,
}

impl State {
    /// True so many times in a thousand, the same in every run (SplitMix64).
    fn happens(&mut self, per_mille: u64) -> bool {
        self.drawn = self.drawn.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.drawn;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % 1_000 < per_mille
    }
}

impl Sockets {
    pub(crate) fn new(clock: &Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            state: Mutex::default(),
        })
    }

    pub(crate) fn manner(&self, name: &str, manner: Manner) {
        self.state().manners.insert(id(name), manner);
    }

    /// Makes posts meet 429 so often, in per mille.
    pub(crate) fn throttle(&self, per_mille: u64) {
        self.state().throttle = per_mille;
    }

    pub(crate) fn arrived(&self, name: &str) -> Vec<Arrived> {
        let state = self.state();
        state.arrived.get(&id(name)).cloned().unwrap_or_default()
    }

    /// How many messages of this kind arrived at this socket.
    pub(crate) fn count(&self, name: &str, kind: &str) -> usize {
        let arrived = self.arrived(name);
        arrived.iter().filter(|it| it.kind == kind).count()
    }

    /// When the last message of this kind arrived anywhere.
    pub(crate) fn last(&self, kind: &str) -> Option<Timestamp> {
        let state = self.state();
        let all = state.arrived.values().flatten();
        all.filter(|it| it.kind == kind).map(|it| it.at).max()
    }

    pub(crate) fn posts(&self) -> u64 {
        self.state().posts
    }

    pub(crate) fn throttled(&self) -> u64 {
        self.state().throttled
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the sockets")
    }

    async fn take(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let now = self.clock.now();
        self.clock.sleep_until(now + POST).await;
        let manner = {
            let mut state = self.state();
            state.posts += 1;
            let per_mille = state.throttle;
            if state.happens(per_mille) {
                state.throttled += 1;
                return Err(PostError::Throttled);
            }
            let manner = state.manners.get_mut(connection);
            match manner {
                Some(manner) => {
                    let now = *manner;
                    if let Manner::Young(left) = manner {
                        *manner = left.checked_sub(1).map_or(Manner::Open, Manner::Young);
                    }
                    now
                }
                None => Manner::Open,
            }
        };
        match manner {
            Manner::Open | Manner::Young(0) => {}
            Manner::Young(_) | Manner::Closed => return Err(PostError::Gone),
            Manner::Hangs => std::future::pending().await,
            Manner::Throttled => return Err(PostError::Throttled),
            Manner::Forbidden => return Err(PostError::Forbidden),
        }
        let message: Value = serde_json::from_str(text).expect("JSON");
        let field = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
        let arrived = Arrived {
            at: self.clock.now(),
            kind: field("type").expect("a type"),
            phase: field("phase"),
        };
        let mut state = self.state();
        state
            .arrived
            .entry(connection.clone())
            .or_default()
            .push(arrived);
        Ok(())
    }
}

/// The sockets as one invocation reaches them.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) open: Arc<Mutex<Open>>,
}

/// Posts under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Open {
    pub(crate) now: usize,
    pub(crate) most: usize,
}

#[async_trait]
impl Connections for Counted {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let _place = Place::take(&self.open);
        self.sockets.take(connection, text).await
    }

    async fn delete(&self, _connection: &ConnectionId) -> Result<(), PostError> {
        Ok(())
    }
}

/// A post that was given up is no longer open.
struct Place<'a>(&'a Mutex<Open>);

impl<'a> Place<'a> {
    fn take(open: &'a Mutex<Open>) -> Self {
        let mut now = open.lock().expect("a count");
        now.now += 1;
        now.most = now.most.max(now.now);
        drop(now);
        Self(open)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().expect("a count").now -= 1;
    }
}

fn id(name: &str) -> ConnectionId {
    ConnectionId::new(format!("c-{name}"))
}
