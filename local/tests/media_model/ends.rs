use serde_json::json;
use wakecast_local::media::{Faults, Opening, Output, Power, Reply, Request};

use crate::{Bench, LATER, SERVER_SECRET, UNIX_S, sign};

const LIVENESS: &str = "/rest/v2/liveness";

fn start_time(bench: &mut Bench) -> u64 {
    bench.root("server-time")["start-time"]
        .as_u64()
        .expect("a time")
}

#[test]
fn a_stop_drops_sockets_without_a_close_frame() {
    let mut bench = Bench::enterprise().at(LATER);
    let sockets = [bench.open(), bench.open()];
    bench.model.stop(LATER);
    bench.advance(419);
    assert!(bench.outputs.is_empty(), "no server_will_stop, no Close");
    assert_eq!(bench.get(LIVENESS).0, 200);
    bench.advance(1);
    let [first, second] = sockets;
    let dropped = [
        Output::Drop { socket: first },
        Output::Drop { socket: second },
        Output::Gone,
    ];
    assert_eq!(bench.outputs, dropped);
    assert_eq!(bench.reply(&Request::get(LIVENESS)), Reply::Refused);
    assert!(bench.say(first, r#"{"command":"ping"}"#).is_empty());
}

#[test]
fn a_busy_stop_zeroes_the_counts_while_liveness_still_says_ok() {
    let mut bench = Bench::enterprise().at(LATER);
    bench.publish("s1");
    bench.model.stop(LATER);
    assert_eq!(bench.root("live-clients-size")["totalLiveStreamSize"], 0);
    bench.advance(859);
    assert_eq!(bench.get(LIVENESS).0, 200);
    bench.advance(1);
    assert_eq!(
        bench.model.status(bench.now).power,
        Power::Down { restart_at: None }
    );
}

#[test]
fn the_next_boot_says_whether_the_last_end_was_proper() {
    for (proper, end) in [(true, false), (false, true)] {
        let mut bench = Bench::enterprise().at(LATER);
        bench.publish("s1");
        if end {
            bench.model.kill(LATER);
        } else {
            bench.model.stop(LATER);
        }
        bench.advance(1_000);
        bench.model.boot(bench.now);
        assert_eq!(
            bench.reply(&Request::get(LIVENESS)),
            Reply::Refused,
            "it boots from the beginning"
        );
        bench.advance(4_550);
        assert_eq!(
            bench.root("shutdown-proper-status?appNames=live")["success"],
            proper
        );
        assert_eq!(bench.root("live-clients-size")["totalLiveStreamSize"], 0);
        bench.publish("s1");
    }
}

#[test]
fn a_kill_ends_everything_at_once() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.publish("s1");
    bench.model.kill(LATER);
    bench.collect();
    assert_eq!(bench.outputs, [Output::Drop { socket }, Output::Gone]);
    assert_eq!(bench.opening("/live/websocket"), Opening::Refused);
    bench.advance(600_000);
    assert!(
        !bench.model.is_listening(bench.now),
        "nothing starts it again"
    );
}

#[test]
fn a_crash_shows_as_a_changed_start_time() {
    let mut bench = Bench::enterprise().at(LATER);
    bench.publish("s1");
    assert_eq!(start_time(&mut bench), UNIX_S * 1_000);
    bench.model.crash(LATER, 1_500);
    assert_eq!(bench.model.next_timeout(LATER), Some(LATER + 1_500));
    bench.advance(1_500 + 4_550);
    assert_eq!(start_time(&mut bench), UNIX_S * 1_000 + LATER + 1_500);
    assert_eq!(bench.root("live-clients-size")["totalLiveStreamSize"], 0);
    assert_eq!(bench.model.status(bench.now).starts, 2);
}

#[test]
fn a_crash_opens_the_window_in_which_settings_are_lost_again() {
    let mut bench = Bench::with_stream_tokens().at(LATER);
    bench.model.crash(LATER, 0);
    bench.advance(4_000);
    let _ = bench.opening("/live/websocket");
    bench.advance(LATER);
    let settings = bench.root("applications/settings/live");
    assert_eq!(settings["publishJwtControlEnabled"], false);
}

#[test]
fn socket_ids_are_not_reused_across_lives() {
    let mut bench = Bench::enterprise().at(LATER);
    let old = bench.open();
    bench.model.crash(LATER, 0);
    bench.advance(LATER);
    let new = bench.open();
    assert_ne!(old, new);
    bench.model.ws_closed(bench.now, old);
    assert_eq!(bench.say(new, r#"{"command":"ping"}"#).len(), 1);
}

#[test]
fn a_hang_holds_everything_and_its_end_answers_it() {
    let mut bench = Bench::enterprise().at(LATER);
    let socket = bench.open();
    bench.model.set_faults(
        LATER,
        Faults {
            hang: true,
            ..Faults::default()
        },
    );
    assert!(bench.model.is_listening(LATER), "the kernel still accepts");
    assert_eq!(
        bench.reply(&Request::get(LIVENESS)),
        Reply::Silent { until: None }
    );
    assert_eq!(
        bench.opening("/live/websocket"),
        Opening::Silent { until: None }
    );
    assert!(bench.say(socket, r#"{"command":"ping"}"#).is_empty());
    bench.advance(60_000);
    bench.model.set_faults(bench.now, Faults::default());
    assert_eq!(bench.heard(socket), [r#"{"command":"pong"}"#]);
    assert_eq!(bench.get(LIVENESS).0, 200);
}

#[test]
fn nothing_secret_is_printed() {
    let mut bench = Bench::with_stream_tokens().at(LATER);
    let token = sign(SERVER_SECRET, &json!({}));
    let request = Request::get("/rest/v2/version?token=canary").with_server_token(&token);
    bench.answer(&request);
    let printed = format!("{:?} {request:?}", bench.model);
    for secret in [
        SERVER_SECRET,
        crate::STREAM_SECRET,
        token.as_str(),
        "canary",
    ] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
