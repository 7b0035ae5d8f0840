//! One server, its peers and the network between them, on virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use wakecast_local::media::{
    BootTimeline, Counts, MediaConfig, MediaModel, Opening, Output, Request, SocketId, WebRtc,
};

use super::peer::Peer;

pub(crate) const SERVER: &str = "127.0.0.1:5000";

/// Names a peer by its WebSocket.
pub(crate) type Id = SocketId;

pub(crate) struct World {
    pub(crate) model: MediaModel,
    pub(crate) now: u64,
    zero: Instant,
    peers: BTreeMap<Id, Peer>,
    /// Peers that do nothing any more, though their WebSocket is open.
    vanished: Vec<Id>,
    /// Every how many datagrams to the server one is lost, if any.
    pub(crate) lose_every: Option<u64>,
    carried: u64,
    /// Everything the server sent to sockets without a peer.
    pub(crate) texts: Vec<(SocketId, String)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: MediaConfig) -> Self {
        Self {
            model: MediaModel::start(config, 0).unwrap(),
            now: 0,
            zero: Instant::now(),
            peers: BTreeMap::new(),
            vanished: Vec::new(),
            lose_every: None,
            carried: 0,
            texts: Vec::new(),
        }
    }

    pub(crate) fn publish(&mut self, stream: &str) -> Id {
        self.publish_with(stream, None)
    }

    pub(crate) fn publish_with(&mut self, stream: &str, token: Option<&str>) -> Id {
        let (socket, address) = self.open_for_peer();
        self.enter(
            socket,
            Peer::publisher(self.instant(), address, stream),
            token,
        )
    }

    /// A publisher that numbers its packets from here on.
    pub(crate) fn publish_from(&mut self, stream: &str, sequence: u64) -> Id {
        let (socket, address) = self.open_for_peer();
        let now = self.instant();
        let peer = Peer::publisher(now, address, stream).numbering_from(now, sequence);
        self.enter(socket, peer, None)
    }

    pub(crate) fn play(&mut self, stream: &str) -> Id {
        self.play_with(stream, None)
    }

    pub(crate) fn play_with(&mut self, stream: &str, token: Option<&str>) -> Id {
        let (socket, address) = self.open_for_peer();
        self.enter(socket, Peer::viewer(self.instant(), address, stream), token)
    }

    pub(crate) fn peer(&self, id: Id) -> &Peer {
        &self.peers[&id]
    }

    pub(crate) fn act(&mut self, id: Id, act: impl FnOnce(&mut Peer)) {
        act(self.peers.get_mut(&id).unwrap());
        self.flush();
    }

    /// The peer is cut off: it sends and hears nothing, and its WebSocket stays open.
    pub(crate) fn vanish(&mut self, id: Id) {
        self.vanished.push(id);
    }

    pub(crate) fn come_back(&mut self, id: Id) {
        self.vanished.retain(|vanished| *vanished != id);
        self.flush();
    }

    /// The tab is killed: no word over WebRTC, and the kernel closes its WebSocket.
    pub(crate) fn kill(&mut self, id: Id) {
        self.peers.remove(&id);
        self.model.ws_closed(self.now, id);
        self.flush();
    }

    pub(crate) fn counts(&mut self) -> Counts {
        self.model.status(self.now).counts
    }

    pub(crate) fn open(&mut self) -> SocketId {
        match self
            .model
            .ws_open(self.now, &Request::get("/live/websocket"))
        {
            Opening::Accepted(socket) => socket,
            other => panic!("no socket: {other:?}"),
        }
    }

    pub(crate) fn say(&mut self, socket: SocketId, text: &str) {
        self.model.ws_text(self.now, socket, text);
        self.flush();
    }

    /// Lets this much time pass, in milliseconds.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now + ms;
        assert!(!self.run_to(until, |_| false));
    }

    /// Lets time pass until it is so; panics if it is not within a minute. Returns the time it
    /// took.
    pub(crate) fn run_until(&mut self, what: &str, wanted: impl Fn(&mut Self) -> bool) -> u64 {
        let start = self.now;
        assert!(self.run_to(start + 60_000, wanted), "never {what}");
        self.now - start
    }

    /// Waits until a peer heard this notification or error.
    pub(crate) fn until_told(&mut self, id: Id, definition: &str) -> u64 {
        self.run_until(definition, |world| {
            world.peer(id).definitions().contains(&definition)
        })
    }

    fn run_to(&mut self, until: u64, mut wanted: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if wanted(self) {
                return true;
            }
            let server = self.model.next_timeout(self.now);
            let peers = self.awake().map(|id| {
                let due = self.peers[&id].next_timeout();
                let ms = due
                    .saturating_duration_since(self.zero)
                    .as_nanos()
                    .div_ceil(1_000_000);
                u64::try_from(ms).unwrap_or(u64::MAX)
            });
            let due = peers.chain(server).min().unwrap_or(u64::MAX);
            if due > until {
                self.now = until;
                self.step();
                return wanted(self);
            }
            self.now = due.max(self.now);
            self.step();
        }
    }

    fn step(&mut self) {
        self.model.tick(self.now);
        let now = self.instant();
        for id in self.awake().collect::<Vec<_>>() {
            self.peers.get_mut(&id).unwrap().tick(now);
        }
        self.flush();
    }

    fn awake(&self) -> impl Iterator<Item = Id> {
        let ids = self.peers.keys().copied();
        ids.filter(|id| !self.vanished.contains(id))
    }

    /// Carries everything there is to carry, in order and without delay.
    fn flush(&mut self) {
        let now = self.instant();
        loop {
            let mut idle = true;
            let mut to_peers = VecDeque::new();
            while let Some(output) = self.model.poll() {
                idle = false;
                to_peers.push_back(output);
            }
            for output in to_peers {
                self.hand_over(now, output);
            }
            for id in self.awake().collect::<Vec<_>>() {
                let peer = self.peers.get_mut(&id).unwrap();
                let from = peer.address;
                let texts = std::mem::take(&mut peer.texts);
                let datagrams = std::mem::take(&mut peer.datagrams);
                idle &= texts.is_empty() && datagrams.is_empty();
                for text in texts {
                    self.model.ws_text(self.now, id, &text);
                }
                for (to, bytes) in datagrams {
                    assert_eq!(to, SERVER.parse().unwrap());
                    self.carried += 1;
                    let lost = self
                        .lose_every
                        .is_some_and(|every| self.carried.is_multiple_of(every));
                    if !lost {
                        self.model.datagram(self.now, from, &bytes);
                    }
                }
            }
            if idle {
                return;
            }
        }
    }

    fn hand_over(&mut self, now: Instant, output: Output) {
        match output {
            Output::Send { socket, text } => match self.peers.get_mut(&socket) {
                Some(_) if self.vanished.contains(&socket) => {}
                Some(peer) => peer.hear(now, &text),
                None => self.texts.push((socket, text)),
            },
            Output::Datagram { to, bytes } => {
                let awake: Vec<Id> = self.awake().collect();
                let mut peers = self.peers.iter_mut();
                if let Some((_, peer)) =
                    peers.find(|(id, peer)| peer.address == to && awake.contains(id))
                {
                    peer.receive(now, SERVER.parse().unwrap(), &bytes);
                }
            }
            Output::Close { .. } | Output::Drop { .. } | Output::Gone => {}
        }
    }

    fn open_for_peer(&mut self) -> (SocketId, SocketAddr) {
        let socket = self.open();
        let port = 6_000 + u16::try_from(socket.0).unwrap();
        (socket, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn enter(&mut self, id: Id, mut peer: Peer, token: Option<&str>) -> Id {
        peer.token = token.map(str::to_owned);
        peer.begin();
        self.peers.insert(id, peer);
        self.flush();
        id
    }

    fn instant(&self) -> Instant {
        self.zero + Duration::from_millis(self.now)
    }
}

pub(crate) fn config() -> MediaConfig {
    MediaConfig::enterprise()
        .with_boot(BootTimeline::INSTANT)
        .with_webrtc(WebRtc {
            address: SERVER.parse().unwrap(),
        })
}
