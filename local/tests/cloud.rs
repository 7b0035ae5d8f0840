//! The whole local cloud: real gateway and reconciler code over real sockets.

#[path = "support/client.rs"]
mod client;
#[path = "support/http.rs"]
mod http;

use std::time::Duration;

use client::Client;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::admin::Fault;
use wakecast_local::cloud::{LONGEST_TOKEN_LIFE, What};
use wakecast_local::ec2::{Ec2Settings, Happened};
use wakecast_local::gateway::Limits;
use wakecast_local::media::BootTimeline;
use wakecast_local::random::Span;
use wakecast_local::{LocalCloud, LocalConfig, LocalError, Profile, TokenRequest};

/// The lifecycle with every wait that may be short made short.
fn quick() -> LocalConfig {
    let mut config = LocalConfig::profile(Profile::Demonstration);
    config.timing.grace = Duration::from_millis(300);
    config.timing.min_up = Duration::from_millis(300);
    config.timing.stream_token = Duration::from_secs(2);
    config.timing.round = Duration::from_millis(50);
    config.ec2 = Ec2Settings {
        pending: Span::millis(20, 60),
        stopping: Span::millis(20, 60),
        shutting_down: Span::millis(20, 60),
        describe_lag: Span::millis(0, 20),
        request: Span::millis(1, 5),
        reply: Span::millis(1, 5),
        ..Ec2Settings::default()
    };
    config.boot = BootTimeline::DEMONSTRATION;
    config
}

async fn cloud() -> LocalCloud {
    LocalCloud::start(quick()).await.unwrap()
}

async fn stood(cloud: &LocalCloud, wanted: Stand) {
    let is_wanted = |what: &What| matches!(what, What::Stand { stand, .. } if *stand == wanted);
    cloud
        .timeline()
        .wait_for(|event| is_wanted(&event.what))
        .await;
}

async fn happened(cloud: &LocalCloud, wanted: Happened) {
    let is_wanted = |what: &What| matches!(what, What::Ec2 { happened, .. } if *happened == wanted);
    cloud
        .timeline()
        .wait_for(|event| is_wanted(&event.what))
        .await;
}

async fn admin(cloud: &LocalCloud, fault: &Value) -> http::Answer {
    let headers = [("Content-Type", "application/json")];
    let url = format!("{}/faults", cloud.admin_url);
    http::send("POST", &url, &headers, &fault.to_string()).await
}

async fn broken(cloud: &LocalCloud, fault: Value) {
    let answer = admin(cloud, &fault).await;
    assert_eq!(answer.status, 200, "{fault}: {}", answer.body);
}

async fn status(cloud: &LocalCloud) -> Value {
    http::send("GET", &format!("{}/status", cloud.admin_url), &[], "")
        .await
        .json()
}

/// Acquires and waits for `ready`; returns the endpoint.
async fn wake(client: &mut Client, id: &str, purpose: &str) -> Value {
    client.acquire(id, purpose, "match-1").await;
    let (_, ready) = client.until("ready").await;
    assert_eq!(ready["id"], id);
    ready["endpoint"].clone()
}

fn refused(result: Result<Client, Error>) -> u16 {
    match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("refused by {other}"),
        Ok(_) => panic!("let in"),
    }
}

