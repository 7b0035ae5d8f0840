//! `GET /?source=sdk&ticket=…`: what the vendor's own SDK asks, from a cold start to its end.

use std::time::Duration;

use serde_json::{Value, json};
use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Phase};
use wakecast_lambda::auth::{FIRST_USE, TICKET_LIFE};
use wakecast_lambda::leases;
use wakecast_lambda::model::{InstanceStatus, Row, RowEnd, RowState};
use wakecast_lambda::ports::Clock as _;
use wakecast_lambda::store::Store as _;

use crate::auth_attacks::forge;
use crate::world::{
    SECRET, World, acquire, at_once, config, draining, events, fleet, fleet_config, instance,
    stopping,
};

/// A world whose gateway serves the vendor's SDK.
pub(crate) fn open() -> World {
    let mut config = config();
    config.vendor_sdk = true;
    World::with(config)
}

/// The claims of a good ticket, with `over` put over them; a null removes one.
pub(crate) fn claims(world: &World, over: &Value) -> Value {
    let now = world.now() / 1000;
    let mut claims = json!({
        "iss": "https://issuer.example.com", "aud": "wakecast-ticket", "sub": "ann",
        "iat": now, "exp": now + 660, "tenant": "acme", "fleet": "main", "app": "live",
        "stream": "match-1", "purpose": "publish",
    });
    let all = claims.as_object_mut().expect("claims");
    for (name, value) in over.as_object().expect("claims") {
        match value {
            Value::Null => all.remove(name),
            value => all.insert(name.clone(), value.clone()),
        };
    }
    claims
}

pub(crate) fn header() -> Value {
    json!({ "alg": "HS256", "typ": "wakecast-ticket+jwt" })
}

/// A good ticket but for `over`.
pub(crate) fn ticket(world: &World, over: Value) -> String {
    forge(&header(), &claims(world, &over), SECRET)
}

/// The event of a request; nothing but the query varies.
pub(crate) fn request(query: &str) -> Value {
    let mut event = events::with_header(events::http_access(), "authorization", None);
    event["rawPath"] = json!("/");
    event["rawQueryString"] = json!(query);
    event
}

/// Asks with that query.
pub(crate) fn get(world: &World, query: &str) -> Answer {
    Answer::of(&world.http(&request(query)))
}

/// Asks as the SDK does.
pub(crate) fn ask(world: &World, ticket: &str) -> Answer {
    get(world, &format!("ticket={ticket}&source=sdk"))
}

/// What the SDK sees.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<String>,
}

impl Answer {
    fn of(response: &Value) -> Self {
        let body = response["body"].as_str().expect("a body");
        let retry_after = response["headers"]["Retry-After"].as_str();
        Self {
            status: response["statusCode"].as_u64().expect("a status"),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
            retry_after: retry_after.map(str::to_owned),
        }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

pub(crate) fn rows(world: &World) -> Vec<Row> {
    at_once(world.table.rows(&fleet(), world.clock.now())).expect("a read")
}

#[track_caller]
pub(crate) fn only_row(world: &World) -> Row {
    let mut rows = rows(world);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

fn waits(world: &World) -> bool {
    leases::waits(&only_row(world), &fleet_config().timing, world.clock.now())
}

fn protects(world: &World) -> bool {
    let boot = instance(7, InstanceStatus::Ready).boot.expect("a boot");
    let (timing, now) = (fleet_config().timing, world.clock.now());
    leases::protects(&only_row(world), &boot, &timing, now)
}

#[test]
fn it_is_off_by_default() {
    let world = World::new();
    let ticket = ticket(&world, json!({}));
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let mut event = request(&format!("source=sdk&ticket={ticket}"));
        event["requestContext"]["http"]["method"] = json!(method);
        assert_eq!(world.http(&event)["statusCode"], 404, "{method}");
    }
    assert!(world.store.passed().is_empty(), "the table was read");
}

#[test]
fn a_sleeping_fleet_is_woken_and_nothing_but_an_endpoint_is_a_success() {
    let world = open();
    let ticket = ticket(&world, json!({}));
    let answer = ask(&world, &ticket);
    assert_eq!((answer.status, answer.code()), (503, "service_unavailable"));
    assert_eq!(answer.retry_after.as_deref(), Some("3"));
    let message = answer.body["message"].as_str().expect("a message");
    assert!(message.contains("requested"), "{message}");
    assert_eq!((world.demand(), world.wakes.count()), (1, 1));
    assert!(waits(&world));
    let row = only_row(&world);
    assert_eq!(
        (&row.link, row.absent_since),
        (&None, Some(world.clock.now()))
    );

    // The reconciler has seen it: nobody is woken again.
    world.change_row(&row.key.id, |row| {
        if let RowState::Waiting { phase, .. } = &mut row.state {
            *phase = Phase::Booting;
        }
    });
    world.advance(3);
    let answer = ask(&world, &ticket);
    assert_eq!(answer.status, 503);
    let message = answer.body["message"].as_str().expect("a message");
    assert!(message.contains("booting"), "{message}");
    assert_eq!(world.wakes.count(), 1);
}

#[test]
fn a_ready_server_is_granted_at_once_in_the_vendors_words() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let answer = ask(&world, &ticket(&world, json!({})));
    assert_eq!(answer.status, 200);
    let ends = world.now() + 60_000;
    let expected = json!({
        "fqdn": "203.0.113.7",
        "websocket_url": "wss://203.0.113.7:5443/live/websocket",
        "http_url": "https://203.0.113.7:5443/live/",
        "stream_token": format!("live/match-1/true/{ends}"),
        "stream_token_expires_in_ms": 60_000,
    });
    assert_eq!(answer.body, expected);
    assert!(protects(&world));
    assert_eq!(world.demand(), 0, "nobody waits");
}

#[test]
fn the_purpose_is_the_tickets() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let plays = ticket(&world, json!({ "purpose": "play" }));
    // Whatever else the URL says.
    let query =
        format!("ticket={plays}&source=sdk&purpose=publish&stream=other&app=vod&fleet=spare");
    let answer = get(&world, &query);
    let token = answer.body["stream_token"].as_str().expect("a token");
    assert!(token.starts_with("live/match-1/false/"), "{token}");
    let row = only_row(&world);
    assert_eq!(row.ask.expect("an ask").purpose.as_str(), "play");
}

