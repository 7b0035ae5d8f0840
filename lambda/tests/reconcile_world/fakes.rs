//! EC2, a media server and sockets, as simple as these tests need them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use wakecast::Secret;
use wakecast_lambda::model::{ConnectionId, FleetKey, InstanceId, Intent, Timestamp};
use wakecast_lambda::ports::{
    Clock, Connections, Ec2Error, Ec2Instance, Ec2State, Entropy, Fleet, Load, MediaError,
    MediaServer, PostError, StreamTokens,
};

use super::{Gates, VirtualClock};

/// From acceptance to `running`.
const PENDING: Duration = Duration::from_secs(5);

/// From acceptance to `stopped`.
const STOPPING: Duration = Duration::from_secs(8);

/// EC2: a token stands for one instance; a start takes a while.
#[derive(Debug)]
pub struct FakeEc2 {
    gates: Arc<Gates>,
    clock: Arc<VirtualClock>,
    state: Mutex<Ec2>,
}

#[derive(Debug, Default)]
struct Ec2 {
    instances: BTreeMap<InstanceId, Ec2Instance>,
    tokens: BTreeMap<String, InstanceId>,
    describe: Option<Ec2Error>,
    hanging: bool,
    stopped_at: BTreeMap<InstanceId, Timestamp>,
    stops: Vec<Timestamp>,
    starts: usize,
}

impl Ec2 {
    /// Lets every instance be as far as it is by now.
    fn settle(&mut self, now: Timestamp) {
        for instance in self.instances.values_mut() {
            if instance.state == Ec2State::Pending && now >= instance.launched_at + PENDING {
                instance.state = Ec2State::Running;
                instance.address = Some("203.0.113.7".to_owned());
            }
            let stopped_at = self.stopped_at.get(&instance.id);
            if instance.state == Ec2State::Stopping && stopped_at.is_some_and(|at| now >= *at) {
                instance.state = Ec2State::Stopped;
                instance.address = None;
            }
        }
    }
}

impl FakeEc2 {
    pub fn new(gates: Arc<Gates>, clock: Arc<VirtualClock>) -> Self {
        Self {
            gates,
            clock,
            state: Mutex::default(),
        }
    }

    /// Makes every describe fail; `None` heals it.
    pub fn describe_fails(&self, error: Option<Ec2Error>) {
        self.state().describe = error;
    }

    /// Makes every call hang for good.
    pub fn hang(&self) {
        self.state().hanging = true;
    }

    /// How many instances were ever launched.
    pub fn launches(&self) -> usize {
        self.state().instances.len()
    }

    /// How many stopped instances were started.
    pub fn starts(&self) -> usize {
        self.state().starts
    }

    /// When running instances were told to stop.
    pub fn stops(&self) -> Vec<Timestamp> {
        self.state().stops.clone()
    }

