//! A small world around one gateway: the table in memory, and ports that remember.

pub(crate) mod events;
mod fakes;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::executor::block_on;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use wakecast::Secret;
use wakecast::protocol::{Phase, Ready, ServerMessage, Welcome};
use wakecast_lambda::auth::{Issuer, Key};
use wakecast_lambda::config::{
    Budget, Caps, Counts, EndpointConfig, FleetConfig, KnownSetting, LinkCaps, Offering, Timing,
};
use wakecast_lambda::gateway::{
    Gateway, GatewayConfig, GatewayConfigError, GatewayPorts, Hint, LinkConfig, Waits,
};
use wakecast_lambda::grant::Granting;
use wakecast_lambda::guards::Guards;
use wakecast_lambda::model::{
    Boot, BootId, BootPath, Fence, FleetKey, FleetState, Instance, InstanceId, InstanceStatus,
    Lock, Row, RowKey, RowState, Timestamp, WarmStep,
};
use wakecast_lambda::ports::Clock as _;
use wakecast_lambda::store::memory::MemoryStore;
use wakecast_lambda::store::{Commit, Store};

pub(crate) use fakes::{Counting, Sockets, TestClock, Tokens, Wakes};
pub(crate) use store::{Trouble, Troubled};

/// When every test begins, in milliseconds.
pub(crate) const START: u64 = 1_800_000_000_000;

/// The issuer's secret.
pub(crate) const SECRET: &str = "canary-issuer-secret-0123456789abcdef";

