//! Through an HTTP proxy, and every way in which one can fail.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wakecast::{Acquire, Client, ErrorCode, Proxy};

use crate::harness::{CANARY, ManualClock, builder, connected, reconnecting};
use crate::peer::{Peer, within};

/// A proxy that connects whoever asks, wherever to, with one upstream, and tells what it was asked.
pub(crate) struct TestProxy {
    pub(crate) port: u16,
    heads: mpsc::UnboundedReceiver<String>,
}

impl TestProxy {
    pub(crate) async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, upstream, sender.clone()));
            }
        });
        Self { port, heads }
    }

    /// The next request's head.
    pub(crate) async fn asked(&mut self) -> String {
        within("a question to the proxy", self.heads.recv())
            .await
            .expect("a running proxy")
    }

    /// Whether nobody has asked.
    pub(crate) fn idle(&mut self) -> bool {
        self.heads.try_recv().is_err()
    }
}

async fn serve(mut client: TcpStream, upstream: u16, heads: mpsc::UnboundedSender<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let _ = heads.send(String::from_utf8(head).unwrap());
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
    let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
    if client.write_all(established).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

fn port(peer: &Peer) -> u16 {
    let url = peer.http_url();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    port.parse().unwrap()
}

fn through(gateway: &Peer, clock: &std::sync::Arc<ManualClock>, proxy: u16) -> Client {
    let url = format!("http://us%40er:{CANARY}@127.0.0.1:{proxy}");
    builder(gateway, clock)
        .proxy(Proxy::http(url))
        .build()
        .expect("a client")
}

#[tokio::test]
async fn the_link_and_the_access_check_go_through_the_proxy_with_its_credentials() {
    let gateway = Peer::start().await;
    let mut proxy = TestProxy::start(port(&gateway)).await;
    let clock = ManualClock::new();
    let url = format!("http://us%40er:{CANARY}@127.0.0.1:{}", proxy.port);
    let client = builder(&gateway, &clock)
        .access_url(gateway.http_url())
        .proxy(Proxy::http(url))
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    gateway.next().await.hang_up();
    let head = proxy.asked().await;
    let place = format!("127.0.0.1:{}", port(&gateway));
    assert!(
        head.starts_with(&format!("CONNECT {place} HTTP/1.1\r\n")),
        "{head}"
    );
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains(&format!("host: {place}\r\n")), "{head}");
    // `us@er:canary-7f3a9c`
    assert!(
        head.contains("Basic dXNAZXI6Y2FuYXJ5LTdmM2E5Yw=="),
        "{head}"
    );
    assert!(
        !lower.contains("bearer"),
        "the proxy sees the token: {head}"
    );

    let check = within("the access check", async {
        tokio::select! {
            check = gateway.next() => check,
            wait = reconnecting(&mut events) => {
                clock.advance(wait);
                gateway.next().await
            }
        }
    })
    .await;
    assert_eq!(check.target, "/prod/v1/access");
    assert!(proxy.asked().await.starts_with("CONNECT "));
    check.refuse(204, &[]).await;
    let wait = reconnecting(&mut events).await;
    clock.advance(wait);
    gateway.welcome().await;
    connected(&mut events).await;
    assert!(proxy.asked().await.starts_with("CONNECT "));
}

#[tokio::test]
async fn the_proof_of_an_endpoint_goes_through_the_proxy() {
    let gateway = Peer::start().await;
    let mut proxy = TestProxy::start(port(&gateway)).await;
    let clock = ManualClock::new();
    let client = through(&gateway, &clock, proxy.port);
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    let ready = crate::harness::ready(&acquire, 1, crate::harness::endpoint(&gateway));
    socket.send(ready).await;
    let (lease, ()) = tokio::join!(
        within("the lease", acquisition),
        crate::harness::prove(&gateway)
    );
    lease.expect("a lease");
    assert!(proxy.asked().await.starts_with("CONNECT "));
    assert!(proxy.asked().await.starts_with("CONNECT "));
}

#[tokio::test]
async fn a_bypassed_host_and_no_proxy_go_direct() {
    for bypass in ["127.0.0.0/8", "*", "example.com, 127.0.0.1"] {
        let gateway = Peer::start().await;
        let mut proxy = TestProxy::start(port(&gateway)).await;
        let clock = ManualClock::new();
        let url = format!("http://127.0.0.1:{}", proxy.port);
        let client = builder(&gateway, &clock)
            .proxy(Proxy::http(url).bypass(bypass))
            .build()
            .expect("a client");
        let mut events = client.events();
        client.connect();
        gateway.welcome().await;
        connected(&mut events).await;
        assert!(proxy.idle(), "{bypass}");
    }
}

