//! A quick cloud, and the words of its stories.

use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Error;
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::What;
use wakecast_local::ec2::{Ec2Settings, Happened};
use wakecast_local::media::BootTimeline;
use wakecast_local::random::Span;
use wakecast_local::{LocalCloud, LocalConfig, Profile};

use crate::client::Client;
use crate::http;

/// The lifecycle with every wait that may be short made short.
pub(crate) fn quick() -> LocalConfig {
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

pub(crate) async fn cloud() -> LocalCloud {
    LocalCloud::start(quick()).await.unwrap()
}

/// Longer than any story takes: a story that waits for what never comes ends with its timeline.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn stood(cloud: &LocalCloud, wanted: Stand) {
    seen(
        cloud,
        |what| matches!(what, What::Stand { stand, .. } if *stand == wanted),
    )
    .await;
}

pub(crate) async fn happened(cloud: &LocalCloud, wanted: Happened) {
    seen(
        cloud,
        |what| matches!(what, What::Ec2 { happened, .. } if *happened == wanted),
    )
    .await;
}

/// Waits until the timeline holds a wanted event.
pub(crate) async fn seen(cloud: &LocalCloud, wanted: impl Fn(&What) -> bool) {
    let waiting = cloud.timeline().wait_for(|event| wanted(&event.what));
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("it never happened: {:#?}", cloud.timeline().events());
    }
}

pub(crate) async fn admin(cloud: &LocalCloud, fault: &Value) -> http::Answer {
    let headers = [("Content-Type", "application/json")];
    let url = format!("{}/faults", cloud.admin_url);
    http::send("POST", &url, &headers, &fault.to_string()).await
}

pub(crate) async fn broken(cloud: &LocalCloud, fault: Value) {
    let answer = admin(cloud, &fault).await;
    assert_eq!(answer.status, 200, "{fault}: {}", answer.body);
}

pub(crate) async fn status(cloud: &LocalCloud) -> Value {
    http::send("GET", &format!("{}/status", cloud.admin_url), &[], "")
        .await
        .json()
}

/// Acquires and waits for `ready`; returns the endpoint.
pub(crate) async fn wake(client: &mut Client, id: &str, purpose: &str) -> Value {
    client.acquire(id, purpose, "match-1").await;
    let (_, ready) = client.until("ready").await;
    assert_eq!(ready["id"], id);
    ready["endpoint"].clone()
}

pub(crate) fn refused(result: Result<Client, Error>) -> u16 {
    match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("refused by {other}"),
        Ok(_) => panic!("let in"),
    }
}