/// The hint's secret path.
pub(crate) const HINT: &str = "canary-hint-0123456789abcdef";

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) table: MemoryStore,
    pub(crate) store: Arc<Troubled>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) gateway: Gateway,
    config: GatewayConfig,
    open: Mutex<BTreeMap<String, u64>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: GatewayConfig) -> Self {
        Self::try_with(config).expect("a good configuration")
    }

    /// Another process over the same table, without memories.
    pub(crate) fn fresh_gateway(&self) -> Gateway {
        let ports = GatewayPorts {
            store: Arc::new(self.table.as_gateway()),
            connections: self.sockets.clone(),
            wake: self.wakes.clone(),
            clock: self.clock.clone(),
            entropy: Arc::new(Counting::default()),
            stream_tokens: Arc::new(Tokens),
        };
        Gateway::new(ports, self.config.clone()).expect("a good configuration")
    }

    pub(crate) fn try_with(config: GatewayConfig) -> Result<Self, GatewayConfigError> {
        let table = MemoryStore::new();
        let clock = Arc::new(TestClock::at(START));
        let store = Arc::new(Troubled::new(table.as_gateway()));
        let (sockets, wakes) = (Arc::new(Sockets::default()), Arc::new(Wakes::default()));
        let ports = GatewayPorts {
            store: store.clone(),
            connections: sockets.clone(),
            wake: wakes.clone(),
            clock: clock.clone(),
            entropy: Arc::new(Counting::default()),
            stream_tokens: Arc::new(Tokens),
        };
        let gateway = Gateway::new(ports, config.clone())?;
        let open = Mutex::default();
        Ok(Self {
            clock,
            table,
            store,
            sockets,
            wakes,
            gateway,
            config,
            open,
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().as_millis()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(seconds * 1000);
    }

    /// Answers an event of a socket; the status of the response.
    pub(crate) fn event(&self, event: &Value) -> Value {
        block_on(self.gateway.websocket(event))
    }

    /// Opens a socket with that token; the response's status.
    pub(crate) fn connect_with(&self, socket: &str, token: &str) -> u64 {
        let now = self.now();
        self.open
            .lock()
            .expect("the sockets")
            .insert(socket.to_owned(), now);
        let event = events::filled(&events::connect_native(), "TOKEN", token);
        let response = self.event(&events::on_socket(event, socket, now));
        response["statusCode"].as_u64().expect("a status")
    }

    pub(crate) fn connect(&self, socket: &str) {
        assert_eq!(self.connect_with(socket, &self.token(json!({}))), 200);
    }

    /// Opens a socket and greets as the client of that name, with nothing held.
    pub(crate) fn link(&self, socket: &str, client: &str) -> Welcome {
        self.connect(socket);
        self.hello(socket, client, &[], &[])
    }

    pub(crate) fn hello(
        &self,
        socket: &str,
        client: &str,
        leases: &[&str],
        requests: &[&str],
    ) -> Welcome {
        let named = |ids: &[&str]| ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>();
        let hello = json!({
            "action": "hello", "id": format!("hello-{socket}"), "v": 1, "client_id": client,
            "sdk": "test", "leases": named(leases), "requests": named(requests),
        });
        match self.send(socket, &hello) {
            ServerMessage::Welcome(welcome) => welcome,
            other => panic!("no welcome but {other:?}"),
        }
    }

    /// Sends one message and returns its reply.
    pub(crate) fn send(&self, socket: &str, message: &Value) -> ServerMessage {
        self.send_text(socket, &message.to_string())
            .expect("a reply")
    }

    pub(crate) fn send_text(&self, socket: &str, text: &str) -> Option<ServerMessage> {
        let response = self.event(&self.message(socket, text));
        reply(&response)
    }

    /// Sends one message whose handling may crash; `None` if it did.
    pub(crate) fn send_crashing(
        &self,
        socket: &str,
        message: &Value,
    ) -> Option<Option<ServerMessage>> {
        let event = self.message(socket, &message.to_string());
        let response = self.gateway.websocket(&event).now_or_never()?;
        Some(reply(&response))
    }

    pub(crate) fn message(&self, socket: &str, text: &str) -> Value {
        let connected_at = self.open.lock().expect("the sockets")[socket];
        events::message(socket, connected_at, text)
    }

    pub(crate) fn disconnect(&self, socket: &str) {
        let connected_at = self.open.lock().expect("the sockets")[socket];
        let response = self.event(&events::disconnect(socket, connected_at));
        assert_eq!(response["statusCode"], 200);
    }

    pub(crate) fn http(&self, event: &Value) -> Value {
        block_on(self.gateway.http(event))
    }

    /// Mints a good token, with `claims` put over its own; a null removes one.
    pub(crate) fn token(&self, claims: Value) -> String {
        sign(&self.claims(claims), &Header::new(Algorithm::HS256), SECRET)
    }

    pub(crate) fn claims(&self, over: Value) -> Value {
        let now = self.now() / 1000;
        let mut claims = json!({
            "iss": "https://issuer.example.com", "aud": "wakecast", "sub": "ann",
            "exp": now + 3600, "tenant": "acme", "fleets": ["main"], "apps": ["live"],
            "streams": ["*"], "scopes": ["play", "publish"],
        });
        let all = claims.as_object_mut().expect("claims");
        for (name, value) in over.as_object().expect("claims") {
            if value.is_null() {
                all.remove(name);
            } else {
                all.insert(name.clone(), value.clone());
            }
        }
        claims
    }

    /// Writes the fleet's one instance as the reconciler would have.
    pub(crate) fn given(&self, boot: u64, status: InstanceStatus) {
        block_on(given(&self.table, self.clock.now(), instance(boot, status)));
    }

    pub(crate) fn row(&self, id: &str) -> Row {
        self.find_row(id).expect("the row")
    }

    pub(crate) fn find_row(&self, id: &str) -> Option<Row> {
        block_on(self.table.row(&row_key(id))).expect("a read")
    }

    /// Changes a row as the reconciler would have.
    pub(crate) fn change_row(&self, id: &str, change: impl FnOnce(&mut Row)) {
        let mut row = self.row(id);
        let version = row.version;
        change(&mut row);
        block_on(self.table.put_row(&row, Some(version))).expect("a write");
    }

    pub(crate) fn demand(&self) -> u64 {
        block_on(self.table.demand(&fleet())).expect("a read")
    }

    /// Takes the fleet's lock as a reconciler that runs.
    pub(crate) fn lock(&self, seconds: u64) -> Lock {
        let now = self.clock.now();
        let until = now + Duration::from_secs(seconds);
        block_on(self.table.take_lock(&fleet(), "reconciler", now, until)).expect("the lock")
    }
}

fn reply(response: &Value) -> Option<ServerMessage> {
    assert_eq!(response["statusCode"], 200, "{response}");
    let body = response["body"].as_str().expect("a body");
    (!body.is_empty()).then(|| ServerMessage::decode(body).expect("a server message"))
}

/// Signs claims; `claims` may be anything.
pub(crate) fn sign(claims: &Value, header: &Header, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(header, claims, &key).expect("a token")
}

/// Takes the answer of the table in memory, which never waits.
pub(crate) fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never()
        .expect("the table in memory does not wait")
}

pub(crate) async fn given(table: &MemoryStore, now: Timestamp, instance: Instance) {
    let until = now + Duration::from_millis(1);
    let lock = table
        .take_lock(&fleet(), "given", now, until)
        .await
        .expect("the lock");
    let state = table.fleet(&fleet()).await.expect("a read").state;
    let commit = Commit {
        expected: state.version,
        state: FleetState::default(),
        put_instances: vec![instance],
        forget_instances: Vec::new(),
        put_intents: Vec::new(),
        forget_intents: Vec::new(),
        unavailable: None,
        history: None,
        charge: None,
        ran: BTreeMap::new(),
    };
    table
        .commit(&fleet(), &lock, now, &commit)
        .await
        .expect("a commit");
    let demand = table.demand(&fleet()).await.expect("a read");
    table
        .release_lock(&fleet(), &lock, demand)
        .await
        .expect("a release");
}

pub(crate) fn draining(since: u64) -> InstanceStatus {
    InstanceStatus::Draining {
        since: Timestamp::from_millis(since),
        first_look: None,
    }
}

pub(crate) fn stopping(since: u64) -> InstanceStatus {
    InstanceStatus::Stopping {
        failed: false,
        fence: Fence(1),
        since: Timestamp::from_millis(since),
        sent_at: None,
        first_look: None,
    }
}

