//! From an acquire to a stop, and what may come between.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use wakecast::{
    Acquire, Client, Endpoint, ErrorCode, Event, Events, LeaseChange, LeaseChanges, LeaseStatus,
    Phase, Progress, Secret,
};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::What;
use wakecast_local::ec2::Happened;
use wakecast_local::random::Span;

use crate::cloud::{APP, Cloud, event, quick, within};
use crate::media::Media;

#[tokio::test]
async fn a_publisher_from_the_first_acquire_to_the_stop() {
    let mut config = quick();
    // Long enough for `launching` to be seen between two rounds.
    config.ec2.pending = Span::millis(300, 400);
    let cloud = Cloud::start(config).await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquire = Acquire::publish(APP, "match-1");
    let lease = within("the lease", client.acquire(acquire)).await.unwrap();
    let progress = progress_until_ready(&mut events, lease.id()).await;
    let mut phases: Vec<_> = progress.iter().map(|progress| progress.phase).collect();
    phases.dedup();
    assert!(phases.is_sorted(), "{phases:?}");
    for phase in [
        Phase::Launching,
        Phase::Warming,
        Phase::Verifying,
        Phase::Ready,
    ] {
        assert!(phases.contains(&phase), "{phase:?} in {phases:?}");
    }
    assert!(progress.is_sorted_by(|a, b| a.fraction <= b.fraction));
    assert!(progress.iter().any(|progress| progress.eta_p50.is_some()));

    // Only the token that was handed out opens the stream, and only its own stream.
    let endpoint = lease.endpoint().await.unwrap();
    let token = endpoint.stream_token.as_ref();
    let mut media = Media::open(&endpoint).await;
    let wrong = Secret::new("not-a-token");
    assert_eq!(refusal(&mut media, "match-1", Some(&wrong)).await, DENIED);
    assert_eq!(refusal(&mut media, "match-1", None).await, DENIED);
    assert_eq!(refusal(&mut media, "match-2", token).await, DENIED);
    media.publish("match-1", token).await.unwrap();
    published(&cloud).await;
    media.stop("match-1").await;

    within("the release", lease.release()).await.unwrap();
    assert_eq!(lease.status(), LeaseStatus::Released);
    cloud.stood(Stand::Draining).await;
    // A watcher waits out the stream token's life; it neither keeps nor wakes the instance.
    let watcher = cloud.client("bob");
    time_passes(&watcher, Duration::from_secs(5)).await;
    assert_eq!(refusal(&mut media, "match-1", token).await, DENIED);
    cloud.stood(Stand::Stopping).await;
    cloud.happened(Happened::Stopped).await;
    cloud.stood(Stand::Stopped).await;
    let stands = [
        Stand::Booting,
        Stand::Ready,
        Stand::Draining,
        Stand::Stopping,
        Stand::Stopped,
    ];
    assert_eq!(cloud.stands(), stands);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn an_acquire_undoes_a_drain_and_nothing_boots_again() {
    let cloud = Cloud::quick().await;
    let (alice, bob, carol) = (
        cloud.client("alice"),
        cloud.client("bob"),
        cloud.client("carol"),
    );
    let first = within("a lease", alice.acquire(Acquire::publish(APP, "match-1")))
        .await
        .unwrap();
    let before = first.endpoint().await.unwrap();
    // Carol only watches: she is granted a lease that keeps nothing.
    let watching = within("a watch", carol.acquire(Acquire::watch(APP, "match-1")))
        .await
        .unwrap();
    let mut told = watching.changes();

    first.release().await.unwrap();
    cloud.stood(Stand::Draining).await;
    let change = within("`draining`", told.next()).await;
    assert!(
        matches!(change, Some(LeaseChange::Draining { .. })),
        "{change:?}"
    );

    let second = within("a lease", bob.acquire(Acquire::play(APP, "match-1")))
        .await
        .unwrap();
    let after = second.endpoint().await.unwrap();
    assert_eq!(after.websocket_url, before.websocket_url);
    let change = within("the undone drain", told.next()).await;
    assert!(
        matches!(change, Some(LeaseChange::Held { .. })),
        "{change:?}"
    );
    let stands = [Stand::Booting, Stand::Ready, Stand::Draining, Stand::Ready];
    assert_eq!(cloud.stands(), stands);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_lease_moves_when_its_instance_dies() {
    let cloud = Cloud::quick().await;
    let client = cloud.client("alice");
    let lease = within("a lease", client.acquire(Acquire::publish(APP, "match-1")))
        .await
        .unwrap();
    let mut changes = lease.changes();
    let before = lease.endpoint().await.unwrap();
    let mut media = Media::open(&before).await;
    media
        .publish("match-1", before.stream_token.as_ref())
        .await
        .unwrap();
    published(&cloud).await;

    cloud.fault(json!({ "fault": "terminate" })).await;
    let moved = moved(&mut changes).await;
    assert_ne!(moved.websocket_url, before.websocket_url);
    assert_eq!(lease.status(), LeaseStatus::Held);
    let after = lease.endpoint().await.unwrap();
    assert_eq!(after.websocket_url, moved.websocket_url);
    let mut media = Media::open(&after).await;
    media
        .publish("match-1", after.stream_token.as_ref())
        .await
        .unwrap();
    assert_eq!(cloud.power_ons(), (2, 0));
    cloud.end();
}

#[tokio::test]
async fn a_fixed_address_is_kept_when_a_lease_moves() {
    let mut config = quick();
    config.elastic = true;
    let cloud = Cloud::start(config).await;
    let client = cloud.client("alice");
    let lease = within("a lease", client.acquire(Acquire::publish(APP, "match-1")))
        .await
        .unwrap();
    let mut changes = lease.changes();
    let before = lease.endpoint().await.unwrap();
    cloud.fault(json!({ "fault": "terminate" })).await;
    let moved = moved(&mut changes).await;
    assert_eq!(moved.websocket_url, before.websocket_url);
    let after = lease.endpoint().await.unwrap();
    let mut media = Media::open(&after).await;
    media
        .publish("match-1", after.stream_token.as_ref())
        .await
        .unwrap();
    assert_eq!(cloud.power_ons(), (2, 0));
    cloud.end();
}

#[tokio::test]
async fn a_hundred_clients_at_once_launch_once() {
    let cloud = Cloud::quick().await;
    let clients: Vec<Client> = (0..100)
        .map(|nth| cloud.client(&format!("viewer-{nth}")))
        .collect();
    let acquisitions = clients
        .iter()
        .map(|client| client.acquire(Acquire::play(APP, "match-1")));
    let leases = within("all leases", join_all(acquisitions)).await;
    let endpoints = join_all(
        leases
            .iter()
            .map(|lease| lease.as_ref().unwrap().endpoint()),
    );
    let endpoints = within("all endpoints", endpoints).await;
    let first = endpoints[0].as_ref().unwrap().websocket_url.clone();
    assert!(
        endpoints
            .iter()
            .all(|endpoint| endpoint.as_ref().unwrap().websocket_url == first)
    );
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

/// What the media server says to a token that does not fit.
const DENIED: &str = "unauthorized_access";

async fn refusal(media: &mut Media, stream: &str, token: Option<&Secret>) -> String {
    media.publish(stream, token).await.unwrap_err()
}

/// Follows a lease to its next instance.
async fn moved(changes: &mut LeaseChanges) -> Endpoint {
    let change = within("`moving`", changes.next()).await;
    assert_eq!(change, Some(LeaseChange::Moving));
    loop {
        match within("`moved`", changes.next()).await {
            Some(LeaseChange::Moved { endpoint }) => return endpoint,
            Some(LeaseChange::Moving) => {}
            other => panic!("not moved but {other:?}"),
        }
    }
}

/// Waits until the media server counts a publisher.
async fn published(cloud: &Cloud) {
    let counted = |what: &What| matches!(what, What::Media { publishers: 1, .. });
    let seen = cloud.timeline().wait_for(|event| counted(&event.what));
    within("a counted publisher", seen).await;
}

async fn progress_until_ready(events: &mut Events, id: &str) -> Vec<Progress> {
    let mut all = Vec::new();
    event("`ready`", events, |event| {
        if let Event::Progress {
            id: about,
            progress,
        } = event
            && about == id
        {
            let is_ready = progress.phase == Phase::Ready;
            all.push(progress);
            return is_ready.then_some(());
        }
        None
    })
    .await;
    all
}

/// Lets time pass by an event: a watch that nothing serves ends at its deadline.
pub(crate) async fn time_passes(client: &Client, time: Duration) {
    let watch = Acquire::watch(APP, "nothing").deadline(time);
    let error = within("the deadline", client.acquire(watch))
        .await
        .unwrap_err();
    assert_eq!(*error.code(), ErrorCode::StartTimeout);
}
