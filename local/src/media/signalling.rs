//! The WebSocket signalling of a ready app, message by message.
//!
//! Media itself is not carried: [`answer_to`] and [`offer_of`] stand where a WebRTC peer would,
//! and a stream counts as live once its offer was answered.

use serde_json::{Map, Value};

use super::auth::stream_token_holds;
use super::config::Edition;
use super::exchange::{Output, SocketId};
use super::model::MediaModel;
use super::streams::Source;

/// The longest text message, in characters: the vendor's buffer of 8192 × 10.
const MAX_MESSAGE_CHARS: usize = 81_920;
/// What the vendor's container says above it.
const TOO_BIG: &str = "The decoded text message was too big for the output buffer";

impl MediaModel {
    pub(super) fn signal(&mut self, now: u64, app: usize, socket: SocketId, text: &str) {
        if text.chars().count() > MAX_MESSAGE_CHARS {
            self.close_socket(socket, 1009, TOO_BIG);
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
            "stop" => self.stop_stream(app, socket, stream),
            "getStreamInfo" => self.stream_info(app, socket, stream),
            // Candidates need no answer; unknown commands get none.
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

    /// No offer came after `start`: the publisher is told and the id is free again.
    pub(super) fn refuse_late_publisher(&mut self, app: usize, stream: &str) {
        let ended = self
            .life
            .apps
            .get_mut(app)
            .and_then(|life| life.streams.end(stream));
        if let Some(Source::Socket(publisher)) = ended.map(|(stream, _)| stream.source) {
            self.error(publisher, stream, "publishTimeoutError");
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
        life.streams.expect_offer(stream, socket, now);
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
        life.streams.offer_to_viewer(socket, stream);
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
        let enterprise = self.config.edition == Edition::Enterprise;
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        match text_of(message, "type") {
            Some("offer") if enterprise => {
                let offering = life.streams.get(stream).is_some_and(|found| {
                    found.source == Source::Socket(socket) && found.live_since.is_none()
                });
                if offering {
                    life.streams.go_live(stream, Source::Socket(socket), now);
                    self.describe(socket, stream, "answer", &answer_to(sdp));
                    self.notify(socket, stream, "publish_started");
                }
            }
            Some("answer") if life.streams.viewer_answered(socket, stream) => {
                self.notify(socket, stream, "play_started");
            }
            _ => {}
        }
    }

    fn stop_stream(&mut self, app: usize, socket: SocketId, stream: &str) {
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        if life.streams.viewer_left(socket, stream) {
            self.notify(socket, stream, "play_finished");
        } else if life
            .streams
            .get(stream)
            .is_some_and(|found| found.source == Source::Socket(socket))
        {
            self.end_stream(app, stream);
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

    fn describe(&mut self, socket: SocketId, stream: &str, kind: &str, sdp: &str) {
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

    fn error(&mut self, socket: SocketId, stream: &str, definition: &str) {
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

    fn emit_text(&mut self, socket: SocketId, text: String) {
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
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('/', "\\/")
}
