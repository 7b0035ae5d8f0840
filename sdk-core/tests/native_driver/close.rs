//! The end of a client, and that nobody is left waiting behind it.

use wakecast::{Acquire, Client, ConnectionState, ErrorCode, LeaseStatus};

use crate::harness::{client, connected, endpoint, granted, ready};
use crate::peer::{Peer, within};

#[tokio::test]
async fn n36_close_settles_every_waiter() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut updates = acquisition.progress();
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    socket.receive("acquire").await;

    let closing = client.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    let error = within("the acquisition", acquisition)
        .await
        .expect_err("no lease");
    assert_eq!(*error.code(), ErrorCode::Closed);
    let cancel = socket.receive("cancel").await;
    socket.ack(&cancel).await;
    clock.advance(std::time::Duration::from_secs(1));
    within("close", closed).await.expect("no panic");
    assert_eq!(client.state(), ConnectionState::Closed);
    within("the end of the progress", async {
        while updates.next().await.is_some() {}
    })
    .await;
    within("the end of the events", async {
        while events.next().await.is_some() {}
    })
    .await;
    assert_eq!(within("no events", client.events().next()).await, None);
}

#[tokio::test]
async fn n33_close_is_final_while_connecting() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    client.connect();
    let half_open = gateway.next().await;
    within("close", client.close()).await;
    assert_eq!(client.state(), ConnectionState::Closed);
    within("the end of the connection", half_open.closed()).await;
    client.connect();
    client.retry();
    let error = within("its end", client.acquire(Acquire::play("live", "x")))
        .await
        .expect_err("closed");
    assert_eq!(*error.code(), ErrorCode::Closed);
    assert_eq!(client.state(), ConnectionState::Closed);
}

#[tokio::test]
async fn n33_close_is_final_before_anything_was_wanted() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    within("close", client.close()).await;
    within("close again", client.close()).await;
    assert_eq!(client.state(), ConnectionState::Closed);
}

#[tokio::test]
async fn close_releases_what_is_held() {
    let mut world = granted().await;
    let closing = world.client.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    let release = world.socket.receive("release").await;
    assert_eq!(release["lease"], world.lease.id());
    world.socket.ack(&release).await;
    assert_eq!(world.socket.next().await, None);
    within("close", closed).await.expect("no panic");
    assert_eq!(world.lease.status(), LeaseStatus::Released);
    let error = world.lease.endpoint().await.expect_err("closed");
    assert_eq!(*error.code(), ErrorCode::Closed);
}

#[tokio::test]
async fn what_close_says_is_written_when_it_returns() {
    let gateway = Peer::start().await;
    let url = gateway.ws_url();
    // An app that closes its client and exits: its runtime ends at once.
    let app = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let provider = crate::harness::counting_provider();
            let client = Client::builder(url)
                .token_provider(provider)
                .build()
                .expect("a client");
            let mut events = client.events();
            client.connect();
            connected(&mut events).await;
            client.close().await;
        });
    });
    let mut socket = gateway.welcome().await;
    assert_eq!(socket.ended().await, Some(1000));
    within("the app", app).await.expect("no panic");
}

#[tokio::test]
async fn close_waits_a_second_for_a_silent_server_and_no_longer() {
    let mut world = granted().await;
    let closing = world.client.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    world.socket.receive("release").await;
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.socket.next().await, None);
    within("close", closed).await.expect("no panic");
}

#[tokio::test]
async fn detach_tells_the_server_nothing() {
    let mut world = granted().await;
    let lease = world.lease.detach();
    within("detach", world.client.detach()).await;
    assert_eq!(world.client.state(), ConnectionState::Closed);
    assert_eq!(
        world.socket.next().await,
        None,
        "told something about {lease}"
    );
}

#[tokio::test]
async fn the_last_client_closes_when_no_lease_lives() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let clone = client.clone();
    drop(client);
    assert!(matches!(clone.state(), ConnectionState::Connected { .. }));
    drop(clone);
    assert_eq!(socket.next().await, None);
    within("the end of the events", async {
        while events.next().await.is_some() {}
    })
    .await;
}

#[tokio::test]
async fn a_lease_keeps_its_client_alive_and_dropping_both_releases_nothing() {
    let mut world = granted().await;
    drop(world.client);
    // The lease still works: its endpoint is asked for over the same link.
    world.clock.advance(std::time::Duration::from_secs(55));
    let lease = world.lease;
    let (got, ()) = tokio::join!(lease.endpoint(), async {
        let request = world.socket.receive("endpoint").await;
        world
            .socket
            .send(serde_json::json!({
                "type": "endpoint", "id": request["id"], "lease": request["lease"], "rev": 2,
                "endpoint": endpoint(&world.gateway),
            }))
            .await;
    });
    got.expect("an endpoint");
    drop(lease);
    assert_eq!(world.socket.next().await, None, "dropping released");
}

#[tokio::test]
async fn an_acquisition_keeps_its_client_alive() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let acquisition = client.acquire(Acquire::publish("live", "match-1").verify(false));
    drop(client);
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&gateway))).await;
    within("the lease", acquisition).await.expect("a lease");
}

#[tokio::test]
async fn a_detached_acquisition_is_not_cancelled_by_the_last_drop() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.ack(&acquire).await;
    assert_eq!(acquisition.detach(), acquire["id"]);
    drop(client);
    assert_eq!(socket.next().await, None, "told the server");
}

#[test]
fn a_runtime_that_ends_takes_the_client_along() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (client, acquisition) = runtime.block_on(async {
        let gateway = Peer::start().await;
        let (client, _clock) = client(&gateway);
        let acquisition = client.acquire(Acquire::publish("live", "match-1"));
        gateway.next().await;
        (client, acquisition)
    });
    drop(runtime);
    assert_eq!(client.state(), ConnectionState::Closed);
    let error = futures_util::FutureExt::now_or_never(acquisition).expect("settled");
    assert_eq!(*error.expect_err("closed").code(), ErrorCode::Closed);
    futures_util::FutureExt::now_or_never(client.close()).expect("closed at once");
}
