//! Ports that remember what was asked of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use wakecast::Secret;
use wakecast::protocol::ServerMessage;
use wakecast_lambda::model::{ConnectionId, FleetKey, Timestamp};
use wakecast_lambda::ports::{Clock, Connections, Entropy, PostError, StreamTokens, Wake};

/// Time that moves when it is told to, and past whoever sleeps.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn at(now: u64) -> Self {
        Self(AtomicU64::new(now))
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        self.0.fetch_max(deadline.as_millis(), Ordering::SeqCst);
    }
}

/// Sockets. A post is answered by the script of its socket, else it arrives.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    arrived: Vec<(String, String)>,
    posts: usize,
    deleted: Vec<String>,
    script: BTreeMap<String, VecDeque<PostError>>,
}

impl Sockets {
    pub(crate) fn fails(&self, connection: &str, errors: &[PostError]) {
        let mut seen = self.0.lock().expect("the sockets");
        seen.script
            .entry(connection.to_owned())
            .or_default()
            .extend(errors);
    }

    /// Takes what has arrived at a socket.
    pub(crate) fn take(&self, connection: &str) -> Vec<ServerMessage> {
        let mut seen = self.0.lock().expect("the sockets");
        let (mine, rest) = std::mem::take(&mut seen.arrived)
            .into_iter()
            .partition(|(socket, _)| socket == connection);
        seen.arrived = rest;
        let mine: Vec<(String, String)> = mine;
        let decode = |text: &str| ServerMessage::decode(text).expect("a server message");
        mine.iter().map(|(_, text)| decode(text)).collect()
    }

    /// Takes what has arrived at any socket: the socket and the text.
    #[allow(dead_code, reason = "the fuzz target looks at every push")]
    pub(crate) fn take_all(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.0.lock().expect("the sockets").arrived)
    }

    pub(crate) fn posts(&self) -> usize {
        self.0.lock().expect("the sockets").posts
    }

    pub(crate) fn deleted(&self) -> Vec<String> {
        self.0.lock().expect("the sockets").deleted.clone()
    }
}

#[async_trait]
impl Connections for Sockets {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let mut seen = self.0.lock().expect("the sockets");
        seen.posts += 1;
        let script = seen.script.get_mut(connection.as_str());
        if let Some(error) = script.and_then(VecDeque::pop_front) {
            return Err(error);
        }
        seen.arrived
            .push((connection.as_str().to_owned(), text.to_owned()));
        Ok(())
    }

    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError> {
        self.0
            .lock()
            .expect("the sockets")
            .deleted
            .push(connection.as_str().to_owned());
        Ok(())
    }
}

/// Counts wakes.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicU64);

impl Wakes {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Wake for Wakes {
    async fn wake(&self, _fleet: &FleetKey) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts up, so that a test can repeat itself.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Tokens that say what they are for.
#[derive(Debug)]
pub(crate) struct Tokens;

impl StreamTokens for Tokens {
    fn mint(&self, app: &str, stream_id: &str, publish: bool, ends: Timestamp) -> Option<Secret> {
        Some(Secret::new(format!(
            "{app}/{stream_id}/{publish}/{}",
            ends.as_millis()
        )))
    }
}
