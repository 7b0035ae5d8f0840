//! Ten links lost, one after the other.

use std::sync::Arc;

use serde_json::json;
use wakecast::{Acquire, Client, ConnectionState, Event, Events, LeaseStatus};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::ec2::Happened;

use super::clock::SkippingClock;
use crate::cloud::{APP, Cloud, connected, event, within};

/// How a link is lost, in turns.
const LOSSES: [Loss; 4] = [
    Loss::Cut,
    Loss::Unnoticed,
    Loss::Closed,
    Loss::CutAndRefused,
];

#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The socket ends without a Close frame, and the gateway notices.
    Cut,
    /// It ends and the gateway goes on posting into the void: no `$disconnect` comes.
    Unnoticed,
    /// The gateway closes it with 1001.
    Closed,
    /// It ends, and the next handshake is refused with 503.
    CutAndRefused,
}

#[tokio::test]
async fn ten_reconnects_in_mid_boot_launch_once() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let (client, clock) = client(&cloud);
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    connected(&mut events).await;
    cloud.happened(Happened::Running).await;
    for loss in LOSSES.into_iter().cycle().take(10) {
        lose_the_link(&cloud, loss, &mut events, &clock).await;
    }
    assert_eq!(cloud.connects(), 11);

    cloud.mend().await;
    let lease = within("the lease", acquisition).await.unwrap();
    assert!(within("its endpoint", lease.endpoint()).await.is_ok());
    holds_one_launch(&cloud).await;
    cloud.end();
}

#[tokio::test]
async fn ten_reconnects_leave_a_lease_as_it_was() {
    let cloud = Cloud::quick().await;
    let (client, clock) = client(&cloud);
    let mut events = client.events();
    let acquire = Acquire::publish(APP, "match-1");
    let lease = within("the lease", client.acquire(acquire)).await.unwrap();
    connected(&mut events).await;
    let before = lease.endpoint().await.unwrap();
    let mut sessions = vec![connected_session(&client)];
    for loss in LOSSES.into_iter().cycle().take(10) {
        lose_the_link(&cloud, loss, &mut events, &clock).await;
        assert_eq!(lease.status(), LeaseStatus::Held, "after {loss:?}");
        sessions.push(connected_session(&client));
    }
    // Each link was greeted anew.
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 11);

    let after = within("its endpoint", lease.endpoint()).await.unwrap();
    assert_eq!(after.websocket_url, before.websocket_url);
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    holds_one_launch(&cloud).await;
    within("the release", lease.release()).await.unwrap();
    cloud.end();
}

fn client(cloud: &Cloud) -> (Client, SkippingClock) {
    let clock = SkippingClock::new();
    let client = cloud
        .builder()
        .token_provider(cloud.provider("alice"))
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    (client, clock)
}

/// Loses the link, skips whatever the client wants to wait, and returns once it is connected again.
async fn lose_the_link(cloud: &Cloud, loss: Loss, events: &mut Events, clock: &SkippingClock) {
    match loss {
        Loss::Cut => assert_eq!(cloud.cut("alice").await, 1),
        Loss::Unnoticed => {
            let fault = json!({ "fault": "cut_sockets", "subject": "alice", "silent": true });
            cloud.fault(fault).await;
        }
        Loss::Closed => cloud.sockets().close_all(),
        Loss::CutAndRefused => {
            let fault = json!({ "fault": "refuse_connects", "status": 503, "times": 1 });
            cloud.fault(fault).await;
            assert_eq!(cloud.cut("alice").await, 1);
        }
    }
    let mut lost = false;
    event(&format!("a link after {loss:?}"), events, |event| {
        let Event::State(state) = event else {
            return None;
        };
        match state {
            ConnectionState::Reconnecting { retry_in, .. } => {
                lost = true;
                clock.skip(retry_in);
                None
            }
            ConnectionState::Connected { .. } => lost.then_some(()),
            other => panic!("{other:?} after {loss:?}"),
        }
    })
    .await;
}

fn connected_session(client: &Client) -> String {
    match client.state() {
        ConnectionState::Connected { session } => session,
        other => panic!("not connected but {other:?}"),
    }
}

async fn holds_one_launch(cloud: &Cloud) {
    assert_eq!(cloud.power_ons(), (1, 0));
    let status = cloud.status().await;
    assert_eq!(status["rows"].as_array().map(Vec::len), Some(1), "{status}");
}
