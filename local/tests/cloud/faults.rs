//! What goes wrong on request, and what survives it.

use std::time::Duration;

use serde_json::json;
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::What;
use wakecast_local::ec2::Happened;
use wakecast_local::{LocalCloud, TokenRequest};

use crate::client::Client;
use crate::http;
use crate::world::{admin, broken, cloud, happened, quick, refused, seen, status, stood, wake};

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
    assert_eq!(status(&cloud).await["faults"]["media"]["hang"], true);
    let url = format!("{}/faults", cloud.admin_url);
    assert_eq!(http::send("DELETE", &url, &[], "").await.status, 200);
    assert_eq!(status(&cloud).await["faults"]["media"]["hang"], false);
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
    seen(&cloud, dropped).await;
    client.send(json!({ "action": "ping" })).await;
    let (before, _) = client.until("pong").await;
    assert!(
        before.iter().all(|message| message["type"] != "ready"),
        "{before:?}"
    );
}
