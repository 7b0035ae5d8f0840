//! All connections of one server: which datagram is whose, who watches whom, and time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::{Direction, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Input, RtcError};

use super::forward::{relay, request_keyframes};
use super::session::{
    Driven, Incoming, Noted, Outgoing, Part, Publisher, Session, Viewer, guarded, incoming,
};
use super::{Carried, Happening, Leg, Refusal, WebRtc};

/// Connections at a time. A developer's page opens a few; a thousand would starve the machine.
const MAX_SESSIONS: usize = 64;

/// A publisher that sends nothing for this long is quiet: a muted microphone still sends some
/// packets each second, and so does a black picture.
const QUIET_MS: u64 = 2_000;

/// Between two requests for a keyframe. Browsers ignore one that comes within 300 ms of the last.
const KEYFRAME_INTERVAL_MS: u64 = 400;

/// A viewer is connected this long after its offer, or never: the vendor's default of
/// `webRTCClientStartTimeoutMs`.
const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// All connections of one server.
pub(in crate::media) struct Plane {
    /// Stands for the driver's zero. Only differences count, so that any moment will do.
    zero: Instant,
    address: SocketAddr,
    sessions: BTreeMap<u64, Session>,
    by_leg: BTreeMap<Leg, u64>,
    next: u64,
    outputs: VecDeque<Carried>,
}

impl Plane {
    pub(in crate::media) fn new(config: WebRtc) -> Option<Self> {
        Some(Self {
            zero: Instant::now(),
            address: config.address,
            sessions: BTreeMap::new(),
            by_leg: BTreeMap::new(),
            next: 1,
            outputs: VecDeque::new(),
        })
    }

    /// The candidate that every peer is told, as an SDP attribute's value.
    pub(in crate::media) fn candidate(&self) -> String {
        Candidate::host(self.address, "udp")
            .map(|candidate| candidate.to_sdp_string())
            .unwrap_or_default()
    }

    /// Takes a publisher's offer and returns the answer.
    pub(in crate::media) fn publish(
        &mut self,
        now: u64,
        leg: Leg,
        offer: &str,
    ) -> Result<String, Refusal> {
        self.room(&leg)?;
        let part = Part::Publisher(Publisher::default());
        let mut session = Session::new(self.instant(now), self.address, leg, part, None)
            .ok_or(Refusal::Description)?;
        let mut driven = session.drive(|rtc| {
            let offer = SdpOffer::from_sdp_string(offer).map_err(|_| Refusal::Description)?;
            let answer = rtc.sdp_api().accept_offer(offer).map_err(unfit)?;
            let answer = answer.to_sdp_string();
            let tracks = incoming(rtc, &answer);
            Ok((answer, tracks))
        });
        let (answer, tracks) = driven.take()?;
        if tracks.is_empty() {
            return Err(Refusal::Codecs);
        }
        if let Part::Publisher(publisher) = &mut session.part {
            publisher.tracks = tracks;
        }
        let id = self.insert(session);
        self.settle(now, id, driven);
        Ok(answer)
    }

    /// Opens a connection to a viewer of what `publisher` sends and returns the offer.
    pub(in crate::media) fn view(
        &mut self,
        now: u64,
        leg: Leg,
        publisher: &Leg,
    ) -> Result<String, Refusal> {
        self.room(&leg)?;
        let source = self.by_leg.get(publisher).copied().unwrap_or_default();
        let Some((tracks, codecs)) = self.sessions.get(&source).and_then(described) else {
            return Err(Refusal::Codecs);
        };
        let part = Part::Viewer(Viewer {
            publisher: source,
            pending: None,
            connected: false,
            deadline: now.saturating_add(CONNECT_TIMEOUT_MS),
            tracks: BTreeMap::new(),
        });
        let stream = leg.stream.clone();
        let start = self.instant(now);
        let mut session = Session::new(start, self.address, leg, part, Some(codecs))
            .ok_or(Refusal::Description)?;
        let mut driven = session.drive(|rtc| {
            let mut api = rtc.sdp_api();
            let mut pairs = BTreeMap::new();
            for (theirs, track) in tracks {
                let label = format!("{stream}-{}", track.kind);
                let (stream, label) = (Some(stream.clone()), Some(label));
                let mid = api.add_media(track.kind, Direction::SendOnly, stream, label, None);
                pairs.insert(theirs, Outgoing { mid, offset: None });
            }
            let (offer, pending) = api.apply().ok_or(Refusal::Codecs)?;
            Ok((offer.to_sdp_string(), pending, pairs))
        });
        let (offer, pending, pairs) = driven.take()?;
        if let Part::Viewer(viewer) = &mut session.part {
            viewer.pending = Some(pending);
            viewer.tracks = pairs;
        }
        let id = self.insert(session);
        if let Some(Part::Publisher(publisher)) = self.part(source) {
            publisher.viewers.insert(id);
        }
        self.settle(now, id, driven);
        Ok(offer)
    }

