//! One Ant Media Server on one box, as a pure state machine: time and requests come in, answers
//! and messages come out. It reads no clock, draws no randomness of its own and does no I/O, so
//! the same model stands behind a real port and inside the simulation.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::boot::{Boot, BootPhase};
use super::config::{AppConfig, Edition, Faults, MediaConfig, default_settings};
use super::exchange::{Opening, Output, Request, Response, SocketId};
use super::power::Power;
use super::streams::{Counts, Source, Streams};
use super::webrtc::{Leg, Plane, Way, WebRtc};

/// Messages kept for a process that hangs; the socket buffers of a real one hold about as much.
const HELD_MESSAGES: usize = 1_024;

/// What the server looks like from inside, for tests and for the local cloud's own display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaStatus {
    /// Whether the process runs.
    pub power: Power,
    /// How far the boot is; [`BootPhase::Refused`] while the process is down.
    pub phase: BootPhase,
    /// The apps that are ready and listed.
    pub ready_apps: Vec<String>,
    /// The apps that lost their settings to an early touch, until the next start.
    pub settings_lost: Vec<String>,
    /// Streams and viewers over all apps.
    pub counts: Counts,
    /// Open WebSockets.
    pub sockets: usize,
    /// How often the process was started.
    pub starts: u64,
}

/// One Ant Media Server on one box.
///
/// Time comes in: every input takes `now`, in milliseconds on the driver's clock, which must not
/// go back. After each input the driver drains [`MediaModel::poll`] and arms one timer for
/// [`MediaModel::next_timeout`]. A late timer changes nothing but when it is seen.
#[derive(Debug)]
pub struct MediaModel {
    pub(super) config: MediaConfig,
    pub(super) faults: Faults,
    pub(super) power: Power,
    /// Whether the last process ended properly; what `shutdown-proper-status` reports.
    pub(super) ended_properly: bool,
    pub(super) starts: u64,
    pub(super) life: Life,
    next_socket: u64,
    next_session: u64,
    random: u64,
    outputs: VecDeque<Output>,
}

/// What dies with the process.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) boot: Boot,
    pub(super) apps: Vec<AppLife>,
    /// The open sockets and the app each belongs to.
    pub(super) sockets: BTreeMap<SocketId, usize>,
    /// What arrived while the process hung.
    pub(super) held: VecDeque<(SocketId, String)>,
    /// Real media, if it is carried.
    pub(super) plane: Option<Plane>,
}

/// One app during one life of the process.
#[derive(Debug, Default)]
pub(super) struct AppLife {
    /// The app was touched before it was ready: its settings read their defaults.
    pub(super) settings_lost: bool,
    pub(super) streams: Streams,
}

impl Life {
    pub(super) fn new(config: &MediaConfig, faults: &Faults, now: u64) -> Self {
        Self {
            boot: Boot::new(config.boot, now, faults.slowdown_percent),
            apps: config.apps.iter().map(|_| AppLife::default()).collect(),
            sockets: BTreeMap::new(),
            held: VecDeque::new(),
            plane: config
                .webrtc
                .filter(|_| config.edition == Edition::Enterprise)
                .and_then(Plane::new),
        }
    }
}

impl MediaModel {
    /// A server whose process starts at `now`.
    ///
    /// # Errors
    /// A sentence on what is wrong with the configuration: a boot timeline out of order, no app,
    /// two apps of one name, a name that no path can hold, or media that cannot be carried.
    pub fn start(config: MediaConfig, now: u64) -> Result<Self, String> {
        Self::start_with(config, Faults::default(), now)
    }

    /// A server that starts with faults in force.
    ///
    /// # Errors
    /// As [`MediaModel::start`].
    pub fn start_with(config: MediaConfig, faults: Faults, now: u64) -> Result<Self, String> {
        config.boot.check()?;
        check_apps(&config.apps)?;
        if config.webrtc.is_some() && !WebRtc::AVAILABLE {
            return Err("media server: media cannot be carried by a build without the feature `media`; build with it, or leave `webrtc` out".to_owned());
        }
        if config
            .webrtc
            .is_some_and(|webrtc| webrtc.address.ip().is_unspecified())
        {
            return Err("media server: peers are told the address of `webrtc`, so that it must be one address of this machine, such as 127.0.0.1".to_owned());
        }
        let life = Life::new(&config, &faults, now);
        Ok(Self {
            random: config.seed,
            config,
            faults,
            power: Power::Up,
            ended_properly: true,
            starts: 1,
            life,
            next_socket: 1,
            next_session: 1,
            outputs: VecDeque::new(),
        })
    }

