//! Whole lives, from the first acquire to the stop.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::What;
use wakecast_local::ec2::Happened;
use wakecast_local::random::Span;
use wakecast_local::{LocalCloud, LocalConfig};

use crate::client::Client;
use crate::http;
use crate::world::{broken, cloud, happened, quick, seen, stood, wake};

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
    seen(&cloud, published).await;

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
    let (_, moved) = client.until("moved").await;
    assert_eq!(moved["endpoint"]["websocket_url"], url.as_str());
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