#[test]
fn each_answered_request_waits_for_two_minutes_more() {
    let world = open();
    let ticket = ticket(&world, json!({}));
    ask(&world, &ticket);
    world.advance(119);
    assert!(waits(&world));
    ask(&world, &ticket);
    world.advance(119);
    assert!(waits(&world));
    world.advance(1);
    assert!(!waits(&world), "nobody has asked for two minutes");
    // The next one waits again, and says so to the reconciler.
    let before = world.demand();
    assert_eq!(ask(&world, &ticket).status, 503);
    assert!(waits(&world));
    assert_eq!(world.demand(), before + 1);
}

#[test]
fn each_answered_request_protects_for_two_minutes_more() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let ticket = ticket(&world, json!({}));
    ask(&world, &ticket);
    world.advance(119);
    assert!(protects(&world));
    assert_eq!(ask(&world, &ticket).status, 200);
    world.advance(119);
    assert!(protects(&world));
    world.advance(1);
    assert!(!protects(&world), "nobody has asked for two minutes");
    assert_eq!(ask(&world, &ticket).status, 200);
    assert!(protects(&world));
}

#[test]
fn a_player_that_asks_for_ever_protects_no_longer_than_any_other() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let ticket = ticket(&world, json!({ "purpose": "play" }));
    for _ in 0..39 {
        assert_eq!(ask(&world, &ticket).status, 200);
        assert!(protects(&world));
        world.advance(3);
    }
    world.advance(3);
    assert_eq!(ask(&world, &ticket).status, 200);
    assert!(!protects(&world));
}

#[test]
fn a_server_that_stops_is_not_handed_out_and_is_asked_for_again() {
    for status in [draining(0), stopping(0), InstanceStatus::Stopped] {
        let world = open();
        world.given(7, InstanceStatus::Ready);
        let ticket = ticket(&world, json!({}));
        assert_eq!(ask(&world, &ticket).status, 200);
        world.given(7, status);
        let answer = ask(&world, &ticket);
        assert_eq!(answer.status, 503);
        assert!(answer.body.get("websocket_url").is_none());
        assert!(waits(&world));
        assert_eq!(world.demand(), 1);
    }
}

#[test]
fn a_waiter_that_the_reconciler_granted_gets_its_endpoint() {
    let world = open();
    let ticket = ticket(&world, json!({}));
    assert_eq!(ask(&world, &ticket).status, 503);
    world.given(7, InstanceStatus::Ready);
    world.advance(2);
    let config = fleet_config();
    let now = world.clock.now();
    let boot = wakecast_lambda::grant::ready_boot(&[instance(7, InstanceStatus::Ready)]);
    let granted = at_once(crate::world::granting(&world.table, &config).grant_waiter(
        &only_row(&world),
        &boot.expect("a boot"),
        Duration::ZERO,
        now,
    ));
    assert!(granted.expect("a grant").is_some());
    assert_eq!(ask(&world, &ticket).status, 200);
    assert_eq!(world.sockets.posts(), 0, "there is nobody to push to");
}

