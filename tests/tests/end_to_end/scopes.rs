//! What a token allows, and that what it does not allow starts nothing.

use std::time::Duration;

use wakecast::{Acquire, Client, Error, ErrorCode, LeaseStatus, Outcome};
use wakecast_lambda::lifecycle::Stand;

use crate::cloud::{APP, Cloud, within};
use crate::lifecycle::time_passes;
use crate::media::Media;

#[tokio::test]
async fn a_player_may_play_and_not_publish() {
    let cloud = Cloud::quick().await;
    let viewer = cloud.client_of(cloud.provider("viewer").scopes(&["play"]));
    let error = refused(&viewer, Acquire::publish(APP, "match-1")).await;
    assert_eq!(*error.code(), ErrorCode::Forbidden);
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(cloud.power_ons(), (0, 0));

    // The link is none the worse for it.
    let lease = within("a lease", viewer.acquire(Acquire::play(APP, "match-1")))
        .await
        .unwrap();
    let publisher = cloud.client("publisher");
    let source = within(
        "a lease",
        publisher.acquire(Acquire::publish(APP, "match-1")),
    )
    .await
    .unwrap();
    let endpoint = source.endpoint().await.unwrap();
    let mut media = Media::open(&endpoint).await;
    media
        .publish("match-1", endpoint.stream_token.as_ref())
        .await
        .unwrap();

    // A token for playing plays, and does not publish.
    let endpoint = lease.endpoint().await.unwrap();
    let token = endpoint.stream_token.as_ref();
    let mut player = Media::open(&endpoint).await;
    player.play("match-1", token).await.unwrap();
    let mut thief = Media::open(&endpoint).await;
    let refusal = thief.publish("match-1", token).await;
    assert_eq!(refusal, Err("unauthorized_access".to_owned()));
    assert_eq!(cloud.power_ons(), (1, 0));
    assert_eq!(cloud.connects(), 2);
    cloud.end();
}

#[tokio::test]
async fn a_watch_wakes_nothing_and_is_served_when_another_wakes() {
    let cloud = Cloud::quick().await;
    let watcher = cloud.client_of(cloud.provider("watcher").scopes(&["play"]));
    let watching = watcher.acquire(Acquire::watch(APP, "match-1"));
    // Four ticks of the reconciler.
    time_passes(&watcher, Duration::from_secs(1)).await;
    assert_eq!(cloud.power_ons(), (0, 0));
    assert_eq!(cloud.stands(), []);

    let player = cloud.client("player");
    let lease = within("a lease", player.acquire(Acquire::play(APP, "match-1")))
        .await
        .unwrap();
    let watched = within("the watch", watching).await.unwrap();
    assert_eq!(watched.status(), LeaseStatus::Held);
    let endpoint = watched.endpoint().await.unwrap();
    assert_eq!(
        endpoint.websocket_url,
        lease.endpoint().await.unwrap().websocket_url
    );

    // Held, it keeps nothing.
    lease.release().await.unwrap();
    cloud.stood(Stand::Draining).await;
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn a_wrong_fleet_app_or_stream_is_named_and_starts_nothing() {
    let cloud = Cloud::quick().await;
    let client = cloud.client_of(cloud.provider("alice").streams(&["match-*"]));
    let wrong = [
        (
            Acquire::publish(APP, "match-1").fleet("other"),
            ErrorCode::Forbidden,
        ),
        (Acquire::publish("other", "match-1"), ErrorCode::Forbidden),
        (Acquire::publish(APP, "private"), ErrorCode::Forbidden),
        (Acquire::play(APP, "private"), ErrorCode::Forbidden),
        (Acquire::watch(APP, "private"), ErrorCode::Forbidden),
        (Acquire::play(APP, ""), ErrorCode::InvalidArgument),
        (Acquire::play("", "match-1"), ErrorCode::InvalidArgument),
    ];
    for (acquire, code) in wrong {
        let text = format!("{acquire:?}");
        let error = refused(&client, acquire).await;
        assert_eq!(*error.code(), code, "{text}: {error}");
        assert!(!error.retryable(), "{text}: {error}");
        assert!(!error.message().is_empty(), "{text}");
    }
    assert_eq!(cloud.status().await["rows"].as_array().unwrap().len(), 0);
    assert_eq!(cloud.power_ons(), (0, 0));
    assert_eq!(cloud.connects(), 1);
    cloud.end();
}

#[tokio::test]
async fn one_id_stands_for_one_ask() {
    let cloud = Cloud::quick().await;
    let client = cloud.client("alice");
    let first = Acquire::play(APP, "match-1").id("0123456789abcdef0123456789abcdef");
    let lease = within("a lease", client.acquire(first)).await.unwrap();
    let other = cloud.client("alice");
    let second = Acquire::play(APP, "match-2").id(lease.id());
    let error = refused(&other, second).await;
    assert_eq!(*error.code(), ErrorCode::InvalidArgument);
    assert_eq!(lease.status(), LeaseStatus::Held);
    // The same id of another subject is another one.
    let stranger = cloud.client("bob");
    let same = Acquire::play(APP, "match-2").id(lease.id());
    within("a lease", stranger.acquire(same)).await.unwrap();
    assert_eq!(lease.status(), LeaseStatus::Held);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

async fn refused(client: &Client, acquire: Acquire) -> Error {
    within("a refusal", client.acquire(acquire))
        .await
        .unwrap_err()
}
