//! The WebSocket signalling of a ready app, message by message.
//!
//! Where media is carried, the descriptions are those of real connections, see
//! [`super::carrying`]. Where it is not, [`answer_to`] and [`offer_of`] stand for them, and a
//! stream counts as live once its offer was answered.

use serde_json::{Map, Value};

use super::auth::stream_token_holds;
use super::config::Edition;
use super::exchange::{Output, SocketId};
use super::model::MediaModel;
use super::streams::Source;
use super::webrtc::{Leg, Way};

/// The longest text message, in characters: the vendor's buffer of 8192 × 10.
const MAX_MESSAGE_CHARS: usize = 81_920;
/// What the vendor's container says above it.
const TOO_BIG: &str = "The decoded text message was too big for the output buffer";

impl MediaModel {
    pub(super) fn signal(&mut self, now: u64, app: usize, socket: SocketId, text: &str) {
        if text.chars().count() > MAX_MESSAGE_CHARS {
            self.close_socket(now, socket, 1009, TOO_BIG);
            return;
        }
        if !self.is_ready(app, now) {
            self.send(
                socket,
                &[("definition", "not_initialized_yet"), ("command", "error")],
            );
            return;
        }
        // Whatever is not an object with a textual command gets no answer, and the socket stays.
        let Ok(Value::Object(message)) = serde_json::from_str(text) else {
            return;
        };
        let Some(command) = text_of(&message, "command") else {
            return;
        };
        if command == "ping" {
            self.send(socket, &[("command", "pong")]);
            return;
        }
        if command == "getIceServerConfig" && self.config.edition == Edition::Enterprise {
            let stun = "stun:stun1.l.google.com:19302";
            self.send(
                socket,
                &[("stunServerUri", stun), ("command", "iceServerConfig")],
            );
            return;
        }
        let Some(stream) = text_of(&message, "streamId").filter(|id| !id.is_empty()) else {
            self.send(
                socket,
                &[
                    ("definition", "noStreamNameSpecified"),
                    ("command", "error"),
                ],
            );
            return;
        };
        if !is_stream_name(stream) {
            self.error(socket, stream, "invalidStreamName");
            return;
        }
        match command {
            "publish" => self.publish(now, app, socket, stream, text_of(&message, "token")),
            "play" => self.play(now, app, socket, stream, text_of(&message, "token")),
            "takeConfiguration" => self.take_configuration(now, app, socket, stream, &message),
            "takeCandidate" => {
                self.take_candidate(now, socket, stream, text_of(&message, "candidate"));
            }
            "stop" => self.stop_stream(now, app, socket, stream),
            "getStreamInfo" => self.stream_info(app, socket, stream),
            // Unknown commands get no answer.
            _ => {}
        }
    }

    /// A notification to one socket, unless it is gone.
    pub(super) fn notify(&mut self, socket: SocketId, stream: &str, definition: &str) {
        let fields = [
            ("streamId", stream),
            ("subscriberId", ""),
            ("definition", definition),
            ("command", "notification"),
        ];
        self.send(socket, &fields);
    }

    /// Nothing came after `start`: the publisher is told and the id is free again.
    pub(super) fn refuse_late_publisher(&mut self, now: u64, app: usize, stream: &str) {
        self.refuse_publisher(now, app, stream, "publishTimeoutError");
    }

    /// A publisher that is not live yet is told why it never will be, and the id is free again.
    pub(super) fn refuse_publisher(
        &mut self,
        now: u64,
        app: usize,
        stream: &str,
        definition: &str,
    ) {
        let ended = self
            .life
            .apps
            .get_mut(app)
            .and_then(|life| life.streams.end(stream));
        if let Some(Source::Socket(publisher)) = ended.map(|(stream, _)| stream.source) {
            self.error(publisher, stream, definition);
            self.end_media(now, &Leg::new(publisher, Way::Publish, stream));
        }
    }

    fn publish(
        &mut self,
        now: u64,
        app: usize,
        socket: SocketId,
        stream: &str,
        token: Option<&str>,
    ) {
        if !self.token_allows(now, app, stream, "publish", token) {
            self.error(socket, stream, "unauthorized_access");
            return;
        }
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        if let Some(other) = life.streams.get(stream) {
            let mine = other.source == Source::Socket(socket);
            self.error(
                socket,
                stream,
                if mine {
                    "already_publishing"
                } else {
                    "streamIdInUse"
                },
            );
            return;
        }
        life.streams.expect_start(stream, socket, now);
        // The Community Edition without its native library says nothing here.
        if self.config.edition == Edition::Enterprise {
            self.send(
                socket,
                &[
                    ("streamId", stream),
                    ("subscriberId", ""),
                    ("command", "start"),
                ],
            );
        }
    }

    fn play(&mut self, now: u64, app: usize, socket: SocketId, stream: &str, token: Option<&str>) {
        if self.config.edition == Edition::Community {
            self.no_stream(socket, stream);
            return;
        }
        if !self.token_allows(now, app, stream, "play", token) {
            self.error(socket, stream, "unauthorized_access");
            return;
        }
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        if life.streams.plays(socket, stream) {
            self.error(socket, stream, "already_playing");
            return;
        }
        if !life.streams.is_live(stream) {
            self.no_stream(socket, stream);
            return;
        }
        if self.offers_media(now, app, socket, stream) {
            return;
        }
        if let Some(life) = self.life.apps.get_mut(app) {
            life.streams.offer_to_viewer(socket, stream);
        }
        self.describe(socket, stream, "offer", &offer_of(stream));
    }

