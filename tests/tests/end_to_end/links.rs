//! Links that break, and gateways that are away.

use serde_json::json;
use wakecast::{Acquire, ConnectionState, ErrorCode, Event, Phase, ReconnectReason};
use wakecast_local::cloud::What;
use wakecast_local::ec2::Happened;

use crate::cloud::{APP, Cloud, connected, event, within};

#[tokio::test]
async fn a_socket_cut_in_mid_boot_loses_nothing() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    let id = acquisition.id().to_owned();
    connected(&mut events).await;
    cloud.happened(Happened::Running).await;

    assert_eq!(cloud.cut("alice").await, 1);
    event("Reconnecting", &mut events, |event| {
        matches!(event, Event::State(ConnectionState::Reconnecting { .. })).then_some(())
    })
    .await;
    connected(&mut events).await;
    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert_eq!(lease.id(), id);
    assert!(lease.endpoint().await.is_ok());
    assert_eq!(cloud.connects(), 2);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_ready_that_is_lost_is_fetched_after_the_reconnect() {
    let cloud = Cloud::quick().await;
    cloud.fault(json!({ "fault": "drop_pushes" })).await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    connected(&mut events).await;
    let pushed = cloud
        .timeline()
        .wait_for(|event| matches!(&event.what, What::Pushed { kind, .. } if kind == "ready"));
    within("the push of `ready`", pushed).await;
    cloud.mend().await;
    assert_eq!(cloud.cut("alice").await, 1);
    within("the lease", acquisition).await.unwrap();
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_gateway_that_is_down_for_a_while_is_tried_again() {
    refused_with(503).await;
}

#[tokio::test]
async fn a_gateway_that_throttles_is_tried_again() {
    refused_with(429).await;
}

/// Cuts a client off, refuses its next two attempts, and lets it ask meanwhile.
async fn refused_with(status: u16) {
    let cloud = Cloud::quick().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    client.connect();
    connected(&mut events).await;
    let refused = json!({ "fault": "refuse_connects", "status": status, "times": 2 });
    cloud.fault(refused).await;
    assert_eq!(cloud.cut("alice").await, 1);
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));

    let mut reasons = Vec::new();
    event("Connected", &mut events, |event| match event {
        Event::State(ConnectionState::Reconnecting {
            retry_in, reason, ..
        }) if !retry_in.is_zero() => {
            reasons.push(reason);
            None
        }
        Event::State(ConnectionState::Connected { .. }) => Some(()),
        _ => None,
    })
    .await;
    let refused = match status {
        429 => ErrorCode::Throttled,
        _ => ErrorCode::ServiceUnavailable,
    };
    // The acquire may have shortened the first wait, which is told again.
    reasons.dedup();
    let reason = [ErrorCode::ConnectionLost, refused];
    assert_eq!(reasons, reason.map(ReconnectReason::Failure));
    let left = cloud.sockets().faults().refuse_connects;
    assert_eq!(left, None, "both attempts were refused");
    within("the lease", acquisition).await.unwrap();
    assert_eq!(cloud.connects(), 2);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_gateway_that_comes_back_with_nothing_is_asked_anew() {
    // The old cloud's ports are taken again, so they are fixed ones.
    let (config, first) = Cloud::on_fixed_ports().await;
    first.hold_boots().await;
    let client = first.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    event("a launch", &mut events, |event| match event {
        Event::Progress { progress, .. } => (progress.phase >= Phase::Launching).then_some(()),
        _ => None,
    })
    .await;
    first.stop().await;
    event("a refused connect", &mut events, |event| match event {
        Event::State(ConnectionState::Reconnecting { attempt, .. }) => (attempt > 1).then_some(()),
        _ => None,
    })
    .await;

    let second = Cloud::start(config).await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert!(lease.endpoint().await.is_ok());
    assert_eq!(second.power_ons(), (1, 0));
    second.end();
}
