use serde_json::{Value, json};
use wakecast_lambda::media::{server_token, stream_token};
use wakecast_lambda::model::Timestamp;
use wakecast_local::media::{Opening, Output, Request};

use crate::{Bench, LATER, STREAM_SECRET, UNIX_S, sign};

const PING: &str = r#"{"command":"ping"}"#;
const PONG: &str = r#"{"command":"pong"}"#;
const NOW_S: u64 = UNIX_S + LATER / 1_000;

#[test]
fn ping_is_answered_by_pong() {
    let mut bench = Bench::enterprise().at(LATER);
    for target in [
        "/live/websocket",
        "/live/websocket?target=edge",
        "/live/websocket/signaling",
    ] {
        let Opening::Accepted(socket) = bench.opening(target) else {
            panic!("{target}")
        };
        assert_eq!(bench.say(socket, PING), [PONG]);
    }
}

#[test]
fn other_paths_are_no_endpoints() {
    let mut bench = Bench::enterprise().at(LATER);
    for target in [
        "/live/websocket/",
        "/websocket",
        "/nosuch/websocket",
        "/live/websocket/other",
    ] {
        let opening = bench.opening(target);
        assert!(
            matches!(&opening, Opening::Answer(page) if page.status == 404),
            "{target}: {opening:?}"
        );
    }
}

#[test]
fn what_it_does_not_understand_gets_silence_and_the_socket_stays() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.open();
    for text in [
        "hello",
        "{",
        "[]",
        "null",
        "123",
        "",
        "{}",
        r#"{"command":5}"#,
        r#"{"command":"nosuch","streamId":"s1"}"#,
        r#"{"command":"join","streamId":"s1"}"#,
        r#"{"command":"joinRoom","streamId":"s1"}"#,
        r#"{"command":"getBroadcastObject","streamId":"s1"}"#,
        r#"{"command":"stop","streamId":"s1"}"#,
        r#"{"command":"takeCandidate","streamId":"s1","label":0,"id":"0","candidate":""}"#,
        r#"{"command":"takeConfiguration","streamId":"s1","type":"offer","sdp":"v=0"}"#,
        r#"{"command":"takeConfiguration","streamId":"s1","type":"answer","sdp":"v=0"}"#,
    ] {
        assert!(bench.say(socket, text).is_empty(), "{text}");
        assert_eq!(bench.say(socket, PING), [PONG], "after {text}");
    }
}