    fn take_configuration(
        &mut self,
        now: u64,
        app: usize,
        socket: SocketId,
        stream: &str,
        message: &Map<String, Value>,
    ) {
        let Some(sdp) = text_of(message, "sdp") else {
            return;
        };
        match text_of(message, "type") {
            Some("offer") => self.take_offer(now, app, socket, stream, sdp),
            Some("answer") => self.take_answer(now, app, socket, stream, sdp),
            _ => {}
        }
    }

    fn take_offer(&mut self, now: u64, app: usize, socket: SocketId, stream: &str, sdp: &str) {
        let enterprise = self.config.edition == Edition::Enterprise;
        let Some(life) = self.life.apps.get_mut(app).filter(|_| enterprise) else {
            return;
        };
        let offering = life.streams.get(stream).is_some_and(|found| {
            found.source == Source::Socket(socket) && found.live_since.is_none()
        });
        if !offering {
            return;
        }
        if self.config.webrtc.is_some() {
            self.take_media_offer(now, app, socket, stream, sdp);
            return;
        }
        life.streams.go_live(stream, Source::Socket(socket), now);
        self.describe(socket, stream, "answer", &answer_to(sdp));
        self.notify(socket, stream, "publish_started");
    }

    fn take_answer(&mut self, now: u64, app: usize, socket: SocketId, stream: &str, sdp: &str) {
        if self.takes_media_answer(now, app, socket, stream, sdp) {
            return;
        }
        let life = self.life.apps.get_mut(app);
        if life.is_some_and(|life| life.streams.viewer_answered(socket, stream)) {
            self.notify(socket, stream, "play_started");
        }
    }

    fn stop_stream(&mut self, now: u64, app: usize, socket: SocketId, stream: &str) {
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        if life.streams.viewer_left(socket, stream) {
            self.notify(socket, stream, "play_finished");
            self.end_media(now, &Leg::new(socket, Way::Play, stream));
        } else if life
            .streams
            .get(stream)
            .is_some_and(|found| found.source == Source::Socket(socket))
        {
            self.end_stream(now, app, stream);
        }
    }

    fn stream_info(&mut self, app: usize, socket: SocketId, stream: &str) {
        let live = self
            .life
            .apps
            .get(app)
            .is_some_and(|life| life.streams.is_live(stream));
        if !live || self.config.edition == Edition::Community {
            self.no_stream(socket, stream);
            return;
        }
        let text = format!(
            "{{\"streamId\":{},\"streamInfo\":[{{\"streamWidth\":1280,\"streamHeight\":720,\
             \"videoBitrate\":1500000,\"audioBitrate\":64000,\"videoCodec\":\"h264\"}}],\
             \"command\":\"streamInformation\"}}",
            quoted(stream)
        );
        self.emit_text(socket, text);
    }

    /// The Community Edition has no stream tokens and lets everyone in.
    fn token_allows(
        &self,
        now: u64,
        app: usize,
        stream: &str,
        kind: &str,
        token: Option<&str>,
    ) -> bool {
        let settings = self.settings(app);
        let control = format!("{kind}JwtControlEnabled");
        let on = settings
            .get(&control)
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if !on || self.config.edition == Edition::Community {
            return true;
        }
        let secret = settings.get("jwtStreamSecretKey").and_then(Value::as_str);
        stream_token_holds(token, secret, stream, kind, self.unix_ms(now) / 1_000)
    }

    pub(super) fn describe(&mut self, socket: SocketId, stream: &str, kind: &str, sdp: &str) {
        let fields = [
            ("streamId", stream),
            ("type", kind),
            ("sdp", sdp),
            ("subscriberId", ""),
            ("linkSession", ""),
            ("command", "takeConfiguration"),
        ];
        self.send(socket, &fields);
    }

    fn no_stream(&mut self, socket: SocketId, stream: &str) {
        let fields = [
            ("streamId", stream),
            ("error_code", "404"),
            ("definition", "no_stream_exist"),
            ("command", "error"),
        ];
        self.send(socket, &fields);
    }

    pub(super) fn error(&mut self, socket: SocketId, stream: &str, definition: &str) {
        let fields = [
            ("streamId", stream),
            ("definition", definition),
            ("command", "error"),
        ];
        self.send(socket, &fields);
    }

    fn send(&mut self, socket: SocketId, fields: &[(&str, &str)]) {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
            .collect();
        self.emit_text(socket, format!("{{{}}}", pairs.join(",")));
    }

    pub(super) fn emit_text(&mut self, socket: SocketId, text: String) {
        if self.has_socket(socket) {
            self.emit(Output::Send { socket, text });
        }
    }
}

/// The media seam, publishing: what the server answers to a publisher's offer.
fn answer_to(offer: &str) -> String {
    let lines = offer.lines().map(|line| match line {
        "a=sendonly" | "a=sendrecv" => "a=recvonly",
        other => other,
    });
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// The media seam, playing: what the server offers to a viewer.
fn offer_of(stream: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns={stream}\r\nt=0 0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtpmap:96 H264/90000\r\n"
    )
}

fn text_of<'a>(message: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    message.get(key).and_then(Value::as_str)
}

fn is_stream_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A JSON string as the vendor's library writes it, which escapes the slash.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('/', "\\/")
}
