//! The media servers of a world: one model per running instance, reached by address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use serde_json::Value;
use wakecast::protocol::Endpoint;
use wakecast_lambda::media::answer;
use wakecast_lambda::model::{InstanceId, Timestamp};
use wakecast_lambda::ports::{Load, MediaError, MediaServer};
use wakecast_local::ec2::{Halt, Happening, Machines};
use wakecast_local::media::{
    BootPhase, Faults, MediaConfig, MediaModel, MediaStatus, Opening, Output, Reply, Request,
    SocketId,
};

use super::executor::VirtualClock;
use super::observer::Observer;
use super::timeline::Timeline;
use super::users::APP;
use crate::judge::{Fact, Media};

/// How long a probe waits for an answer, as the real adapter does.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the models are looked at for what they do by themselves.
const CADENCE: Duration = Duration::from_millis(500);

/// All media servers of a world. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Farm {
    shared: Arc<Mutex<Inner>>,
    clock: VirtualClock,
    timeline: Timeline,
    observer: Observer,
    installed: MediaConfig,
    server_token: String,
}

#[derive(Debug)]
struct Inner {
    boxes: BTreeMap<InstanceId, MediaBox>,
    /// Where the fleets' Elastic IPs lead.
    elastic: BTreeMap<String, InstanceId>,
    next_boots: Vec<Faults>,
}

#[derive(Debug)]
struct MediaBox {
    address: String,
    model: MediaModel,
    sockets: BTreeMap<SocketId, UnboundedSender<FromServer>>,
}

/// What a media socket's owner sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// A text message.
    Text(String),
    /// The socket is gone, with or without a Close frame.
    Gone,
}

/// One open media socket. Dropping it closes the connection.
#[derive(Debug)]
pub struct MediaSocket {
    farm: Farm,
    instance: InstanceId,
    socket: SocketId,
    /// What the server sends.
    pub inbox: UnboundedReceiver<FromServer>,
}

impl Farm {
    /// Builds an empty farm whose servers are all installed alike.
    #[must_use]
    pub fn new(
        clock: VirtualClock,
        timeline: Timeline,
        observer: Observer,
        installed: MediaConfig,
        server_token: String,
    ) -> Self {
        let inner = Inner {
            boxes: BTreeMap::new(),
            elastic: BTreeMap::new(),
            next_boots: Vec::new(),
        };
        let shared = Arc::new(Mutex::new(inner));
        Self {
            shared,
            clock,
            timeline,
            observer,
            installed,
            server_token,
        }
    }

    /// Returns what EC2 drives.
    #[must_use]
    pub fn machines(&self) -> Box<dyn Machines> {
        Box::new(Rack(self.clone()))
    }

    /// Lets the models do what they do by themselves. Never returns.
    pub async fn drive(self) {
        loop {
            self.clock.sleep(CADENCE).await;
            let now = self.now();
            let mut inner = self.inner();
            for media in inner.boxes.values_mut() {
                media.model.tick(now);
                media.deliver();
            }
        }
    }

    /// Gives the next boot these faults.
    pub fn next_boot(&self, faults: Faults) {
        self.inner().next_boots.push(faults);
    }

    /// Sets the faults of every running server.
    pub fn set_faults(&self, faults: &Faults) {
        let now = self.now();
        for media in self.inner().boxes.values_mut() {
            media.model.set_faults(now, faults.clone());
            media.deliver();
        }
    }

    /// Lets every running server crash and come back by itself.
    pub fn crash(&self, back_after: Duration) {
        let now = self.now();
        for media in self.inner().boxes.values_mut() {
            media.model.crash(
                now,
                u64::try_from(back_after.as_millis()).unwrap_or(u64::MAX),
            );
            media.deliver();
        }
    }

    /// Looks inside a server.
    #[must_use]
    pub fn status(&self, instance: &InstanceId) -> Option<MediaStatus> {
        let now = self.now();
        let mut inner = self.inner();
        let media = inner.boxes.get_mut(instance)?;
        media.model.tick(now);
        media.deliver();
        Some(media.model.status(now))
    }

