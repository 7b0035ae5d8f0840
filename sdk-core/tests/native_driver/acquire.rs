//! From an acquire to its lease.

use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use wakecast::{Acquire, ErrorCode, LeaseStatus, Phase};

use crate::harness::{
    CANARY, client, come_back, connected, endpoint, granted, prove, ready, welcome_with,
};
use crate::peer::{Peer, within};

fn progress(id: &serde_json::Value, rev: u64, phase: &str, elapsed: u64) -> serde_json::Value {
    json!({
        "type": "progress", "id": id, "rev": rev, "phase": phase, "elapsed_ms": elapsed,
        "eta_p50_ms": 40_000, "eta_p90_ms": 60_000, "overdue": false,
    })
}

#[tokio::test]
async fn an_acquire_goes_through_progress_and_proof_to_a_lease() {
    let gateway = Peer::start().await;
    let media = Peer::start().await;
    let (client, clock) = client(&gateway);
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut updates = acquisition.progress();

    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    assert_eq!(acquire["id"], acquisition.id());
    assert_eq!(acquire["app"], "live");
    assert_eq!(acquire["stream_id"], "match-1");
    assert_eq!(acquire["purpose"], "publish");
    assert_eq!(acquire["deadline_ms"], 600_000);
    socket.ack(&acquire).await;

    let mut last = 0.0;
    for (phase, name, elapsed) in [
        (Phase::Launching, "launching", 1_000),
        (Phase::Booting, "booting", 10_000),
        (Phase::Warming, "warming", 30_000),
    ] {
        socket
            .send(progress(&acquire["id"], 1, name, elapsed))
            .await;
        within("its progress", async {
            loop {
                let update = updates.next().await.expect("an open acquisition");
                assert!(
                    update.fraction >= last && update.fraction < 1.0,
                    "{update:?}"
                );
                last = update.fraction;
                if update.phase == phase {
                    return;
                }
            }
        })
        .await;
    }

    socket.send(ready(&acquire, 2, endpoint(&media))).await;
    let (lease, ()) = tokio::join!(within("the lease", acquisition), prove(&media));
    let lease = lease.expect("a lease");
    assert_eq!(lease.id(), acquire["id"]);
    assert_eq!(lease.status(), LeaseStatus::Held);
    let got = within("the endpoint", lease.endpoint())
        .await
        .expect("an endpoint");
    assert_eq!(got.websocket_url, media.ws_url());
    assert_eq!(
        got.stream_token.expect("a stream token").expose(),
        format!("{CANARY}-stream")
    );
    // While its stream token has time left, it is not asked for again.
    clock.advance(Duration::from_secs(20));
    within("the endpoint", lease.endpoint())
        .await
        .expect("an endpoint");
    let released = tokio::spawn(async move { lease.release().await });
    let release = socket.receive("release").await;
    assert_eq!(release["lease"], acquire["id"]);
    socket.ack(&release).await;
    within("the release", released)
        .await
        .expect("no panic")
        .expect("released");
}

#[tokio::test]
async fn an_endpoint_is_fetched_again_when_its_token_is_about_to_end() {
    let mut world = granted().await;
    world.clock.advance(Duration::from_secs(51));
    let lease = world.lease;
    let (got, ()) = tokio::join!(lease.endpoint(), async {
        let request = world.socket.receive("endpoint").await;
        let mut fresh = endpoint(&world.gateway);
        fresh["stream_token"] = json!("fresh");
        let lease = &request["lease"];
        world
            .socket
            .send(json!({
                "type": "endpoint", "id": request["id"], "lease": lease, "rev": 2,
                "endpoint": fresh,
            }))
            .await;
    });
    assert_eq!(
        got.expect("an endpoint")
            .stream_token
            .expect("a token")
            .expose(),
        "fresh"
    );
}

#[tokio::test]
async fn an_endpoint_that_only_talks_is_not_proved() {
    let gateway = Peer::start().await;
    let media = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut acquisition = client.acquire(Acquire::play("live", "match-1"));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&media))).await;

    let mut server = media.next().await.accept_plain().await;
    assert_eq!(server.next().await, Some(json!({ "command": "ping" })));
    server
        .send(json!({ "command": "notification", "definition": "hello" }))
        .await;
    server
        .send_raw(tokio_tungstenite::tungstenite::Message::text("not json"))
        .await;
    server.settle().await;
    assert!(
        (&mut acquisition).now_or_never().is_none(),
        "proved without a pong"
    );
    server.send(json!({ "command": "pong" })).await;
    within("the lease", acquisition).await.expect("a lease");
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up_and_released() {
    let gateway = Peer::start().await;
    let media = Peer::start().await;
    let (client, clock) = client(&gateway);
    let acquisition = tokio::spawn(client.acquire(Acquire::play("live", "match-1")));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&media))).await;
    let mut tries = 0;
    let release = loop {
        tokio::select! {
            message = socket.next() => {
                let message = message.expect("an open link");
                assert_eq!(message["action"], "release", "{message}");
                break message;
            }
            silent = media.next() => {
                // A try ends after 5 s; its end says that the next one is armed, 1 to 3 s away.
                tries += 1;
                clock.advance(Duration::from_secs(5));
                within("the end of the try", silent.closed()).await;
                clock.advance(Duration::from_secs(3));
            }
        }
    };
    assert_eq!(release["reason"], "unreachable");
    socket.ack(&release).await;
    let error = within("its end", acquisition)
        .await
        .expect("no panic")
        .expect_err("no lease");
    assert_eq!(*error.code(), ErrorCode::EndpointUnreachable);
    assert!(tries >= 3, "{tries}");
}

