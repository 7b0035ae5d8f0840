//! A browser's part of a connection: the signalling as the vendor's SDK speaks it, and a real
//! WebRTC peer with frames instead of a camera. It does no I/O: the world around it carries its
//! messages and datagrams and tells it the time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// 25 frames a second.
const FRAME_EVERY: Duration = Duration::from_millis(40);
/// Three packets a frame.
const FRAME_BYTES: usize = 3_000;
const PACKET_BYTES: usize = 1_000;
const AUDIO_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Peer {
    rtc: Rtc,
    pub(crate) stream: String,
    pub(crate) address: SocketAddr,
    publishes: bool,
    pending: Option<SdpPendingOffer>,
    video: Option<Mid>,
    audio: Option<Mid>,
    timeout: Instant,
    connected_at: Option<Instant>,
    frames_sent: u64,
    audio_sent: u64,
    keyframe_next: bool,
    /// The number of the next packet, if the peer numbers them itself.
    sequence: Option<u64>,
    pub(crate) token: Option<String>,
    /// Every message of the server.
    pub(crate) heard: Vec<Value>,
    /// The numbers of the video frames that came in.
    pub(crate) frames: Vec<u64>,
    pub(crate) keyframes: u64,
    pub(crate) audio_frames: Vec<u64>,
    /// How often the server asked for a keyframe.
    pub(crate) keyframe_requests: u64,
    pub(crate) closed: bool,
    /// Texts for the server.
    pub(crate) texts: Vec<String>,
    /// Datagrams for the network.
    pub(crate) datagrams: Vec<(SocketAddr, Vec<u8>)>,
}

impl Peer {
    pub(crate) fn publisher(now: Instant, address: SocketAddr, stream: &str) -> Self {
        Self::new(now, address, stream, true)
    }

    /// One that numbers its packets from here on, one packet a frame and no sound.
    pub(crate) fn numbering_from(mut self, now: Instant, sequence: u64) -> Self {
        self.rtc = config().set_rtp_mode(true).build(now);
        self.rtc
            .add_local_candidate(Candidate::host(self.address, "udp").unwrap());
        self.sequence = Some(sequence);
        self
    }

    pub(crate) fn viewer(now: Instant, address: SocketAddr, stream: &str) -> Self {
        Self::new(now, address, stream, false)
    }

    fn new(now: Instant, address: SocketAddr, stream: &str, publishes: bool) -> Self {
        let mut rtc = config().build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        Self {
            rtc,
            stream: stream.to_owned(),
            address,
            publishes,
            pending: None,
            video: None,
            audio: None,
            timeout: now,
            connected_at: None,
            frames_sent: 0,
            audio_sent: 0,
            keyframe_next: true,
            sequence: None,
            token: None,
            heard: Vec::new(),
            frames: Vec::new(),
            keyframes: 0,
            audio_frames: Vec::new(),
            keyframe_requests: 0,
            closed: false,
            texts: Vec::new(),
            datagrams: Vec::new(),
        }
    }

    /// What the SDK's `publish` or `play` sends.
    pub(crate) fn begin(&mut self) {
        let command = if self.publishes { "publish" } else { "play" };
        let token = self.token.clone().unwrap_or_default();
        self.tell(json!({
            "command": command, "streamId": self.stream, "token": token,
            "subscriberId": "", "subscriberCode": "",
        }));
    }

    pub(crate) fn stop(&mut self) {
        self.tell(json!({ "command": "stop", "streamId": self.stream }));
    }

    /// The number of frames written so far.
    pub(crate) fn frames_sent(&self) -> u64 {
        self.frames_sent
    }

    /// The definitions of the notifications and errors heard, in order.
    pub(crate) fn definitions(&self) -> Vec<&str> {
        self.heard
            .iter()
            .filter_map(|message| message["definition"].as_str())
            .collect()
    }

    /// A message of the server: acts as the SDK does.
    pub(crate) fn hear(&mut self, now: Instant, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap();
        assert_eq!(message["streamId"], self.stream, "{text}");
        match message["command"].as_str().unwrap() {
            "start" => self.offer(now),
            "takeConfiguration" => {
                let sdp = message["sdp"].as_str().unwrap();
                if message["type"] == "offer" {
                    assert!(!self.publishes, "a publisher is not offered anything");
                    self.answer(now, sdp, &message["idMapping"]);
                } else {
                    let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
                    let pending = self.pending.take().unwrap();
                    self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
                    self.drain(now);
                }
            }
            "takeCandidate" => {
                assert!(
                    message["label"].is_u64() && message["id"].is_string(),
                    "{text}"
                );
                let candidate = message["candidate"].as_str().unwrap();
                let candidate = Candidate::from_sdp_string(candidate).unwrap();
                self.rtc.add_remote_candidate(candidate);
                self.drain(now);
            }
            "notification" | "error" => {}
            other => panic!("the SDK knows no {other}"),
        }
        self.heard.push(message);
    }