    /// Tells whether a server that crashed by itself is on its way back.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        let now = self.now();
        let inner = self.inner();
        let mut all = inner.boxes.values().map(|media| media.model.status(now));
        all.any(|status| status.starts > 1 && status.phase != BootPhase::Ready)
    }

    /// Returns what truly goes on in every running server.
    #[must_use]
    pub fn truths(&self) -> Vec<(InstanceId, Media)> {
        let now = self.now();
        let mut inner = self.inner();
        let all = inner.boxes.iter_mut();
        all.map(|(id, media)| (id.clone(), media.truth(now)))
            .collect()
    }

    /// Returns what truly goes on in one running server.
    #[must_use]
    pub fn truth(&self, instance: &InstanceId) -> Option<Media> {
        let now = self.now();
        let mut inner = self.inner();
        Some(inner.boxes.get_mut(instance)?.truth(now))
    }

    /// Opens a signalling socket at an endpoint. `None` while nothing answers there.
    #[must_use]
    pub fn open(&self, endpoint: &Endpoint) -> Option<MediaSocket> {
        self.open_at(&endpoint.websocket_url)
    }

    fn open_at(&self, websocket_url: &str) -> Option<MediaSocket> {
        let (address, path) = split_url(websocket_url)?;
        let now = self.now();
        let mut inner = self.inner();
        let instance = inner.find(&address)?;
        let media = inner.boxes.get_mut(&instance)?;
        media.model.tick(now);
        let opening = media.model.ws_open(now, &Request::get(&path));
        media.deliver();
        let Opening::Accepted(socket) = opening else {
            return None;
        };
        let (sender, inbox) = unbounded();
        media.sockets.insert(socket, sender);
        Some(MediaSocket {
            farm: self.clone(),
            instance,
            socket,
            inbox,
        })
    }

    fn as_root(&self, path: &str) -> Request {
        Request::get(path).with_server_token(&self.server_token)
    }

    async fn ask<T>(
        &self,
        address: &str,
        request: &Request,
        read: impl Fn(&[u8]) -> Result<T, MediaError> + Send,
    ) -> Result<T, MediaError> {
        let give_up = self.clock.true_now() + PROBE_TIMEOUT;
        loop {
            let reply = {
                let now = self.now();
                let mut inner = self.inner();
                let media = inner.find(address).and_then(|id| inner.boxes.get_mut(&id));
                let Some(media) = media else {
                    return Err(not_yet("connection refused"));
                };
                media.model.tick(now);
                let reply = media.model.http(now, request);
                media.deliver();
                reply
            };
            match reply {
                Reply::Answer(response) => {
                    return read(answer::body(response.status, response.body.as_bytes())?);
                }
                Reply::Refused => return Err(not_yet("connection refused")),
                Reply::Silent { until } => {
                    let next = until.map_or(give_up, Timestamp::from_millis);
                    if next >= give_up {
                        self.clock.sleep(PROBE_TIMEOUT).await;
                        return Err(not_yet("silence"));
                    }
                    let wait = next.since(self.clock.true_now());
                    self.clock.sleep(wait.max(Duration::from_millis(1))).await;
                }
            }
        }
    }

    async fn ping_at(&self, websocket_url: &str) -> Result<(), MediaError> {
        let Some(mut socket) = self.open_at(websocket_url) else {
            return Err(not_yet("closed handshake"));
        };
        socket.send(r#"{"command":"ping"}"#);
        match socket.inbox.try_recv().ok() {
            Some(FromServer::Text(text)) => {
                answer::pong(&text).unwrap_or_else(|| Err(not_yet("no pong")))
            }
            Some(FromServer::Gone) => Err(not_yet("closed")),
            None => {
                self.clock.sleep(PROBE_TIMEOUT).await;
                Err(not_yet("silence"))
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.true_now().as_millis()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MediaSocket {
    /// Sends a text message.
    pub fn send(&self, text: &str) {
        let now = self.farm.now();
        let mut inner = self.farm.inner();
        if let Some(media) = inner.boxes.get_mut(&self.instance) {
            media.model.tick(now);
            media.model.ws_text(now, self.socket, text);
            media.deliver();
        }
    }

    /// Returns the instance behind the socket.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }
}

impl Drop for MediaSocket {
    fn drop(&mut self) {
        let now = self.farm.now();
        let mut inner = self.farm.inner();
        if let Some(media) = inner.boxes.get_mut(&self.instance) {
            media.sockets.remove(&self.socket);
            media.model.ws_closed(now, self.socket);
            media.deliver();
        }
    }
}

#[async_trait]
impl MediaServer for Farm {
    async fn liveness(&self, address: &str) -> Result<(), MediaError> {
        let request = Request::get("/rest/v2/liveness");
        self.ask(address, &request, answer::liveness).await
    }

    async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError> {
        let request = self.as_root("/rest/v2/applications");
        self.ask(address, &request, answer::applications).await
    }

    async fn setting(
        &self,
        address: &str,
        app: &str,
        name: &str,
    ) -> Result<Option<Value>, MediaError> {
        let request = self.as_root(&format!("/rest/v2/applications/settings/{app}"));
        self.ask(address, &request, |body| answer::setting(body, name))
            .await
    }

    async fn ping(&self, address: &str, app: &str) -> Result<(), MediaError> {
        self.ping_at(&format!("wss://{address}/{app}/websocket"))
            .await
    }

    async fn ping_endpoint(&self, websocket_url: &str) -> Result<(), MediaError> {
        self.ping_at(websocket_url).await
    }

    async fn load(&self, address: &str) -> Result<Load, MediaError> {
        let request = self.as_root("/rest/v2/system-resources");
        self.ask(address, &request, answer::load).await
    }
}

impl Inner {
    fn find(&self, address: &str) -> Option<InstanceId> {
        let by_elastic = self.elastic.get(address).cloned();
        by_elastic.or_else(|| {
            self.boxes
                .iter()
                .find(|(_, media)| media.address == address)
                .map(|(id, _)| id.clone())
        })
    }
}

impl MediaBox {
    fn truth(&mut self, now: u64) -> Media {
        self.model.tick(now);
        self.deliver();
        let status = self.model.status(now);
        let counts = status.counts;
        Media {
            streams: counts.live_streams.max(counts.webrtc_streams),
            viewers: counts.webrtc_viewers + counts.hls_viewers,
            up: status.ready_apps.iter().any(|app| app == APP),
            sound: status.settings_lost.is_empty() && self.model.faults().wrong_settings.is_empty(),
            touched_early: status.starts == 1 && !status.settings_lost.is_empty(),
        }
    }

    /// Hands on what the model sent.
    fn deliver(&mut self) {
        while let Some(output) = self.model.poll() {
            let (socket, message) = match output {
                Output::Send { socket, text } => (socket, FromServer::Text(text)),
                Output::Close { socket, .. } | Output::Drop { socket } => {
                    (socket, FromServer::Gone)
                }
                Output::Gone | Output::Datagram { .. } => continue,
            };
            let gone = message == FromServer::Gone;
            if let Some(sender) = self.sockets.get(&socket) {
                // An owner that is gone needs nothing any more.
                let _ = sender.unbounded_send(message);
            }
            if gone {
                self.sockets.remove(&socket);
            }
        }
    }
}

/// The hook of the simulated EC2.
#[derive(Debug)]
struct Rack(Farm);

impl Machines for Rack {
    fn boot(&mut self, at: Timestamp, instance: &InstanceId, start: u32) -> String {
        // A start gives another address, as without an Elastic IP.
        let address = format!("{instance}.run-{start}.sim:5443");
        let mut inner = self.0.inner();
        let faults = inner.next_boots.pop().unwrap_or_default();
        match MediaModel::start_with(self.0.installed.clone(), faults, at.as_millis()) {
            Ok(model) => {
                let media = MediaBox {
                    address: address.clone(),
                    model,
                    sockets: BTreeMap::new(),
                };
                inner.boxes.insert(instance.clone(), media);
                drop(inner);
                self.0.observer.runs(instance, &address);
            }
            Err(problem) => {
                drop(inner);
                self.0.timeline.violation("world", problem);
            }
        }
        address
    }

    fn halt(&mut self, at: Timestamp, instance: &InstanceId, how: Halt) {
        let mut inner = self.0.inner();
        if let Some(mut media) = inner.boxes.remove(instance) {
            let there = media.truth(at.as_millis());
            self.0.observer.tell(&Fact::Halted {
                server: instance.to_string(),
                streams: there.streams,
                viewers: there.viewers,
            });
            match how {
                Halt::Stopped => media.model.stop(at.as_millis()),
                Halt::Killed => media.model.kill(at.as_millis()),
            }
            for (_, sender) in std::mem::take(&mut media.sockets) {
                let _ = sender.unbounded_send(FromServer::Gone);
            }
        }
    }

    fn lead(&mut self, elastic_address: &str, to: Option<&InstanceId>) {
        self.0.observer.leads(elastic_address, to);
        let mut inner = self.0.inner();
        match to {
            Some(instance) => {
                inner
                    .elastic
                    .insert(elastic_address.to_owned(), instance.clone());
            }
            None => {
                inner.elastic.remove(elastic_address);
            }
        }
    }

    fn note(&mut self, happening: &Happening) {
        self.0.observer.happened(happening);
        self.0.timeline.say(
            "ec2",
            format!("{} {:?}", happening.instance, happening.what),
        );
    }
}

/// The host of a URL, with its port.
pub(super) fn host_of(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split('/').next()
}

fn split_url(url: &str) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://")?;
    let (address, path) = rest.split_once('/')?;
    Some((address.to_owned(), format!("/{path}")))
}

fn not_yet(why: &str) -> MediaError {
    MediaError::NotYet(why.to_owned())
}
