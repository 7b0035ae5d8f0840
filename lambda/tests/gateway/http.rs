//! `GET /v1/access` and `POST /v1/hints/<secret>`.

use serde_json::{Value, json};

use crate::world::{HINT, Trouble, World, events};

fn access(world: &World) -> Value {
    events::filled(&events::http_access(), "TOKEN", &world.token(json!({})))
}

#[test]
fn access_tells_what_a_connect_would_have_met() {
    let world = World::new();
    let response = world.http(&access(&world));
    assert_eq!(
        (&response["statusCode"], &response["body"]),
        (&json!(204), &json!(""))
    );
    let cases = [
        (json!({ "exp": 1 }), 401),
        (json!({ "sub": null }), 401),
        (json!({ "fleets": [] }), 403),
    ];
    for (claims, status) in cases {
        let event = events::filled(&events::http_access(), "TOKEN", &world.token(claims));
        assert_eq!(world.http(&event)["statusCode"], status);
    }
    let anonymous = events::with_header(access(&world), "authorization", None);
    assert_eq!(world.http(&anonymous)["statusCode"], 401);
    let mut newer = access(&world);
    newer["rawQueryString"] = json!("v=2");
    assert_eq!(world.http(&newer)["statusCode"], 426);
    newer["rawQueryString"] = json!("v=1");
    assert_eq!(world.http(&newer)["statusCode"], 204);
    assert!(world.table.keys().is_empty(), "asking changes nothing");
}

#[test]
fn access_says_when_the_table_is_down() {
    let world = World::new();
    world.store.next("subject_links", Trouble::Fails);
    let response = world.http(&access(&world));
    assert_eq!(response["statusCode"], 503);
    assert_eq!(response["headers"]["Retry-After"], "5");
}

#[test]
fn access_is_limited_and_says_until_when() {
    let world = World::new();
    let event = access(&world);
    for _ in 0..50 {
        assert_eq!(world.http(&event)["statusCode"], 204);
    }
    let response = world.http(&event);
    assert_eq!(response["statusCode"], 429);
    assert_eq!(response["headers"]["Retry-After"], "1");
    assert_eq!(
        response["headers"]["Access-Control-Expose-Headers"],
        "Retry-After"
    );
    world.advance(1);
    assert_eq!(world.http(&event)["statusCode"], 204);
}

#[test]
fn access_checks_without_a_good_token_use_up_nobodys_limit() {
    let world = World::new();
    let anonymous = events::with_header(access(&world), "authorization", None);
    let forged = events::filled(&events::http_access(), "TOKEN", "canary.forged.token");
    let mut newer = access(&world);
    newer["rawQueryString"] = json!("v=2");
    for _ in 0..100 {
        assert_eq!(world.http(&anonymous)["statusCode"], 401);
        assert_eq!(world.http(&forged)["statusCode"], 401);
        assert_eq!(world.http(&newer)["statusCode"], 426);
    }
    assert!(world.store.passed().is_empty(), "the table was read");
    for _ in 0..50 {
        assert_eq!(world.http(&access(&world))["statusCode"], 204);
    }
    assert_eq!(world.http(&access(&world))["statusCode"], 429);
    assert_eq!(world.http(&forged)["statusCode"], 401);
    assert_eq!(world.store.passed().len(), 50);
}

#[test]
fn access_is_readable_from_allowed_origins_only() {
    let world = World::new();
    let response = world.http(&access(&world));
    assert_eq!(
        response["headers"]["Access-Control-Allow-Origin"],
        "https://app.example.com"
    );
    assert_eq!(response["headers"]["Vary"], "Origin");
    let foreign = events::with_header(access(&world), "origin", Some("https://evil.example.com"));
    let response = world.http(&foreign);
    assert_eq!(response["headers"].get("Access-Control-Allow-Origin"), None);

    let mut preflight = events::with_header(access(&world), "authorization", None);
    preflight["requestContext"]["http"]["method"] = json!("OPTIONS");
    let response = world.http(&preflight);
    assert_eq!(response["statusCode"], 204);
    assert_eq!(
        response["headers"]["Access-Control-Allow-Headers"],
        "Authorization"
    );
    assert_eq!(
        response["headers"]["Access-Control-Allow-Origin"],
        "https://app.example.com"
    );

    let mut config = crate::world::config();
    config.origins = vec!["*".to_owned()];
    let open = World::with(config);
    let response = open.http(&foreign);
    assert_eq!(response["headers"]["Access-Control-Allow-Origin"], "*");
}

fn hint(secret: &str) -> Value {
    events::filled(&events::http_hint(), "SECRET", secret)
}

#[test]
fn hint_wakes_the_reconciler_and_nothing_else() {
    let world = World::new();
    let response = world.http(&hint(HINT));
    assert_eq!(response["statusCode"], 204);
    assert_eq!((world.wakes.count(), world.demand()), (1, 0));
    assert!(world.table.keys().is_empty());
}

#[test]
fn hint_with_a_wrong_secret_is_404() {
    let world = World::new();
    let longer = format!("{HINT}x");
    for secret in ["", "x", &longer, &HINT[1..], "../access"] {
        assert_eq!(world.http(&hint(secret))["statusCode"], 404, "{secret}");
    }
    assert_eq!(world.wakes.count(), 0);
}

#[test]
fn hints_within_a_second_are_one() {
    let world = World::new();
    for _ in 0..100 {
        assert_eq!(world.http(&hint(HINT))["statusCode"], 204);
    }
    assert_eq!(world.wakes.count(), 1);
    world.advance(1);
    world.http(&hint(HINT));
    assert_eq!(world.wakes.count(), 2);
}

#[test]
fn body_of_a_hint_is_not_read() {
    let world = World::new();
    for body in [
        json!(null),
        json!("x".repeat(10_000_000)),
        json!("\u{0}not base64"),
    ] {
        let mut event = hint(HINT);
        event["body"] = body;
        assert_eq!(world.http(&event)["statusCode"], 204);
    }
}

#[test]
fn everything_else_is_not_there() {
    let world = World::new();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1/hints/x", 404),
        ("POST", "/v1/access", 405),
        ("DELETE", "/v1/access", 405),
        ("GET", "/prodv1/access", 404),
        ("GET", "/other/v1/access", 404),
    ] {
        let mut event = access(&world);
        event["requestContext"]["http"]["method"] = json!(method);
        event["rawPath"] = json!(path);
        assert_eq!(world.http(&event)["statusCode"], status, "{method} {path}");
    }
}
