//! What cannot be carried is refused with the vendor's words, and leaves nothing behind.

use std::io;
use std::sync::{Arc, Mutex};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use wakecast_local::media::{AppConfig, MediaModel, WebRtc};

use super::world::{World, config};

const STREAM_SECRET: &str = "the-stream-secret-of-32-characters";

fn told(world: &mut World) -> Vec<String> {
    let texts = std::mem::take(&mut world.texts);
    texts.into_iter().map(|(_, text)| text).collect()
}

fn publish_with_offer(world: &mut World, offer: &str) -> Vec<String> {
    let socket = world.open();
    world.say(socket, r#"{"command":"publish","streamId":"s1"}"#);
    world.texts.clear();
    let message = json!({
        "command": "takeConfiguration", "streamId": "s1", "type": "offer", "sdp": offer,
    });
    world.say(socket, &message.to_string());
    told(world)
}

#[test]
fn an_offer_that_cannot_be_read_frees_the_id() {
    let mut world = World::new();
    let told = publish_with_offer(&mut world, "v=0\r\nnonsense");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("notSetRemoteDescription"), "{told:?}");
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
}

#[test]
fn an_offer_without_a_codec_that_is_carried_is_refused() {
    let offer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 98\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 \
        00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:98 VP9/90000\r\n";
    let mut world = World::new();
    let told = publish_with_offer(&mut world, offer);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("no_codec_enabled_in_the_server"),
        "{told:?}"
    );
    assert_eq!(world.counts().live_streams, 0);
}

#[test]
fn a_publisher_whose_media_does_not_come_is_told_after_10_s() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.vanish(publisher);
    world.run(9_900);
    assert_eq!(world.counts().live_streams, 1);
    world.run(200);
    assert_eq!(world.counts().live_streams, 0);
    let next = world.publish("s1");
    world.until_told(next, "publish_started");
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_viewer() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
    let socket = world.open();
    world.say(socket, r#"{"command":"play","streamId":"s1"}"#);
    world.texts.clear();
    let answer = json!({
        "command": "takeConfiguration", "streamId": "s1", "type": "answer", "sdp": "v=0",
    });
    world.say(socket, &answer.to_string());
    let told = told(&mut world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("notSetRemoteDescription"), "{told:?}");
    // The viewer may try again.
    world.say(socket, r#"{"command":"play","streamId":"s1"}"#);
    assert!(
        world.texts[0].1.contains("takeConfiguration"),
        "{:?}",
        world.texts
    );
}

#[test]
fn the_vendors_refusals_stand() {
    let mut world = World::new();
    let early = world.play("s1");
    assert_eq!(world.peer(early).definitions(), ["no_stream_exist"]);
    let publisher = world.publish("s1");
    let too_early = world.play("s1");
    assert_eq!(
        world.peer(too_early).definitions(),
        ["no_stream_exist"],
        "no media yet"
    );
    world.until_told(publisher, "publish_started");
    let second = world.publish("s1");
    assert_eq!(world.peer(second).definitions(), ["streamIdInUse"]);
    world.act(publisher, |publisher| publisher.begin());
    assert_eq!(
        world.peer(publisher).definitions().last(),
        Some(&"already_publishing")
    );
    let viewer = world.play("s1");
    world.act(viewer, |viewer| viewer.begin());
    assert_eq!(world.peer(viewer).definitions(), ["already_playing"]);
    world.until_told(viewer, "play_started");
    assert_eq!(world.counts().webrtc_viewers, 1);
    assert_eq!(world.counts().webrtc_streams, 1);
}

#[test]
fn connections_are_limited() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
    let socket = world.open();
    world.texts.clear();
    for _ in 0..63 {
        let socket = world.open();
        world.say(socket, r#"{"command":"play","streamId":"s1"}"#);
    }
    assert!(!told(&mut world).concat().contains("viewerLimitReached"));
    world.say(socket, r#"{"command":"play","streamId":"s1"}"#);
    assert!(told(&mut world).concat().contains("viewerLimitReached"));
    let second = world.publish("s2");
    assert_eq!(world.peer(second).definitions(), ["highResourceUsage"]);
    // None of them connects: they are given up, and there is room again.
    world.run(10_000);
    let viewer = world.play("s1");
    world.until_told(viewer, "play_started");
}

#[test]
fn an_address_that_names_no_one_place_is_refused() {
    let config = config().with_webrtc(WebRtc {
        address: "0.0.0.0:5000".parse().unwrap(),
    });
    let refused = MediaModel::start(config, 0).unwrap_err();
    assert!(refused.contains("one address of this machine"), "{refused}");
}

/// Collects what is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn stream_tokens_open_media_and_are_never_shown() {
    let token = |kind: &str| {
        let claims = json!({ "streamId": "s1", "type": kind, "exp": 4_000_000_000_u64 });
        let key = EncodingKey::from_secret(STREAM_SECRET.as_bytes());
        encode(&Header::default(), &claims, &key).unwrap()
    };
    let (publish, play) = (token("publish"), token("play"));
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let world = tracing::subscriber::with_default(subscriber, || {
        let app = AppConfig::new("live").with_stream_tokens(STREAM_SECRET);
        let mut world = World::with(config().with_apps([app]));
        let refused = world.publish_with("s1", Some(&play));
        assert_eq!(world.peer(refused).definitions(), ["unauthorized_access"]);
        let publisher = world.publish_with("s1", Some(&publish));
        world.until_told(publisher, "publish_started");
        let refused = world.play_with("s1", Some(&publish));
        assert_eq!(world.peer(refused).definitions(), ["unauthorized_access"]);
        let viewer = world.play_with("s1", Some(&play));
        world.until_told(viewer, "play_started");
        world.run(1_000);
        assert!(!world.peer(viewer).frames.is_empty());
        world
    });
    let shown = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        shown.contains("str0m"),
        "the library's log is looked at too"
    );
    let debug = format!("{:?}", world.model);
    for secret in [STREAM_SECRET, &publish, &play] {
        assert!(!shown.contains(secret));
        assert!(!debug.contains(secret));
    }
}
