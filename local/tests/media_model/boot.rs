use serde_json::{Value, json};
use wakecast_local::media::{
    AppConfig, BootPhase, BootTimeline, Faults, MediaConfig, MediaModel, Opening, Reply, Request,
};

use crate::{Bench, LATER, SERVER_SECRET, STREAM_SECRET, UNIX_S, is_page, sign};

const LIVENESS: &str = "/rest/v2/liveness";
const APP_REST: &str = "/live/rest/v2/broadcasts/count";

/// Every way to touch the app, as a request over the bridge needs a token.
fn touches() -> Vec<Request> {
    let token = sign(SERVER_SECRET, &json!({}));
    vec![
        Request::get(APP_REST),
        Request::get("/live/"),
        Request::get("/live/streams/x.m3u8"),
        Request::get("/rest/v2/request?_path=live/rest/v2/broadcasts/count")
            .with_server_token(&token),
    ]
}

fn known_setting(bench: &mut Bench) -> Value {
    bench.root("applications/settings/live")["publishJwtControlEnabled"].clone()
}

#[test]
fn refuses_until_the_port_opens() {
    let mut bench = Bench::enterprise();
    for now in [0, 1_849] {
        bench.advance_to(now);
        assert!(!bench.model.is_listening(now));
        assert_eq!(bench.reply(&Request::get(LIVENESS)), Reply::Refused);
        assert_eq!(bench.opening("/live/websocket"), Opening::Refused);
    }
    bench.advance_to(1_850);
    assert!(bench.model.is_listening(1_850));
}

#[test]
fn then_accepts_and_says_nothing_until_all_is_answered_at_once() {
    let mut bench = Bench::enterprise();
    for now in [1_850, 3_499] {
        bench.advance_to(now);
        assert_eq!(
            bench.reply(&Request::get(LIVENESS)),
            Reply::Silent { until: Some(3_500) }
        );
        assert_eq!(
            bench.opening("/live/websocket"),
            Opening::Silent { until: Some(3_500) }
        );
    }
    bench.advance_to(3_500);
    assert_eq!(bench.get(LIVENESS), (500, String::new()));
}

