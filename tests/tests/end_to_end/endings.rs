//! Apps that are done, or have waited long enough.

use std::time::{Duration, Instant};

use wakecast::{Acquire, ConnectionState, ErrorCode, Event, LeaseStatus, Phase, Stage};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::ec2::Happened;

use crate::cloud::{APP, Cloud, connected, event, within};

#[tokio::test]
async fn a_dropped_acquisition_is_cancelled_and_its_instance_goes() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let client = cloud.client("alice");
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    cloud.happened(Happened::Running).await;
    drop(acquisition);
    cloud.mend().await;
    // The boot is not wasted on nobody for longer than the grace.
    cloud.stood(Stand::Draining).await;
    let stands = [Stand::Booting, Stand::Ready, Stand::Draining];
    assert_eq!(cloud.stands(), stands);
    let status = cloud.status().await;
    let state = status["rows"][0]["state"].to_string();
    assert!(state.to_lowercase().contains("cancelled"), "{status}");
    cloud.end();
}

#[tokio::test]
async fn a_close_gives_back_what_is_held() {
    let cloud = Cloud::quick().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let lease = within("a lease", client.acquire(Acquire::publish(APP, "match-1")))
        .await
        .unwrap();
    within("the close", client.close()).await;
    event("Closed", &mut events, |event| {
        matches!(event, Event::State(ConnectionState::Closed)).then_some(())
    })
    .await;
    assert_ne!(lease.status(), LeaseStatus::Held);
    let error = lease.endpoint().await.unwrap_err();
    assert_eq!(*error.code(), ErrorCode::Closed);
    // A publisher's lease would protect for 15 minutes.
    cloud.stood(Stand::Draining).await;
    let error = client
        .acquire(Acquire::play(APP, "match-1"))
        .await
        .unwrap_err();
    assert_eq!(*error.code(), ErrorCode::Closed);
    cloud.end();
}

#[tokio::test]
async fn a_boot_that_outlasts_the_deadline_is_told_exactly_then() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    client.connect();
    connected(&mut events).await;
    let since = Instant::now();
    let acquire = Acquire::publish(APP, "match-1").deadline(Duration::from_secs(1));
    let error = within("the deadline", client.acquire(acquire))
        .await
        .unwrap_err();
    let took = since.elapsed();
    assert_eq!(*error.code(), ErrorCode::StartTimeout);
    assert_eq!(error.stage(), Stage::Boot);
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    event("progress", &mut events, |event| match event {
        Event::Progress { progress, .. } => (progress.phase >= Phase::Launching).then_some(()),
        _ => None,
    })
    .await;

    // The instance is there for whoever asks next.
    cloud.mend().await;
    within("a lease", client.acquire(Acquire::publish(APP, "match-1")))
        .await
        .unwrap();
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}
