//! What a token may ask for.

use serde_json::json;
use wakecast::ErrorCode;
use wakecast::protocol::{LeaseState, LostReason, RequestState, ServerMessage};
use wakecast_lambda::model::{InstanceStatus, RowEnd, RowState, WaitKind};
use wakecast_lambda::ports::Clock as _;

use crate::world::{World, acquire, acquire_for, assert_ack, error_code, message, ready};

/// Tries an acquire with a token of those claims; its error code, or nothing.
#[track_caller]
fn tried(claims: serde_json::Value, acquire: &serde_json::Value) -> Option<String> {
    let world = World::new();
    assert_eq!(world.connect_with("s1", &world.token(claims)), 200);
    world.hello("s1", "tab", &[], &[]);
    match world.send("s1", acquire) {
        ServerMessage::Ack(_) => None,
        other => {
            assert!(world.find_row("a").is_none(), "something was written");
            assert_eq!(
                (world.demand(), world.wakes.count()),
                (0, 0),
                "something was started"
            );
            Some(error_code(&other).to_owned())
        }
    }
}

#[test]
fn scopes_cover_their_purposes_and_no_other() {
    let allowed = [
        ("play", "play", true),
        ("play", "watch", true),
        ("play", "publish", false),
        ("publish", "publish", true),
        ("publish", "play", false),
        ("publish", "watch", false),
    ];
    for (scope, purpose, expected) in allowed {
        let code = tried(json!({ "scopes": [scope] }), &acquire_for("a", purpose));
        let expected = (!expected).then(|| "forbidden".to_owned());
        assert_eq!(code, expected, "{scope} for {purpose}");
    }
}

#[test]
fn apps_are_those_of_the_token_and_of_the_fleet() {
    let mut vod = acquire("a");
    vod["app"] = json!("vod");
    assert_eq!(tried(json!({}), &vod).as_deref(), Some("forbidden"));
    assert_eq!(tried(json!({ "apps": ["live", "vod"] }), &vod), None);
    let mut absent = acquire("a");
    absent["app"] = json!("absent");
    let claims = json!({ "apps": ["absent"] });
    assert_eq!(tried(claims, &absent).as_deref(), Some("invalid_argument"));
}

#[test]
fn stream_patterns_are_exact_or_prefixes() {
    let cases = [
        (json!(["match-1"]), true),
        (json!(["match-*"]), true),
        (json!(["other", "match-*"]), true),
        (json!(["*"]), true),
        (json!(["match-2"]), false),
        (json!(["match"]), false),
        (json!(["*-1"]), false),
        (json!(["match-1*x"]), false),
        (json!([]), false),
        (json!(null), false),
    ];
    for (streams, expected) in cases {
        let code = tried(json!({ "streams": streams }), &acquire("a"));
        assert_eq!(code.is_none(), expected, "{streams}");
    }
}

#[test]
fn without_a_stream_the_ask_is_for_any() {
    let mut any = acquire("a");
    any.as_object_mut().expect("a message").remove("stream_id");
    assert_eq!(tried(json!({}), &any), None);
    let claims = json!({ "streams": ["match-*"] });
    assert_eq!(tried(claims, &any).as_deref(), Some("forbidden"));
}

#[test]
fn fleets_are_those_of_the_token() {
    let mut spare = acquire("a");
    spare["fleet"] = json!("spare");
    assert_eq!(tried(json!({}), &spare).as_deref(), Some("forbidden"));
    assert_eq!(tried(json!({ "fleets": ["main", "spare"] }), &spare), None);
}

#[test]
fn token_that_allows_nothing_is_403() {
    let world = World::new();
    let nothing = [
        json!({ "scopes": [] }),
        json!({ "scopes": ["other"] }),
        json!({ "scopes": null }),
        json!({ "fleets": [] }),
        json!({ "fleets": ["unknown"] }),
        json!({ "apps": [] }),
        json!({ "tenant": null }),
        json!({ "tenant": "globex" }),
    ];
    for claims in nothing {
        assert_eq!(
            world.connect_with("s1", &world.token(claims.clone())),
            403,
            "{claims}"
        );
    }
    for claims in [
        json!({ "scopes": "play" }),
        json!({ "fleets": [1] }),
        json!({ "sub": "" }),
    ] {
        assert_eq!(
            world.connect_with("s1", &world.token(claims.clone())),
            401,
            "{claims}"
        );
    }
}