#[tokio::test]
async fn a_whole_life_from_acquire_to_stop() {
    let mut config = quick();
    // Long enough for `launching` to be seen between two rounds.
    config.ec2.pending = Span::millis(300, 400);
    let cloud = LocalCloud::start(config).await.unwrap();
    let mut client = Client::hello(&cloud, "alice").await;
    client.acquire("a1", "publish", "match-1").await;
    let (before, ready) = client.until("ready").await;
    assert_eq!(
        before.first().map(|ack| (&ack["type"], &ack["id"])),
        Some((&json!("ack"), &json!("a1")))
    );
    let phases: Vec<_> = before
        .iter()
        .filter(|message| message["type"] == "progress")
        .map(|progress| progress["phase"].as_str().unwrap())
        .collect();
    assert!(phases.contains(&"launching"), "{phases:?}");
    assert!(phases.contains(&"warming"), "{phases:?}");
    let order = [
        "requested",
        "waiting_for_capacity",
        "launching",
        "booting",
        "warming",
    ];
    let place = |phase: &&str| order.iter().position(|known| known == phase);
    assert!(phases.is_sorted_by_key(place), "{phases:?}");

    let endpoint = &ready["endpoint"];
    let url = endpoint["websocket_url"].as_str().unwrap();
    let mut media = Client::plain(url).await.unwrap();
    media.send(json!({ "command": "ping" })).await;
    assert_eq!(media.next().await["command"], "pong");
    media
        .send(json!({
            "command": "publish", "streamId": "match-1", "token": endpoint["stream_token"],
            "video": true, "audio": true,
        }))
        .await;
    let published = |what: &What| matches!(what, What::Media { publishers: 1, .. });
    let is_offer = media.next().await;
    assert_eq!(is_offer["command"], "start", "{is_offer}");
    media
        .send(json!({
            "command": "takeConfiguration", "streamId": "match-1", "type": "answer", "sdp": "v=0",
        }))
        .await;
    cloud
        .timeline()
        .wait_for(|event| published(&event.what))
        .await;

    drop(media);
    client
        .send(json!({ "action": "release", "id": "r1", "lease": "a1" }))
        .await;
    client.until("ack").await;
    stood(&cloud, Stand::Draining).await;
    stood(&cloud, Stand::Stopping).await;
    happened(&cloud, Happened::Stopped).await;
    stood(&cloud, Stand::Stopped).await;
    assert_eq!(cloud.launches(), 1);
    assert!(cloud.timeline().billed() > Duration::from_secs(10));
    cloud.stop().await;
}

#[tokio::test]
async fn an_elastic_ip_keeps_the_endpoint_over_two_boots() {
    let cloud = LocalCloud::start(LocalConfig {
        elastic: true,
        ..quick()
    })
    .await
    .unwrap();
    let mut client = Client::hello(&cloud, "alice").await;
    let first = wake(&mut client, "a1", "play").await;
    let url = first["websocket_url"].as_str().unwrap().to_owned();
    let mut media = Client::plain(&url).await.unwrap();
    media.send(json!({ "command": "ping" })).await;
    assert_eq!(media.next().await["command"], "pong");
    broken(&cloud, json!({ "fault": "terminate" })).await;
    assert_eq!(media.close_code().await, 1006);
    happened(&cloud, Happened::Disassociated).await;
    // Until the reconciler has seen it, the instance still counts as ready.
    stood(&cloud, Stand::Gone).await;

    let mut other = Client::hello(&cloud, "bob").await;
    let second = wake(&mut other, "b1", "play").await;
    assert_eq!(second["websocket_url"], url.as_str());
    let mut media = Client::plain(&url).await.unwrap();
    media.send(json!({ "command": "ping" })).await;
    assert_eq!(media.next().await["command"], "pong");
    assert_eq!(cloud.launches(), 2);
    cloud.stop().await;
}

#[tokio::test]
async fn a_thousand_wakes_launch_once() {
    let mut config = quick();
    config.caps.starts_per_hour = 1;
    let cloud = LocalCloud::start(config).await.unwrap();
    let mut clients = Vec::new();
    for nth in 0..20 {
        clients.push(Client::hello(&cloud, &format!("viewer-{nth}")).await);
    }
    for client in &mut clients {
        for nth in 0..50 {
            client.acquire(&format!("a{nth}"), "play", "match-1").await;
        }
    }
    for client in &mut clients {
        for _ in 0..50 {
            client.until("ready").await;
        }
    }
    assert_eq!(cloud.launches(), 1);
    cloud.stop().await;
}

