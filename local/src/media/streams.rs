//! The live streams and viewers of one app, and how long they count.

use std::collections::BTreeMap;

use super::exchange::SocketId;

/// A publisher that answers `start` with no offer, or whose media does not begin, is given up after
/// this long: the vendor's default of `webRTCClientStartTimeoutMs`.
pub(super) const OFFER_TIMEOUT_MS: u64 = 10_000;

/// A frozen publisher is noticed between these two: the server looks every 10 s for streams not
/// updated for 20 s, and was seen to take 10.4 s and 18.4 s.
const FROZEN_MIN_MS: u64 = 10_000;
const FROZEN_SPREAD_MS: u64 = 20_000;

/// The app looks at its HLS viewers this often, from the moment it is ready.
const HLS_TICK_MS: u64 = 10_000;
/// An HLS viewer counts until the first look at which its last request is this old.
const HLS_IDLE_MS: u64 = 20_000;
/// A playlist exists this long after its stream began (observed: 2.6 s after the push).
const FIRST_PLAYLIST_MS: u64 = 2_600;

/// Where a stream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// WebRTC, negotiated on this socket.
    Socket(SocketId),
    /// RTMP or another ingest without a socket of ours.
    Ingest,
}

/// One stream id in use.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) source: Source,
    /// Since when media flows; `None` between `start` and the offer.
    pub(super) live_since: Option<u64>,
    /// When the server gives it up: no offer or no media came, or the publisher froze.
    ends_at: Option<u64>,
}

/// Why a stream was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// No offer, or no media after it, came in time.
    NotStarted,
    /// No media came for too long.
    Frozen,
}

/// The counts that the REST API reports, over one app or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// WebRTC streams that flow.
    pub webrtc_streams: u64,
    /// Ingests of any kind, just-starting ones included.
    pub live_streams: u64,
    /// WebRTC viewers that were sent media.
    pub webrtc_viewers: u64,
    /// HLS sessions seen lately.
    pub hls_viewers: u64,
    /// Streams that broadcast.
    pub total_live_streams: u64,
    /// Ingest connections (RTMP).
    pub connections: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.webrtc_streams += other.webrtc_streams;
        self.live_streams += other.live_streams;
        self.webrtc_viewers += other.webrtc_viewers;
        self.hls_viewers += other.hls_viewers;
        self.total_live_streams += other.total_live_streams;
        self.connections += other.connections;
    }
}

/// The streams of one app during one life of the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams {
    by_id: BTreeMap<String, Stream>,
    /// Who plays what; the flag says whether media flows (the answer came).
    viewers: BTreeMap<(SocketId, String), bool>,
    /// The last request of each HLS session.
    hls: BTreeMap<String, u64>,
}

impl Streams {
    pub(super) fn get(&self, id: &str) -> Option<&Stream> {
        self.by_id.get(id)
    }

    pub(super) fn is_live(&self, id: &str) -> bool {
        self.by_id
            .get(id)
            .is_some_and(|stream| stream.live_since.is_some())
    }

    pub(super) fn playlist_exists(&self, id: &str, now: u64) -> bool {
        let since = self.by_id.get(id).and_then(|stream| stream.live_since);
        since.is_some_and(|since| now >= since.saturating_add(FIRST_PLAYLIST_MS))
    }

    /// A publisher was told to start, or was answered: its offer, or its media, is awaited.
    pub(super) fn expect_start(&mut self, id: &str, socket: SocketId, now: u64) {
        let ends_at = Some(now.saturating_add(OFFER_TIMEOUT_MS));
        let stream = Stream {
            source: Source::Socket(socket),
            live_since: None,
            ends_at,
        };
        self.by_id.insert(id.to_owned(), stream);
    }

    /// Media flows.
    pub(super) fn go_live(&mut self, id: &str, source: Source, now: u64) {
        let stream = Stream {
            source,
            live_since: Some(now),
            ends_at: None,
        };
        self.by_id.insert(id.to_owned(), stream);
    }

    /// The publisher sends nothing any more and its connection stays open. `draw` is a random
    /// number that decides when the server notices. False if no such stream is live.
    pub(super) fn freeze(&mut self, id: &str, draw: u64, now: u64) -> bool {
        let Some(stream) = self
            .by_id
            .get_mut(id)
            .filter(|stream| stream.live_since.is_some())
        else {
            return false;
        };
        let delay = FROZEN_MIN_MS + draw % (FROZEN_SPREAD_MS + 1);
        stream.ends_at = Some(now.saturating_add(delay));
        true
    }