#[test]
fn root_answers_an_empty_500_then_403_then_liveness() {
    let mut bench = Bench::enterprise().at(3_500);
    assert_eq!(bench.get(LIVENESS), (500, String::new()));
    assert_eq!(bench.get("/rest/v2/applications"), (500, String::new()));
    for now in [3_600, 3_849] {
        bench.advance_to(now);
        is_page(
            &bench.answer(&Request::get(LIVENESS)),
            403,
            "Not allowed IP",
        );
    }
    bench.advance_to(3_850);
    assert_eq!(
        bench.get(LIVENESS),
        (200, r#"{"host":"media","status":"ok"}"#.to_owned())
    );
}

#[test]
fn the_app_answers_403_with_a_gap_of_empty_500() {
    let mut bench = Bench::enterprise();
    for (now, empty) in [
        (3_500, false),
        (3_600, false),
        (3_750, true),
        (3_849, true),
        (3_850, false),
        (4_549, false),
    ] {
        bench.advance_to(now);
        let response = bench.answer(&Request::get(APP_REST));
        if empty {
            assert_eq!(
                (response.status, response.body.as_str()),
                (500, ""),
                "at {now}"
            );
        } else {
            is_page(&response, 403, "Application is getting initialized");
        }
    }
    bench.advance_to(4_550);
    assert_eq!(bench.get(APP_REST), (200, r#"{"number":0}"#.to_owned()));
}

#[test]
fn handshakes_in_the_gap_are_closed_without_a_byte() {
    let mut bench = Bench::enterprise();
    for (now, cut) in [
        (3_500, false),
        (3_749, false),
        (3_750, true),
        (3_849, true),
        (3_850, false),
    ] {
        bench.advance_to(now);
        assert_eq!(
            bench.opening("/live/websocket") == Opening::Cut,
            cut,
            "at {now}"
        );
    }
}

#[test]
fn a_socket_opened_early_is_told_and_later_answered_without_opening_again() {
    let mut bench = Bench::enterprise().at(3_500);
    let socket = bench.open();
    for now in [3_500, 3_800, 4_549] {
        bench.advance_to(now);
        let told = bench.say(socket, r#"{"command":"ping"}"#);
        assert_eq!(
            told,
            [r#"{"definition":"not_initialized_yet","command":"error"}"#]
        );
    }
    bench.advance_to(4_550);
    assert_eq!(
        bench.say(socket, r#"{"command":"ping"}"#),
        [r#"{"command":"pong"}"#]
    );
}

#[test]
fn liveness_precedes_the_app_and_counts_read_zero_in_between() {
    let mut bench = Bench::enterprise().at(3_850);
    assert_eq!(bench.root("applications"), json!({ "applications": [] }));
    assert_eq!(
        bench.root("live-clients-size"),
        json!({ "totalConnectionSize": 0, "totalLiveStreamSize": 0 })
    );
    assert_eq!(bench.root("version")["versionName"], "3.0.3");
    assert_eq!(bench.root("system-resources")["totalLiveStreamSize"], 0);
    let token = sign(SERVER_SECRET, &json!({}));
    let settings = Request::get("/rest/v2/applications/settings/live").with_server_token(&token);
    assert_eq!(bench.answer(&settings).status, 204);
    let proper =
        Request::get("/rest/v2/shutdown-proper-status?appNames=live").with_server_token(&token);
    assert_eq!(bench.answer(&proper).status, 500);
    bench.advance_to(4_550);
    assert_eq!(
        bench.root("applications"),
        json!({ "applications": ["live"] })
    );
    assert_eq!(
        bench.root("shutdown-proper-status?appNames=live")["success"],
        true
    );
    // The first ping after the app is listed is always answered.
    let socket = bench.open();
    assert_eq!(
        bench.say(socket, r#"{"command":"ping"}"#),
        [r#"{"command":"pong"}"#]
    );
}

#[test]
fn a_page_probe_is_a_false_positive() {
    let mut bench = Bench::enterprise().at(3_600);
    assert_eq!(bench.get("/live/").0, 200);
    assert!(bench.model.status(3_600).ready_apps.is_empty());
}

#[test]
fn apps_get_ready_one_after_the_other() {
    let apps = ["live", "WebRTCApp", "LiveApp"].map(AppConfig::new);
    let config = MediaConfig::enterprise()
        .with_server_secret(SERVER_SECRET)
        .with_apps(apps);
    let mut bench = Bench::new(config).at(4_550);
    assert_eq!(
        bench.root("applications"),
        json!({ "applications": ["live"] })
    );
    bench.advance_to(4_810);
    assert_eq!(
        bench.root("applications"),
        json!({ "applications": ["live", "WebRTCApp"] })
    );
    let third = Request::get("/LiveApp/rest/v2/broadcasts/count");
    is_page(
        &bench.answer(&third),
        403,
        "Application is getting initialized",
    );
    bench.advance_to(5_070);
    assert_eq!(
        bench.model.status(bench.now).ready_apps,
        ["live", "WebRTCApp", "LiveApp"]
    );
    assert_eq!(bench.model.status(bench.now).settings_lost, ["LiveApp"]);
}

#[test]
fn polling_root_paths_costs_no_settings() {
    let mut bench = Bench::with_stream_tokens();
    let token = sign(SERVER_SECRET, &json!({}));
    for now in (0..4_550).step_by(20) {
        bench.advance_to(now);
        for path in [
            "liveness",
            "applications",
            "live-clients-size",
            "system-resources",
            "applications/settings/live",
        ] {
            let _ =
                bench.reply(&Request::get(&format!("/rest/v2/{path}")).with_server_token(&token));
        }
    }
    bench.advance_to(LATER);
    assert_eq!(known_setting(&mut bench), true);
    assert!(bench.model.status(LATER).settings_lost.is_empty());
}

#[test]
fn one_touch_before_ready_loses_the_settings_for_the_whole_uptime() {
    for now in [1_850, 3_499, 3_500, 3_700, 3_800, 3_900, 4_549] {
        for touch in touches() {
            let mut bench = Bench::with_stream_tokens().at(now);
            let _ = bench.reply(&touch);
            bench.advance_to(3_600_000);
            assert_eq!(known_setting(&mut bench), false, "{touch:?} at {now}");
        }
        let mut bench = Bench::with_stream_tokens().at(now);
        let _ = bench.opening("/live/websocket");
        bench.advance_to(3_600_000);
        assert_eq!(known_setting(&mut bench), false, "handshake at {now}");
    }
}

#[test]
fn a_touch_when_nothing_listens_or_after_ready_costs_nothing() {
    for now in [0, 1_849, 4_550, LATER] {
        for touch in touches() {
            let mut bench = Bench::with_stream_tokens().at(now);
            let _ = bench.reply(&touch);
            let _ = bench.opening("/live/websocket");
            bench.advance_to(LATER);
            assert_eq!(known_setting(&mut bench), true, "{touch:?} at {now}");
        }
    }
}

#[test]
fn lost_settings_switch_token_control_off_until_a_restart() {
    let publish = json!({ "command": "publish", "streamId": "s1" });
    let mut bench = Bench::with_stream_tokens().at(4_000);
    let _ = bench.get(APP_REST);
    bench.advance_to(LATER);
    let socket = bench.open();
    assert_eq!(
        bench.ask(socket, &publish)["command"],
        "start",
        "nothing is checked any more"
    );

    bench.model.stop(bench.now);
    bench.advance(1_000);
    bench.model.boot(bench.now);
    bench.advance(LATER);
    assert_eq!(known_setting(&mut bench), true);
    let socket = bench.open();
    assert_eq!(
        bench.ask(socket, &publish)["definition"],
        "unauthorized_access"
    );
}

#[test]
fn lost_settings_let_requests_without_an_app_token_in() {
    let live = AppConfig::new("live")
        .with_setting("jwtControlEnabled", true)
        .with_setting("jwtSecretKey", STREAM_SECRET);
    let config = MediaConfig::enterprise().with_apps([live]);
    let mut good = Bench::new(config.clone()).at(LATER);
    is_page(
        &good.answer(&Request::get(APP_REST)),
        403,
        "Invalid App JWT Token",
    );
    let mut poisoned = Bench::new(config).at(4_000);
    let _ = poisoned.get("/live/");
    poisoned.advance_to(LATER);
    assert_eq!(poisoned.get(APP_REST).0, 200);
}

#[test]
fn a_slow_box_stretches_every_phase() {
    let faults = Faults {
        slowdown_percent: 300,
        ..Faults::default()
    };
    let config = MediaConfig::enterprise();
    let model = MediaModel::start_with(config, faults, 1_000).expect("sound");
    let boundaries = [
        (1_850, BootPhase::Silent),
        (3_500, BootPhase::Answering),
        (3_600, BootPhase::Forbidden),
        (3_750, BootPhase::Swapping),
        (3_850, BootPhase::Live),
        (4_550, BootPhase::Ready),
    ];
    for (offset, phase) in boundaries {
        assert!(model.status(1_000 + 3 * offset - 1).phase < phase);
        assert_eq!(model.status(1_000 + 3 * offset).phase, phase);
    }
}

#[test]
fn a_boot_that_never_ends_stays_where_it_is_held() {
    for hold in [
        BootPhase::Refused,
        BootPhase::Silent,
        BootPhase::Answering,
        BootPhase::Forbidden,
        BootPhase::Live,
    ] {
        let mut bench = Bench::enterprise();
        bench.model.set_faults(
            0,
            Faults {
                hold_at: Some(hold),
                ..Faults::default()
            },
        );
        bench.advance_to(3_600_000);
        assert_eq!(bench.model.status(bench.now).phase, hold);
        if hold == BootPhase::Silent {
            assert_eq!(
                bench.reply(&Request::get(LIVENESS)),
                Reply::Silent { until: None }
            );
        }
        bench.model.set_faults(bench.now, Faults::default());
        assert_eq!(bench.model.status(bench.now).ready_apps, ["live"]);
    }
}

#[test]
fn a_wrong_setting_is_read_and_acted_by() {
    let mut bench = Bench::with_stream_tokens().at(LATER);
    let mut faults = Faults::default();
    let name = ("live".to_owned(), "publishJwtControlEnabled".to_owned());
    faults.wrong_settings.insert(name, json!(false));
    bench.model.set_faults(LATER, faults);
    assert_eq!(known_setting(&mut bench), false);
    let socket = bench.open();
    assert_eq!(
        bench.ask(socket, &json!({ "command": "publish", "streamId": "s1" }))["command"],
        "start"
    );
}

#[test]
fn a_server_with_another_secret_answers_403_for_ever_after_liveness() {
    let mut bench = Bench::enterprise();
    bench.model.set_faults(
        0,
        Faults {
            forbidden: true,
            ..Faults::default()
        },
    );
    bench.advance_to(60_000);
    assert_eq!(bench.get(LIVENESS).0, 200);
    let token = sign(SERVER_SECRET, &json!({ "exp": UNIX_S + 600 }));
    let request = Request::get("/rest/v2/applications").with_server_token(&token);
    is_page(&bench.answer(&request), 403, "Invalid Server JWT Token");
}

#[test]
fn wrong_configurations_are_named() {
    let twice =
        MediaConfig::enterprise().with_apps([AppConfig::new("live"), AppConfig::new("live")]);
    let none = MediaConfig::enterprise().with_apps([]);
    let path = MediaConfig::enterprise().with_apps([AppConfig::new("a/b")]);
    let order = MediaConfig::enterprise().with_boot(BootTimeline {
        live_ms: 1,
        ..BootTimeline::OBSERVED
    });
    for (config, word) in [
        (twice, "twice"),
        (none, "no app"),
        (path, "letters"),
        (order, "live_ms"),
    ] {
        let error = MediaModel::start(config, 0).expect_err("refused");
        assert!(error.contains(word), "{error}");
    }
    for timeline in [
        BootTimeline::OBSERVED,
        BootTimeline::DEMONSTRATION,
        BootTimeline::INSTANT,
    ] {
        assert_eq!(timeline.check(), Ok(()));
    }
}
