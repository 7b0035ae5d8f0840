//! From the first wish to `Connected`, and back after a loss.

use std::time::Duration;

use serde_json::json;
use wakecast::{Acquire, ConnectionState, ErrorCode, Event, ReconnectReason};

use crate::harness::{
    CANARY, ManualClock, builder, client, come_back, connected, event, failed, reconnecting,
};
use crate::peer::{Peer, welcome, within};

#[tokio::test]
async fn the_upgrade_carries_token_and_subprotocol_in_headers_only() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    client.connect();
    let incoming = gateway.next().await;
    assert_eq!(incoming.target, "/prod");
    assert_eq!(
        incoming.header("authorization"),
        Some(format!("Bearer {CANARY}-1").as_str())
    );
    assert_eq!(
        incoming.header("sec-websocket-protocol"),
        Some("wakecast.v1")
    );
    assert_eq!(incoming.header("sec-websocket-version"), Some("13"));
}

#[tokio::test]
async fn connected_is_proved_by_welcome_and_not_by_the_socket() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    assert_eq!(client.state(), ConnectionState::Idle);
    client.connect();
    let mut socket = gateway.next().await.accept().await;
    let hello = socket.receive("hello").await;
    assert_eq!(hello["v"], 1);
    assert_eq!(
        hello["sdk"],
        concat!("wakecast-rust/", env!("CARGO_PKG_VERSION"))
    );
    assert!(
        matches!(client.state(), ConnectionState::Connecting { .. }),
        "{:?}",
        client.state()
    );
    socket.send(welcome(&hello, &[], &[])).await;
    assert_eq!(connected(&mut events).await, "session-1");
    assert_eq!(
        client.state(),
        ConnectionState::Connected {
            session: "session-1".into()
        }
    );
}

#[tokio::test]
async fn n46_a_missing_echo_of_the_subprotocol_is_named() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    let minute = Acquire::play("live", "match-1").deadline(Duration::from_secs(60));
    let acquisition = client.acquire(minute);
    let mut socket = gateway.next().await.accept_plain().await;
    let wait = reconnecting(&mut events).await;
    assert!(wait > Duration::ZERO);
    assert_eq!(
        socket.next().await,
        None,
        "a hello on a link of another protocol"
    );
    clock.advance(Duration::from_secs(60));
    let error = within("its end", acquisition).await.expect_err("no lease");
    let text = format!("{error:?}");
    assert!(
        text.contains("$connect") && text.contains("Sec-WebSocket-Protocol"),
        "{text}"
    );
}

#[tokio::test]
async fn forbidden_ends_the_attempts_until_retry() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    gateway.next().await.refuse(403, &[]).await;
    assert_eq!(failed(&mut events).await, ErrorCode::Forbidden);
    client.retry();
    clock.advance(Duration::from_secs(5));
    gateway.welcome().await;
    connected(&mut events).await;
}

#[tokio::test]
async fn n04_retry_after_is_a_floor() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    gateway
        .next()
        .await
        .refuse(429, &[("Retry-After", "30")])
        .await;
    let (retry_in, reason) = event("Reconnecting", &mut events, |event| match event {
        Event::State(ConnectionState::Reconnecting {
            retry_in, reason, ..
        }) => Some((retry_in, reason)),
        _ => None,
    })
    .await;
    assert!(retry_in >= Duration::from_secs(30), "{retry_in:?}");
    assert_eq!(reason, ReconnectReason::Failure(ErrorCode::Throttled));
}

#[tokio::test]
async fn an_unexplained_refusal_is_asked_about_at_the_access_address() {
    let gateway = Peer::start().await;
    let access = Peer::start().await;
    let clock = ManualClock::new();
    let client = builder(&gateway, &clock)
        .access_url(access.http_url())
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    gateway.next().await.hang_up();
    let question = within("the access check", async {
        tokio::select! {
            question = access.next() => question,
            // The check may come after a wait of its own.
            wait = reconnecting(&mut events) => {
                clock.advance(wait);
                access.next().await
            }
        }
    })
    .await;
    assert_eq!(question.target, "/prod/v1/access");
    assert_eq!(
        question.header("authorization"),
        Some(format!("Bearer {CANARY}-1").as_str())
    );
    question.refuse(403, &[]).await;
    assert_eq!(failed(&mut events).await, ErrorCode::Forbidden);
}

