//! Answers that get lost on the way: what is sent again starts nothing twice.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wakecast::{Acquire, Client, ErrorCode, Event};

use super::clock::SkippingClock;
use super::{ID, acked};
use crate::cloud::{APP, Cloud, connected, event, within};

/// How long the client waits for an ack before it asks whether the link is alive.
const ACK_WAIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn n40_an_acquire_whose_answer_is_lost_is_sent_again_and_launches_once() {
    let cloud = Cloud::quick().await;
    let clock = SkippingClock::new();
    let client = cloud
        .builder()
        .token_provider(cloud.provider("alice"))
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let mut events = client.events();
    client.connect();
    connected(&mut events).await;

    // The function does its work, its answer is lost, and so is every push that would do for one.
    cloud.hold_boots().await;
    cloud.fault(json!({ "fault": "drop_pushes" })).await;
    let lost = json!({ "fault": "function", "how": "lose_response", "times": 1 });
    cloud.fault(lost).await;
    let acquisition = client.acquire(Acquire::publish(APP, "match-1").id(ID));
    event("the gateway's own error", &mut events, |event| {
        matches!(event, Event::Diagnostic(error) if *error.code() == ErrorCode::GatewayError)
            .then_some(())
    })
    .await;
    clock.skip(ACK_WAIT);
    acked(&cloud, 2).await;

    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert_eq!(lease.id(), ID);
    assert_eq!(cloud.connects(), 1, "the link was alive all along");
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn n40_a_launch_whose_answer_is_lost_is_asked_for_again_and_happens_once() {
    let cloud = Cloud::quick().await;
    let lost = json!({ "fault": "ec2", "how": "lose_reply", "call": "run", "times": 1 });
    cloud.fault(lost).await;
    let client = cloud.client("alice");
    let lease = lease(&client).await;
    assert!(within("its endpoint", lease.endpoint()).await.is_ok());
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

async fn lease(client: &Client) -> wakecast::Lease {
    let acquire = Acquire::publish(APP, "match-1");
    within("the lease", client.acquire(acquire)).await.unwrap()
}
