//! Where signalling and media meet: descriptions become connections, and what becomes of a
//! connection is told, counted and freed.

use std::net::SocketAddr;

use super::boot::BootPhase;
use super::exchange::{Output, SocketId};
use super::model::MediaModel;
use super::signalling::quoted;
use super::streams::Source;
use super::webrtc::{Carried, Happening, Leg, Refusal, Way, mids};

impl MediaModel {
    /// A datagram reached [`super::WebRtc::address`]. Whatever it holds, it changes nothing unless it
    /// belongs to an open connection.
    pub fn datagram(&mut self, now: u64, from: SocketAddr, bytes: &[u8]) {
        self.tick(now);
        if self.faults.hang || self.phase(now) == BootPhase::Refused {
            return;
        }
        if let Some(plane) = &mut self.life.plane {
            plane.datagram(now, from, bytes);
        }
        self.follow_media(now);
    }

    /// A publisher's offer. The stream is live once its first packet is here.
    pub(super) fn take_media_offer(
        &mut self,
        now: u64,
        app: usize,
        socket: SocketId,
        stream: &str,
        offer: &str,
    ) {
        let leg = Leg::new(socket, Way::Publish, stream);
        let Some(plane) = self.life.plane.as_mut().filter(|plane| !plane.holds(&leg)) else {
            return;
        };
        match plane.publish(now, leg, offer) {
            Ok(answer) => {
                if let Some(life) = self.life.apps.get_mut(app) {
                    life.streams.expect_start(stream, socket, now);
                }
                self.describe(socket, stream, "answer", &answer);
                self.send_candidate(socket, stream, &answer);
            }
            Err(refusal) => {
                self.refuse_publisher(now, app, stream, refusal.definition(Way::Publish));
            }
        }
        self.follow_media(now);
    }

    /// Offers a live stream to a viewer; false if it has no real media to offer.
    pub(super) fn offers_media(
        &mut self,
        now: u64,
        app: usize,
        socket: SocketId,
        stream: &str,
    ) -> bool {
        let life = self.life.apps.get_mut(app);
        let source = life.and_then(|life| life.streams.get(stream).map(|found| found.source));
        let (Some(Source::Socket(publisher)), Some(plane)) = (source, &mut self.life.plane) else {
            return false;
        };
        let publisher = Leg::new(publisher, Way::Publish, stream);
        match plane.view(now, Leg::new(socket, Way::Play, stream), &publisher) {
            Ok(offer) => {
                if let Some(life) = self.life.apps.get_mut(app) {
                    life.streams.offer_to_viewer(socket, stream);
                }
                self.offer(socket, stream, &offer);
                self.send_candidate(socket, stream, &offer);
            }
            Err(refusal) => self.error(socket, stream, refusal.definition(Way::Play)),
        }
        self.follow_media(now);
        true
    }

    /// A viewer's answer; false if no real connection waits for one.
    pub(super) fn takes_media_answer(
        &mut self,
        now: u64,
        app: usize,
        socket: SocketId,
        stream: &str,
        answer: &str,
    ) -> bool {
        let leg = Leg::new(socket, Way::Play, stream);
        let Some(plane) = self.life.plane.as_mut().filter(|plane| plane.holds(&leg)) else {
            return false;
        };
        let taken = plane.answer(now, &leg, answer);
        self.follow_media(now);
        if let Err(refusal) = taken {
            self.viewer_ended(now, app, &leg, Err(refusal));
        }
        true
    }

    /// One of a peer's candidates. An empty one says that there are no more.
    pub(super) fn take_candidate(
        &mut self,
        now: u64,
        socket: SocketId,
        stream: &str,
        candidate: Option<&str>,
    ) {
        let Some(candidate) = candidate.filter(|candidate| !candidate.is_empty()) else {
            return;
        };
        let Some(plane) = &mut self.life.plane else {
            return;
        };
        for way in [Way::Publish, Way::Play] {
            plane.add_candidate(now, &Leg::new(socket, way, stream), candidate);
        }
        self.follow_media(now);
    }

    /// Closes a connection; nothing happens if there is none.
    pub(super) fn end_media(&mut self, now: u64, leg: &Leg) {
        if let Some(plane) = &mut self.life.plane {
            plane.end(now, leg);
            self.follow_media(now);
        }
    }

