//! What the environment says about roots and proxies, on Linux. It belongs to a process, so each test starts
//! one: this test program again, with one test that is a client.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wakecast::{Client, ConnectionState, Event, Token, TokenError, TokenReason};

use crate::harness::CANARY;
use crate::peer::within;
use crate::proxies::TestProxy;
use crate::tls::authority_for;

/// This very test is what runs in the other process.
#[tokio::test]
#[allow(clippy::disallowed_methods)]
async fn another_process_says_how_its_client_fares() {
    if let Ok(url) = std::env::var("WAKECAST_TEST_URL") {
        return client(url).await;
    }
    // Nobody listens at this port.
    let said = Other::start("ws://127.0.0.1:9/prod", &[]).said().await;
    assert!(said.contains("END Reconnecting"), "{said}");
    assert!(said.contains("NetworkUnreachable"), "{said}");
}

/// The client of the other process: connects to the address that it is given and says how it goes.
async fn client(url: String) {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(std::io::stdout)
        .with_ansi(false)
        .init();
    let built = Client::builder(url)
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new("a.b.c")) })
        .build();
    let client = match built {
        Ok(client) => client,
        Err(error) => return println!("END {error:?}"),
    };
    let mut events = client.events();
    client.connect();
    while let Some(event) = events.next().await {
        if let Event::State(state @ ConnectionState::Reconnecting { .. }) = event {
            println!("END {state:?}");
            return;
        }
    }
}

/// A client in a process of its own, ended with its owner.
struct Other(Child);

impl Other {
    fn start(url: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "environment::another_process_says_how_its_client_fares",
                "--nocapture",
            ])
            .env("WAKECAST_TEST_URL", url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for name in [
            "HTTPS_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ] {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_lowercase());
        }
        command.envs(variables.iter().copied());
        Self(command.spawn().expect("this program"))
    }

    /// Everything that it says until its end.
    async fn said(mut self) -> String {
        let output = self.0.stdout.take().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                said.push_str(&line);
                said.push('\n');
                if line.contains("END ") {
                    break;
                }
            }
            said
        });
        within("its end", read).await.unwrap()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A place for files that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wakecast-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits for a TLS session and the request inside.
async fn upgrade_asked(listener: &TcpListener, acceptor: &TlsAcceptor) {
    let (tcp, _) = within("a connection", listener.accept()).await.unwrap();
    let mut stream = within("a TLS session", acceptor.accept(tcp))
        .await
        .expect("a TLS session");
    let mut head = [0; 14];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"GET /prod HTTP");
}

#[tokio::test]
async fn the_platform_s_own_roots_are_trusted_and_loopback_needs_no_proxy() {
    let (_, pem, acceptor) = authority_for("localhost");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut proxy = TestProxy::start(port).await;
    let folder = Folder::new("roots");
    let proxy_url = format!("http://127.0.0.1:{}", proxy.port);
    let _other = Other::start(
        &format!("wss://localhost:{port}/prod"),
        &[
            ("SSL_CERT_FILE", &folder.file("roots.pem", &pem)),
            ("HTTPS_PROXY", &proxy_url),
        ],
    );
    upgrade_asked(&listener, &acceptor).await;
    assert!(proxy.idle());
}

#[tokio::test]
async fn a_platform_without_roots_leaves_the_built_in_ones() {
    let (_, _, acceptor) = authority_for("localhost");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = Folder::new("empty");
    let empty = Folder::new("no-roots");
    let other = Other::start(
        &format!("wss://localhost:{port}/prod"),
        &[
            ("SSL_CERT_FILE", &folder.file("roots.pem", "")),
            ("SSL_CERT_DIR", empty.path()),
        ],
    );
    let (tcp, _) = within("a connection", listener.accept()).await.unwrap();
    within("the end of the session", acceptor.accept(tcp))
        .await
        .expect_err("a refusal");
    let said = other.said().await;
    assert!(said.contains("built-in root certificates"), "{said}");
    assert!(said.contains("UnknownIssuer"), "{said}");
}

#[tokio::test]
async fn n42_tls_goes_through_the_proxy_of_the_environment_and_nothing_shows_its_password() {
    let (_, pem, acceptor) = authority_for("gateway.test.example");
    let folder = Folder::new("proxy");
    let roots = folder.file("roots.pem", &pem);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut proxy = TestProxy::start(listener.local_addr().unwrap().port()).await;
        let url = format!("http://user:{CANARY}@127.0.0.1:{}", proxy.port);
        let other = Other::start(
            "wss://gateway.test.example/prod",
            &[
                ("SSL_CERT_FILE", &roots),
                (name, &url),
                ("NO_PROXY", "other.example,10.0.0.0/8"),
            ],
        );
        // Dropped at its end, so that the client says how it went.
        upgrade_asked(&listener, &acceptor).await;
        let head = proxy.asked().await;
        assert!(
            head.starts_with("CONNECT gateway.test.example:443 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("Basic dXNlcjpjYW5hcnktN2YzYTlj"), "{head}");
        let said = other.said().await;
        assert!(said.contains("END Reconnecting"), "{said}");
        assert!(
            !said.contains(CANARY) && !said.contains("dXNlcjpjYW5hcnk"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn no_proxy_keeps_a_host_from_the_proxy() {
    for (no_proxy, direct) in [
        ("0.0.0.0/32,.lan", true),
        ("*", true),
        ("10.0.0.0/8", false),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut proxy = TestProxy::start(port).await;
        let url = format!("http://127.0.0.1:{}", proxy.port);
        let _other = Other::start(
            // Not loopback by its name, but on Linux it leads there.
            &format!("wss://0.0.0.0:{port}/prod"),
            &[("HTTPS_PROXY", &url), ("NO_PROXY", no_proxy)],
        );
        within("a connection", listener.accept()).await.unwrap();
        assert_eq!(proxy.idle(), direct, "{no_proxy}");
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_not_passed_by() {
    let url = format!("socks5://user:{CANARY}@127.0.0.1:1080");
    let other = Other::start("wss://gateway.invalid/prod", &[("ALL_PROXY", &url)]);
    let said = other.said().await;
    assert!(said.contains("ALL_PROXY has the scheme socks5"), "{said}");
    assert!(said.contains("InvalidArgument"), "{said}");
    assert!(!said.contains(CANARY), "{said}");
}