    /// Gives EC2 an instance that has run for a while.
    pub fn running(&self, id: &str, since: Timestamp) {
        let id = InstanceId::new(id);
        self.state().instances.insert(
            id.clone(),
            Ec2Instance {
                id,
                state: Ec2State::Running,
                instance_type: "c7g.xlarge".to_owned(),
                zone: "a".to_owned(),
                address: Some("203.0.113.7".to_owned()),
                elastic: false,
                sequence: Some(1),
                launched_at: since,
                hold: false,
            },
        );
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Ec2> {
        self.state.lock().expect("EC2")
    }

    async fn maybe_hang(&self) {
        let hanging = self.state().hanging;
        if hanging {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Fleet for FakeEc2 {
    async fn describe(&self, _fleet: &FleetKey) -> Result<Vec<Ec2Instance>, Ec2Error> {
        self.gates
            .around("describe".to_owned(), async {
                self.maybe_hang().await;
                let now = self.clock.now();
                let mut state = self.state();
                if let Some(error) = &state.describe {
                    return Err(error.clone());
                }
                state.settle(now);
                Ok(state.instances.values().cloned().collect())
            })
            .await
    }

    async fn run(
        &self,
        _fleet: &FleetKey,
        launch: &Intent,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error> {
        self.gates
            .around(format!("run {}", launch.sequence), async {
                self.maybe_hang().await;
                let now = self.clock.now();
                let mut state = self.state();
                let number = state.instances.len() + 1;
                let id = state.tokens.get(token).cloned();
                let id = id.unwrap_or_else(|| InstanceId::new(format!("i-{number}")));
                state.tokens.insert(token.to_owned(), id.clone());
                let instance = state
                    .instances
                    .entry(id.clone())
                    .or_insert_with(|| Ec2Instance {
                        id,
                        state: Ec2State::Pending,
                        instance_type: "c7g.xlarge".to_owned(),
                        zone: "a".to_owned(),
                        address: None,
                        elastic: false,
                        sequence: Some(launch.sequence),
                        launched_at: now,
                        hold: false,
                    });
                Ok(instance.clone())
            })
            .await
    }

    async fn start(&self, instance: &InstanceId) -> Result<(), Ec2Error> {
        self.gates
            .around(format!("start {instance}"), async {
                self.maybe_hang().await;
                let now = self.clock.now();
                let mut state = self.state();
                state.settle(now);
                let Some(found) = state.instances.get_mut(instance) else {
                    return Ok(());
                };
                match found.state {
                    Ec2State::Stopped => {
                        found.state = Ec2State::Pending;
                        found.launched_at = now;
                        state.starts += 1;
                        Ok(())
                    }
                    Ec2State::Pending | Ec2State::Running => Ok(()),
                    _ => Err(Ec2Error::State("IncorrectInstanceState".to_owned())),
                }
            })
            .await
    }

    async fn stop(&self, instance: &InstanceId) -> Result<(), Ec2Error> {
        self.gates
            .around(format!("stop {instance}"), async {
                self.maybe_hang().await;
                let now = self.clock.now();
                let mut state = self.state();
                state.settle(now);
                let Some(found) = state.instances.get_mut(instance) else {
                    return Ok(());
                };
                if found.state == Ec2State::Running {
                    found.state = Ec2State::Stopping;
                    state.stopped_at.insert(instance.clone(), now + STOPPING);
                    state.stops.push(now);
                }
                Ok(())
            })
            .await
    }

    async fn associate(&self, _fleet: &FleetKey, instance: &InstanceId) -> Result<(), Ec2Error> {
        self.gates
            .around(format!("associate {instance}"), self.maybe_hang())
            .await;
        Ok(())
    }

    async fn disassociate(&self, _fleet: &FleetKey) -> Result<(), Ec2Error> {
        self.gates
            .around("disassociate".to_owned(), self.maybe_hang())
            .await;
        Ok(())
    }
}

/// A media server that is ready at once, at any address; some answer late.
#[derive(Debug)]
pub struct FakeMedia {
    gates: Arc<Gates>,
    clock: Arc<VirtualClock>,
    delay: Mutex<Duration>,
}

impl FakeMedia {
    pub fn new(gates: Arc<Gates>, clock: Arc<VirtualClock>) -> Self {
        Self {
            gates,
            clock,
            delay: Mutex::default(),
        }
    }

    /// Makes every answer take this long.
    pub fn answer_after(&self, delay: Duration) {
        *self.delay.lock().expect("the media server") = delay;
    }

    async fn answer<T>(&self, question: &str, address: &str, answer: T) -> Result<T, MediaError> {
        let delay = *self.delay.lock().expect("the media server");
        self.gates
            .around(format!("{question} {address}"), async {
                self.clock.sleep_until(self.clock.now() + delay).await;
            })
            .await;
        Ok(answer)
    }
}

#[async_trait]
impl MediaServer for FakeMedia {
    async fn liveness(&self, address: &str) -> Result<(), MediaError> {
        self.answer("liveness", address, ()).await
    }

    async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError> {
        self.answer("applications", address, vec!["live".to_owned()])
            .await
    }

    async fn setting(&self, address: &str, _: &str, _: &str) -> Result<Option<Value>, MediaError> {
        self.answer("setting", address, Some(true.into())).await
    }

    async fn ping(&self, address: &str, _app: &str) -> Result<(), MediaError> {
        self.answer("ping", address, ()).await
    }

    async fn ping_endpoint(&self, websocket_url: &str) -> Result<(), MediaError> {
        self.answer("ping_endpoint", websocket_url, ()).await
    }

    async fn load(&self, address: &str) -> Result<Load, MediaError> {
        let load = Load {
            live_streams: Some(0),
            webrtc_streams: Some(0),
            webrtc_viewers: Some(0),
            hls_viewers: Some(0),
            dash_viewers: Some(0),
            start_time_ms: Some(1),
        };
        self.answer("load", address, load).await
    }
}

/// Sockets: each answers a post as scripted, and well once the script has ended.
#[derive(Debug)]
pub struct FakeConnections {
    gates: Arc<Gates>,
    clock: Arc<VirtualClock>,
    state: Mutex<Sockets>,
}

#[derive(Debug, Default)]
struct Sockets {
    scripts: BTreeMap<ConnectionId, VecDeque<PostError>>,
    always: Option<PostError>,
    delay: BTreeMap<ConnectionId, Duration>,
    delivered: Vec<(ConnectionId, String, Timestamp)>,
    open: usize,
    most_open: usize,
}

impl FakeConnections {
    pub fn new(gates: Arc<Gates>, clock: Arc<VirtualClock>) -> Self {
        Self {
            gates,
            clock,
            state: Mutex::default(),
        }
    }

    /// Answers the next posts to this client's socket with these errors.
    pub fn fails(&self, name: &str, errors: &[PostError]) {
        let connection = ConnectionId::new(format!("c-{name}"));
        self.state()
            .scripts
            .insert(connection, errors.iter().copied().collect());
    }

    /// Answers every post with this error.
    pub fn always_fails(&self, error: PostError) {
        self.state().always = Some(error);
    }

    /// Makes every post to this client's socket take this long.
    pub fn answers_after(&self, name: &str, delay: Duration) {
        self.state()
            .delay
            .insert(ConnectionId::new(format!("c-{name}")), delay);
    }

    /// What arrived at this client's socket, by the `type` of each message.
    pub fn arrived(&self, name: &str) -> Vec<String> {
        let connection = ConnectionId::new(format!("c-{name}"));
        let state = self.state();
        let own = state
            .delivered
            .iter()
            .filter(|(to, _, _)| *to == connection);
        own.map(|(_, text, _)| kind(text)).collect()
    }

    /// How many messages arrived at this client's socket.
    pub fn arrived_count(&self, name: &str) -> usize {
        self.arrived(name).len()
    }

    /// Everything that arrived, as text.
    pub fn texts(&self) -> Vec<String> {
        self.state()
            .delivered
            .iter()
            .map(|(_, text, _)| text.clone())
            .collect()
    }

    /// How many posts were under way at once at most.
    pub fn most_open(&self) -> usize {
        self.state().most_open
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Sockets> {
        self.state.lock().expect("the sockets")
    }
}

fn kind(text: &str) -> String {
    let message: Value = serde_json::from_str(text).expect("JSON");
    message
        .get("type")
        .and_then(Value::as_str)
        .expect("a type")
        .to_owned()
}

#[async_trait]
impl Connections for FakeConnections {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let delay = {
            let mut state = self.state();
            state.open += 1;
            state.most_open = state.most_open.max(state.open);
            state
                .delay
                .get(connection)
                .copied()
                .unwrap_or(Duration::from_millis(20))
        };
        let _open = Open(self);
        self.gates
            .around(format!("post {connection} {}", kind(text)), async {
                self.clock.sleep_until(self.clock.now() + delay).await;
                let now = self.clock.now();
                let mut state = self.state();
                if let Some(error) = state.always {
                    return Err(error);
                }
                let script = state.scripts.get_mut(connection);
                if let Some(error) = script.and_then(VecDeque::pop_front) {
                    return Err(error);
                }
                state
                    .delivered
                    .push((connection.clone(), text.to_owned(), now));
                Ok(())
            })
            .await
    }

    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError> {
        self.gates
            .around(format!("delete {connection}"), async {})
            .await;
        Ok(())
    }
}

/// A post that was given up is no longer open.
struct Open<'a>(&'a FakeConnections);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.state().open -= 1;
    }
}

/// Numbers that never repeat and are the same in every run.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Entropy for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}

/// The secret that must be in no log.
pub const CANARY: &str = "canary-stream-token";

#[derive(Debug)]
pub struct Tokens;

impl StreamTokens for Tokens {
    fn mint(&self, _: &str, _: &str, _: bool, _: Timestamp) -> Option<Secret> {
        Some(Secret::from(CANARY.to_owned()))
    }
}
