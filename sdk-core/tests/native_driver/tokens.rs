//! Tokens: where they come from, and what a provider can do wrong without harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};
use wakecast::{
    Client, ConnectionState, ErrorCode, Events, Token, TokenError, TokenProvider, TokenReason,
};

use crate::harness::{
    CANARY, ManualClock, ScriptedProvider, TokenCall, builder, connected, event, failed,
    reconnecting,
};
use crate::peer::{Peer, within};

/// A client whose provider is scripted.
struct Scripted {
    gateway: Peer,
    client: Client,
    clock: Arc<ManualClock>,
    events: Events,
    calls: UnboundedReceiver<TokenCall>,
}

impl Scripted {
    async fn start() -> Self {
        let gateway = Peer::start().await;
        let clock = ManualClock::new();
        let (provider, calls) = ScriptedProvider::new();
        let client = builder(&gateway, &clock)
            .token_provider(provider)
            .build()
            .expect("a client");
        let events = client.events();
        Self {
            gateway,
            client,
            clock,
            events,
            calls,
        }
    }

    async fn call(&mut self) -> TokenCall {
        within("a question to the provider", self.calls.recv())
            .await
            .expect("a live client")
    }

    /// Lets time pass until the provider is asked again.
    async fn call_later(&mut self) -> TokenCall {
        reconnecting(&mut self.events).await;
        loop {
            tokio::select! {
                biased;
                call = self.calls.recv() => return call.expect("a live client"),
                () = self.clock.fire() => {}
            }
        }
    }
}

fn token(name: &str) -> Result<Token, TokenError> {
    Ok(Token::new(format!("{CANARY}-{name}")).expires_in(Duration::from_secs(3600)))
}

#[tokio::test]
async fn n23_a_refused_token_is_never_sent_again() {
    let mut world = Scripted::start().await;
    world.client.connect();
    let call = world.call().await;
    assert_eq!(call.reason, TokenReason::Initial);
    call.answer.send(token("a")).expect("a waiting client");

    let incoming = world.gateway.next().await;
    assert_eq!(
        incoming.header("authorization"),
        Some(&*format!("Bearer {CANARY}-a"))
    );
    incoming.refuse(401, &[]).await;

    let call = world.call_later().await;
    assert_eq!(call.reason, TokenReason::Rejected);
    call.answer.send(token("b")).expect("a waiting client");
    let incoming = world.gateway.next().await;
    assert_eq!(
        incoming.header("authorization"),
        Some(&*format!("Bearer {CANARY}-b"))
    );
    incoming.refuse(401, &[]).await;

    // Two of the provider's tokens are refused: the app has to act.
    assert_eq!(failed(&mut world.events).await, ErrorCode::TokenRejected);
    assert!(
        world.calls.try_recv().is_err(),
        "asked again without a reason"
    );
}

#[tokio::test]
async fn n35_a_provider_that_fails_is_asked_again() {
    let mut world = Scripted::start().await;
    world.client.connect();
    let call = world.call().await;
    call.answer
        .send(Err(TokenError::new("the backend is down")))
        .expect("a waiting client");
    let call = world.call_later().await;
    call.answer.send(token("late")).expect("a waiting client");
    world.gateway.welcome().await;
    connected(&mut world.events).await;
}

#[tokio::test]
async fn n35_a_provider_that_returns_an_empty_token_is_asked_again() {
    let mut world = Scripted::start().await;
    world.client.connect();
    world
        .call()
        .await
        .answer
        .send(Ok(Token::new("")))
        .expect("a waiting client");
    world
        .call_later()
        .await
        .answer
        .send(token("late"))
        .expect("a waiting client");
    world.gateway.welcome().await;
    connected(&mut world.events).await;
}

#[tokio::test]
async fn n35_a_provider_that_hangs_is_given_up_after_fifteen_seconds() {
    let mut world = Scripted::start().await;
    world.client.connect();
    let mut hanging = world.call().await;
    world.clock.advance(Duration::from_secs(15));
    let call = world.call_later().await;
    within("the end of the stale call", hanging.answer.closed()).await;
    call.answer.send(token("late")).expect("a waiting client");
    world.gateway.welcome().await;
    connected(&mut world.events).await;
}

/// A provider that fails in its own way the first time and works from then on.
struct FirstTime<F>(ScriptedProvider, F);

