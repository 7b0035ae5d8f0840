use serde_json::{Value, json};
use wakecast_local::media::{MediaConfig, Request};

use crate::{Bench, LATER, SERVER_SECRET};

/// The counts of `system-resources` that a stop depends on.
fn load(bench: &mut Bench) -> [Value; 5] {
    let body = bench.root("system-resources");
    let names = [
        "localLiveStreams",
        "localWebRTCLiveStreams",
        "totalLiveStreamSize",
        "localWebRTCViewers",
        "localHLSViewers",
    ];
    names.map(|name| body[name].clone())
}

#[test]
fn counts_follow_publishers_and_viewers() {
    let mut bench = Bench::enterprise().at(LATER);
    assert_eq!(load(&mut bench), [0, 0, 0, 0, 0]);
    let socket = bench.open();
    bench.ask(socket, &json!({ "command": "publish", "streamId": "s1" }));
    assert_eq!(load(&mut bench), [1, 0, 0, 0, 0], "a just-starting ingest");
    bench.model.ws_closed(bench.now, socket);
    assert_eq!(load(&mut bench), [0, 0, 0, 0, 0]);

    let publisher = bench.publish("s1");
    let viewers = [bench.play("s1"), bench.play("s1")];
    assert_eq!(load(&mut bench), [1, 1, 1, 2, 0]);
    bench.model.ws_closed(bench.now, viewers[0]);
    assert_eq!(load(&mut bench), [1, 1, 1, 1, 0]);
    bench.model.ws_closed(bench.now, publisher);
    assert_eq!(
        load(&mut bench),
        [0, 0, 0, 0, 0],
        "a killed publisher leaves at once, its viewers with it"
    );
}

#[test]
fn idle_sockets_and_pings_never_count() {
    let mut bench = Bench::enterprise().at(LATER);
    for _ in 0..3 {
        let socket = bench.open();
        bench.say(socket, r#"{"command":"ping"}"#);
        bench.say(socket, r#"{"command":"play","streamId":"nostream"}"#);
    }
    assert_eq!(load(&mut bench), [0, 0, 0, 0, 0]);
    assert_eq!(bench.model.status(bench.now).sockets, 3);
}

#[test]
fn an_ingest_counts_without_webrtc() {
    let mut bench = Bench::enterprise().at(LATER);
    assert!(bench.model.ingest_started(bench.now, "live", "d1"));
    assert_eq!(load(&mut bench), [1, 0, 1, 0, 0]);
    assert_eq!(
        bench.root("live-clients-size"),
        json!({ "totalConnectionSize": 1, "totalLiveStreamSize": 1 })
    );
    assert!(bench.model.ingest_ended(bench.now, "live", "d1"));
    assert_eq!(load(&mut bench), [0, 0, 0, 0, 0]);
    assert!(!bench.model.ingest_ended(bench.now, "live", "d1"));
    assert!(!bench.model.ingest_started(bench.now, "nosuch", "d1"));
}

#[test]
fn no_ingest_begins_before_the_app_is_ready() {
    let mut bench = Bench::enterprise().at(4_549);
    assert!(!bench.model.ingest_started(bench.now, "live", "d1"));
    bench.advance(1);
    assert!(bench.model.ingest_started(bench.now, "live", "d1"));
}

#[test]
fn a_frozen_publisher_counts_for_10_to_30_seconds() {
    let mut delays = Vec::new();
    for seed in 0..200 {
        let config = MediaConfig {
            seed,
            ..MediaConfig::enterprise().with_server_secret(SERVER_SECRET)
        };
        let mut bench = Bench::new(config).at(LATER);
        let publisher = bench.publish("s1");
        let viewer = bench.play("s1");
        assert!(bench.model.freeze(bench.now, "live", "s1"));
        let noticed = bench.model.next_timeout(bench.now).expect("it is noticed");
        delays.push(noticed - LATER);
        bench.advance_to(noticed - 1);
        assert_eq!(load(&mut bench), [1, 1, 1, 1, 0], "seed {seed}");
        bench.advance_to(noticed);
        assert_eq!(load(&mut bench), [0, 0, 0, 0, 0], "seed {seed}");
        assert!(bench.heard(publisher)[0].contains("publish_finished"));
        assert!(bench.heard(viewer)[0].contains("play_finished"));
    }
    delays.sort_unstable();
    assert!(
        delays[0] >= 10_000 && delays[199] <= 30_000,
        "{} to {}",
        delays[0],
        delays[199]
    );
    assert!(
        delays[0] < 12_000 && delays[199] > 28_000,
        "the whole range is used"
    );
}

#[test]
fn a_publisher_that_thaws_in_time_goes_on() {
    let mut bench = Bench::enterprise().at(LATER);
    bench.publish("s1");
    assert!(bench.model.freeze(bench.now, "live", "s1"));
    bench.advance(9_000);
    assert!(bench.model.thaw(bench.now, "live", "s1"));
    bench.advance(120_000);
    assert_eq!(load(&mut bench), [1, 1, 1, 0, 0]);
    assert!(!bench.model.freeze(bench.now, "live", "nosuch"));
}

#[test]
fn each_playlist_request_without_a_cookie_is_a_viewer() {
    let mut bench = Bench::enterprise().at(LATER);
    bench.publish("s1");
    let playlist = Request::get("/live/streams/s1.m3u8");
    assert_eq!(bench.answer(&playlist).status, 404, "no segment yet");
    bench.advance(2_600);
    let session = bench.answer(&playlist).new_session;
    for _ in 0..4 {
        assert_eq!(bench.answer(&playlist).status, 200);
    }
    assert_eq!(load(&mut bench)[4], 5);
    let same = Request {
        session,
        ..playlist.clone()
    };
    assert_eq!(bench.answer(&same).new_session, None);
    let head = Request {
        method: "HEAD".to_owned(),
        ..playlist
    };
    assert_eq!(bench.answer(&head).status, 200);
    assert_eq!(
        load(&mut bench)[4],
        5,
        "neither the same session nor a HEAD adds one"
    );
}

#[test]
fn an_hls_viewer_fades_20_to_30_seconds_after_its_last_request() {
    for wait in (0..10_000).step_by(700) {
        let mut bench = Bench::enterprise().at(LATER);
        bench.publish("s1");
        bench.advance(2_600 + wait);
        let session = bench
            .answer(&Request::get("/live/streams/s1.m3u8"))
            .new_session;
        bench.advance(5_000);
        let again = Request {
            session,
            ..Request::get("/live/streams/s1.m3u8")
        };
        bench.answer(&again);
        bench.advance(19_999);
        assert_eq!(load(&mut bench)[4], 1, "after {wait}");
        bench.advance(10_001);
        assert_eq!(load(&mut bench)[4], 0, "after {wait}");
    }
}
