//! What the tests share: a clock that they move, a token provider that they script, and the way
//! from an acquire to a lease.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use wakecast::native::Clock;
use wakecast::{
    Acquire, Client, ClientBuilder, ConnectionState, ErrorCode, Event, Events, Instant, Lease,
    Token, TokenError, TokenProvider, TokenReason,
};

use crate::peer::{Peer, Socket, welcome, within};

/// In every token of these tests; a log or an error that holds it has leaked.
pub(crate) const CANARY: &str = "canary-7f3a9c";

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct ManualClock {
    now: watch::Sender<u64>,
    armed: watch::Sender<u64>,
}

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: watch::Sender::new(1_000_000),
            armed: watch::Sender::new(0),
        })
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap();
        self.now.send_modify(|now| *now += by);
    }

    /// Moves to the next timer, once one is armed.
    pub(crate) async fn fire(&self) {
        let now = *self.now.borrow();
        let mut armed = self.armed.subscribe();
        let at = *within("an armed timer", armed.wait_for(|at| *at > now))
            .await
            .expect("a timer");
        self.now.send_replace(at);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(*self.now.borrow())
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        self.armed.send_replace(at.as_millis());
        let mut now = self.now.subscribe();
        async move {
            if now.wait_for(|now| *now >= at.as_millis()).await.is_err() {
                std::future::pending().await
            }
        }
        .boxed()
    }
}

/// A provider that gives `<canary>-1`, `<canary>-2`, … with an hour of life.
pub(crate) fn counting_provider() -> impl TokenProvider {
    let count = Mutex::new(0);
    move |_: TokenReason| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let token = Token::new(format!("{CANARY}-{count}")).expires_in(Duration::from_secs(3600));
        async move { Ok::<_, TokenError>(token) }
    }
}

/// One call of a scripted provider.
pub(crate) struct TokenCall {
    pub(crate) reason: TokenReason,
    pub(crate) answer: oneshot::Sender<Result<Token, TokenError>>,
}

/// A provider whose calls are handed to the test.
pub(crate) struct ScriptedProvider(mpsc::UnboundedSender<TokenCall>);

impl ScriptedProvider {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<TokenCall>) {
        let (calls, receiver) = mpsc::unbounded_channel();
        (Self(calls), receiver)
    }
}

impl TokenProvider for ScriptedProvider {
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>> {
        let (answer, answered) = oneshot::channel();
        self.0
            .send(TokenCall { reason, answer })
            .expect("a test that listens");
        async move {
            answered
                .await
                .unwrap_or_else(|_| Err(TokenError::new("script ended")))
        }
        .boxed()
    }
}

/// A builder on virtual time with fixed randomness.
pub(crate) fn builder(peer: &Peer, clock: &Arc<ManualClock>) -> ClientBuilder {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Client::builder(peer.ws_url())
        .token_provider(counting_provider())
        .clock(clock)
        .seed([7; 32])
}

/// A client of `peer` and the clock that it lives by.
pub(crate) fn client(peer: &Peer) -> (Client, Arc<ManualClock>) {
    let clock = ManualClock::new();
    (builder(peer, &clock).build().expect("a client"), clock)
}

/// Reads events until `pick` takes one.
pub(crate) async fn event<T>(
    what: &str,
    events: &mut Events,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    within(what, async {
        loop {
            let event = events.next().await.expect("events of an open client");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    })
    .await
}

/// Reads events until the client is connected.
pub(crate) async fn connected(events: &mut Events) -> String {
    event("Connected", events, |event| match event {
        Event::State(ConnectionState::Connected { session }) => Some(session),
        _ => None,
    })
    .await
}

/// Reads events until the client waits for its next attempt; returns how long.
pub(crate) async fn reconnecting(events: &mut Events) -> Duration {
    event("Reconnecting", events, |event| match event {
        Event::State(ConnectionState::Reconnecting { retry_in, .. }) if !retry_in.is_zero() => {
            Some(retry_in)
        }
        _ => None,
    })
    .await
}

/// Reads events until the client has failed; returns the code.
pub(crate) async fn failed(events: &mut Events) -> ErrorCode {
    event("Failed", events, |event| match event {
        Event::State(ConnectionState::Failed { error }) => Some(error.code().clone()),
        _ => None,
    })
    .await
}

/// An endpoint of the media server that `media` plays.
pub(crate) fn endpoint(media: &Peer) -> Value {
    json!({
        "websocket_url": media.ws_url(),
        "http_url": media.http_url(),
        "app": "live",
        "stream_token": format!("{CANARY}-stream"),
        "stream_token_expires_in_ms": 60_000,
    })
}

/// `ready` for an acquire.
pub(crate) fn ready(acquire: &Value, rev: u64, endpoint: Value) -> Value {
    json!({
        "type": "ready",
        "id": acquire["id"],
        "rev": rev,
        "endpoint": endpoint,
        "verify_spread_ms": 0,
    })
}

/// Answers one probe as the media server does.
pub(crate) async fn prove(media: &Peer) {
    let mut socket = media.next().await.accept_plain().await;
    let ping = socket.next().await.expect("a ping");
    assert_eq!(ping, json!({ "command": "ping" }));
    socket.send(json!({ "command": "pong" })).await;
}

/// A client with one lease, and all that is on the other side of it.
pub(crate) struct Granted {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) events: Events,
    pub(crate) gateway: Peer,
    pub(crate) socket: Socket,
    pub(crate) lease: Lease,
}

/// Goes the way from nothing to a lease, unverified.
pub(crate) async fn granted() -> Granted {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1").verify(false));
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&gateway))).await;
    let lease = within("the lease", acquisition).await.expect("a lease");
    Granted {
        client,
        clock,
        events,
        gateway,
        socket,
        lease,
    }
}

/// Lets a cut client come back, and returns its `hello`.
pub(crate) async fn come_back(
    gateway: &Peer,
    clock: &ManualClock,
    events: &mut Events,
) -> (Socket, Value) {
    let wait = reconnecting(events).await;
    clock.advance(wait);
    let mut socket = gateway.next().await.accept().await;
    let hello = socket.receive("hello").await;
    (socket, hello)
}

/// `welcome` that tells a lease or request to be in `state`.
pub(crate) fn welcome_with(hello: &Value, list: &str, rows: Value) -> Value {
    let mut welcome = welcome(hello, &[], &[]);
    welcome[list] = rows;
    welcome
}