#[tokio::test]
async fn an_answer_that_is_no_gateway_s_is_a_protocol_error() {
    for answer in [
        // A captive portal.
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<sign in>",
        // A server that upgrades whatever comes, or a proxy that answers from its cache.
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: wakecast.v1\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        let gateway = Peer::start().await;
        let (client, _clock) = client(&gateway);
        let mut events = client.events();
        client.connect();
        gateway.next().await.answer(answer).await;
        let code = event("Reconnecting", &mut events, |event| match event {
            Event::State(ConnectionState::Reconnecting { reason, .. }) => Some(reason),
            _ => None,
        })
        .await;
        let head = answer.lines().next();
        assert_eq!(
            code,
            ReconnectReason::Failure(ErrorCode::ProtocolError),
            "{head:?}"
        );
    }
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    let padding = "x".repeat(64 * 1024);
    let incoming = gateway.next().await;
    let headers = format!("Sec-WebSocket-Protocol: wakecast.v1\r\nX-Padding: {padding}\r\n");
    let mut socket = incoming.upgrade_with(&headers).await;
    reconnecting(&mut events).await;
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn a_cut_link_comes_back_with_hello() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    let socket = gateway.welcome().await;
    connected(&mut events).await;
    socket.cut();
    let (mut socket, hello) = come_back(&gateway, &clock, &mut events).await;
    socket.send(welcome(&hello, &[], &[])).await;
    connected(&mut events).await;
}

#[tokio::test]
async fn n34_a_close_of_the_server_is_not_final() {
    for code in [1000, 1001, 1011, 3000] {
        let gateway = Peer::start().await;
        let (client, clock) = client(&gateway);
        let mut events = client.events();
        client.connect();
        let socket = gateway.welcome().await;
        connected(&mut events).await;
        within("the closing handshake", socket.close(code)).await;
        come_back(&gateway, &clock, &mut events).await;
    }
}

#[tokio::test]
async fn n16_a_peer_that_never_answers_the_upgrade_is_given_up_after_ten_seconds() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    let silent = gateway.next().await;
    clock.advance(Duration::from_secs(10));
    reconnecting(&mut events).await;
    within("the end of the silent connection", silent.closed()).await;
}

#[tokio::test]
async fn a_binary_frame_is_reported_and_ends_nothing() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    socket
        .send_raw(tokio_tungstenite::tungstenite::Message::binary(vec![
            1, 2, 3,
        ]))
        .await;
    let error = event("a diagnostic", &mut events, |event| match event {
        Event::Diagnostic(error) => Some(error),
        _ => None,
    })
    .await;
    assert_eq!(*error.code(), ErrorCode::ProtocolError);
    assert!(matches!(client.state(), ConnectionState::Connected { .. }));
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_link_and_not_the_client() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    socket
        .try_send(json!({ "type": "pong", "padding": "x".repeat(128 * 1024) }))
        .await;
    come_back(&gateway, &clock, &mut events).await;
}

#[tokio::test]
async fn environment_hints_cut_the_wait() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    gateway.next().await.refuse(500, &[]).await;
    reconnecting(&mut events).await;
    clock.advance(Duration::from_millis(1));
    client.network_changed();
    // A cause of our own is tried within a second, however long the backoff was.
    let wait = event("a shorter wait", &mut events, |event| match event {
        Event::State(ConnectionState::Reconnecting { retry_in, .. }) => Some(retry_in),
        _ => None,
    })
    .await;
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    clock.advance(wait);
    gateway.welcome().await;
    connected(&mut events).await;
}
