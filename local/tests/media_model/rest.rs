use std::net::IpAddr;

use serde_json::json;
use wakecast_local::media::{AppConfig, MediaConfig, Request};

use crate::{Bench, LATER, SERVER_SECRET, UNIX_S, is_page, sign};

/// The box's wall clock at [`LATER`], in seconds.
const NOW_S: u64 = UNIX_S + LATER / 1_000;

fn version(token: Option<&str>) -> Request {
    let request = Request::get("/rest/v2/version");
    token.map_or(request.clone(), |token| request.with_server_token(token))
}

#[test]
fn the_server_wants_its_token_in_its_own_header() {
    let mut bench = Bench::enterprise().at(LATER);
    let token = sign(SERVER_SECRET, &json!({ "exp": NOW_S + 60 }));
    is_page(&bench.answer(&version(None)), 403, "Not authenticated user");
    is_page(
        &bench.answer(&version(Some(""))),
        403,
        "Not authenticated user",
    );
    let elsewhere = Request {
        authorization: Some(token.clone()),
        ..version(None)
    };
    is_page(&bench.answer(&elsewhere), 403, "Not authenticated user");
    assert_eq!(bench.answer(&version(Some(&token))).status, 200);
}

#[test]
fn refusals_are_403_pages_with_a_session_cookie_never_401_or_json() {
    let mut bench = Bench::enterprise().at(LATER);
    let good = sign(SERVER_SECRET, &json!({}));
    let none = format!("{}.{}.", "eyJhbGciOiJub25lIn0", "e30");
    let bad = [
        format!("Bearer {good}"),
        sign("another-secret-of-32-characters!!", &json!({})),
        none,
        "garbage".to_owned(),
        sign(SERVER_SECRET, &json!({ "exp": NOW_S - 1 })),
        sign(SERVER_SECRET, &json!({ "iat": NOW_S + 2 })),
        sign(
            SERVER_SECRET,
            &json!({ "iat": NOW_S + 1, "exp": NOW_S + 600 }),
        ),
        sign(
            SERVER_SECRET,
            &json!({ "nbf": NOW_S + 1, "exp": NOW_S + 600 }),
        ),
    ];
    for token in bad {
        let response = bench.answer(&version(Some(&token)));
        is_page(&response, 403, "Invalid Server JWT Token");
        assert!(response.new_session.is_some());
    }
}

#[test]
fn a_token_without_times_or_with_past_iat_is_accepted() {
    let mut bench = Bench::enterprise().at(LATER);
    for claims in [
        json!({}),
        json!({ "exp": NOW_S + 1 }),
        json!({ "iat": NOW_S - 60 }),
        json!({ "iat": NOW_S }),
    ] {
        let token = sign(SERVER_SECRET, &claims);
        assert_eq!(bench.answer(&version(Some(&token))).status, 200, "{claims}");
    }
}

#[test]
fn a_box_whose_clock_lags_refuses_a_fresh_iat() {
    let mut config = MediaConfig::enterprise().with_server_secret(SERVER_SECRET);
    config = config.with_unix_ms_at_zero((UNIX_S - 2) * 1_000);
    let mut bench = Bench::enterprise();
    bench.model = wakecast_local::media::MediaModel::start(config, 0).expect("sound");
    bench.advance_to(LATER);
    let with_iat = sign(SERVER_SECRET, &json!({ "iat": NOW_S, "exp": NOW_S + 60 }));
    let with_exp = sign(SERVER_SECRET, &json!({ "exp": NOW_S + 60 }));
    assert_eq!(bench.answer(&version(Some(&with_iat))).status, 403);
    assert_eq!(bench.answer(&version(Some(&with_exp))).status, 200);
}

#[test]
fn liveness_needs_no_token_but_refuses_a_bad_one() {
    let mut bench = Bench::enterprise().at(LATER);
    assert_eq!(bench.get("/rest/v2/liveness").0, 200);
    let bad = Request::get("/rest/v2/liveness").with_server_token("garbage");
    is_page(&bench.answer(&bad), 403, "Invalid Server JWT Token");
}

#[test]
fn with_the_control_off_the_root_is_open_to_nobody() {
    let mut bench = Bench::new(MediaConfig::enterprise()).at(LATER);
    let good = sign(SERVER_SECRET, &json!({}));
    is_page(
        &bench.answer(&version(Some(&good))),
        403,
        "Not authenticated user",
    );
    let bad = Request::get("/rest/v2/liveness").with_server_token("garbage");
    assert_eq!(bench.answer(&bad).status, 200);
}

#[test]
fn unknown_paths_are_404_pages() {
    let mut bench = Bench::enterprise().at(LATER);
    let token = sign(SERVER_SECRET, &json!({}));
    for target in ["/", "/nosuch/rest/v2/version", "/live/websocket"] {
        assert_eq!(bench.get(target).0, 404, "{target}");
    }
    let unknown = Request::get("/rest/v2/nosuch").with_server_token(&token);
    assert_eq!(bench.answer(&unknown).status, 404);
    let posted = Request {
        method: "POST".to_owned(),
        ..version(Some(&token))
    };
    assert_eq!(bench.answer(&posted).status, 405);
}

