//! No token reaches a log, an event, an error or a `Debug` text.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use serde_json::json;
use wakecast::{Acquire, Client, ErrorCode, Token, TokenError, TokenReason};

use crate::harness::{CANARY, builder, client, connected, endpoint, failed, prove, ready};
use crate::peer::{Peer, within};

/// Everything that the process logs, through `tracing` and through `log`, at every level.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<String>>);

impl Captured {
    pub(crate) fn install() -> Self {
        static CAPTURED: OnceLock<Captured> = OnceLock::new();
        CAPTURED
            .get_or_init(|| {
                let captured = Self::default();
                let writer = captured.clone();
                tracing_subscriber::fmt()
                    .with_ansi(false)
                    .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
                    .with_writer(move || writer.clone())
                    .init();
                log::set_logger(Box::leak(Box::new(captured.clone()))).expect("the only logger");
                log::set_max_level(log::LevelFilter::Trace);
                captured
            })
            .clone()
    }

    pub(crate) fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl log::Log for Captured {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // The WebSocket library prints frames at level trace, ours and those of the scripted
        // server alike. The crate's documentation tells apps to leave that off.
        if record.target().starts_with("tungstenite::protocol")
            && record.level() == log::Level::Trace
        {
            return;
        }
        writeln!(self.text(), "{} {}", record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn n42_no_token_is_in_logs_events_errors_or_debug_texts() {
    let logs = Captured::install();
    let gateway = Peer::start().await;
    let media = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    let mut all = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut seen = format!("{client:?} {acquisition:?}");

    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let acquire = socket.receive("acquire").await;
    let mut secret = endpoint(&media);
    secret["websocket_url"] = json!(format!("{}?token={CANARY}-query", media.ws_url()));
    socket.send(ready(&acquire, 1, secret)).await;
    let (lease, ()) = tokio::join!(within("the lease", acquisition), prove(&media));
    let lease = lease.expect("a lease");
    write!(seen, "{lease:?} {:?}", lease.status()).unwrap();

    // A renewal, a refusal on the way back, and the end.
    clock.advance(Duration::from_secs(48 * 60));
    let renew = socket.receive("renew").await;
    assert!(
        renew.to_string().contains(CANARY),
        "the test has lost its canary"
    );
    socket.cut();
    let wait = crate::harness::reconnecting(&mut events).await;
    clock.advance(wait);
    let incoming = gateway.next().await;
    assert!(
        incoming
            .header("authorization")
            .is_some_and(|token| token.contains(CANARY))
    );
    incoming
        .refuse(403, &[("X-Echo", &format!("{CANARY}-echo"))])
        .await;
    assert_eq!(failed(&mut events).await, ErrorCode::Forbidden);
    if let Err(error) = lease.endpoint().await {
        write!(seen, "{error} {error:?}").unwrap();
    }
    within("close", client.close()).await;
    within("the end of the events", async {
        while let Some(event) = all.next().await {
            write!(seen, "{event:?}").unwrap();
        }
    })
    .await;

    // The endpoint's own address is the app's to read; its `Debug` text is not compared here.
    let seen = seen.replace(&format!("?token={CANARY}-query"), "");
    assert!(!seen.contains(CANARY), "{seen}");
    let logs = logs.text();
    assert!(logs.contains("wakecast::connection"), "nothing was logged");
    assert!(!logs.contains(CANARY), "{}", excerpt(&logs));
}

#[tokio::test]
async fn n42_a_panicking_provider_is_not_quoted() {
    let gateway = Peer::start().await;
    let clock = crate::harness::ManualClock::new();
    let client = builder(&gateway, &clock)
        .token_provider(|_: TokenReason| async {
            std::panic::resume_unwind(Box::new(format!("{CANARY} in a panic")));
            #[allow(unreachable_code)]
            Ok::<_, TokenError>(Token::new(""))
        })
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    let text = crate::harness::event("a reaction", &mut events, |event| {
        let text = format!("{event:?}");
        text.contains("Reconnecting").then_some(text)
    })
    .await;
    assert!(!text.contains(CANARY), "{text}");
}

#[tokio::test]
async fn n42_builders_and_tokens_print_nothing_secret() {
    let builder = Client::builder(format!("wss://user:{CANARY}@host/path?token={CANARY}"))
        .access_url(format!("https://host/?{CANARY}"))
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new(CANARY)) });
    let text = format!("{builder:?} {:?}", Token::new(CANARY));
    assert!(!text.contains(CANARY), "{text}");
}

fn excerpt(text: &str) -> &str {
    text.lines()
        .find(|line| line.contains(CANARY))
        .unwrap_or_default()
}
