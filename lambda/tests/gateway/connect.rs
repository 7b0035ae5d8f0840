//! `$connect` and `$disconnect`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use wakecast::protocol::ServerMessage;
use wakecast_lambda::gateway::{Gateway, GatewayConfigError};
use wakecast_lambda::model::{ConnectionId, InstanceStatus};
use wakecast_lambda::ports::PostError;
use wakecast_lambda::store::Store as _;

use crate::world::{
    HINT, SECRET, Trouble, World, acquire, at_once, config, events, message, ready,
};

#[test]
fn n46_only_the_version_is_echoed_to_a_native_client() {
    let world = World::new();
    let event = events::filled(&events::connect_native(), "TOKEN", &world.token(json!({})));
    let response = world.event(&event);
    assert_eq!(response["statusCode"], 200);
    assert_eq!(
        response["headers"],
        json!({ "Sec-WebSocket-Protocol": "wakecast.v1" })
    );
    let id = ConnectionId::new("BqXyLcHEliACFJw=");
    let stored = at_once(world.table.connection(&id))
        .expect("a read")
        .expect("the connection");
    assert_eq!(stored.connected_at.as_millis(), 1_800_000_000_000);
    assert_eq!(
        (stored.grants.subject.as_str(), stored.client_id),
        ("ann", None)
    );
}

#[test]
fn n46_only_the_version_is_echoed_to_a_browser() {
    let world = World::new();
    let token = world.token(json!({}));
    let event = events::filled(&events::connect_browser(), "TOKEN", &token);
    let response = world.event(&event);
    assert_eq!(response["statusCode"], 200);
    assert!(!response.to_string().contains(&token));
    assert_eq!(response["headers"]["Sec-WebSocket-Protocol"], "wakecast.v1");
}

#[test]
fn headers_are_read_in_any_case_and_from_either_list() {
    let world = World::new();
    let bearer = format!("bearer   {}", world.token(json!({})));
    let event = events::with_header(events::connect_native(), "AUTHORIZATION", Some(&bearer));
    assert_eq!(world.event(&event)["statusCode"], 200);
    let mut event = events::with_header(event, "sEc-wEbSoCkEt-pRoToCoL", Some("a ,wakecast.v1"));
    assert_eq!(world.event(&event)["statusCode"], 200);
    event["multiValueHeaders"] = json!(null);
    assert_eq!(world.event(&event)["statusCode"], 200);
}

#[test]
fn client_without_the_version_is_too_old() {
    let world = World::new();
    let good = events::filled(&events::connect_native(), "TOKEN", &world.token(json!({})));
    for offered in [
        None,
        Some(""),
        Some("wakecast.v0"),
        Some("wakecast.v1x, wakecast.v2"),
    ] {
        let event = events::with_header(good.clone(), "Sec-WebSocket-Protocol", offered);
        assert_eq!(world.event(&event)["statusCode"], 426, "{offered:?}");
    }
    assert!(world.table.keys().is_empty());
}

#[test]
fn no_token_is_401() {
    let world = World::new();
    for value in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic YTpi"),
    ] {
        let event = events::with_header(events::connect_native(), "Authorization", value);
        assert_eq!(world.event(&event)["statusCode"], 401, "{value:?}");
    }
}

#[test]
fn table_that_is_down_is_503() {
    let world = World::new();
    world.store.next("put_connection", Trouble::Fails);
    assert_eq!(world.connect_with("s1", &world.token(json!({}))), 503);
}

#[test]
fn i32_nothing_is_posted_to_a_connection_in_its_own_connect() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    for socket in ["s1", "s2"] {
        world.connect(socket);
    }
    let refused = world.connect_with("s3", "garbage");
    assert_eq!((refused, world.sockets.posts()), (401, 0));
}

#[test]
fn i32_gone_within_5_s_of_the_connect_means_not_yet() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab-1");
    ready(&world.send("s1", &acquire("a")));
    world.advance(1);
    // Another client takes the row over while the first socket still looks gone.
    world
        .sockets
        .fails("s1", &[PostError::Gone, PostError::Gone]);
    world.link("s2", "tab-2");
    ready(&world.send("s2", &acquire("a")));
    assert!(matches!(
        world.sockets.take("s1").as_slice(),
        [ServerMessage::Lost(_)]
    ));
    assert_eq!(world.sockets.posts(), 3);
    let id = ConnectionId::new("s1");
    assert!(
        at_once(world.table.connection(&id))
            .expect("a read")
            .is_some(),
        "the item is kept"
    );
    // An older one is gone at the first word, and costs no time.
    world.advance(10);
    world
        .sockets
        .fails("s2", &[PostError::Gone, PostError::Gone]);
    world.link("s3", "tab-3");
    ready(&world.send("s3", &acquire("a")));
    assert_eq!(world.sockets.posts(), 4);
}