    /// Replaces the scripted faults.
    pub fn set_faults(&mut self, now: u64, faults: Faults) {
        self.tick(now);
        self.faults = faults;
        self.release_held(now);
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// An ingest that is not WebRTC (RTMP, SRT) begins. False while the app is not ready or the
    /// id is in use.
    pub fn ingest_started(&mut self, now: u64, app: &str, stream: &str) -> bool {
        self.tick(now);
        let Some(index) = self.ready_app(app, now) else {
            return false;
        };
        let Some(life) = self.life.apps.get_mut(index) else {
            return false;
        };
        if self.power != Power::Up || life.streams.get(stream).is_some() {
            return false;
        }
        life.streams.go_live(stream, Source::Ingest, now);
        true
    }

    /// The connection of an ingest ends, whether it was closed or its publisher was killed.
    /// False if no such stream exists.
    pub fn ingest_ended(&mut self, now: u64, app: &str, stream: &str) -> bool {
        self.tick(now);
        self.app_index(app)
            .is_some_and(|index| self.end_stream(now, index, stream))
    }

    /// The publisher of a live stream freezes: its connection stays and nothing comes. The
    /// server notices 10 to 30 s later. False if no such stream is live.
    pub fn freeze(&mut self, now: u64, app: &str, stream: &str) -> bool {
        self.tick(now);
        let draw = self.draw();
        let index = self.app_index(app);
        let life = index.and_then(|index| self.life.apps.get_mut(index));
        life.is_some_and(|life| life.streams.freeze(stream, draw, now))
    }

    /// A frozen publisher goes on before the server noticed. False if no such stream is live.
    pub fn thaw(&mut self, now: u64, app: &str, stream: &str) -> bool {
        self.tick(now);
        let index = self.app_index(app);
        let life = index.and_then(|index| self.life.apps.get_mut(index));
        life.is_some_and(|life| life.streams.thaw(stream))
    }

    /// The next thing the server does on its own, if anything was asked of it.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the port accepts connections.
    pub fn is_listening(&self, now: u64) -> bool {
        self.phase(now) > BootPhase::Refused
    }

    /// What the server looks like from inside.
    pub fn status(&self, now: u64) -> MediaStatus {
        let names = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
            let apps = self.config.apps.iter().enumerate();
            apps.filter(|(index, _)| wanted(*index))
                .map(|(_, app)| app.name.clone())
                .collect()
        };
        MediaStatus {
            power: self.power,
            phase: self.phase(now),
            ready_apps: names(&|index| self.is_ready(index, now)),
            settings_lost: names(&|index| {
                self.life
                    .apps
                    .get(index)
                    .is_some_and(|app| app.settings_lost)
            }),
            counts: self.total_counts(),
            sockets: self.life.sockets.len(),
            starts: self.starts,
        }
    }

    /// A WebSocket handshake. A touch of the app like any other: before the app is ready it
    /// costs the app its settings.
    pub fn ws_open(&mut self, now: u64, request: &Request) -> Opening {
        self.tick(now);
        let phase = self.phase(now);
        if phase == BootPhase::Refused {
            return Opening::Refused;
        }
        if self.faults.hang {
            return Opening::Silent { until: None };
        }
        let app = websocket_app(request.path()).and_then(|name| self.app_index(name));
        if let Some(index) = app {
            self.touch(index, now);
        }
        if phase == BootPhase::Silent {
            return Opening::Silent {
                until: self.silence_ends(),
            };
        }
        let Some(index) = app else {
            return Opening::Answer(Response::page(404, "Not Found"));
        };
        if phase == BootPhase::Swapping {
            return Opening::Cut;
        }
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.life.sockets.insert(socket, index);
        Opening::Accepted(socket)
    }

    /// A text message of a client. One of a socket that is not open is ignored.
    pub fn ws_text(&mut self, now: u64, socket: SocketId, text: &str) {
        self.tick(now);
        let Some(app) = self.life.sockets.get(&socket).copied() else {
            return;
        };
        if self.faults.hang {
            if self.life.held.len() < HELD_MESSAGES {
                self.life.held.push_back((socket, text.to_owned()));
            }
            return;
        }
        self.signal(now, app, socket, text);
    }

    /// A client's connection ended, closed or killed: what it published and played ends with it,
    /// at once.
    pub fn ws_closed(&mut self, now: u64, socket: SocketId) {
        self.tick(now);
        if let Some(app) = self.life.sockets.remove(&socket) {
            self.forget_socket(now, app, socket);
        }
    }

    pub(super) fn phase(&self, now: u64) -> BootPhase {
        match self.power {
            Power::Down { .. } => BootPhase::Refused,
            Power::Up | Power::Stopping { .. } => self.life.boot.phase(now, self.faults.hold_at),
        }
    }

    pub(super) fn silence_ends(&self) -> Option<u64> {
        let held = self
            .faults
            .hold_at
            .is_some_and(|hold| hold <= BootPhase::Silent);
        (!held).then(|| self.life.boot.begins(BootPhase::Answering))
    }

