//! Starts that cannot succeed, and what the app is told.

use std::time::{Duration, Instant};

use serde_json::json;
use wakecast::{Acquire, ErrorCode, Event, Phase, Stage, UserAction};
use wakecast_local::ec2::Happened;
use wakecast_local::random::Span;

use crate::cloud::{APP, Cloud, event, quick, within};

#[tokio::test]
async fn no_capacity_is_told_by_the_deadline() {
    let cloud = Cloud::quick().await;
    cloud.fault(json!({ "fault": "no_capacity" })).await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let since = Instant::now();
    let acquire = Acquire::publish(APP, "match-1").deadline(Duration::from_secs(2));
    let acquisition = client.acquire(acquire);
    event("`waiting_for_capacity`", &mut events, |event| match event {
        Event::Progress { progress, .. } => {
            (progress.phase == Phase::WaitingForCapacity).then_some(())
        }
        _ => None,
    })
    .await;
    let error = within("the deadline", acquisition).await.unwrap_err();
    assert!(
        since.elapsed() < Duration::from_secs(4),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(*error.code(), ErrorCode::CapacityUnavailable, "{error}");
    assert!(error.retryable());
    assert_eq!(cloud.power_ons(), (0, 0));
    cloud.end();
}

#[tokio::test]
async fn capacity_in_another_zone_is_taken() {
    let cloud = Cloud::quick().await;
    let zone = json!({ "fault": "no_capacity", "zone": "eu-central-1a" });
    cloud.fault(zone).await;
    let client = cloud.client("alice");
    within(
        "the lease",
        client.acquire(Acquire::publish(APP, "match-1")),
    )
    .await
    .unwrap();
    let status = cloud.status().await;
    assert_eq!(status["instances"][0]["zone"], "eu-central-1b");
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_server_that_never_boots_is_told_and_stopped() {
    let mut config = quick();
    config.timing.boot_limit_new = Duration::from_secs(1);
    config.timing.boot_limit_stopped = Duration::from_secs(1);
    let cloud = Cloud::start(config).await;
    cloud.hold_boots().await;
    let client = cloud.client("alice");
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    let error = within("the failure", acquisition).await.unwrap_err();
    assert_eq!(*error.code(), ErrorCode::StartFailed, "{error}");
    assert_eq!(error.stage(), Stage::Boot);
    // The boot is tried once more on the same instance, and then nothing is left running.
    assert_eq!(cloud.power_ons(), (1, 1));
    let mut stops = cloud.timeline().follow();
    for _ in 0..2 {
        let stopped = stops.find(|event| {
            let what = serde_json::to_value(&event.what).unwrap();
            what["happened"] == json!(Happened::Stopped)
        });
        within("a stop", stopped).await;
    }
    let status = cloud.status().await;
    assert_eq!(status["instances"][0]["state"], "stopped");
    cloud.end();
}

#[tokio::test]
async fn a_launch_whose_reply_is_lost_is_one_launch() {
    let mut config = quick();
    config.ec2.lost_after = Duration::from_millis(300);
    // The launch is repeated before EC2 shows that it has already happened.
    config.ec2.describe_lag = Span::millis(1_500, 1_600);
    let cloud = Cloud::start(config).await;
    let lost = json!({ "fault": "ec2", "call": "run", "how": "lose_reply", "times": 2 });
    cloud.fault(lost).await;
    let client = cloud.client("alice");
    within(
        "the lease",
        client.acquire(Acquire::publish(APP, "match-1")),
    )
    .await
    .unwrap();
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn what_only_the_operator_can_mend_is_told_at_once() {
    for (how, code) in [
        ("config", ErrorCode::Misconfigured),
        ("auth", ErrorCode::Misconfigured),
        ("quota", ErrorCode::QuotaExceeded),
    ] {
        let cloud = Cloud::quick().await;
        let refused = json!({ "fault": "ec2", "call": "run", "how": how });
        cloud.fault(refused).await;
        let client = cloud.client("alice");
        let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
        let error = within("the failure", acquisition).await.unwrap_err();
        assert_eq!(*error.code(), code, "{how}: {error}");
        assert_eq!(error.user_action(), UserAction::ContactOperator);
        assert_eq!(cloud.power_ons(), (0, 0), "{how}");
        cloud.end();
    }
}