#[test]
fn an_apps_settings_carry_what_is_configured_over_the_defaults() {
    let live = AppConfig::new("live").with_setting("listenerHookURL", "http://hook");
    let config = MediaConfig::enterprise()
        .with_server_secret(SERVER_SECRET)
        .with_apps([live]);
    let mut bench = Bench::new(config).at(LATER);
    let settings = bench.root("applications/settings/live");
    assert_eq!(settings["listenerHookURL"], "http://hook");
    assert_eq!(settings["remoteAllowedCIDR"], "127.0.0.1");
    assert_eq!(settings["publishJwtControlEnabled"], false);
    let token = sign(SERVER_SECRET, &json!({}));
    let unknown = Request::get("/rest/v2/applications/settings/nosuch").with_server_token(&token);
    assert_eq!(bench.answer(&unknown).status, 204);
}

#[test]
fn system_resources_has_the_real_shape() {
    let mut bench = Bench::enterprise().at(LATER);
    let body = bench.root("system-resources");
    for count in [
        "localWebRTCLiveStreams",
        "localLiveStreams",
        "localWebRTCViewers",
        "localHLSViewers",
        "localDASHViewers",
        "totalLiveStreamSize",
        "encoders-blocked",
        "publish-timeout-errors",
    ] {
        assert_eq!(body[count], 0, "{count}");
    }
    assert_eq!(
        body["server-timing"],
        json!({ "up-time": LATER, "start-time": UNIX_S * 1_000 })
    );
    assert!(body.get("license").is_some());
    assert_eq!(bench.root("server-time"), body["server-timing"]);
}

#[test]
fn the_community_edition_does_not_measure_webrtc_streams() {
    let mut bench = Bench::community().at(LATER);
    let body = bench.root("system-resources");
    assert_eq!(body["localWebRTCLiveStreams"], -1);
    assert_eq!(body["localWebRTCViewers"], 0);
    assert!(body.get("license").is_none());
    assert_eq!(bench.root("version")["versionType"], "Community Edition");
}

#[test]
fn the_bridge_needs_the_servers_token_and_passes_the_apps_ip_filter() {
    let mut bench = Bench::enterprise().at(LATER);
    let outside: IpAddr = "10.9.0.1".parse().expect("an address");
    let direct = Request {
        peer: outside,
        ..Request::get("/live/rest/v2/broadcasts/count")
    };
    is_page(&bench.answer(&direct), 403, "Not allowed IP");
    let bridge = "/rest/v2/request?_path=live/rest/v2/broadcasts/count";
    let bare = Request {
        peer: outside,
        ..Request::get(bridge)
    };
    is_page(&bench.answer(&bare), 403, "Not authenticated user");
    let signed = bare.with_server_token(&sign(SERVER_SECRET, &json!({})));
    assert_eq!(bench.answer(&signed).status, 200);
    let unknown = Request::get("/rest/v2/request?_path=nosuch/rest/v2/version")
        .with_server_token(&sign(SERVER_SECRET, &json!({})));
    assert_eq!(bench.answer(&unknown).status, 404);
}

#[test]
fn the_apps_ip_filter_takes_addresses_and_ranges() {
    let live = AppConfig::new("live").with_setting("remoteAllowedCIDR", "127.0.0.1, 10.8.0.0/16");
    let mut bench = Bench::new(MediaConfig::enterprise().with_apps([live])).at(LATER);
    for (peer, status) in [
        ("127.0.0.1", 200),
        ("127.0.0.2", 403),
        ("10.8.255.1", 200),
        ("10.9.0.1", 403),
        ("::1", 403),
    ] {
        let peer: IpAddr = peer.parse().expect("an address");
        let request = Request {
            peer,
            ..Request::get("/live/rest/v2/version")
        };
        assert_eq!(bench.answer(&request).status, status, "{peer}");
    }
}

#[test]
fn an_apps_token_may_come_with_or_without_bearer() {
    let live = AppConfig::new("live")
        .with_setting("jwtControlEnabled", true)
        .with_setting("jwtSecretKey", SERVER_SECRET);
    let mut bench = Bench::new(MediaConfig::enterprise().with_apps([live])).at(LATER);
    let good = sign(SERVER_SECRET, &json!({ "exp": NOW_S + 60 }));
    let late = sign(SERVER_SECRET, &json!({ "exp": NOW_S - 1 }));
    for (header, status) in [
        (format!("Bearer {good}"), 200),
        (format!("bearer {good}"), 200),
        (good, 200),
        (format!("Bearer {late}"), 403),
        (String::new(), 403),
    ] {
        let request = Request {
            authorization: Some(header),
            ..Request::get("/live/rest/v2/version")
        };
        assert_eq!(bench.answer(&request).status, status);
    }
}