#[test]
fn disconnect_marks_the_rows_of_its_link_and_forgets_the_connection() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    ready(&world.send("s1", &acquire("b")));
    let release = message("release", "r", "lease", "b");
    world.send("s1", &release);
    let ended = world.row("b");
    world.advance(5);
    world.disconnect("s1");
    assert_eq!(
        world.row("a").absent_since.map(|at| at.as_millis()),
        Some(world.now())
    );
    assert_eq!(world.row("b"), ended);
    let gone = at_once(world.table.connection(&ConnectionId::new("s1"))).expect("a read");
    assert_eq!(gone, None);
    assert_eq!(
        at_once(
            world
                .table
                .open_connections(wakecast_lambda::ports::Clock::now(&*world.clock))
        ),
        Ok(0)
    );
    world.disconnect("s1");
}

#[test]
fn message_on_a_forgotten_connection_ends_the_link() {
    let world = World::new();
    world.link("s1", "tab");
    world.disconnect("s1");
    assert_eq!(world.send_text("s1", &acquire("a").to_string()), None);
    match world.sockets.take("s1").as_slice() {
        [ServerMessage::Bye(bye)] => assert!(bye.reconnect),
        other => panic!("no bye but {other:?}"),
    }
    assert_eq!(world.sockets.deleted(), ["s1"]);
    assert!(world.find_row("a").is_none());
}

#[test]
fn unreadable_events_are_400() {
    let world = World::new();
    for event in [
        json!(null),
        json!({}),
        json!({ "requestContext": { "eventType": "OTHER" } }),
    ] {
        assert_eq!(world.event(&event)["statusCode"], 400);
        assert_eq!(world.http(&event)["statusCode"], 400);
    }
}

#[test]
fn configuration_is_checked_at_start() {
    let built = |change: fn(&mut wakecast_lambda::gateway::GatewayConfig)| {
        let mut config = config();
        change(&mut config);
        World::try_with(config).err()
    };
    assert_eq!(built(|_| {}), None);
    assert_eq!(
        built(|config| config.fleets.clear()),
        Some(GatewayConfigError::NoFleet)
    );
    assert!(matches!(
        built(|config| config.hints[0].secret = "canary-short".into()),
        Some(GatewayConfigError::ShortHint(_))
    ));
    assert!(matches!(
        built(|config| config.hints[0].fleet.fleet = "unknown".to_owned()),
        Some(GatewayConfigError::HintFleet(_))
    ));
    assert_eq!(
        built(|config| config.link.connects_per_second = 0),
        Some(GatewayConfigError::NoConnects)
    );
    let short = |name| Some(GatewayConfigError::ShortWait(name));
    assert_eq!(
        [
            built(|config| config.waits.default = Duration::ZERO),
            built(|config| config.waits.longest = Duration::from_millis(999)),
            built(|config| config.waits.watch = Duration::from_millis(999)),
        ],
        ["waits.default", "waits.longest", "waits.watch"].map(short)
    );
    assert_eq!(
        built(|config| config.waits.default = config.waits.longest + Duration::from_secs(1)),
        Some(GatewayConfigError::DefaultWait)
    );
    assert!(matches!(
        built(|config| config.issuers.clear()),
        Some(GatewayConfigError::Issuers(_))
    ));
}

#[test]
fn secrets_are_never_printed() {
    let world = World::new();
    let printed = format!("{:?} {:?}", world.gateway, config());
    assert!(
        !printed.contains(SECRET) && !printed.contains(HINT),
        "{printed}"
    );
}

#[test]
fn nothing_secret_is_logged() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let world = World::new();
        world.given(7, InstanceStatus::Ready);
        let bad = world.token(json!({ "aud": "other" }));
        let good = world.token(json!({}));
        assert_eq!(world.connect_with("s0", &bad), 401);
        world.link("s1", "tab");
        let granted = world.send("s1", &acquire("a"));
        let token = ready(&granted)
            .endpoint
            .stream_token
            .clone()
            .expect("a token");
        for renewal in [&bad, &good] {
            let renew = json!({ "action": "renew", "id": "n", "token": renewal });
            world.sockets.fails("s1", &[PostError::Unavailable]);
            world.send("s1", &renew);
        }
        for placeholder in [&bad, &good] {
            world.http(&events::filled(
                &events::http_access(),
                "TOKEN",
                placeholder,
            ));
        }
        for secret in [HINT, "canary-wrong-0123456789abcdef"] {
            world.http(&events::filled(&events::http_hint(), "SECRET", secret));
        }
        for name in ["connection", "put_claimed_row", "delete_connection"] {
            world.store.next(name, Trouble::Fails);
        }
        world.send("s1", &acquire("b"));
        world.send("s1", &acquire("b"));
        world.disconnect("s1");
        let text = log.text();
        assert!(
            text.contains("refused") && text.contains("not forgotten"),
            "{text}"
        );
        for secret in [bad.as_str(), &good, token.expose(), "canary", SECRET, HINT] {
            assert!(!text.contains(secret), "{text}");
        }
    });
}

/// Every event and its fields, as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("the log").clone()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = self.0.lock().expect("the log");
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text.push_str(&format!("{field}={value:?} "));
            },
        );
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn futures_can_be_sent() {
    fn sendable(_: impl Send) {}
    let world = World::new();
    sendable(world.gateway.websocket(&json!({})));
    sendable(world.gateway.http(&json!({})));
    let _: fn() = || {
        fn shared<T: Send + Sync>() {}
        shared::<Gateway>();
    };
}