#[test]
fn renewed_token_that_allows_less_takes_back_what_was_granted() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    world.link("s1", "tab");
    ready(&world.send("s1", &acquire("a")));
    let token = world.token(json!({ "scopes": ["play"] }));
    let renew = json!({ "action": "renew", "id": "n", "token": token });
    assert!(matches!(
        world.send("s1", &renew),
        ServerMessage::Renewed(_)
    ));
    let endpoint = world.send("s1", &message("endpoint", "e", "lease", "a"));
    assert_eq!(error_code(&endpoint), "forbidden");
    let welcome = world.hello("s1", "tab", &["a"], &["a"]);
    assert_eq!(welcome.leases[0].state, LeaseState::Lost);
    assert!(welcome.leases[0].endpoint.is_none());
    assert_eq!(welcome.requests[0].state, RequestState::Ended);
    assert_eq!(welcome.requests[0].code, Some(ErrorCode::Forbidden));
}

#[test]
fn renewed_token_that_no_longer_names_a_fleet_gets_nothing_of_it() {
    let world = World::new();
    world.given(7, InstanceStatus::Ready);
    let both = world.token(json!({ "fleets": ["main", "spare"] }));
    assert_eq!(world.connect_with("s1", &both), 200);
    world.hello("s1", "tab", &[], &[]);
    let mut named = acquire("a");
    named["fleet"] = json!("main");
    ready(&world.send("s1", &named));
    let renewed = |fleets: serde_json::Value| {
        let token = world.token(json!({ "fleets": fleets }));
        let renew = json!({ "action": "renew", "id": "n", "token": token });
        assert!(matches!(
            world.send("s1", &renew),
            ServerMessage::Renewed(_)
        ));
        world.sockets.take("s1")
    };
    assert_eq!(renewed(json!(["spare"])), [], "an endpoint went out");
    let mut endpoint = message("endpoint", "e", "lease", "a");
    endpoint["fleet"] = json!("main");
    assert_eq!(error_code(&world.send("s1", &endpoint)), "forbidden");
    // A token that names it again is told at once.
    match renewed(json!(["main", "spare"])).as_slice() {
        [told] => assert_eq!(ready(told).id, "a"),
        other => panic!("not told but {other:?}"),
    }
}

#[test]
fn renewed_token_ends_the_waits_that_it_does_not_cover() {
    let world = World::new();
    world.link("s1", "tab");
    assert_ack(&world.send("s1", &acquire("publishes")), "publishes");
    let plays = acquire_for("plays", "play");
    assert_ack(&world.send("s1", &plays), "plays");
    // A lease that waits for its next instance, and one that another link has taken.
    for id in ["moves", "elsewhere"] {
        assert_ack(&world.send("s1", &acquire(id)), id);
    }
    world.change_row("moves", |row| {
        if let RowState::Waiting { kind, .. } = &mut row.state {
            *kind = WaitKind::Moving;
        }
    });
    world.link("s2", "other-tab");
    world.hello("s2", "other-tab", &[], &["elsewhere"]);
    world.sockets.take("s1");

    let token = world.token(json!({ "scopes": ["play"] }));
    let renew = json!({ "action": "renew", "id": "n", "token": token });
    assert!(matches!(
        world.send("s1", &renew),
        ServerMessage::Renewed(_)
    ));
    let ends = |id: &str| match world.row(id).state {
        RowState::Ended { end, .. } => Some(end),
        _ => None,
    };
    let forbidden = RowEnd::Failed(ErrorCode::Forbidden);
    assert_eq!(ends("publishes"), Some(forbidden));
    assert_eq!(ends("moves"), Some(RowEnd::Lost(LostReason::Released)));
    assert_eq!(ends("plays"), None);
    assert_eq!(ends("elsewhere"), None, "it is not this link's to end");
    let row = world.row("publishes");
    let timing = crate::world::fleet_config().timing;
    assert!(!wakecast_lambda::leases::waits(
        &row,
        &timing,
        world.clock.now()
    ));
    let told = world.sockets.take("s1");
    assert_eq!(told.len(), 2, "{told:?}");
    for message in told {
        match message {
            ServerMessage::Error(error) => {
                assert_eq!(error.id.as_deref(), Some("publishes"));
                assert_eq!((error.code, error.retryable), (ErrorCode::Forbidden, false));
            }
            ServerMessage::Lost(lost) => assert_eq!(lost.lease, "moves"),
            other => panic!("unexpected {other:?}"),
        }
    }
    let welcome = world.hello("s1", "tab", &[], &["publishes"]);
    assert_eq!(welcome.requests[0].code, Some(ErrorCode::Forbidden));
}
