//! One local cloud for each test, fast, with the words that the tests use of it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wakecast::{Client, ClientBuilder, ConnectionState, Event, Events};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::What;
use wakecast_local::ec2::Happened;
use wakecast_local::random::Span;
use wakecast_local::{LocalCloud, LocalConfig, LocalError, Profile};
use wakecast_tests::http;

use crate::logs::Logs;
use crate::provider::Provider;

/// The one app of the local media server.
pub(crate) const APP: &str = wakecast_local::cloud::APP;

/// Longer than any of these stories, even on a machine that does much else. It is never waited
/// for: it only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(45);

/// The lifecycle with every wait that may be short made short.
pub(crate) fn quick() -> LocalConfig {
    let mut config = LocalConfig::profile(Profile::Test);
    config.token_life = Duration::from_secs(20);
    config.ec2.pending = Span::millis(20, 60);
    config
}

/// Awaits something that must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// A running cloud.
pub(crate) struct Cloud {
    local: LocalCloud,
    logs: Logs,
}

impl Deref for Cloud {
    type Target = LocalCloud;

    fn deref(&self) -> &LocalCloud {
        &self.local
    }
}

impl Cloud {
    /// Starts a quick one.
    pub(crate) async fn quick() -> Self {
        Self::start(quick()).await
    }

    pub(crate) async fn start(config: LocalConfig) -> Self {
        Self::try_start(config).await.expect("a cloud")
    }

    /// Starts one unless its ports are taken.
    pub(crate) async fn try_start(config: LocalConfig) -> Option<Self> {
        let logs = Logs::install();
        match LocalCloud::start(config).await {
            Ok(local) => Some(Self { local, logs }),
            Err(LocalError::Port { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a quick one on ports that no socket of this machine is given by chance, so that they
    /// can be left and taken again. Returns its configuration, too.
    pub(crate) async fn on_fixed_ports() -> (LocalConfig, Self) {
        // Each test of this process has its own, and other processes mostly begin elsewhere.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = u16::try_from(std::process::id() % 2_000).unwrap_or_default();
        for _ in 0..2_000 {
            let nth = first + NEXT.fetch_add(1, Ordering::Relaxed);
            let mut config = quick();
            config.port = Some(20_000 + 4 * (nth % 2_000));
            if let Some(cloud) = Self::try_start(config.clone()).await {
                return (config, cloud);
            }
        }
        panic!("no three free ports between 20000 and 28000");
    }

    /// Ends the gateway as a crash does.
    pub(crate) async fn kill_gateway(&mut self) {
        within("the gateway's end", self.local.kill_gateway()).await;
    }

    /// Starts the gateway again.
    pub(crate) async fn start_gateway(&mut self) {
        self.local.start_gateway().await.expect("its old ports");
    }

    /// Ends a test: nothing secret was logged.
    pub(crate) fn end(self) {
        drop(self.local);
        self.logs.hold_no_secret();
    }

    /// Stops as an operator would: clients are told, and every port is free afterwards.
    pub(crate) async fn stop(self) {
        within("the cloud's end", self.local.stop()).await;
    }

    /// A client that may publish and play everything.
    pub(crate) fn client(&self, subject: &str) -> Client {
        self.client_of(self.provider(subject))
    }

    pub(crate) fn client_of(&self, provider: Provider) -> Client {
        self.builder()
            .token_provider(provider)
            .build()
            .expect("a client")
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(&self.websocket_url).access_url(&self.access_url)
    }

    pub(crate) fn provider(&self, subject: &str) -> Provider {
        Provider::new(&self.admin_url, subject)
    }

    /// Sets a fault.
    pub(crate) async fn fault(&self, fault: Value) {
        let url = format!("{}/faults", self.admin_url);
        let (status, body) = http::send("POST", &url, &fault.to_string()).await.unwrap();
        assert_eq!(status, 200, "{fault}: {body}");
    }

    /// Ends every fault that lasts.
    pub(crate) async fn mend(&self) {
        let url = format!("{}/faults", self.admin_url);
        let (status, body) = http::send("DELETE", &url, "").await.unwrap();
        assert_eq!(status, 200, "{body}");
    }

    pub(crate) async fn status(&self) -> Value {
        let url = format!("{}/status", self.admin_url);
        http::send("GET", &url, "").await.unwrap().1
    }

    /// Waits until the reconciler has moved an instance there, once or before.
    pub(crate) async fn stood(&self, wanted: Stand) {
        let is_wanted = |what: &What| matches!(what, What::Stand { stand, .. } if *stand == wanted);
        let seen = self.timeline().wait_for(|event| is_wanted(&event.what));
        within(&format!("{wanted:?}"), seen).await;
    }

    /// Waits until this has happened in EC2.
    pub(crate) async fn happened(&self, wanted: Happened) {
        let is_wanted =
            |what: &What| matches!(what, What::Ec2 { happened, .. } if *happened == wanted);
        let seen = self.timeline().wait_for(|event| is_wanted(&event.what));
        within(&format!("{wanted:?}"), seen).await;
    }

    /// Returns every state that the reconciler moved instances to, in order.
    pub(crate) fn stands(&self) -> Vec<Stand> {
        let stand = |what: What| match what {
            What::Stand { stand, .. } => Some(stand),
            _ => None,
        };
        let events = self.timeline().events().into_iter();
        events.filter_map(|event| stand(event.what)).collect()
    }

    /// Counts the sockets that were let in.
    pub(crate) fn connects(&self) -> usize {
        let events = self.timeline().events();
        let connected = |what: &What| matches!(what, What::Connected { .. });
        events.iter().filter(|event| connected(&event.what)).count()
    }

    /// Counts launches and starts.
    pub(crate) fn power_ons(&self) -> (usize, usize) {
        let timeline = self.timeline();
        (
            timeline.count(Happened::Launched),
            timeline.count(Happened::Started),
        )
    }

    /// Holds the boots that follow until [`mend`](Self::mend).
    pub(crate) async fn hold_boots(&self) {
        self.fault(json!({ "fault": "media_hangs" })).await;
    }
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
pub(crate) async fn connected(events: &mut Events) {
    event("Connected", events, |event| {
        matches!(event, Event::State(ConnectionState::Connected { .. })).then_some(())
    })
    .await;
}
