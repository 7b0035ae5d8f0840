//! `Client::status` from call to answer.

use std::time::Duration;

use serde_json::json;
use wakecast::{ErrorCode, Outcome, Phase};

use crate::harness::client;
use crate::peer::{Peer, within};

#[tokio::test]
async fn status_opens_the_link_and_returns_the_answer() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.status_of("eu").await }
    });
    let mut socket = gateway.welcome().await;
    let request = socket.receive("status").await;
    assert_eq!(request["fleet"], "eu");
    socket
        .send(json!({
            "type": "status", "id": request["id"], "fleet": "eu", "ready": false,
            "phase": "warming", "eta_p50_ms": 1_500, "eta_p90_ms": 4_000, "overdue": false,
            "operator": {
                "mode": "auto", "instances": [{ "id": "i-1", "state": "booting" }], "leases": 0,
                "waiters": 2, "alarms": [],
                "caps": [{ "name": "starts", "spent": 1, "limit": 20, "window_ms": 3_600_000 }],
            },
        }))
        .await;
    let status = within("the status", asking)
        .await
        .expect("no panic")
        .expect("a status");
    assert_eq!(
        (status.fleet.as_str(), status.phase),
        ("eu", Some(Phase::Warming))
    );
    assert_eq!(status.eta_p50, Duration::from_millis(1_500));
    let operator = status.operator.expect("the operator's part");
    assert_eq!((operator.waiters, operator.caps[0].limit), (2, 20));
    within("close", client.close()).await;
    let error = within("a refusal", client.status())
        .await
        .expect_err("closed");
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::Closed, Outcome::Unknown)
    );
}

#[tokio::test]
async fn a_status_that_nobody_awaits_any_more_harms_nothing() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.status().await }
    });
    let mut socket = gateway.welcome().await;
    let request = socket.receive("status").await;
    assert_eq!(request.get("fleet"), None);
    asking.abort();
    // Another one is not answered: it ends by its own time.
    let unanswered = tokio::spawn({
        let client = client.clone();
        async move { client.status().await }
    });
    let second = socket.receive("status").await;
    assert_ne!(second["id"], request["id"]);
    socket
        .send(json!({
            "type": "status", "id": request["id"], "fleet": "eu", "ready": true,
            "eta_p50_ms": 0, "eta_p90_ms": 0, "overdue": false,
        }))
        .await;
    clock.advance(Duration::from_secs(31));
    let error = within("the end", unanswered)
        .await
        .expect("no panic")
        .expect_err("no answer");
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::RequestTimeout, Outcome::Unknown)
    );
    within("close", client.close()).await;
}
