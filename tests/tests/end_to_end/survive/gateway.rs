//! A gateway that crashes and comes back as a process that remembers nothing.

use wakecast::{Acquire, ConnectionState, Event, Events, LeaseStatus};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::ec2::Happened;

use crate::cloud::{APP, Cloud, connected, event, within};

#[tokio::test]
async fn a_gateway_that_crashes_in_mid_boot_costs_no_second_launch() {
    let (_, mut cloud) = Cloud::on_fixed_ports().await;
    cloud.hold_boots().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    connected(&mut events).await;
    cloud.happened(Happened::Running).await;

    cloud.kill_gateway().await;
    refused(&mut events).await;
    cloud.start_gateway().await;
    connected(&mut events).await;
    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert!(within("its endpoint", lease.endpoint()).await.is_ok());
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn an_instance_that_gets_ready_without_a_gateway_is_granted_by_the_next() {
    let (_, mut cloud) = Cloud::on_fixed_ports().await;
    cloud.hold_boots().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    connected(&mut events).await;
    cloud.happened(Happened::Running).await;

    cloud.kill_gateway().await;
    refused(&mut events).await;
    // Faults are set at the admin, which is not the gateway.
    cloud.mend().await;
    cloud.stood(Stand::Ready).await;
    cloud.start_gateway().await;
    within("the lease", acquisition).await.unwrap();
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_lease_and_a_request_outlive_the_gateways_crash() {
    let (_, mut cloud) = Cloud::on_fixed_ports().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquire = Acquire::publish(APP, "match-1");
    let lease = within("the lease", client.acquire(acquire)).await.unwrap();
    let before = lease.endpoint().await.unwrap();

    cloud.kill_gateway().await;
    refused(&mut events).await;
    assert_eq!(lease.status(), LeaseStatus::Held);
    // The stream tokens of this cloud live too shortly to be kept: this one has to be fetched.
    let (after, ()) = within("its endpoint", async {
        tokio::join!(lease.endpoint(), cloud.start_gateway())
    })
    .await;
    assert_eq!(after.unwrap().websocket_url, before.websocket_url);
    assert_eq!(lease.status(), LeaseStatus::Held);
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

/// Waits until the client has lost its link and was refused another.
async fn refused(events: &mut Events) {
    event("a refused connect", events, |event| match event {
        Event::State(ConnectionState::Reconnecting { attempt, .. }) => (attempt > 1).then_some(()),
        _ => None,
    })
    .await;
}
