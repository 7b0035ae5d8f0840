//! Processes that end without a word, and those that follow them.

use wakecast::{Acquire, ErrorCode, Event, LeaseChange, LeaseStatus, LostReason, Phase};
use wakecast_lambda::lifecycle::Stand;

use crate::cloud::{APP, Cloud, connected, event, within};

const ID: &str = "9f86d081884c7d659a2feaa0c55ad015";

#[tokio::test]
async fn a_killed_clients_acquire_is_continued_by_the_next() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    kill_in_mid_boot(&cloud).await;

    let client = cloud.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1").id(ID));
    connected(&mut events).await;
    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert_eq!(lease.id(), ID);
    assert_eq!(cloud.power_ons(), (1, 0));
    let status = cloud.status().await;
    assert_eq!(status["rows"].as_array().unwrap().len(), 1);

    // It is the successor's: its release ends it.
    lease.release().await.unwrap();
    cloud.stood(Stand::Draining).await;
    cloud.end();
}

#[tokio::test]
async fn a_detached_lease_is_continued_by_the_next() {
    let cloud = Cloud::quick().await;
    let first = cloud.client("alice");
    let lease = within(
        "a lease",
        first.acquire(Acquire::publish(APP, "match-1").id(ID)),
    )
    .await
    .unwrap();
    let before = lease.endpoint().await.unwrap();
    let id = lease.detach();
    within("the end of the first", first.detach()).await;

    let second = cloud.client("alice");
    let lease = within(
        "a lease",
        second.acquire(Acquire::publish(APP, "match-1").id(id)),
    )
    .await
    .unwrap();
    let after = lease.endpoint().await.unwrap();
    assert_eq!(after.websocket_url, before.websocket_url);
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn the_newer_of_two_living_clients_owns_the_lease() {
    let cloud = Cloud::quick().await;
    let (first, second) = (cloud.client("alice"), cloud.client("alice"));
    let old = within(
        "a lease",
        first.acquire(Acquire::publish(APP, "match-1").id(ID)),
    )
    .await
    .unwrap();
    let mut changes = old.changes();
    let new = within(
        "a lease",
        second.acquire(Acquire::publish(APP, "match-1").id(ID)),
    )
    .await
    .unwrap();
    let taken_over = LostReason::TakenOver;
    assert_eq!(
        within("`lost`", changes.next()).await,
        Some(LeaseChange::Lost { reason: taken_over })
    );
    assert_eq!(old.status(), LeaseStatus::Lost);
    let error = within("an answer", old.endpoint()).await.unwrap_err();
    assert_eq!(*error.code(), ErrorCode::LeaseLost);

    // What the old one still does changes nothing.
    let _ = within("an answer", old.release()).await;
    within("the end of the first", first.close()).await;
    assert!(within("the endpoint", new.endpoint()).await.is_ok());
    assert_eq!(new.status(), LeaseStatus::Held);
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

/// Lets a client wait for a boot, and ends it as a kill does: nothing of it runs on, its sockets
/// are closed by the system without a Close frame.
async fn kill_in_mid_boot(cloud: &Cloud) {
    let builder = cloud.builder().token_provider(cloud.provider("alice"));
    let process = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = builder.build().unwrap();
            let mut events = client.events();
            let acquisition = client.acquire(Acquire::publish(APP, "match-1").id(ID));
            event("a launch", &mut events, |event| match event {
                Event::Progress { progress, .. } => {
                    (progress.phase >= Phase::Launching).then_some(())
                }
                _ => None,
            })
            .await;
            // From here on nobody polls the runtime: no destructor gets a word to the server.
            std::mem::forget(acquisition);
        });
        drop(runtime);
    });
    process.await.unwrap();
}
