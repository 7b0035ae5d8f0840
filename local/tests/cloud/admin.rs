//! The admin itself.

use serde_json::json;
use wakecast_local::admin::Fault;

use crate::client::Client;
use crate::http;
use crate::world::{broken, cloud, status};

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

#[tokio::test]
async fn a_gateway_that_is_down_comes_back_on_its_ports_and_remembers_nobody() {
    let cloud = cloud().await;
    let mut client = Client::hello(&cloud, "alice").await;
    broken(&cloud, json!({ "fault": "gateway_down" })).await;
    assert_eq!(client.close_code().await, 1006);
    let host = cloud.websocket_url.strip_prefix("ws://").unwrap();
    let host = host.split('/').next().unwrap();
    for _ in 0..3 {
        let refused = tokio::net::TcpStream::connect(host).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    let url = format!("{}/faults", cloud.admin_url);
    assert_eq!(http::send("DELETE", &url, &[], "").await.status, 200);
    let mut client = Client::hello(&cloud, "alice").await;
    client.send(json!({ "action": "ping" })).await;
    assert_eq!(client.next().await["type"], "pong");
}

#[tokio::test]
async fn the_timeline_is_followed_by_asking_from_a_place() {
    let cloud = cloud().await;
    let url = format!("{}/timeline", cloud.admin_url);
    let all = http::send("GET", &url, &[], "").await.json();
    let place = all.as_array().unwrap().len();
    // It answers once something happens, and not before.
    let from = format!("{url}?from={place}");
    let asking = http::send("GET", &from, &[], "");
    let happening = broken(&cloud, json!({ "fault": "media_hangs" }));
    let (answer, ()) = tokio::join!(asking, happening);
    let answer = answer.json();
    assert_eq!(answer["next"], place + 1);
    assert_eq!(answer["events"][0]["what"], "fault");
    let again = http::send("GET", &format!("{url}?from=0"), &[], "").await;
    let events = again.json()["events"].as_array().unwrap().len();
    assert_eq!(events, place + 1);
    let wrong = http::send("GET", &format!("{url}?from=here"), &[], "").await;
    assert_eq!(
        (wrong.status, wrong.json()["error"]["code"].as_str()),
        (400, Some("invalid_field"))
    );
}

#[test]
fn every_fault_is_documented_and_every_documented_fault_is_taken() {
    let readme = include_str!("../../README.md");
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
        json!({ "fault": "gateway_down" }),
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
