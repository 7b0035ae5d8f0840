//! A lease tells what becomes of it, and is not given back by accident.

use serde_json::json;
use wakecast::{ErrorCode, LeaseChange, LeaseStatus, LostReason};

use crate::harness::{come_back, endpoint, granted, welcome_with};
use crate::peer::within;

#[tokio::test]
async fn changes_tell_draining_moved_and_lost() {
    let mut world = granted().await;
    let lease = world.lease.id().to_owned();
    let mut changes = world.lease.changes();

    world
        .socket
        .send(json!({ "type": "draining", "lease": lease, "rev": 2, "deadline_ms": 30_000 }))
        .await;
    let change = within("draining", changes.next()).await.expect("a change");
    assert!(matches!(change, LeaseChange::Draining { .. }), "{change:?}");
    assert_eq!(world.lease.status(), LeaseStatus::Draining);

    let mut other = endpoint(&world.gateway);
    other["http_url"] = json!("https://other.example.com/live");
    world
        .socket
        .send(json!({ "type": "moved", "lease": lease, "rev": 3, "endpoint": other }))
        .await;
    let change = within("moved", changes.next()).await.expect("a change");
    let LeaseChange::Moved { endpoint } = change else {
        panic!("{change:?}")
    };
    assert_eq!(endpoint.http_url, "https://other.example.com/live");
    assert_eq!(world.lease.status(), LeaseStatus::Held);

    world
        .socket
        .send(json!({ "type": "lost", "lease": lease, "rev": 4, "reason": "stopped" }))
        .await;
    let change = within("lost", changes.next()).await.expect("a change");
    assert_eq!(
        change,
        LeaseChange::Lost {
            reason: LostReason::Stopped
        }
    );
    assert_eq!(world.lease.status(), LeaseStatus::Lost);
    assert_eq!(within("the end of the changes", changes.next()).await, None);
    assert_eq!(
        within("no more changes", world.lease.changes().next()).await,
        None
    );
    world
        .lease
        .endpoint()
        .await
        .expect_err("a lost lease has no endpoint");
}

#[tokio::test]
async fn the_first_reader_of_changes_misses_nothing() {
    let mut world = granted().await;
    let lease = world.lease.id().to_owned();
    world
        .socket
        .send(json!({ "type": "lost", "lease": lease, "rev": 2, "reason": "instance_gone" }))
        .await;
    crate::harness::event("the loss", &mut world.events, |event| {
        matches!(
            event,
            wakecast::Event::Lease {
                status: LeaseStatus::Lost,
                ..
            }
        )
        .then_some(())
    })
    .await;
    let change = within("the loss", world.lease.changes().next()).await;
    assert_eq!(
        change,
        Some(LeaseChange::Lost {
            reason: LostReason::InstanceGone
        })
    );
}

#[tokio::test]
async fn a_held_lease_is_named_after_a_cut() {
    let mut world = granted().await;
    let lease = world.lease.id().to_owned();
    world.socket.cut();
    let (mut socket, hello) = come_back(&world.gateway, &world.clock, &mut world.events).await;
    assert_eq!(hello["leases"], json!([{ "id": lease }]));
    let rows = json!([{ "id": lease, "state": "held", "rev": 1 }]);
    socket.send(welcome_with(&hello, "leases", rows)).await;
    crate::harness::connected(&mut world.events).await;
    assert_eq!(world.lease.status(), LeaseStatus::Held);
}

#[tokio::test]
async fn a_dropped_lease_is_still_held_by_its_client() {
    let mut world = granted().await;
    let lease = world.lease.id().to_owned();
    drop(world.lease);
    world.socket.cut();
    // The first thing that the server hears is not a release.
    let (_socket, hello) = come_back(&world.gateway, &world.clock, &mut world.events).await;
    assert_eq!(hello["leases"], json!([{ "id": lease }]));
}

#[tokio::test]
async fn a_release_is_the_last_change() {
    let mut world = granted().await;
    let mut changes = world.lease.changes();
    let released = tokio::spawn(async move { world.lease.release().await });
    let release = world.socket.receive("release").await;
    world.socket.ack(&release).await;
    within("the release", released)
        .await
        .expect("no panic")
        .expect("released");
    assert_eq!(
        within("the change", changes.next()).await,
        Some(LeaseChange::Released)
    );
    assert_eq!(within("the end of the changes", changes.next()).await, None);
}

#[tokio::test]
async fn releasing_twice_settles_twice_and_is_sent_once() {
    let mut world = granted().await;
    let lease = world.lease;
    let (first, ()) = tokio::join!(lease.release(), async {
        let release = world.socket.receive("release").await;
        world.socket.ack(&release).await;
    });
    first.expect("released");
    assert_eq!(lease.status(), LeaseStatus::Released);
    let second = within("the second release", lease.release()).await;
    assert!(second.is_ok() || *second.unwrap_err().code() == ErrorCode::LeaseLost);
    assert_eq!(world.socket.settle().await, Vec::<serde_json::Value>::new());
    assert_eq!(lease.status(), LeaseStatus::Released);
}