pub(crate) fn instance(boot: u64, status: InstanceStatus) -> Instance {
    let start = Timestamp::from_millis(START);
    Instance {
        id: InstanceId::new("i-1"),
        offering: offering(),
        status,
        boot: Some(Boot {
            id: BootId(boot),
            path: BootPath::Stopped,
            started_at: start,
            running_at: Some(start),
            warm: WarmStep::Done,
            live_at: Some(start),
            restarted: false,
            associated_at: None,
            ready_at: Some(start),
            granting_since: Some(start),
            address: Some(format!("203.0.113.{boot}")),
            server_start_ms: None,
            zero_since: None,
            sample: None,
            published_at: None,
            played_at: None,
            unknown: 0,
            closed_at: None,
            condemned: false,
            overdue: None,
            end: None,
        }),
        missing: None,
    }
}

pub(crate) fn fleet() -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: "main".to_owned(),
    }
}

pub(crate) fn row_key(id: &str) -> RowKey {
    RowKey {
        fleet: fleet(),
        subject: "ann".to_owned(),
        id: id.to_owned(),
    }
}

fn offering() -> Offering {
    Offering {
        instance_type: "c7g.xlarge".to_owned(),
        zone: "a".to_owned(),
        subnet: "subnet-a".to_owned(),
    }
}

/// Two fleets of one tenant, one issuer, one hint.
pub(crate) fn config() -> GatewayConfig {
    let spare = FleetKey {
        fleet: "spare".to_owned(),
        ..fleet()
    };
    GatewayConfig {
        fleets: BTreeMap::from([(fleet(), fleet_config()), (spare, fleet_config())]),
        issuers: vec![Issuer {
            name: "https://issuer.example.com".to_owned(),
            keys: vec![Key {
                id: None,
                secret: Secret::new(SECRET),
            }],
            tenants: BTreeSet::from(["acme".to_owned()]),
            admin: false,
        }],
        hints: vec![Hint {
            secret: Secret::new(HINT),
            fleet: fleet(),
        }],
        origins: vec!["https://app.example.com".to_owned()],
        link: LinkConfig::default(),
        links: LinkCaps::default(),
        waits: Waits::default(),
        vendor_sdk: false,
    }
}

/// What grants on this table.
pub(crate) fn granting<'a>(store: &'a dyn Store, config: &'a FleetConfig) -> Granting<'a> {
    Granting {
        store,
        tokens: &Tokens,
        config,
        guards: Guards::ALL,
    }
}

pub(crate) fn fleet_config() -> FleetConfig {
    FleetConfig {
        apps: vec!["live".to_owned(), "vod".to_owned()],
        known_setting: KnownSetting {
            app: "live".to_owned(),
            name: "maxVideoTrackCount".to_owned(),
            value: json!(3),
        },
        min: 0,
        max: 1,
        offerings: vec![offering()],
        image: "ami-1".to_owned(),
        template: "1".to_owned(),
        endpoint: EndpointConfig {
            websocket_url: "wss://{address}:5443/{app}/websocket".to_owned(),
            http_url: "https://{address}:5443/{app}".to_owned(),
            elastic: false,
        },
        counts: Counts::ENTERPRISE,
        timing: Timing::default(),
        caps: Caps::default(),
        budget: Budget::default(),
        prior: Vec::new(),
        table_id: "table".to_owned(),
    }
}

/// An acquire of that id: a publisher of `match-1` on `live` that waits 10 min.
pub(crate) fn acquire(id: &str) -> Value {
    json!({
        "action": "acquire", "id": id, "app": "live", "purpose": "publish",
        "stream_id": "match-1", "deadline_ms": 600_000,
    })
}

/// The same with another purpose.
pub(crate) fn acquire_for(id: &str, purpose: &str) -> Value {
    let mut message = acquire(id);
    message["purpose"] = json!(purpose);
    message
}

pub(crate) fn message(action: &str, id: &str, field: &str, row: &str) -> Value {
    let mut message = json!({ "action": action, "id": id });
    message[field] = json!(row);
    message
}

#[track_caller]
pub(crate) fn error_code(reply: &ServerMessage) -> &str {
    match reply {
        ServerMessage::Error(error) => error.code.as_str(),
        other => panic!("no error but {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_ack(reply: &ServerMessage, id: &str) {
    match reply {
        ServerMessage::Ack(ack) => assert_eq!(ack.id, id),
        other => panic!("no ack but {other:?}"),
    }
}

#[track_caller]
pub(crate) fn ready(reply: &ServerMessage) -> &Ready {
    match reply {
        ServerMessage::Ready(ready) => ready,
        other => panic!("not ready but {other:?}"),
    }
}

/// Tells whether the row waits and no reconciler has seen it.
pub(crate) fn is_waiting(world: &World, id: &str) -> bool {
    matches!(
        world.row(id).state,
        RowState::Waiting {
            phase: Phase::Requested,
            ..
        }
    )
}