#[tokio::test]
async fn a_stop_closes_clients_with_1001_and_frees_every_port() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    let endpoint = wake(&mut client, "a1", "play").await;
    let mut media = Client::plain(endpoint["websocket_url"].as_str().unwrap())
        .await
        .unwrap();
    let urls = [
        cloud.websocket_url.clone(),
        endpoint["websocket_url"].as_str().unwrap().into(),
    ];
    let http = [&cloud.access_url, &cloud.admin_url].map(|url| url.replace("http://", ""));
    let reading = tokio::spawn(async move { client.close_code().await });
    cloud.stop().await;
    assert_eq!(reading.await.unwrap(), 1001);
    assert_eq!(
        media.close_code().await,
        1006,
        "a media server ends without a Close frame"
    );
    for url in &urls {
        assert!(
            matches!(Client::plain(url).await, Err(Error::Io(_))),
            "{url}"
        );
    }
    for address in http {
        assert!(std::net::TcpListener::bind(&address).is_ok(), "{address}");
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_with_their_status() {
    let cloud = cloud().await;
    let no_protocol = Client::plain(&cloud.websocket_url).await;
    assert_eq!(refused(no_protocol), 426);
    assert_eq!(refused(Client::with_token(&cloud, "canary").await), 401);
    let empty = TokenRequest {
        scopes: Vec::new(),
        ..TokenRequest::new("alice")
    };
    let token = cloud.token(&empty).unwrap();
    assert_eq!(
        refused(Client::with_token(&cloud, token.secret.expose()).await),
        403
    );
    let access = format!("{}/v1/access", cloud.access_url);
    assert_eq!(http::send("GET", &access, &[], "").await.status, 401);
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    let bearer = format!("Bearer {}", token.secret.expose());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Origin", "https://app.example"),
    ];
    let answer = http::send("GET", &access, &headers, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.eq_ignore_ascii_case("retry-after"));
}

#[tokio::test]
async fn throttled_connects_are_429() {
    let limits = Limits {
        connects_per_second: 0,
        connect_burst: 1,
        ..Limits::default()
    };
    let cloud = LocalCloud::start(LocalConfig { limits, ..quick() })
        .await
        .unwrap();
    let _first = Client::hello(&cloud, "alice").await;
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    assert_eq!(
        refused(Client::with_token(&cloud, token.secret.expose()).await),
        429
    );
}

#[tokio::test]
async fn bad_messages_get_typed_errors_and_start_nothing() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    for text in [
        "{",
        "[]",
        r#"{"action":"fly","id":"f1"}"#,
        r#"{"action":"acquire","id":"a1"}"#,
    ] {
        client.text(text).await;
        let error = client.next().await;
        assert_eq!(error["type"], "error", "{text}: {error}");
        assert!(error["code"].is_string(), "{text}: {error}");
    }
    let version = json!({ "action": "hello", "id": "h2", "v": 99, "client_id": "c", "sdk": "t" });
    client.send(version).await;
    let answer = client.next().await;
    assert_eq!(answer["code"], "client_too_old", "{answer}");
    assert_eq!(cloud.launches(), 0);
}

#[tokio::test]
async fn a_hint_wakes_the_reconciler() {
    let cloud = cloud().await;
    let secret = cloud.hint_url();
    assert_eq!(
        http::send("POST", secret.expose(), &[], "{}").await.status,
        204
    );
    let wrong = format!("{}/v1/hints/{}", cloud.access_url, "x".repeat(64));
    assert_eq!(http::send("POST", &wrong, &[], "{}").await.status, 404);
}

#[tokio::test]
async fn a_cut_socket_says_hello_again_and_its_request_is_waiting() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    let mut other = Client::hello(&cloud, "bob").await;
    client.acquire("a1", "play", "match-1").await;
    client.until("ack").await;
    broken(
        &cloud,
        json!({ "fault": "cut_sockets", "subject": "alice" }),
    )
    .await;
    assert_eq!(client.close_code().await, 1006);
    let mut client = Client::hello(&cloud, "alice").await;
    client
        .send(json!({
            "action": "hello", "id": "h2", "v": 1, "client_id": "alice", "sdk": "t",
            "requests": [{ "id": "a1" }],
        }))
        .await;
    let (_, welcome) = client.until("welcome").await;
    assert!(["waiting", "ready"].contains(&welcome["requests"][0]["state"].as_str().unwrap()));
    other.send(json!({ "action": "ping" })).await;
    assert_eq!(other.next().await["type"], "pong", "others are untouched");
    assert_eq!(cloud.cut("nobody").await, 0);
    assert_eq!(cloud.cut("bob").await, 1);
    assert_eq!(other.close_code().await, 1006);
}