/// What an acquire of a minute ends with when `fail` happens to the first connection.
async fn ends_with(answer: Option<&str>) -> (String, ErrorCode) {
    let gateway = Peer::start().await;
    let proxy = Peer::start().await;
    let clock = ManualClock::new();
    let client = through(&gateway, &clock, port(&proxy));
    let mut events = client.events();
    let minute = Acquire::play("live", "match-1").deadline(Duration::from_secs(60));
    let acquisition = client.acquire(minute);
    let asked = proxy.next().await;
    match answer {
        Some(answer) => asked.answer(answer).await,
        None => asked.hang_up(),
    }
    let code = crate::harness::event("Reconnecting", &mut events, |event| match event {
        wakecast::Event::State(wakecast::ConnectionState::Reconnecting {
            reason: wakecast::ReconnectReason::Failure(code),
            ..
        }) => Some(code),
        _ => None,
    })
    .await;
    // It is tried again, as after anything else.
    drop(proxy);
    clock.advance(Duration::from_secs(60));
    let error = within("its end", acquisition).await.expect_err("no lease");
    let text = format!("{error:?}");
    assert!(!text.contains(CANARY), "{text}");
    (text, code)
}

#[tokio::test]
async fn each_failure_of_the_proxy_names_it_and_what_to_do() {
    for (answer, expected) in [
        (
            Some("HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n"),
            "HTTP 407): correct them",
        ),
        (
            Some("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
            "does not allow connections to 127.0.0.1:",
        ),
        (
            Some("HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"),
            "cannot reach 127.0.0.1:",
        ),
        (
            Some("HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n"),
            "CONNECT with HTTP 302",
        ),
        (Some("SSH-2.0-OpenSSH_9.6\r\n"), "not one of HTTP"),
        (Some("HTTP/1.1 200 OK\r\n\r\nearly"), "data of its own"),
        (None, "ended the connection"),
    ] {
        let (text, code) = ends_with(answer).await;
        assert_eq!(code, ErrorCode::NetworkUnreachable, "{expected}");
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.contains("the proxy 127.0.0.1:"), "{text}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_named_before_the_attempt_is_over() {
    let gateway = Peer::start().await;
    let proxy = Peer::start().await;
    let clock = ManualClock::new();
    let client = through(&gateway, &clock, port(&proxy));
    let mut events = client.events();
    let minute = Acquire::play("live", "match-1").deadline(Duration::from_secs(60));
    let acquisition = client.acquire(minute);
    let silent = proxy.next().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(9)).await;
    reconnecting(&mut events).await;
    tokio::time::resume();
    within("the end of the silent connection", silent.closed()).await;
    clock.advance(Duration::from_secs(60));
    let error = within("its end", acquisition).await.expect_err("no lease");
    let text = format!("{error:?}");
    assert!(
        text.contains("no answer within 9 s") && text.contains("the proxy 127.0.0.1:"),
        "{text}"
    );
}

#[tokio::test]
async fn a_proxy_that_nobody_runs_is_named() {
    let gateway = Peer::start().await;
    let proxy = Peer::start().await;
    let port = port(&proxy);
    drop(proxy);
    let clock = ManualClock::new();
    let client = through(&gateway, &clock, port);
    let mut events = client.events();
    let minute = Acquire::play("live", "match-1").deadline(Duration::from_secs(60));
    let acquisition = client.acquire(minute);
    reconnecting(&mut events).await;
    clock.advance(Duration::from_secs(60));
    let error = within("its end", acquisition).await.expect_err("no lease");
    let text = format!("{error:?}");
    assert!(
        text.contains(&format!("the proxy 127.0.0.1:{port}")),
        "{text}"
    );
}

#[tokio::test]
async fn a_proxy_that_cannot_be_one_is_refused_without_being_shown() {
    let gateway = Peer::start().await;
    for (url, expected) in [
        (
            format!("socks5://user:{CANARY}@127.0.0.1:1080"),
            "the scheme socks5",
        ),
        (format!("http://user:{CANARY}@"), "not a proxy's URL"),
        (String::new(), "not a proxy's URL"),
    ] {
        let clock = ManualClock::new();
        let builder = builder(&gateway, &clock).proxy(Proxy::http(url));
        let error = builder.build().expect_err("a refusal");
        assert_eq!(*error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().contains(expected), "{}", error.message());
        assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    }
}

#[test]
fn n42_a_proxy_prints_no_credentials() {
    let proxy = Proxy::http(format!("http://user:{CANARY}@host")).bypass("*");
    assert_eq!(format!("{proxy:?}"), "Proxy::http(…)");
}
