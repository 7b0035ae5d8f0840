//! Whatever comes in, the server stands, and media that flows goes on.

use std::net::SocketAddr;

use proptest::prelude::*;
use serde_json::json;

use super::world::World;

/// Lines that descriptions are made of, sound and odd ones.
const LINES: &[&str] = &[
    "v=0",
    "o=- 1 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0 1",
    "a=group:BUNDLE 0 0",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "m=audio 0 UDP/TLS/RTP/SAVPF 0",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    "a=ice-lite",
    "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
    "a=fingerprint:sha-256 00",
    "a=setup:actpass",
    "a=setup:holdconn",
    "a=mid:0",
    "a=mid:1",
    "a=mid:aVeryLongNameOfAnMLineThatNobodyWouldEverUse",
    "a=sendonly",
    "a=sendrecv",
    "a=recvonly",
    "a=inactive",
    "a=rtcp-mux",
    "a=rtpmap:96 VP8/90000",
    "a=rtpmap:97 rtx/90000",
    "a=rtpmap:97 H264/90000",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:97 apt=96",
    "a=fmtp:97 apt=97",
    "a=fmtp:97 apt=300",
    "a=rtcp-fb:96 nack pli",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=extmap:300 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=ssrc:1 cname:x",
    "a=ssrc-group:FID 1 2",
    "a=ssrc-group:FID 1 1",
    "a=msid:- t",
    "a=rid:hi send",
    "a=simulcast:send hi;lo",
    "a=sctp-port:5000",
    "a=max-message-size:99999999999999",
    "a=candidate:1 1 UDP 1 127.0.0.1 9 typ host",
    "a=end-of-candidates",
    "",
];

fn description() -> impl Strategy<Value = String> {
    let lines = prop::collection::vec(prop::sample::select(LINES), 0..40);
    lines.prop_map(|lines| lines.iter().map(|line| format!("{line}\r\n")).collect())
}

/// A sound description with a few lines lost, doubled or swapped.
fn broken(sound: &'static [usize]) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((0..sound.len(), 0..LINES.len(), 0..3_u8), 0..6);
    edits.prop_map(move |edits| {
        let mut lines = sound.to_vec();
        for (at, other, how) in edits {
            let at = at.min(lines.len() - 1);
            match how {
                0 => lines[at] = other,
                1 => lines.insert(at, other),
                _ if lines.len() > 1 => drop(lines.remove(at)),
                _ => {}
            }
        }
        lines
            .iter()
            .map(|line| format!("{}\r\n", LINES[*line]))
            .collect()
    })
}

const SOUND: &[usize] = &[
    0, 1, 2, 3, 4, 6, 10, 11, 12, 14, 16, 18, 21, 25, 26, 27, 30, 33, 34, 36, 37, 7, 10, 11, 12,
    14, 16, 19, 21, 25, 29,
];

fn candidate() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("candidate:1 1 udp 2122260223 127.0.0.1 9 typ host".to_owned()),
        Just("candidate:1 1 udp 1 5a6e.local 9 typ host".to_owned()),
        Just("candidate:1 1 tcp 1 ::1 9 typ host tcptype active".to_owned()),
        "candidate:[0-9 a-z.:]{0,60}",
        ".{0,60}",
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Offer(String),
    Answer(String),
    Candidate(bool, String),
    Datagram(bool, Vec<u8>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    // The first byte tells STUN, DTLS and RTP apart.
    let first = prop::sample::select(vec![0_u8, 1, 20, 22, 23, 63, 128, 129, 191, 255]);
    let datagram = (first, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(first, rest)| {
        let mut bytes = vec![first];
        bytes.extend(rest);
        bytes
    });
    prop_oneof![
        prop_oneof![description(), broken(SOUND)].prop_map(Step::Offer),
        prop_oneof![description(), broken(SOUND)].prop_map(Step::Answer),
        (any::<bool>(), candidate()).prop_map(|(known, text)| Step::Candidate(known, text)),
        (any::<bool>(), datagram).prop_map(|(known, bytes)| Step::Datagram(known, bytes)),
        (0..3_000_u64).prop_map(Step::Wait),
    ]
}

fn describe(
    world: &mut World,
    socket: wakecast_local::media::SocketId,
    id: &str,
    kind: &str,
    sdp: &str,
) {
    let message = json!({
        "command": "takeConfiguration", "streamId": id, "type": kind, "sdp": sdp,
    });
    world.say(socket, &message.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_from_outside_ends_the_server_or_a_stream(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut world = World::new();
        let publisher = world.publish("s1");
        let viewer = world.play_when_live(publisher, "s1");
        let from = world.peer(publisher).address;
        let socket = world.open();
        for step in steps {
            match step {
                Step::Offer(sdp) => {
                    world.say(socket, r#"{"command":"publish","streamId":"x"}"#);
                    describe(&mut world, socket, "x", "offer", &sdp);
                }
                Step::Answer(sdp) => {
                    world.say(socket, r#"{"command":"play","streamId":"s1"}"#);
                    describe(&mut world, socket, "s1", "answer", &sdp);
                }
                Step::Candidate(known, text) => {
                    let id = if known { "s1" } else { "x" };
                    let message = json!({
                        "command": "takeCandidate", "streamId": id, "label": 0, "id": "0",
                        "candidate": text,
                    });
                    world.say(socket, &message.to_string());
                }
                Step::Datagram(known, bytes) => {
                    let other: SocketAddr = "127.0.0.1:7777".parse().unwrap();
                    let now = world.now;
                    world.model.datagram(now, if known { from } else { other }, &bytes);
                }
                Step::Wait(ms) => world.run(ms),
            }
        }
        let before = world.peer(viewer).frames.len();
        world.run(1_000);
        prop_assert!(world.peer(viewer).frames.len() > before + 20);
        prop_assert_eq!(world.counts().webrtc_streams, 1);
    }
}
