//! One id in several hands: it is never anybody's twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use wakecast::{
    Acquire, Acquisition, Client, ErrorCode, Lease, LeaseChange, LeaseStatus, LostReason,
};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::What;
use wakecast_local::ec2::Happened;

use super::ID;
use super::app::App;
use crate::cloud::{APP, Cloud, connected, within};

#[tokio::test]
async fn of_two_processes_with_one_id_the_older_loses_the_lease_first() {
    let cloud = Cloud::quick().await;
    let mut older = App::start(&cloud, "alice");
    older.says("held").await;
    let mut newer = App::start(&cloud, "alice");
    let endpoint = newer.says("held").await;
    assert_eq!(older.says("lost").await, "taken_over");
    // The older one was told before the newer one was granted anything.
    let (told, granted) = told_and_granted(&cloud);
    assert!(told < granted, "{:#?}", cloud.timeline().events());

    // Whatever the older one still tries, the newer one keeps.
    older.order("endpoint");
    assert_eq!(older.says("refused").await, "lease_lost");
    older.order("detach");
    older.ends().await;
    newer.order("endpoint");
    assert_eq!(
        format!("endpoint {}", newer.says("endpoint").await),
        endpoint
    );
    let said = newer.kill().await;
    assert!(
        !said.iter().any(|line| line.starts_with("lost")),
        "{said:?}"
    );
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn of_two_processes_that_wait_with_one_id_only_the_newer_is_granted() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let mut older = App::start(&cloud, "alice");
    older.says("connected").await;
    cloud.happened(Happened::Running).await;
    let mut newer = App::start(&cloud, "alice");
    assert_eq!(older.says("failed").await, "lease_lost");
    cloud.mend().await;
    newer.says("held").await;
    let said = older.kill().await;
    assert!(
        !said.iter().any(|line| line.starts_with("held")),
        "{said:?}"
    );
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn of_eight_clients_at_once_with_one_id_exactly_one_holds_it() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let clients: Vec<_> = (0..8).map(|_| cloud.client("alice")).collect();
    for client in &clients {
        let mut events = client.events();
        client.connect();
        connected(&mut events).await;
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    for (nth, client) in clients.iter().enumerate() {
        let wish = client.acquire(Acquire::publish(APP, "match-1").id(ID));
        tokio::spawn(live(nth, wish, tell.clone()));
    }
    cloud.happened(Happened::Running).await;
    cloud.mend().await;
    let mut lost = BTreeSet::new();
    let mut granted = BTreeMap::new();
    within("seven losers and a holder", async {
        while lost.len() < 7 || !granted.keys().any(|nth| !lost.contains(nth)) {
            match told.recv().await.expect("eight lives") {
                Told::Granted(nth, lease) => drop(granted.insert(nth, lease)),
                Told::Lost(nth) => assert!(lost.insert(nth), "{nth} lost twice"),
            }
        }
    })
    .await;
    for (nth, lease) in &granted {
        let (status, serves) = match lost.contains(nth) {
            true => (LeaseStatus::Lost, false),
            false => (LeaseStatus::Held, true),
        };
        assert_eq!(lease.status(), status, "{nth}");
        let endpoint = within("an answer", lease.endpoint()).await;
        assert_eq!(endpoint.is_ok(), serves, "{nth}");
    }
    assert!(told.try_recv().is_err(), "the eighth keeps it");
    let status = cloud.status().await;
    assert_eq!(status["rows"].as_array().map(Vec::len), Some(1), "{status}");
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

#[tokio::test]
async fn an_owner_that_heard_nothing_of_its_loss_never_shares_the_lease() {
    let cloud = Cloud::quick().await;
    let older = cloud.client("alice");
    let held = lease(&cloud, &older).await;
    // The push that would tell it is swallowed on its way.
    cloud
        .fault(json!({ "fault": "drop_pushes", "times": 1 }))
        .await;
    let newer = cloud.client("alice");
    let taken = lease(&cloud, &newer).await;
    assert_eq!(taken.status(), LeaseStatus::Held);
    // It still believes in its lease, and gets nothing for it.
    assert_eq!(held.status(), LeaseStatus::Held);
    let error = within("an answer", held.endpoint()).await.unwrap_err();
    assert_eq!(*error.code(), ErrorCode::LeaseLost);
    assert_eq!(held.status(), LeaseStatus::Lost);
    assert!(within("the endpoint", taken.endpoint()).await.is_ok());
    assert_eq!(cloud.power_ons(), (1, 0));
    cloud.end();
}

async fn lease(cloud: &Cloud, client: &Client) -> Lease {
    let acquire = Acquire::publish(APP, "match-1").id(ID);
    let lease = within("a lease", client.acquire(acquire)).await.unwrap();
    assert_eq!(cloud.power_ons(), (1, 0));
    lease
}

/// What becomes of one of many wishes with the same id.
enum Told {
    Granted(usize, Arc<Lease>),
    Lost(usize),
}

/// Follows one wish to its end, which does not come for whoever holds the lease.
async fn live(nth: usize, wish: Acquisition, tell: mpsc::UnboundedSender<Told>) {
    let lease = match wish.await {
        Ok(lease) => Arc::new(lease),
        Err(error) => {
            assert_eq!(*error.code(), ErrorCode::LeaseLost, "{error:?}");
            return drop(tell.send(Told::Lost(nth)));
        }
    };
    let mut changes = lease.changes();
    let _ = tell.send(Told::Granted(nth, lease));
    while let Some(change) = changes.next().await {
        if let LeaseChange::Lost { reason } = change {
            assert_eq!(reason, LostReason::TakenOver);
            let _ = tell.send(Told::Lost(nth));
        }
    }
}

/// Returns where in the record the older owner was told of its loss, and where the newer one got
/// the lease.
fn told_and_granted(cloud: &Cloud) -> (usize, usize) {
    let events = cloud.timeline().events();
    let place = |wanted: &dyn Fn(&What) -> bool| {
        events
            .iter()
            .rposition(|event| wanted(&event.what))
            .expect("in the record")
    };
    let told = place(&|what| {
        matches!(what, What::Pushed { kind, id, accepted: true, .. }
            if kind == "lost" && id.as_deref() == Some(ID))
    });
    let granted = place(&|what| {
        matches!(what, What::Replied { kind, id, .. } | What::Pushed { kind, id, .. }
            if kind == "ready" && id.as_deref() == Some(ID))
    });
    (told, granted)
}