#[tokio::test]
async fn capacity_that_is_gone_in_one_zone_leads_to_the_next() {
    let cloud = cloud().await;
    broken(
        &cloud,
        json!({ "fault": "no_capacity", "zone": "eu-central-1a" }),
    )
    .await;
    let mut client = Client::hello(&cloud, "alice").await;
    wake(&mut client, "a1", "play").await;
    let status = status(&cloud).await;
    assert_eq!(status["launches"], 1);
    assert_eq!(status["instances"][0]["zone"], "eu-central-1b");
    assert_eq!(status["instances"][0]["state"], "running");
    assert_eq!(status["instances"][0]["media"]["phase"], "ready");
    assert_eq!(status["fleet"], "local/main");
    assert_eq!(status["rows"].as_array().unwrap().len(), 1);
    assert_eq!(status["connections"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_reply_launches_once() {
    let cloud = cloud().await;
    broken(
        &cloud,
        json!({ "fault": "ec2", "call": "run", "how": "lose_reply", "times": 1 }),
    )
    .await;
    let mut client = Client::hello(&cloud, "alice").await;
    wake(&mut client, "a1", "play").await;
    assert_eq!(cloud.launches(), 1);
}

#[tokio::test]
async fn a_crashed_reconciler_is_followed_by_the_next() {
    let mut config = quick();
    config.timing.lock = Duration::from_secs(3);
    config.timing.lock_reserve = Duration::from_secs(1);
    let cloud = LocalCloud::start(config).await.unwrap();
    let mut client = Client::hello(&cloud, "alice").await;
    client.acquire("a1", "play", "match-1").await;
    happened(&cloud, Happened::Running).await;
    broken(&cloud, json!({ "fault": "crash_reconciler" })).await;
    client.until("ready").await;
    assert_eq!(cloud.launches(), 1);
}

#[tokio::test]
async fn a_terminated_instance_is_told_to_its_holder() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    wake(&mut client, "a1", "play").await;
    broken(&cloud, json!({ "fault": "terminate" })).await;
    happened(&cloud, Happened::Terminated).await;
    let told = loop {
        let message = client.next().await;
        let about = message["lease"] == "a1" || message["id"] == "a1";
        if about && message["type"] != "ready" {
            break message;
        }
    };
    assert!(
        ["progress", "lost"].contains(&told["type"].as_str().unwrap()),
        "{told}"
    );
}

#[tokio::test]
async fn media_faults_reach_running_servers_and_boots_to_come() {
    let cloud = cloud().await;
    let nothing = admin(&cloud, &json!({ "fault": "media_crashes" })).await;
    assert_eq!(
        (nothing.status, nothing.json()["error"]["code"].clone()),
        (409, json!("nothing_to_do"))
    );
    broken(
        &cloud,
        json!({ "fault": "media_boots_slowly", "percent": 50 }),
    )
    .await;
    let mut client = Client::hello(&cloud, "alice").await;
    wake(&mut client, "a1", "publish").await;
    broken(&cloud, json!({ "fault": "media_hangs" })).await;
    assert!(
        status(&cloud).await["faults"]["media"]
            .as_str()
            .unwrap()
            .contains("hang: true")
    );
    let url = format!("{}/faults", cloud.admin_url);
    assert_eq!(http::send("DELETE", &url, &[], "").await.status, 200);
    assert!(
        status(&cloud).await["faults"]["media"]
            .as_str()
            .unwrap()
            .contains("hang: false")
    );
    broken(
        &cloud,
        json!({ "fault": "media_crashes", "restart_after_ms": 100 }),
    )
    .await;
    stood(&cloud, Stand::Recovering).await;
}

#[tokio::test]
async fn refused_connects_and_dropped_pushes_are_counted() {
    let cloud = cloud().await;
    broken(
        &cloud,
        json!({ "fault": "refuse_connects", "status": 503, "times": 1 }),
    )
    .await;
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    assert_eq!(
        refused(Client::with_token(&cloud, token.secret.expose()).await),
        503
    );
    let mut client = Client::hello(&cloud, "alice").await;
    broken(
        &cloud,
        json!({ "fault": "function", "how": "crash", "times": 1 }),
    )
    .await;
    client.acquire("a1", "play", "match-1").await;
    assert_eq!(client.next().await["message"], "Internal server error");
    broken(&cloud, json!({ "fault": "drop_pushes" })).await;
    client.acquire("a2", "play", "match-1").await;
    stood(&cloud, Stand::Ready).await;
    let dropped = |what: &What| matches!(what, What::Pushed { kind, .. } if kind == "ready");
    cloud
        .timeline()
        .wait_for(|event| dropped(&event.what))
        .await;
    client.send(json!({ "action": "ping" })).await;
    let (before, _) = client.until("pong").await;
    assert!(
        before.iter().all(|message| message["type"] != "ready"),
        "{before:?}"
    );
}

#[tokio::test]
async fn the_admin_mints_tokens_for_an_apps_provider() {
    let cloud = cloud().await;
    let url = format!("{}/token", cloud.admin_url);
    let headers = [("Content-Type", "application/json")];
    let body = json!({ "subject": "alice", "scopes": ["play"], "life_s": 60 }).to_string();
    let answer = http::send("POST", &url, &headers, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let life = answer.json()["expires_in_ms"].as_u64().unwrap();
    assert!((59_000..=61_000).contains(&life), "{life}");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let mut client = Client::with_token(&cloud, &token).await.unwrap();
    client
        .send(json!({ "action": "hello", "id": "h", "v": 1, "client_id": "c", "sdk": "t" }))
        .await;
    client.until("welcome").await;
    client.acquire("a1", "publish", "match-1").await;
    let (_, error) = client.until("error").await;
    assert_eq!(error["code"], "forbidden", "it may only play");
    for (body, code) in [
        ("{}", "malformed"),
        (r#"{"subject":""}"#, "invalid_field"),
        (r#"{"subject":"a","scopes":["fly"]}"#, "malformed"),
        (r#"{"subject":"a","life_s":0}"#, "invalid_field"),
        (r#"{"subject":"a","life_s":3601}"#, "invalid_field"),
    ] {
        let answer = http::send("POST", &url, &headers, body).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (400, Some(code))
        );
    }
}

#[tokio::test]
async fn the_admin_says_what_is_wrong_with_a_request() {
    let cloud = cloud().await;
    let url = format!("{}/faults", cloud.admin_url);
    let as_json = ("Content-Type", "application/json");
    for (body, code, word) in [
        ("{", "malformed", "EOF"),
        ("{}", "malformed", "missing field `fault`"),
        (r#"{"fault":"fire"}"#, "malformed", "expected one of"),
        (
            r#"{"fault":"cut_sockets","who":"x"}"#,
            "malformed",
            "unknown field `who`",
        ),
        (
            r#"{"fault":"refuse_connects"}"#,
            "malformed",
            "missing field `status`",
        ),
        (
            r#"{"fault":"refuse_connects","status":200}"#,
            "invalid_field",
            "400 to 599",
        ),
        (
            r#"{"fault":"drop_pushes","times":0}"#,
            "invalid_field",
            "at least 1",
        ),
        (
            r#"{"fault":"media_boots_slowly","percent":0}"#,
            "invalid_field",
            "percent",
        ),
    ] {
        let answer = http::send("POST", &url, &[as_json], body).await;
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.status, error["code"].as_str()),
            (400, Some(code)),
            "{body}"
        );
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    let plain = http::send("POST", &url, &[("Content-Type", "text/plain")], "{}").await;
    assert_eq!(plain.status, 415);
    let rebound = http::send("POST", &url, &[as_json, ("Host", "evil.example")], "{}").await;
    assert_eq!(rebound.status, 403);
    assert_eq!(rebound.json()["error"]["code"], "wrong_host");
    let large = "x".repeat(70_000);
    assert_eq!(
        http::send("POST", &url, &[as_json], &large).await.status,
        413
    );
    assert_eq!(http::send("PUT", &url, &[as_json], "{}").await.status, 405);
    let elsewhere = format!("{}/nowhere", cloud.admin_url);
    assert_eq!(http::send("GET", &elsewhere, &[], "").await.status, 404);
}

#[test]
fn every_fault_is_documented_and_every_documented_fault_is_taken() {
    let readme = include_str!("../README.md");
    let examples = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `{")?.split('`').next());
    let examples: Vec<String> = examples.map(|rest| format!("{{{rest}")).collect();
    for example in &examples {
        if let Err(error) = Fault::parse(example.as_bytes()) {
            panic!("{example}: {error}");
        }
    }
    let unknown = Fault::parse(br#"{"fault":"?"}"#).unwrap_err().to_string();
    let known = unknown.split_once("expected one of ").unwrap().1;
    let known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
    assert!(known.len() > 15, "{known:?}");
    for name in known {
        let named = format!(r#"{{"fault":"{name}""#);
        assert!(
            examples.iter().any(|example| example.starts_with(&named)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_lasting_fault_is_ended_by_one_delete() {
    let cloud = cloud().await;
    let before = status(&cloud).await["faults"].clone();
    for fault in [
        json!({ "fault": "refuse_connects", "status": 503 }),
        json!({ "fault": "drop_pushes" }),
        json!({ "fault": "throttle_pushes" }),
        json!({ "fault": "function", "how": "hang" }),
        json!({ "fault": "no_capacity" }),
        json!({ "fault": "ec2", "how": "throttle" }),
        json!({ "fault": "describe_lag", "ms": 5000 }),
        json!({ "fault": "fail_boot" }),
        json!({ "fault": "hang_stop" }),
        json!({ "fault": "media_hangs" }),
        json!({ "fault": "media_forbids" }),
        json!({ "fault": "media_boots_slowly", "percent": 300 }),
        json!({ "fault": "media_loses_setting", "name": "x", "value": 1 }),
    ] {
        broken(&cloud, fault.clone()).await;
        assert_ne!(status(&cloud).await["faults"], before, "{fault}");
        let url = format!("{}/faults", cloud.admin_url);
        assert_eq!(http::send("DELETE", &url, &[], "").await.status, 200);
        assert_eq!(status(&cloud).await["faults"], before, "{fault}");
    }
}

#[tokio::test]
async fn configurations_that_cannot_work_are_refused() {
    let long = LocalConfig {
        token_life: LONGEST_TOKEN_LIFE * 2,
        ..quick()
    };
    let error = LocalCloud::start(long).await.unwrap_err();
    assert!(matches!(&error, LocalError::TokenLife(_)), "{error}");
    assert!(error.to_string().contains("3600"));
    let nothing = LocalConfig {
        offerings: Vec::new(),
        ..quick()
    };
    let error = LocalCloud::start(nothing).await.unwrap_err();
    assert!(
        matches!(&error, LocalError::Fleet(why) if why.field == "offerings"),
        "{error}"
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = cloud().await;
    let port = first
        .websocket_url
        .rsplit([':', '/'])
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let second = LocalConfig {
        port: Some(port),
        ..quick()
    };
    let error = LocalCloud::start(second).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.to_string().contains("--port"), "{error}");
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_secret() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    let endpoint = wake(&mut client, "a1", "publish").await;
    let token = cloud.token(&TokenRequest::new("alice")).unwrap();
    let hint = cloud.hint_url();
    let timeline = http::send("GET", &format!("{}/timeline", cloud.admin_url), &[], "")
        .await
        .body;
    let shown = [
        status(&cloud).await.to_string(),
        timeline,
        format!("{cloud:?}"),
    ];
    let hint_secret = hint.expose().rsplit('/').next().unwrap();
    let secrets = [
        token.secret.expose(),
        endpoint["stream_token"].as_str().unwrap(),
        hint_secret,
    ];
    for text in &shown {
        for secret in secrets {
            assert!(!text.contains(secret));
        }
    }
    client.close().await;
}
