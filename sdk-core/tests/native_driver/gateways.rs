//! Two gateways on loopback: failover, the way back, and what each is asked.

use std::time::Duration;

use serde_json::json;
use wakecast::{
    Acquire, Client, ConnectionState, ErrorCode, Event, Token, TokenError, TokenReason,
};

use crate::harness::{
    ManualClock, builder, connected, endpoint, event, granted, ready, reconnecting,
};
use crate::peer::{Peer, within};

/// Later than any return is planned for.
const CALM: Duration = Duration::from_secs(6 * 60 + 1);

#[tokio::test]
async fn a_client_goes_to_the_next_region_and_comes_back_without_a_gap() {
    let (preferred, other) = (Peer::start().await, Peer::start().await);
    let clock = ManualClock::new();
    let client = builder(&preferred, &clock).fallback(other.ws_url());
    let client = client.build().expect("a client");
    let mut events = client.events();
    client.connect();
    for _ in 0..2 {
        preferred.next().await.refuse(503, &[]).await;
        let wait = reconnecting(&mut events).await;
        clock.advance(wait);
    }
    let mut away = other.welcome().await;
    connected(&mut events).await;

    clock.advance(CALM);
    let mut home = preferred.welcome().await;
    assert_eq!(
        away.next().await,
        None,
        "the old link ends after the new one is welcomed"
    );
    let acquisition = client.acquire(Acquire::publish("live", "match-1").verify(false));
    let acquire = home.receive("acquire").await;
    home.send(ready(&acquire, 1, endpoint(&preferred))).await;
    within("the lease", acquisition).await.expect("a lease");
    event("the grant", &mut events, |event| match event {
        Event::State(state) => panic!("the way back was seen: {state:?}"),
        Event::Progress { progress, .. } => (progress.fraction >= 1.0).then_some(()),
        _ => None,
    })
    .await;
    assert!(matches!(client.state(), ConnectionState::Connected { .. }));
    let given_back = async {
        let release = home.receive("release").await;
        home.send(json!({ "type": "ack", "id": release["id"] }))
            .await;
    };
    within("close", async { tokio::join!(client.close(), given_back) }).await;
}

#[tokio::test]
async fn a_client_with_a_lease_stays_with_its_region() {
    let mut world = granted().await;
    // The harness knows one gateway; what matters is that the same one is asked again.
    world.socket.cut();
    let (_, hello) =
        crate::harness::come_back(&world.gateway, &world.clock, &mut world.events).await;
    assert_eq!(hello["leases"][0]["id"], world.lease.id());
}

#[tokio::test]
async fn each_gateway_has_its_own_access_address() {
    let (preferred, other) = (Peer::start().await, Peer::start().await);
    let (access, access_of_other) = (Peer::start().await, Peer::start().await);
    let clock = ManualClock::new();
    let client = builder(&preferred, &clock)
        .access_url(access.http_url())
        .fallback(other.ws_url())
        .access_url(access_of_other.http_url())
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    for _ in 0..2 {
        preferred.next().await.refuse(503, &[]).await;
        let wait = reconnecting(&mut events).await;
        clock.advance(wait);
    }
    other.next().await.hang_up();
    let wait = reconnecting(&mut events).await;
    clock.advance(wait);
    let question = access_of_other.next().await;
    assert_eq!(question.target, "/prod/v1/access");
    question.refuse(403, &[]).await;
    assert_eq!(
        crate::harness::failed(&mut events).await,
        ErrorCode::Forbidden
    );
}

#[tokio::test]
async fn fallbacks_are_checked_like_the_preferred_gateway() {
    let provider = |_: TokenReason| async { Ok::<_, TokenError>(Token::new("t")) };
    let begin = || Client::builder("wss://one.example/prod").token_provider(provider);
    for refused in [
        begin().fallback("ws://two.example/prod"),
        begin().fallback("wss://two.example/prod?token=t"),
        begin()
            .fallback("wss://two.example/prod")
            .access_url("ftp://two.example"),
        (1..9).fold(begin(), |builder, _| {
            builder.fallback("wss://more.example/prod")
        }),
    ] {
        let error = refused.build().expect_err("it could never work");
        assert_eq!(*error.code(), ErrorCode::InvalidArgument, "{error}");
    }
    let most = (1..8).fold(begin(), |builder, _| {
        builder.fallback("wss://more.example/prod")
    });
    most.build().expect("eight gateways are allowed");
}

#[tokio::test]
async fn a_lease_that_is_let_go_can_be_acquired_again_by_its_id() {
    let mut world = granted().await;
    let id = world.lease.detach();
    let again = Acquire::publish("live", "match-1")
        .verify(false)
        .id(id.clone());
    let acquisition = world.client.acquire(again);
    let acquire = world.socket.receive("acquire").await;
    assert_eq!(acquire["id"], id);
    world
        .socket
        .send(ready(&acquire, 2, endpoint(&world.gateway)))
        .await;
    let lease = within("the lease", acquisition).await.expect("a lease");
    assert_eq!(lease.id(), id);
}