    /// A datagram from the network.
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Ok(receive) = Receive::new(Protocol::Udp, from, self.address, bytes) else {
            panic!("the server sends what WebRTC knows");
        };
        let input = Input::Receive(now, receive);
        if self.rtc.accepts(&input) {
            self.rtc.handle_input(input).unwrap();
            self.drain(now);
        }
    }

    /// Lets time pass: the library's timers, and the camera.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.timeout <= now {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
            self.drain(now);
        }
        while self.next_frame().is_some_and(|due| due <= now) {
            self.film(now);
        }
        while self.next_audio().is_some_and(|due| due <= now) {
            self.speak(now);
        }
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        let own = self.next_frame().into_iter().chain(self.next_audio());
        own.fold(self.timeout, Instant::min)
    }

    fn next_frame(&self) -> Option<Instant> {
        let start = self.connected_at.filter(|_| self.publishes)?;
        Some(start + FRAME_EVERY * u32::try_from(self.frames_sent).unwrap())
    }

    fn next_audio(&self) -> Option<Instant> {
        let sound = self.publishes && self.sequence.is_none();
        let start = self.connected_at.filter(|_| sound)?;
        Some(start + AUDIO_EVERY * u32::try_from(self.audio_sent).unwrap())
    }

    /// A frame as VP8's: its first bit tells a keyframe from a difference. The rest is its number.
    fn film(&mut self, now: Instant) {
        let keyframe = std::mem::take(&mut self.keyframe_next);
        let mut frame = vec![0; FRAME_BYTES];
        frame[0] = u8::from(!keyframe);
        frame[1..9].copy_from_slice(&self.frames_sent.to_be_bytes());
        let time = MediaTime::new(self.frames_sent * 3_600, Frequency::NINETY_KHZ);
        self.frames_sent += 1;
        let mid = self.video.unwrap();
        match self.sequence {
            Some(_) => self.write_packet(now, mid, time, &frame),
            None => self.write(now, mid, time, frame),
        }
    }

    fn speak(&mut self, now: Instant) {
        let time = MediaTime::new(self.audio_sent * 960, Frequency::FORTY_EIGHT_KHZ);
        let frame = self.audio_sent.to_be_bytes().to_vec();
        self.audio_sent += 1;
        self.write(now, self.audio.unwrap(), time, frame);
    }

    fn write(&mut self, now: Instant, mid: Mid, time: MediaTime, frame: Vec<u8>) {
        let writer = self.rtc.writer(mid).unwrap();
        let pt = writer.payload_params().next().unwrap().pt();
        writer.write(pt, now, time, frame).unwrap();
        self.drain(now);
    }

    /// A frame in one packet, behind the descriptor of its first and only partition.
    fn write_packet(&mut self, now: Instant, mid: Mid, time: MediaTime, frame: &[u8]) {
        let mut payload = vec![0x10];
        payload.extend(&frame[..PACKET_BYTES]);
        let pt = self.rtc.media(mid).unwrap().remote_pts()[0];
        let sequence = self.sequence.as_mut().unwrap();
        let time = u32::try_from(time.numer()).unwrap();
        let write = RtpWrite::new(pt, (*sequence).into(), time, now, payload);
        *sequence += 1;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        stream.write_rtp(write.marker(true).nackable(true));
        self.drain(now);
    }

    fn offer(&mut self, now: Instant) {
        let mut api = self.rtc.sdp_api();
        let kinds = [MediaKind::Video, MediaKind::Audio];
        let [video, audio] =
            kinds.map(|kind| api.add_media(kind, Direction::SendOnly, None, None, None));
        let (offer, pending) = api.apply().unwrap();
        (self.video, self.audio) = (Some(video), Some(audio));
        self.pending = Some(pending);
        self.describe("offer", &offer.to_sdp_string());
        self.drain(now);
    }

    fn answer(&mut self, now: Instant, offer: &str, mapping: &Value) {
        for mid in offer.lines().filter_map(|line| line.strip_prefix("a=mid:")) {
            assert_eq!(mapping[mid], self.stream, "{mapping}");
        }
        let offer = SdpOffer::from_sdp_string(offer).unwrap();
        let answer = self.rtc.sdp_api().accept_offer(offer).unwrap();
        self.describe("answer", &answer.to_sdp_string());
        self.drain(now);
    }

    fn describe(&mut self, kind: &str, sdp: &str) {
        self.tell(json!({
            "command": "takeConfiguration", "streamId": self.stream, "type": kind, "sdp": sdp,
        }));
        let candidate = Candidate::host(self.address, "udp").unwrap();
        self.tell(json!({
            "command": "takeCandidate", "streamId": self.stream, "label": 0, "id": "0",
            "candidate": candidate.to_sdp_string(),
        }));
    }

    fn tell(&mut self, message: Value) {
        self.texts.push(message.to_string());
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => {
                    self.timeout = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    let datagram = (transmit.destination, transmit.contents.to_vec());
                    self.datagrams.push(datagram);
                }
                Output::Event(event) => self.note(now, event),
            }
        }
    }

    fn note(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.connected_at = Some(now),
            Event::MediaAdded(added) if added.kind == MediaKind::Video => {
                self.video = Some(added.mid);
            }
            Event::MediaAdded(added) => self.audio = Some(added.mid),
            Event::KeyframeRequest(_) => {
                self.keyframe_requests += 1;
                self.keyframe_next = true;
            }
            Event::MediaData(data) if Some(data.mid) == self.video => {
                self.keyframes += u64::from(data.is_keyframe());
                assert!([FRAME_BYTES, PACKET_BYTES].contains(&data.data.len()));
                let number = data.data[1..9].try_into().unwrap();
                self.frames.push(u64::from_be_bytes(number));
            }
            Event::MediaData(data) => {
                let number = data.data[..8].try_into().unwrap();
                self.audio_frames.push(u64::from_be_bytes(number));
            }
            Event::Closed => {
                self.closed = true;
                self.connected_at = None;
            }
            _ => {}
        }
    }
}

fn config() -> RtcConfig {
    Rtc::builder()
        .clear_codecs()
        .enable_opus(true, false)
        .enable_vp8(true)
}