    /// A frozen publisher sends again before it was noticed. False if no such stream is live.
    pub(super) fn thaw(&mut self, id: &str) -> bool {
        let live = self
            .by_id
            .get_mut(id)
            .filter(|stream| stream.live_since.is_some());
        live.map(|stream| stream.ends_at = None).is_some()
    }

    /// Takes a stream away; returns it and the sockets that played it.
    pub(super) fn end(&mut self, id: &str) -> Option<(Stream, Vec<SocketId>)> {
        let stream = self.by_id.remove(id)?;
        let watching = |(_, watched): &&(SocketId, String)| watched == id;
        let viewers: Vec<SocketId> = self
            .viewers
            .keys()
            .filter(watching)
            .map(|(socket, _)| *socket)
            .collect();
        self.viewers.retain(|(_, watched), _| watched != id);
        Some((stream, viewers))
    }

    /// The streams that `socket` publishes.
    pub(super) fn published_by(&self, socket: SocketId) -> Vec<String> {
        let own = |(_, stream): &(&String, &Stream)| stream.source == Source::Socket(socket);
        self.by_id
            .iter()
            .filter(own)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// The stream whose time is up first by `now`.
    pub(super) fn expired(&self, now: u64) -> Option<(String, Expiry)> {
        let ending = |(id, stream): (&String, &Stream)| {
            let expiry = match stream.live_since {
                Some(_) => Expiry::Frozen,
                None => Expiry::NotStarted,
            };
            Some((stream.ends_at?, id.clone(), expiry))
        };
        let due = self
            .by_id
            .iter()
            .filter_map(ending)
            .filter(|(at, ..)| *at <= now);
        due.min_by_key(|(at, ..)| *at)
            .map(|(_, id, expiry)| (id, expiry))
    }

    pub(super) fn plays(&self, socket: SocketId, id: &str) -> bool {
        self.viewers.contains_key(&(socket, id.to_owned()))
    }

    /// A viewer was sent an offer.
    pub(super) fn offer_to_viewer(&mut self, socket: SocketId, id: &str) {
        self.viewers.insert((socket, id.to_owned()), false);
    }

    /// The viewer answered and media flows; false if it was not waiting for that.
    pub(super) fn viewer_answered(&mut self, socket: SocketId, id: &str) -> bool {
        match self.viewers.get_mut(&(socket, id.to_owned())) {
            Some(playing) if !*playing => {
                *playing = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn viewer_left(&mut self, socket: SocketId, id: &str) -> bool {
        self.viewers.remove(&(socket, id.to_owned())).is_some()
    }

    /// Takes a socket's viewers away; returns what they played.
    pub(super) fn socket_left(&mut self, socket: SocketId) -> Vec<String> {
        let own = |(viewer, _): &&(SocketId, String)| *viewer == socket;
        let played = self.viewers.keys().filter(own);
        let played = played.map(|(_, id)| id.clone()).collect();
        self.viewers.retain(|(viewer, _), _| *viewer != socket);
        played
    }

    /// One playlist request of an HLS session.
    pub(super) fn hls_request(&mut self, session: &str, now: u64) {
        self.hls.insert(session.to_owned(), now);
    }

    /// Drops the HLS sessions that faded by `now`, on an app that got ready at `ready_at`.
    pub(super) fn fade(&mut self, ready_at: u64, now: u64) -> bool {
        let before = self.hls.len();
        self.hls
            .retain(|_, last| hls_fades_at(ready_at, *last) > now);
        self.hls.len() != before
    }

    /// When something of this app changes by itself.
    pub(super) fn next_change(&self, ready_at: u64) -> Option<u64> {
        let endings = self.by_id.values().filter_map(|stream| stream.ends_at);
        let fadings = self.hls.values().map(|last| hls_fades_at(ready_at, *last));
        endings.chain(fadings).min()
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |wanted: &dyn Fn(&Stream) -> bool| {
            self.by_id.values().filter(|stream| wanted(stream)).count() as u64
        };
        Counts {
            webrtc_streams: count(&|s| s.live_since.is_some() && s.source != Source::Ingest),
            live_streams: count(&|_| true),
            webrtc_viewers: self.viewers.values().filter(|playing| **playing).count() as u64,
            hls_viewers: self.hls.len() as u64,
            total_live_streams: count(&|s| s.live_since.is_some()),
            connections: count(&|s| s.source == Source::Ingest),
        }
    }
}

/// The first look of the app at which a session last seen at `last` is old enough to go.
fn hls_fades_at(ready_at: u64, last: u64) -> u64 {
    let old_at = last.saturating_add(HLS_IDLE_MS);
    let looks = old_at.saturating_sub(ready_at).div_ceil(HLS_TICK_MS);
    ready_at.saturating_add(looks.saturating_mul(HLS_TICK_MS))
}