#[test]
fn how_a_wait_ended_is_told_and_a_lost_lease_begins_anew() {
    let cases = [
        (RowEnd::Failed(ErrorCode::StartFailed), 503, "start_failed"),
        (
            RowEnd::Failed(ErrorCode::QuotaExceeded),
            429,
            "quota_exceeded",
        ),
        (
            RowEnd::Failed(ErrorCode::Misconfigured),
            503,
            "misconfigured",
        ),
        (
            RowEnd::Lost(LostReason::InstanceGone),
            503,
            "service_unavailable",
        ),
    ];
    for (end, status, code) in cases {
        let world = open();
        let ticket = ticket(&world, json!({}));
        ask(&world, &ticket);
        let at = world.clock.now();
        let begins_anew = matches!(end, RowEnd::Lost(_));
        world.change_row(&only_row(&world).key.id, |row| {
            row.state = RowState::Ended { end, at };
        });
        let before = world.demand();
        let answer = ask(&world, &ticket);
        assert_eq!((answer.status, answer.code()), (status, code));
        assert_eq!(world.demand() - before, u64::from(begins_anew));
    }
}

#[test]
fn a_wait_lasts_no_longer_than_its_ticket() {
    let world = open();
    ask(&world, &ticket(&world, json!({})));
    let RowState::Waiting { deadline, .. } = only_row(&world).state else {
        panic!("it waits");
    };
    assert_eq!(deadline, world.clock.now() + TICKET_LIFE);
}

#[test]
fn a_ticket_is_good_for_ten_minutes_from_its_first_use() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let ticket = ticket(&world, json!({}));
    world.advance(FIRST_USE.as_secs());
    assert_eq!(ask(&world, &ticket).status, 200);
    world.advance(TICKET_LIFE.as_secs() - 1);
    assert_eq!(ask(&world, &ticket).status, 200);
    world.advance(1);
    let answer = ask(&world, &ticket);
    assert_eq!((answer.status, answer.code()), (401, "token_expired"));
}

#[test]
fn a_shorter_ticket_ends_when_it_says() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let end = world.now() / 1000 + 90;
    let ticket = ticket(&world, json!({ "exp": end }));
    world.advance(30);
    assert_eq!(ask(&world, &ticket).status, 200);
    world.advance(59);
    assert_eq!(ask(&world, &ticket).status, 200);
    world.advance(1);
    assert_eq!(ask(&world, &ticket).status, 401);
}

#[test]
fn pages_of_allowed_origins_read_it_and_nobody_keeps_it() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let good = format!("source=sdk&ticket={}", ticket(&world, json!({})));
    for query in [good.as_str(), "source=sdk&ticket=x", "source=sdk", ""] {
        let headers = &world.http(&request(query))["headers"];
        assert_eq!(
            headers["Access-Control-Allow-Origin"],
            "https://app.example.com"
        );
        assert_eq!(headers["Cache-Control"], "no-store");
        assert_eq!(headers["Content-Type"], "application/json");
        let foreign =
            events::with_header(request(query), "origin", Some("https://evil.example.com"));
        let headers = &world.http(&foreign)["headers"];
        assert_eq!(headers.get("Access-Control-Allow-Origin"), None);
        assert_eq!(headers["Cache-Control"], "no-store");
    }
}

#[test]
fn other_methods_are_not_taken() {
    let world = open();
    let query = format!("source=sdk&ticket={}", ticket(&world, json!({})));
    for (method, status) in [
        ("HEAD", 405),
        ("POST", 405),
        ("PUT", 405),
        ("DELETE", 405),
        ("OPTIONS", 204),
    ] {
        let mut event = request(&query);
        event["requestContext"]["http"]["method"] = json!(method);
        assert_eq!(world.http(&event)["statusCode"], status, "{method}");
    }
    assert!(world.store.passed().is_empty(), "the table was read");
}

#[test]
fn a_named_stage_has_the_route_at_its_root() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let query = format!("source=sdk&ticket={}", ticket(&world, json!({})));
    for (path, status) in [
        ("/prod", 200),
        ("/prod/", 200),
        ("/production", 404),
        ("//", 404),
    ] {
        let mut event = request(&query);
        event["rawPath"] = json!(path);
        event["requestContext"]["stage"] = json!("prod");
        assert_eq!(world.http(&event)["statusCode"], status, "{path}");
    }
}

#[test]
fn another_client_of_the_subject_is_not_disturbed() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    world.send("s1", &acquire("a"));
    assert_eq!(ask(&world, &ticket(&world, json!({}))).status, 200);
    assert_eq!(rows(&world).len(), 2);
    assert!(world.sockets.take("s1").is_empty());
}