    /// Takes a viewer's answer.
    pub(in crate::media) fn answer(
        &mut self,
        now: u64,
        leg: &Leg,
        answer: &str,
    ) -> Result<(), Refusal> {
        let id = self.by_leg.get(leg).copied().unwrap_or_default();
        let Some(Part::Viewer(viewer)) = self.part(id) else {
            return Err(Refusal::Description);
        };
        // A second answer changes nothing.
        let Some(pending) = viewer.pending.take() else {
            return Ok(());
        };
        self.drive(now, id, |rtc| {
            let answer = SdpAnswer::from_sdp_string(answer).map_err(|_| Refusal::Description)?;
            rtc.sdp_api().accept_answer(pending, answer).map_err(unfit)
        })
        .unwrap_or(Err(Refusal::Description))
    }

    /// Takes one of a peer's candidates; one that cannot be read is let be.
    pub(in crate::media) fn add_candidate(&mut self, now: u64, leg: &Leg, candidate: &str) {
        let id = self.by_leg.get(leg).copied().unwrap_or_default();
        let session = self.sessions.get_mut(&id);
        let Some(candidate) = session.and_then(|session| session.candidate(candidate)) else {
            return;
        };
        let _ = self.drive(now, id, |rtc| {
            rtc.add_remote_candidate(candidate);
            Ok(())
        });
    }

    /// Whether such a connection is open or being opened.
    pub(in crate::media) fn holds(&self, leg: &Leg) -> bool {
        self.by_leg.contains_key(leg)
    }

    /// Closes a connection from our side; nothing happens if there is none.
    pub(in crate::media) fn end(&mut self, _now: u64, leg: &Leg) {
        let id = self.by_leg.get(leg).copied().unwrap_or_default();
        let Some(mut session) = self.remove(id) else {
            return;
        };
        // What it has to say is that it closes.
        let driven = session.drive(|rtc| rtc.close().map_err(unfit));
        self.send(driven.sent);
    }

    /// A datagram came in. One that is nobody's is dropped.
    pub(in crate::media) fn datagram(&mut self, now: u64, from: SocketAddr, bytes: &[u8]) {
        let at = self.instant(now);
        let address = self.address;
        let found = guarded(|| {
            let receive = Receive::new(Protocol::Udp, from, address, bytes).ok()?;
            let input = Input::Receive(at, receive);
            let (id, _) = self
                .sessions
                .iter()
                .find(|(_, session)| session.accepts(&input))?;
            Some((*id, input))
        });
        if let Some((id, input)) = found.flatten() {
            let _ = self.drive(now, id, |rtc| rtc.handle_input(input).map_err(unfit));
        }
    }

