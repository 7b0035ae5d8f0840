//! `status`, as people and operators see it, and figures that are learned from the boots here.

use serde_json::json;
use wakecast::{Acquire, Client, ErrorCode, FleetStatus, Outcome, Phase};
use wakecast_lambda::config::Prior;
use wakecast_lambda::lifecycle::Stand;
use wakecast_lambda::model::BootPath;
use wakecast_local::cloud::What;

use crate::cloud::{APP, Cloud, event, within};

async fn status(client: &Client) -> FleetStatus {
    within("a status", client.status()).await.unwrap()
}

/// The demonstration's guess of a whole start, in seconds.
fn guess(path: BootPath) -> u64 {
    let prior = Prior::demonstration();
    let known = prior
        .iter()
        .find(|prior| prior.path == path && prior.phase == Phase::Requested);
    known.unwrap().p50.as_secs()
}

#[tokio::test]
async fn a_start_is_followed_by_somebody_who_only_asks() {
    let cloud = Cloud::quick().await;
    let asker = cloud.client_of(cloud.provider("asker").scopes(&["play"]));
    let operator = cloud.client_of(cloud.provider("olga").scopes(&["admin"]));
    let rest = status(&asker).await;
    assert_eq!((rest.ready, rest.phase), (false, None));
    assert_eq!(rest.eta_p50.as_secs(), guess(BootPath::New));
    assert!(rest.eta_p50 <= rest.eta_p90 && rest.operator.is_none());
    assert_eq!(cloud.power_ons(), (0, 0), "asking wakes nothing");

    cloud.hold_boots().await;
    let publisher = cloud.client("alice");
    let mut events = publisher.events();
    let acquisition = publisher.acquire(Acquire::publish(APP, "match-1"));
    event("`booting`", &mut events, |event| match event {
        wakecast::Event::Progress { progress, .. } => {
            (progress.phase == Phase::Booting).then_some(())
        }
        _ => None,
    })
    .await;
    let boots = status(&asker).await;
    assert_eq!((boots.ready, boots.phase), (false, Some(Phase::Booting)));
    let seen = status(&operator).await.operator.unwrap();
    assert_eq!((seen.waiters, seen.leases), (1, 0));
    assert_eq!(seen.instances.len(), 1);
    assert_eq!(seen.instances[0].state, "booting");
    let spent = |name: &str| seen.caps.iter().find(|cap| cap.name == name).unwrap().spent;
    assert_eq!((spent("starts"), spent("launches")), (1, 1));

    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    let ready = status(&asker).await;
    assert_eq!((ready.ready, ready.phase), (true, Some(Phase::Ready)));
    assert!(ready.eta_p90.is_zero() && ready.code.is_none());
    let seen = status(&operator).await.operator.unwrap();
    assert_eq!((seen.waiters, seen.leases), (0, 1));
    assert!(seen.instances[0].ready_for_ms.is_some());
    let told = format!("{seen:?}");
    assert!(
        !told.contains("alice") && !told.contains(lease.id()),
        "{told}"
    );

    let error = within("a refusal", asker.status_of("another"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::Forbidden, Outcome::Rejected)
    );
    cloud.end();
}

#[tokio::test]
async fn after_a_few_boots_the_figures_are_those_of_the_boots_here() {
    let cloud = Cloud::quick().await;
    let client = cloud.client("alice");
    // The first instance is new, the same one then starts from stopped, five times.
    for nth in 0..6 {
        assert_eq!(
            status(&client).await.eta_p50.as_secs(),
            guess(if nth == 0 {
                BootPath::New
            } else {
                BootPath::Stopped
            }),
            "a guess, after {nth} boots"
        );
        boot(&cloud, &client, nth).await;
    }
    let learned = status(&client).await;
    assert_eq!(learned.phase, None, "at rest");
    assert!(
        learned.eta_p50.as_millis() > 200,
        "the boot's own timeline: {learned:?}"
    );
    assert!(
        learned.eta_p90.as_secs() < guess(BootPath::Stopped),
        "{learned:?}"
    );

    // And waiters are told them.
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::play(APP, "match-1"));
    let told = event("a figure", &mut events, |event| match event {
        wakecast::Event::Progress { progress, .. } => progress.eta_p90,
        _ => None,
    })
    .await;
    assert!(told <= learned.eta_p90, "{told:?}, {learned:?}");
    within("the lease", acquisition).await.unwrap();
    cloud.end();
}

/// One life of the instance, ended from outside, which is quicker than its grace and settle.
async fn boot(cloud: &Cloud, client: &Client, nth: usize) {
    let acquire = Acquire::play(APP, "match-1");
    let lease = within("the lease", client.acquire(acquire)).await.unwrap();
    within("the release", lease.release()).await.unwrap();
    cloud.fault(json!({ "fault": "stop_outside" })).await;
    let mut stopped = 0;
    let seen = cloud.timeline().wait_for(|event| {
        if let What::Stand {
            stand: Stand::Stopped,
            ..
        } = event.what
        {
            stopped += 1;
        }
        stopped > nth
    });
    within("the stop", seen).await;
}