impl<F> TokenProvider for FirstTime<F>
where
    F: Fn() -> Option<BoxFuture<'static, Result<Token, TokenError>>> + Send + Sync + 'static,
{
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>> {
        (self.1)().unwrap_or_else(|| self.0.token(reason))
    }
}

async fn survives<F>(first: F)
where
    F: Fn() -> BoxFuture<'static, Result<Token, TokenError>> + Send + Sync + 'static,
{
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let (scripted, calls) = ScriptedProvider::new();
    let count = AtomicUsize::new(0);
    let provider = FirstTime(scripted, move || {
        (count.fetch_add(1, Ordering::SeqCst) == 0).then(&first)
    });
    let client = builder(&gateway, &clock)
        .token_provider(provider)
        .build()
        .expect("a client");
    let events = client.events();
    let mut world = Scripted {
        gateway,
        client,
        clock,
        events,
        calls,
    };
    world.client.connect();
    world
        .call_later()
        .await
        .answer
        .send(token("late"))
        .expect("a waiting client");
    world.gateway.welcome().await;
    connected(&mut world.events).await;
}

#[tokio::test]
async fn n35_a_provider_that_panics_takes_nothing_along() {
    survives(|| async { panic!("scripted") }.boxed()).await;
}

#[tokio::test]
async fn n35_a_provider_that_panics_before_its_future_takes_nothing_along() {
    survives(|| panic!("scripted")).await;
}

#[tokio::test]
async fn n21_many_causes_ask_once() {
    let mut world = Scripted::start().await;
    for _ in 0..100 {
        world.client.connect();
        world.client.set_foreground(true);
        world.client.retry();
    }
    let call = world.call().await;
    call.answer.send(token("a")).expect("a waiting client");
    world.gateway.welcome().await;
    connected(&mut world.events).await;
    assert!(world.calls.try_recv().is_err(), "asked twice");
}

#[tokio::test]
async fn n31_a_token_is_renewed_on_the_open_link() {
    let mut world = Scripted::start().await;
    world.client.connect();
    world
        .call()
        .await
        .answer
        .send(token("a"))
        .expect("a waiting client");
    let mut socket = world.gateway.welcome().await;
    connected(&mut world.events).await;

    // The server said an hour, of which four fifths are over.
    world.clock.advance(Duration::from_secs(48 * 60));
    let call = tokio::select! {
        call = world.calls.recv() => call.expect("a live client"),
        message = socket.next() => panic!("{message:?}"),
    };
    assert_eq!(call.reason, TokenReason::Expiring);
    call.answer.send(token("b")).expect("a waiting client");
    let renew = socket.receive("renew").await;
    assert_eq!(renew["token"], format!("{CANARY}-b"));
    socket
        .send(json!({
            "type": "renewed", "id": renew["id"], "expires_in_ms": 3_600_000,
            "reconnect_spread_ms": 250,
        }))
        .await;
    assert_eq!(socket.settle().await, Vec::<serde_json::Value>::new());
    assert!(matches!(
        world.client.state(),
        ConnectionState::Connected { .. }
    ));
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_refused_without_being_shown() {
    let mut world = Scripted::start().await;
    world.client.connect();
    let bad = Token::new(format!("{CANARY}\r\nX-Injected: yes"));
    world
        .call()
        .await
        .answer
        .send(Ok(bad))
        .expect("a waiting client");
    let text = event("a reaction", &mut world.events, |event| {
        let text = format!("{event:?}");
        (text.contains("Reconnecting") || text.contains("Failed") || text.contains("Diagnostic"))
            .then_some(text)
    })
    .await;
    assert!(!text.contains(CANARY), "{text}");
}

#[tokio::test]
async fn a_call_ends_with_its_client() {
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let (asked, question) = oneshot::channel::<()>();
    let asked = std::sync::Mutex::new(Some(asked));
    let dropped = Arc::new(Notify::new());
    let noticed = Arc::clone(&dropped);
    let provider = move |_: TokenReason| {
        let guard = NotifyOnDrop(Arc::clone(&noticed));
        let asked = asked.lock().unwrap().take();
        async move {
            let _guard = guard;
            if let Some(asked) = asked {
                let _ = asked.send(());
            }
            std::future::pending::<Result<Token, TokenError>>().await
        }
    };
    let client = builder(&gateway, &clock)
        .token_provider(provider)
        .build()
        .expect("a client");
    client.connect();
    within("a question to the provider", question)
        .await
        .expect("a live client");
    within("the end of the client", client.close()).await;
    within("the end of the call", dropped.notified()).await;
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