    /// Lets time pass.
    pub(in crate::media) fn tick(&mut self, now: u64) {
        let at = self.instant(now);
        let due: Vec<u64> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.timeout <= at)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let _ = self.drive(now, id, |rtc| {
                rtc.handle_input(Input::Timeout(at)).map_err(unfit)
            });
        }
        let own: Vec<u64> = self
            .sessions
            .iter()
            .filter(|(_, session)| own_timeout(session).is_some_and(|due| due <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in own {
            self.own_time_is_up(now, id);
        }
    }

    /// When [`Plane::tick`] is due next.
    pub(in crate::media) fn next_timeout(&self) -> Option<u64> {
        let due = |session: &Session| {
            let since = session.timeout.saturating_duration_since(self.zero);
            let library = since.as_nanos().div_ceil(1_000_000);
            let library = u64::try_from(library).unwrap_or(u64::MAX);
            own_timeout(session).map_or(library, |own| own.min(library))
        };
        self.sessions.values().map(due).min()
    }

    /// What is to be done or known, in order.
    pub(in crate::media) fn poll(&mut self) -> Option<Carried> {
        self.outputs.pop_front()
    }

    fn own_time_is_up(&mut self, now: u64, id: u64) {
        match self.part(id) {
            Some(Part::Publisher(publisher)) => {
                let quiet = quiet_at(publisher).is_some_and(|at| at <= now);
                if let (true, Some(since)) = (quiet, publisher.last_media) {
                    publisher.quiet = true;
                    self.happened(id, Happening::Quiet { since });
                }
                self.ask_for_keyframe(now, id);
            }
            Some(Part::Viewer(_)) => self.finish(id),
            None => {}
        }
    }

    /// Does one thing to a connection, and everything that follows from it. `None` if it is gone.
    fn drive<T>(
        &mut self,
        now: u64,
        id: u64,
        act: impl FnOnce(&mut str0m::Rtc) -> Result<T, Refusal>,
    ) -> Option<Result<T, Refusal>> {
        let mut driven = self.sessions.get_mut(&id)?.drive(act);
        let result = driven.take();
        self.settle(now, id, driven);
        Some(result)
    }

    fn settle<T>(&mut self, now: u64, id: u64, driven: Driven<T>) {
        self.send(driven.sent);
        for noted in driven.noted {
            match noted {
                Noted::Connected => self.connected(now, id),
                Noted::Media(mid, packet) => self.media(now, id, mid, &packet),
                Noted::KeyframeWanted => self.viewer_wants_keyframe(now, id),
                Noted::Unreachable => {
                    // A publisher that cannot be reached is silent, and that is what counts.
                    if let Some(Part::Viewer(_)) = self.part(id) {
                        self.finish(id);
                    }
                }
                Noted::Gone => self.finish(id),
            }
        }
    }

    fn connected(&mut self, now: u64, id: u64) {
        if let Some(Part::Viewer(viewer)) = self.part(id) {
            viewer.connected = true;
            self.happened(id, Happening::Connected);
            self.viewer_wants_keyframe(now, id);
        }
    }

    /// A packet of a publisher: to everyone who watches.
    fn media(&mut self, now: u64, id: u64, mid: Mid, packet: &RtpPacket) {
        let Some(Part::Publisher(publisher)) = self.part(id) else {
            return;
        };
        let begins = publisher.last_media.replace(now).is_none();
        let resumes = std::mem::take(&mut publisher.quiet);
        let Some(track) = publisher.tracks.get_mut(&mid) else {
            return;
        };
        if *track.ssrc.get_or_insert(packet.header.ssrc) != packet.header.ssrc {
            return;
        }
        let video = track.kind.is_video();
        let viewers: Vec<u64> = publisher.viewers.iter().copied().collect();
        if begins || resumes {
            self.happened(id, Happening::Flowing);
        }
        for viewer in viewers {
            let Some(Part::Viewer(part)) = self.part(viewer) else {
                continue;
            };
            let Some(mut track) = part.tracks.get(&mid).copied().filter(|_| part.connected) else {
                continue;
            };
            let _ = self.drive(now, viewer, |rtc| {
                relay(rtc, &mut track, packet, video);
                Ok(())
            });
            if let Some(Part::Viewer(part)) = self.part(viewer) {
                part.tracks.insert(mid, track);
            }
        }
    }

    fn viewer_wants_keyframe(&mut self, now: u64, id: u64) {
        let Some(Part::Viewer(viewer)) = self.part(id) else {
            return;
        };
        let source = viewer.publisher;
        if let Some(Part::Publisher(publisher)) = self.part(source) {
            publisher.keyframe_wanted = true;
            self.ask_for_keyframe(now, source);
        }
    }

    fn ask_for_keyframe(&mut self, now: u64, id: u64) {
        let Some(Part::Publisher(publisher)) = self.part(id) else {
            return;
        };
        if keyframe_due(publisher).is_none_or(|due| due > now) {
            return;
        }
        publisher.keyframe_wanted = false;
        publisher.asked_at = Some(now);
        let tracks = publisher.tracks.clone();
        let _ = self.drive(now, id, |rtc| {
            request_keyframes(rtc, tracks.iter());
            Ok(())
        });
    }

    /// A connection ended from the other side, or broke.
    fn finish(&mut self, id: u64) {
        self.happened(id, Happening::Ended);
        self.remove(id);
    }

    fn happened(&mut self, id: u64, happening: Happening) {
        if let Some(session) = self.sessions.get(&id) {
            let leg = session.leg.clone();
            self.outputs.push_back(Carried::Happened(leg, happening));
        }
    }

    fn send(&mut self, sent: Vec<(SocketAddr, Vec<u8>)>) {
        let datagrams = sent.into_iter();
        self.outputs
            .extend(datagrams.map(|(to, bytes)| Carried::Datagram { to, bytes }));
    }

    fn part(&mut self, id: u64) -> Option<&mut Part> {
        self.sessions.get_mut(&id).map(|session| &mut session.part)
    }

    fn room(&self, leg: &Leg) -> Result<(), Refusal> {
        if self.holds(leg) {
            Err(Refusal::Description)
        } else if self.sessions.len() >= MAX_SESSIONS {
            Err(Refusal::Full)
        } else {
            Ok(())
        }
    }

    fn insert(&mut self, session: Session) -> u64 {
        let id = self.next;
        self.next += 1;
        self.by_leg.insert(session.leg.clone(), id);
        self.sessions.insert(id, session);
        id
    }

    fn remove(&mut self, id: u64) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.by_leg.remove(&session.leg);
        if let Part::Viewer(viewer) = &session.part
            && let Some(Part::Publisher(publisher)) = self.part(viewer.publisher)
        {
            publisher.viewers.remove(&id);
        }
        Some(session)
    }

    fn instant(&self, now: u64) -> Instant {
        // Beyond what the clock can hold there is nothing to time.
        let since = Duration::from_millis(now);
        self.zero.checked_add(since).unwrap_or(self.zero)
    }
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane")
            .field("address", &self.address)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