#[test]
fn a_missing_or_bad_stream_id_is_named() {
    let mut bench = Bench::community().at(LATER);
    let socket = bench.open();
    let nameless = r#"{"definition":"noStreamNameSpecified","command":"error"}"#;
    for command in ["getIceServerConfig", "publish", "play", "stop", "nosuch"] {
        assert_eq!(
            bench.say(socket, &json!({ "command": command }).to_string()),
            [nameless]
        );
    }
    let told = bench.say(socket, r#"{"command":"play","streamId":"bad/id"}"#);
    assert_eq!(
        told,
        [r#"{"streamId":"bad\/id","definition":"invalidStreamName","command":"error"}"#]
    );
    for id in ["x y", "bad id!", "ä"] {
        let told = bench.ask(socket, &json!({ "command": "publish", "streamId": id }));
        assert_eq!(told["definition"], "invalidStreamName", "{id}");
    }
}

#[test]
fn a_long_message_ends_the_socket_with_1009() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.open();
    let padded = |length: usize| format!("{PING}{}", " ".repeat(length - PING.len()));
    assert_eq!(bench.say(socket, &padded(81_920)), [PONG]);
    assert!(bench.say(socket, &padded(81_921)).is_empty());
    assert!(
        matches!(bench.outputs.as_slice(), [Output::Close { code: 1009, .. }]),
        "{:?}",
        bench.outputs
    );
    assert!(bench.say(socket, PING).is_empty(), "it is closed");
}

#[test]
fn publish_goes_through_start_offer_and_answer() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.open();
    let started = bench.say(
        socket,
        r#"{"command":"publish","streamId":"s1","video":true,"audio":true}"#,
    );
    assert_eq!(
        started,
        [r#"{"streamId":"s1","subscriberId":"","command":"start"}"#]
    );
    let offer = json!({
        "command": "takeConfiguration", "streamId": "s1", "type": "offer",
        "sdp": "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n",
    });
    let heard = bench.say(socket, &offer.to_string());
    let answer: Value = serde_json::from_str(&heard[0]).expect("JSON");
    assert_eq!(
        (&answer["command"], &answer["type"]),
        (&json!("takeConfiguration"), &json!("answer"))
    );
    assert!(
        answer["sdp"]
            .as_str()
            .is_some_and(|sdp| sdp.contains("a=recvonly")),
        "{answer}"
    );
    assert_eq!(
        heard[1],
        r#"{"streamId":"s1","subscriberId":"","definition":"publish_started","command":"notification"}"#
    );
    assert_eq!(heard.len(), 2);
    let stopped = bench.say(socket, r#"{"command":"stop","streamId":"s1"}"#);
    assert_eq!(
        stopped,
        [
            r#"{"streamId":"s1","subscriberId":"","definition":"publish_finished","command":"notification"}"#
        ]
    );
}

#[test]
fn play_of_nothing_is_404_and_of_a_live_stream_an_offer() {
    let mut bench = Bench::enterprise().at(LATER);
    let viewer = bench.open();
    let play = r#"{"command":"play","streamId":"s1"}"#;
    let missing =
        r#"{"streamId":"s1","error_code":"404","definition":"no_stream_exist","command":"error"}"#;
    assert_eq!(bench.say(viewer, play), [missing]);
    assert_eq!(
        bench.say(viewer, r#"{"command":"getStreamInfo","streamId":"s1"}"#),
        [missing]
    );

    let publisher = bench.publish("s1");
    let viewer = bench.play("s1");
    let info = bench.ask(
        viewer,
        &json!({ "command": "getStreamInfo", "streamId": "s1" }),
    );
    assert_eq!(info["command"], "streamInformation");

    bench.model.ws_closed(bench.now, publisher);
    let heard = bench.heard(viewer);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("play_finished"));
}

#[test]
fn a_viewer_that_stops_is_told_and_the_stream_goes_on() {
    let mut bench = Bench::enterprise().at(LATER);
    let publisher = bench.publish("s1");
    let viewer = bench.play("s1");
    let told = bench.ask(viewer, &json!({ "command": "stop", "streamId": "s1" }));
    assert_eq!(told["definition"], "play_finished");
    assert!(bench.heard(publisher).is_empty());
    assert_eq!(bench.model.status(bench.now).counts.total_live_streams, 1);
}

#[test]
fn an_id_in_use_is_refused_whoever_holds_it() {
    let mut bench = Bench::enterprise().at(LATER);
    let publish = json!({ "command": "publish", "streamId": "s1" });
    let publisher = bench.publish("s1");
    assert_eq!(
        bench.ask(publisher, &publish)["definition"],
        "already_publishing"
    );
    let other = bench.open();
    assert_eq!(
        bench.say(other, &publish.to_string()),
        [r#"{"streamId":"s1","definition":"streamIdInUse","command":"error"}"#]
    );
    assert!(bench.model.ingest_started(bench.now, "live", "d1"));
    assert!(
        !bench.model.ingest_started(bench.now, "live", "d1"),
        "a second push is refused"
    );
    let taken = bench.ask(other, &json!({ "command": "publish", "streamId": "d1" }));
    assert_eq!(taken["definition"], "streamIdInUse");
    let viewer = bench.play("s1");
    let again = bench.ask(viewer, &json!({ "command": "play", "streamId": "s1" }));
    assert_eq!(again["definition"], "already_playing");
}

#[test]
fn a_publisher_that_never_offers_is_given_up() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.open();
    bench.ask(socket, &json!({ "command": "publish", "streamId": "s1" }));
    bench.advance(9_999);
    assert!(bench.heard(socket).is_empty());
    bench.advance(1);
    assert_eq!(
        bench.heard(socket),
        [r#"{"streamId":"s1","definition":"publishTimeoutError","command":"error"}"#]
    );
    bench.publish("s1");
}

#[test]
fn the_community_edition_publishes_in_silence_and_never_plays() {
    let mut bench = Bench::community().at(LATER);
    let socket = bench.open();
    assert!(
        bench
            .say(socket, r#"{"command":"publish","streamId":"w1"}"#)
            .is_empty()
    );
    assert_eq!(bench.say(socket, PING), [PONG]);
    assert_eq!(
        bench.say(socket, r#"{"command":"stop","streamId":"w1"}"#),
        [
            r#"{"streamId":"w1","subscriberId":"","definition":"publish_finished","command":"notification"}"#
        ]
    );
    assert!(bench.model.ingest_started(bench.now, "live", "d1"));
    let told = bench.ask(socket, &json!({ "command": "play", "streamId": "d1" }));
    assert_eq!(told["error_code"], "404", "even for a live stream");
}

#[test]
fn only_the_enterprise_edition_names_its_ice_servers() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.open();
    let told = bench.ask(socket, &json!({ "command": "getIceServerConfig" }));
    assert_eq!(told["command"], "iceServerConfig");
}

/// Publishes `s1` with a token and returns the answer's command or definition.
fn publish_with(bench: &mut Bench, token: Option<&str>) -> String {
    let socket = bench.open();
    let mut message = json!({ "command": "publish", "streamId": "s1" });
    if let Some(token) = token {
        message["token"] = json!(token);
    }
    let told = bench.ask(socket, &message);
    bench.model.ws_closed(bench.now, socket);
    let word = told.get("definition").unwrap_or(&told["command"]);
    word.as_str().unwrap_or_default().to_owned()
}

#[test]
fn stream_tokens_are_enforced_claim_by_claim() {
    let mut bench = Bench::with_stream_tokens().at(LATER);
    let good = json!({ "streamId": "s1", "type": "publish", "exp": NOW_S + 60 });
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(STREAM_SECRET, &claims)
    };
    assert_eq!(
        publish_with(&mut bench, Some(&sign(STREAM_SECRET, &good))),
        "start"
    );
    let refused = [
        ("no token", None),
        ("an empty token", Some(String::new())),
        (
            "another secret",
            Some(sign("another-secret-of-32-characters!!", &good)),
        ),
        ("another stream", Some(changed("streamId", json!("s2")))),
        ("another type", Some(changed("type", json!("play")))),
        ("expired", Some(changed("exp", json!(NOW_S - 1)))),
        ("issued ahead", Some(changed("iat", json!(NOW_S + 2)))),
    ];
    for (what, token) in refused {
        assert_eq!(
            publish_with(&mut bench, token.as_deref()),
            "unauthorized_access",
            "{what}"
        );
    }
}

#[test]
fn the_tokens_we_mint_are_the_tokens_it_takes() {
    let mut bench = Bench::with_stream_tokens().at(LATER);
    let expires_at = Timestamp::from_millis((NOW_S + 30) * 1_000);
    let publish = stream_token(&STREAM_SECRET.into(), "s1", true, expires_at).expect("a token");
    let play = stream_token(&STREAM_SECRET.into(), "s1", false, expires_at).expect("a token");
    assert_eq!(
        publish_with(&mut bench, Some(play.expose())),
        "unauthorized_access"
    );
    assert_eq!(publish_with(&mut bench, Some(publish.expose())), "start");
    let publisher = bench.open();
    bench.ask(
        publisher,
        &json!({ "command": "publish", "streamId": "s1", "token": publish.expose() }),
    );
    bench.say(
        publisher,
        r#"{"command":"takeConfiguration","streamId":"s1","type":"offer","sdp":"v=0"}"#,
    );
    let viewer = bench.open();
    let bare = bench.ask(viewer, &json!({ "command": "play", "streamId": "s1" }));
    assert_eq!(bare["definition"], "unauthorized_access");
    let played = bench.ask(
        viewer,
        &json!({ "command": "play", "streamId": "s1", "token": play.expose() }),
    );
    assert_eq!(played["type"], "offer");

    // A running stream outlives its token; a new beginning does not.
    bench.advance(60_000);
    assert_eq!(bench.model.status(bench.now).counts.webrtc_streams, 1);
    let late = bench.ask(
        viewer,
        &json!({ "command": "publish", "streamId": "s2", "token": publish.expose() }),
    );
    assert_eq!(late["definition"], "unauthorized_access");

    let server = server_token(&crate::SERVER_SECRET.into(), expires_at).expect("a token");
    let request = Request::get("/rest/v2/version").with_server_token(server.expose());
    assert_eq!(bench.answer(&request).status, 403, "expired by now");
}