    pub(super) fn unix_ms(&self, at: u64) -> u64 {
        self.config.unix_ms_at_zero.saturating_add(at)
    }

    pub(super) fn app_index(&self, name: &str) -> Option<usize> {
        self.config.apps.iter().position(|app| app.name == name)
    }

    pub(super) fn is_ready(&self, index: usize, now: u64) -> bool {
        !matches!(self.power, Power::Down { .. })
            && self.life.boot.app_ready(index, now, self.faults.hold_at)
    }

    /// Notes that a path of the app was touched. Before it is ready that creates its settings
    /// before their values can be read, and so they keep their defaults until the next start.
    pub(super) fn touch(&mut self, index: usize, now: u64) {
        if self.is_ready(index, now) {
            return;
        }
        if let Some(app) = self.life.apps.get_mut(index) {
            app.settings_lost = true;
        }
    }

    /// The settings that the app at `index` acts by.
    pub(super) fn settings(&self, index: usize) -> BTreeMap<String, Value> {
        let mut settings = default_settings();
        let Some(app) = self.config.apps.get(index) else {
            return settings;
        };
        if !self
            .life
            .apps
            .get(index)
            .is_some_and(|life| life.settings_lost)
        {
            settings.extend(app.settings.clone());
        }
        let wrong = self
            .faults
            .wrong_settings
            .iter()
            .filter(|((name, _), _)| *name == app.name);
        settings.extend(wrong.map(|((_, setting), value)| (setting.clone(), value.clone())));
        settings
    }

    pub(super) fn total_counts(&self) -> Counts {
        let mut total = Counts::default();
        for app in &self.life.apps {
            total.add(app.streams.counts());
        }
        total
    }

    pub(super) fn new_session(&mut self) -> String {
        let session = format!("{:032X}", self.next_session);
        self.next_session += 1;
        session
    }

    pub(super) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Ends a socket from the server's side with a Close frame.
    pub(super) fn close_socket(
        &mut self,
        now: u64,
        socket: SocketId,
        code: u16,
        reason: &'static str,
    ) {
        if let Some(app) = self.life.sockets.remove(&socket) {
            self.emit(Output::Close {
                socket,
                code,
                reason,
            });
            self.forget_socket(now, app, socket);
        }
    }

    /// Ends a stream and tells its publisher and its viewers. False if there is none.
    pub(super) fn end_stream(&mut self, now: u64, app: usize, id: &str) -> bool {
        let ended = self
            .life
            .apps
            .get_mut(app)
            .and_then(|life| life.streams.end(id));
        let Some((stream, viewers)) = ended else {
            return false;
        };
        if let Source::Socket(publisher) = stream.source {
            self.notify(publisher, id, "publish_finished");
            self.end_media(now, &Leg::new(publisher, Way::Publish, id));
        }
        for viewer in viewers {
            self.notify(viewer, id, "play_finished");
            self.end_media(now, &Leg::new(viewer, Way::Play, id));
        }
        true
    }

    pub(super) fn has_socket(&self, socket: SocketId) -> bool {
        self.life.sockets.contains_key(&socket)
    }

    fn ready_app(&self, name: &str, now: u64) -> Option<usize> {
        self.app_index(name)
            .filter(|index| self.is_ready(*index, now))
    }

    fn forget_socket(&mut self, now: u64, app: usize, socket: SocketId) {
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        let played = life.streams.socket_left(socket);
        for id in life.streams.published_by(socket) {
            self.end_stream(now, app, &id);
        }
        for id in played {
            self.end_media(now, &Leg::new(socket, Way::Play, &id));
        }
    }

    fn release_held(&mut self, now: u64) {
        while !self.faults.hang {
            let Some((socket, text)) = self.life.held.pop_front() else {
                return;
            };
            self.ws_text(now, socket, &text);
        }
    }

    /// The next number of a splitmix64 sequence over the seed.
    pub(super) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The app of `/<app>/websocket` and `/<app>/websocket/signaling`; nothing else is an endpoint.
fn websocket_app(path: &str) -> Option<&str> {
    let (app, rest) = path.strip_prefix('/')?.split_once('/')?;
    matches!(rest, "websocket" | "websocket/signaling").then_some(app)
}

fn check_apps(apps: &[AppConfig]) -> Result<(), String> {
    if apps.is_empty() {
        return Err("media server: no app is configured; at least one is needed".to_owned());
    }
    let mut names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    let plain = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if let Some(name) = names.iter().find(|name| !plain(name) || **name == "rest") {
        return Err(format!(
            "media server: app name {name:?} must be letters, digits, '-' or '_', and not \"rest\""
        ));
    }
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        return Err(format!("media server: app {pair:?} is configured twice"));
    }
    Ok(())
}