/// What a publisher's viewers are offered: its tracks, in its codecs.
#[allow(
    clippy::type_complexity,
    reason = "two values that only ever travel from here to the one caller"
)]
fn described(
    session: &Session,
) -> Option<(BTreeMap<Mid, Incoming>, Vec<str0m::format::PayloadParams>)> {
    match &session.part {
        Part::Publisher(publisher) => {
            let tracks = publisher.tracks.clone();
            let codecs = session.codecs(&tracks);
            Some((tracks, codecs))
        }
        Part::Viewer(_) => None,
    }
}

/// When a connection's own time is up, whatever the library waits for.
fn own_timeout(session: &Session) -> Option<u64> {
    match &session.part {
        Part::Publisher(publisher) => [quiet_at(publisher), keyframe_due(publisher)]
            .into_iter()
            .flatten()
            .min(),
        Part::Viewer(viewer) => (!viewer.connected).then_some(viewer.deadline),
    }
}

fn quiet_at(publisher: &Publisher) -> Option<u64> {
    let last = publisher.last_media.filter(|_| !publisher.quiet)?;
    Some(last.saturating_add(QUIET_MS))
}

fn keyframe_due(publisher: &Publisher) -> Option<u64> {
    publisher.keyframe_wanted.then(|| {
        let asked = publisher.asked_at;
        asked.map_or(0, |at| at.saturating_add(KEYFRAME_INTERVAL_MS))
    })
}

/// The library's reasons are not passed on: they repeat what a peer sent, passwords included.
fn unfit(_: RtcError) -> Refusal {
    Refusal::Description
}