#[tokio::test]
async fn an_endpoint_in_plain_text_elsewhere_is_never_contacted() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let acquisition = tokio::spawn(client.acquire(Acquire::play("live", "match-1")));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    let mut bad = endpoint(&gateway);
    bad["websocket_url"] = json!("ws://media.example.com/live/websocket");
    socket.send(ready(&acquire, 1, bad)).await;
    let release = loop {
        if let Some(message) = socket.settle().await.pop() {
            break message;
        }
        clock.fire().await;
    };
    assert_eq!(release["action"], "release", "{release}");
    socket.ack(&release).await;
    let error = within("its end", acquisition)
        .await
        .expect("no panic")
        .expect_err("no lease");
    assert_eq!(*error.code(), ErrorCode::EndpointUnreachable);
}

#[tokio::test]
async fn dropping_an_acquisition_cancels_it_on_the_wire() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.ack(&acquire).await;
    drop(acquisition);
    let cancel = socket.receive("cancel").await;
    assert_eq!(cancel["acquire"], acquire["id"]);
}

#[tokio::test]
async fn n39_aborting_the_task_that_awaits_cancels_on_the_wire() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let waiting = tokio::spawn(client.acquire(Acquire::publish("live", "match-1")));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.ack(&acquire).await;
    waiting.abort();
    let cancel = socket.receive("cancel").await;
    assert_eq!(cancel["acquire"], acquire["id"]);
}

#[tokio::test]
async fn a_cancelled_acquisition_ends_as_cancelled() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.ack(&acquire).await;
    acquisition.cancel();
    let cancel = socket.receive("cancel").await;
    socket.ack(&cancel).await;
    let error = within("its end", acquisition).await.expect_err("no lease");
    assert_eq!(*error.code(), ErrorCode::Cancelled);
}

#[tokio::test]
async fn a_grant_that_crosses_the_drop_is_released() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1").verify(false));
    let mut updates = acquisition.progress();
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&gateway))).await;
    // The stream's end says that the outcome lies there, unread.
    within("the outcome", async {
        while updates.next().await.is_some() {}
    })
    .await;
    drop(acquisition);
    let release = socket.receive("release").await;
    assert_eq!(release["lease"], acquire["id"]);
}

#[tokio::test]
async fn an_id_that_the_app_set_is_the_lease_s() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let id = "0123456789abcdef0123456789abcdef";
    let acquisition = client.acquire(Acquire::publish("live", "match-1").id(id).verify(false));
    assert_eq!(acquisition.id(), id);
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    assert_eq!(acquire["id"], id);
    socket.send(ready(&acquire, 1, endpoint(&gateway))).await;
    assert_eq!(
        within("the lease", acquisition)
            .await
            .expect("a lease")
            .id(),
        id
    );
}

#[tokio::test]
async fn n40_a_cut_before_the_ack_sends_the_same_id_again() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1").verify(false));
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let first = socket.receive("acquire").await;
    socket.cut();

    let (mut socket, hello) = come_back(&gateway, &clock, &mut events).await;
    assert_eq!(hello["requests"], json!([{ "id": acquisition.id() }]));
    let rows = json!([{ "id": acquisition.id(), "state": "unknown" }]);
    socket.send(welcome_with(&hello, "requests", rows)).await;
    let again = socket.receive("acquire").await;
    assert_eq!(again["id"], first["id"]);
    socket.send(ready(&again, 1, endpoint(&gateway))).await;
    within("the lease", acquisition).await.expect("a lease");
}

#[tokio::test]
async fn a_builder_that_does_not_verify_proves_nothing() {
    let gateway = Peer::start().await;
    let clock = crate::harness::ManualClock::new();
    let client = crate::harness::builder(&gateway, &clock)
        .verify(false)
        .build()
        .expect("a client");
    let acquisition = client.acquire(Acquire::play("live", "match-1"));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    let mut dead = endpoint(&gateway);
    dead["websocket_url"] = json!("wss://127.0.0.1:1/live/websocket");
    socket.send(ready(&acquire, 1, dead)).await;
    within("the lease", acquisition).await.expect("a lease");
}