    pub(super) fn tick_media(&mut self, now: u64) {
        if self.faults.hang {
            return;
        }
        if let Some(plane) = &mut self.life.plane {
            plane.tick(now);
            self.follow_media(now);
        }
    }

    /// Sends what is to be sent and acts on what happened.
    fn follow_media(&mut self, now: u64) {
        while let Some(carried) = self.life.plane.as_mut().and_then(|plane| plane.poll()) {
            match carried {
                Carried::Datagram { to, bytes } => self.emit(Output::Datagram { to, bytes }),
                Carried::Happened(leg, happening) => self.media_happened(now, &leg, happening),
            }
        }
    }

    fn media_happened(&mut self, now: u64, leg: &Leg, happening: Happening) {
        let Some(app) = self.life.sockets.get(&leg.socket).copied() else {
            return;
        };
        match (leg.way, happening) {
            (Way::Publish, Happening::Flowing) => self.media_flows(now, app, leg),
            (Way::Publish, Happening::Quiet { since }) => {
                let draw = self.draw();
                if let Some(life) = self.life.apps.get_mut(app) {
                    life.streams.freeze(&leg.stream, draw, since);
                }
            }
            (Way::Publish, Happening::Ended) => {
                self.end_stream(now, app, &leg.stream);
            }
            (Way::Play, Happening::Connected) => {
                let life = self.life.apps.get_mut(app);
                if life.is_some_and(|life| life.streams.viewer_answered(leg.socket, &leg.stream)) {
                    self.notify(leg.socket, &leg.stream, "play_started");
                }
            }
            (Way::Play, Happening::Ended) => self.viewer_ended(now, app, leg, Ok(())),
            (Way::Publish, Happening::Connected)
            | (Way::Play, Happening::Flowing | Happening::Quiet { .. }) => {}
        }
    }

    fn media_flows(&mut self, now: u64, app: usize, leg: &Leg) {
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        if life.streams.is_live(&leg.stream) {
            life.streams.thaw(&leg.stream);
            return;
        }
        let source = Source::Socket(leg.socket);
        life.streams.go_live(&leg.stream, source, now);
        self.notify(leg.socket, &leg.stream, "publish_started");
    }

    fn viewer_ended(&mut self, now: u64, app: usize, leg: &Leg, why: Result<(), Refusal>) {
        let life = self.life.apps.get_mut(app);
        if !life.is_some_and(|life| life.streams.viewer_left(leg.socket, &leg.stream)) {
            return;
        }
        match why {
            Ok(()) => self.notify(leg.socket, &leg.stream, "play_finished"),
            Err(refusal) => self.error(leg.socket, &leg.stream, refusal.definition(Way::Play)),
        }
        self.end_media(now, leg);
    }

    /// An offer to a viewer names the stream that each of its tracks belongs to.
    fn offer(&mut self, socket: SocketId, stream: &str, offer: &str) {
        let mapping: Vec<String> = mids(offer)
            .map(|mid| format!("{}:{}", quoted(mid), quoted(stream)))
            .collect();
        let text = format!(
            "{{\"streamId\":{},\"type\":\"offer\",\"sdp\":{},\"idMapping\":{{{}}},\
             \"subscriberId\":\"\",\"linkSession\":\"\",\"command\":\"takeConfiguration\"}}",
            quoted(stream),
            quoted(offer),
            mapping.join(",")
        );
        self.emit_text(socket, text);
    }

    /// The real server trickles its candidates; this one has one, which the description holds too.
    fn send_candidate(&mut self, socket: SocketId, stream: &str, description: &str) {
        let Some(plane) = &self.life.plane else {
            return;
        };
        let text = format!(
            "{{\"streamId\":{},\"label\":0,\"id\":{},\"candidate\":{},\
             \"subscriberId\":\"\",\"linkSession\":\"\",\"command\":\"takeCandidate\"}}",
            quoted(stream),
            quoted(mids(description).next().unwrap_or_default()),
            quoted(&plane.candidate()),
        );
        self.emit_text(socket, text);
    }
}
