//! The ready-made token providers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wakecast::{
    ErrorCode, FixedToken, HttpTokenProvider, Proxy, Token, TokenError, TokenProvider, TokenReason,
};

use crate::harness::{CANARY, ManualClock, builder, failed};
use crate::peer::{Peer, within};
use crate::proxies::TestProxy;

/// A backend that hands its connections to the test.
struct Backend {
    listener: TcpListener,
    port: u16,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    fn provider(&self) -> HttpTokenProvider {
        HttpTokenProvider::builder(format!("http://127.0.0.1:{}/token/{CANARY}", self.port))
            .header("cookie", format!("session={CANARY}"))
            .build()
            .expect("a provider")
    }

    /// One request, head and JSON body.
    async fn request(&self) -> (TcpStream, String, Value) {
        let (mut stream, _) = within("a request", self.listener.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .expect("a length");
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        (stream, head, serde_json::from_slice(&body).unwrap())
    }

    /// What the provider makes of an answer.
    async fn answers(&self, answer: &str) -> Result<Token, TokenError> {
        let provider = self.provider();
        let serve = async {
            let (mut stream, ..) = self.request().await;
            // A client that has read enough closes in the middle of it.
            let _ = stream.write_all(answer.as_bytes()).await;
        };
        let (token, ()) = tokio::join!(provider.token(TokenReason::Initial), serve);
        token
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_backend_is_asked_by_post_with_the_reason_and_the_user_s_credentials() {
    let backend = Backend::start().await;
    let provider = backend.provider();
    for (reason, name) in [
        (TokenReason::Initial, "initial"),
        (TokenReason::Expiring, "expiring"),
        (TokenReason::Rejected, "rejected"),
    ] {
        let serve = async {
            let (mut stream, head, body) = backend.request().await;
            assert!(
                head.starts_with(&format!("post /token/{CANARY} http/1.1\r\n")),
                "{head}"
            );
            for line in [
                &format!("\r\ncookie: session={CANARY}\r\n"),
                "\r\ncontent-type: application/json\r\n",
                &format!("\r\nhost: 127.0.0.1:{}\r\n", backend.port),
            ] {
                assert!(head.contains(line), "{line} in {head}");
            }
            assert_eq!(body, json!({ "reason": name }));
            let answer = ok(r#"{"token":"a.b.c","expires_in":3600,"user":{}}"#);
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (token, ()) = tokio::join!(provider.token(reason), serve);
        token.expect("a token");
    }
}

#[tokio::test]
async fn the_token_of_a_backend_connects() {
    let backend = Backend::start().await;
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let provider = HttpTokenProvider::builder(format!("http://localhost:{}/", backend.port))
        .bearer(CANARY)
        .build()
        .expect("a provider");
    let client = builder(&gateway, &clock)
        .token_provider(provider)
        .build()
        .expect("a client");
    client.connect();
    let (mut stream, head, _) = backend.request().await;
    assert!(
        head.contains(&format!("authorization: bearer {CANARY}\r\n")),
        "{head}"
    );
    let body = r#"{"token":"a.b.c","expires_in":null}"#;
    let answer = format!(
        "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let incoming = gateway.next().await;
    assert_eq!(incoming.header("authorization"), Some("Bearer a.b.c"));
}

#[tokio::test]
async fn each_refusal_of_a_backend_is_typed_and_shows_nothing() {
    let backend = Backend::start().await;
    let long = ok(&format!("{{\"token\":\"{}\"}}", "x".repeat(70_000)));
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n");
    let cases = [
        (status(&format!("401 {CANARY}")), true, "sign in again"),
        (status("403 Forbidden"), true, "HTTP 403"),
        (
            status(&format!(
                "302 Found\r\nLocation: https://x.example/?{CANARY}"
            )),
            false,
            "redirects (HTTP 302)",
        ),
        (status("404 Not Found"), false, "HTTP 404"),
        (status("500 Oops"), false, "HTTP 500"),
        (status("204 Nothing"), false, "HTTP 204"),
        (ok(&format!("<html>{CANARY}")), false, "not JSON"),
        (ok(""), false, "not JSON"),
        (
            ok(&format!(r#"{{"token":"","x":"{CANARY}"}}"#)),
            false,
            "empty",
        ),
        (
            ok(&format!(r#"{{"access_token":"{CANARY}"}}"#)),
            false,
            "is not {\"token\"",
        ),
        (
            ok(&format!(r#"{{"token":"a","expires_in":"{CANARY}"}}"#)),
            false,
            "is not {\"token\"",
        ),
        (ok(&format!(r#"["{CANARY}"]"#)), false, "is not {\"token\""),
        (ok(r#"{"token":"a","expires_in":-1}"#), false, "negative"),
        (
            ok(r#"{"token":"a","expires_in":1e300}"#),
            false,
            "beyond measure",
        ),
        (long, false, "longer than 64 KB"),
        (
            "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
            false,
            "not one of HTTP",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{CANARY}"),
            false,
            "before its answer",
        ),
        (String::new(), false, "before its answer"),
    ];
    for (answer, refused, expected) in cases {
        let error = backend.answers(&answer).await.expect_err(expected);
        let text = format!("{error} {error:?}");
        assert!(text.contains(expected), "{expected}: {text}");
        assert_eq!(error.is_refused(), refused, "{text}");
        assert!(text.contains("127.0.0.1:"), "it names the backend: {text}");
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[tokio::test]
async fn retry_after_of_a_backend_is_a_floor() {
    let backend = Backend::start().await;
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let client = builder(&gateway, &clock)
        .token_provider(backend.provider())
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    let (mut stream, ..) = backend.request().await;
    let answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 40\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    let wait = crate::harness::reconnecting(&mut events).await;
    assert!(wait >= Duration::from_secs(40), "{wait:?}");
}

#[tokio::test]
async fn n35_a_backend_that_hangs_is_named_before_the_client_gives_up() {
    let backend = Backend::start().await;
    let provider = backend.provider();
    let serve = async {
        let (mut stream, ..) = backend.request().await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        stream.write_all(head).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(12)).await;
        stream
    };
    let (token, _stream) = tokio::join!(provider.token(TokenReason::Initial), serve);
    tokio::time::resume();
    let error = token.expect_err("no token");
    assert!(
        error.to_string().contains("no whole answer within 12 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_backend_that_refuses_the_user_fails_the_client_until_retry() {
    let backend = Backend::start().await;
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let client = builder(&gateway, &clock)
        .token_provider(backend.provider())
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    let (mut stream, ..) = backend.request().await;
    let answer = b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    assert_eq!(failed(&mut events).await, ErrorCode::TokenProviderFailed);
    client.retry();
    clock.advance(Duration::from_secs(5));
    let (mut stream, ..) = backend.request().await;
    let answer = ok(r#"{"token":"a.b.c"}"#);
    stream.write_all(answer.as_bytes()).await.unwrap();
    gateway.welcome().await;
}

#[tokio::test]
async fn a_backend_is_asked_through_the_proxy() {
    let backend = Backend::start().await;
    let mut proxy = TestProxy::start(backend.port).await;
    let provider = HttpTokenProvider::builder(format!("http://127.0.0.1:{}/", backend.port))
        .proxy(Proxy::http(format!("127.0.0.1:{}", proxy.port)))
        .build()
        .expect("a provider");
    let serve = async {
        let (mut stream, ..) = backend.request().await;
        let answer = ok(r#"{"token":"a.b.c"}"#);
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let (token, ()) = tokio::join!(provider.token(TokenReason::Initial), serve);
    token.expect("a token");
    assert!(proxy.asked().await.starts_with("CONNECT "));
}

#[test]
fn a_provider_refuses_what_could_never_work() {
    let build = |url: &str, name: &str, value: &str| {
        let builder = HttpTokenProvider::builder(url).header(name, value);
        assert!(!format!("{builder:?}").contains(CANARY), "{builder:?}");
        let error = builder.build().expect_err("a refusal");
        assert_eq!(*error.code(), ErrorCode::InvalidArgument);
        assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
        error.message().to_owned()
    };
    let good = "https://app.example.com/token";
    assert!(build("http://app.example.com/", "a", "b").contains("unencrypted"));
    assert!(build("https://app.example.com/?k=canary-7f3a9c", "a", "b").contains("query"));
    assert!(build("wss://app.example.com/", "a", "b").contains("expected https://"));
    assert!(build(good, "host", CANARY).contains("\"host\""));
    assert!(build(good, "content-length", CANARY).contains("\"content-length\""));
    assert!(build(good, "x", &format!("{CANARY}\r\nx: y")).contains("\"x\""));
    let provider = HttpTokenProvider::builder(good).bearer(CANARY).build();
    assert!(!format!("{provider:?}").contains(CANARY), "{provider:?}");
    assert!(!format!("{:?}", FixedToken::new(CANARY)).contains(CANARY));
}

#[tokio::test]
async fn a_fixed_token_is_never_sent_after_its_refusal() {
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let client = builder(&gateway, &clock)
        .token_provider(FixedToken::new(CANARY))
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    let incoming = gateway.next().await;
    let expected = format!("Bearer {CANARY}");
    assert_eq!(incoming.header("authorization"), Some(expected.as_str()));
    incoming.refuse(401, &[]).await;
    let wait = crate::harness::reconnecting(&mut events).await;
    clock.advance(wait.max(Duration::from_secs(5)));
    let error = crate::harness::event("Failed", &mut events, |event| match event {
        wakecast::Event::State(wakecast::ConnectionState::Failed { error }) => Some(error),
        _ => None,
    })
    .await;
    assert_eq!(*error.code(), ErrorCode::TokenProviderFailed);
    assert!(!error.retryable());
    let text = format!("{error:?}");
    assert!(text.contains("cannot be renewed"), "{text}");
    assert!(!text.contains(CANARY), "{text}");
}
