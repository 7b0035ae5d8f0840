//! Each attack on the vendor's route, refused for its own reason and without a trace.

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use wakecast::Secret;
use wakecast_lambda::auth::{AuthError, Issuer, Key, Verifier};
use wakecast_lambda::config::{LinkCaps, SubjectCaps};
use wakecast_lambda::model::InstanceStatus;
use wakecast_lambda::ports::Clock as _;
use wakecast_lambda::store::{Store as _, StoreError};

use crate::auth_attacks::forge;
use crate::connect::Log;
use crate::tickets::{ask, claims, get, header, only_row, open, request, rows, ticket};
use crate::world::{SECRET, Trouble, World, acquire, at_once, config, events, sign};

/// Tries the ticket at its one door. Nothing may come of it, and nothing of it may be told.
#[track_caller]
fn refused(world: &World, ticket: &str) -> AuthError {
    let verifier = Verifier::new(&config().issuers).expect("a verifier");
    let error = verifier
        .verify_ticket(&Secret::new(ticket), world.clock.now())
        .expect_err("the ticket was taken");
    let answer = ask(world, ticket);
    assert_eq!(answer.status, u64::from(error.status()), "{answer:?}");
    assert_eq!(answer.code(), error.code().as_str());
    assert!(!answer.body.to_string().contains("canary"), "{answer:?}");
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
    assert!(world.table.keys().is_empty(), "something was written");
    error
}

#[test]
fn attack_alg_none_and_confusion() {
    let world = open();
    for alg in ["none", "None", "", "RS256", "ES256", "HS384", "hs256"] {
        let header = json!({ "alg": alg, "typ": "wakecast-ticket+jwt" });
        let signed = forge(&header, &claims(&world, &json!({})), SECRET);
        assert_eq!(refused(&world, &signed), AuthError::Algorithm, "{alg}");
        let (unsigned, _) = signed.rsplit_once('.').expect("three parts");
        assert_eq!(
            refused(&world, &format!("{unsigned}.")),
            AuthError::Algorithm
        );
    }
}

#[test]
fn attack_forged_and_tampered() {
    let world = open();
    let other = "another-secret-0123456789abcdef-0123";
    let forged = forge(&header(), &claims(&world, &json!({})), other);
    assert_eq!(refused(&world, &forged), AuthError::Signature);
    let good = ticket(&world, json!({}));
    let richer = ticket(&world, json!({ "sub": "bob", "purpose": "play" }));
    let (good, richer): (Vec<&str>, Vec<&str>) =
        (good.split('.').collect(), richer.split('.').collect());
    let swapped = format!("{}.{}.{}", good[0], richer[1], good[2]);
    assert_eq!(refused(&world, &swapped), AuthError::Signature);
    let stripped = format!("{}.{}.", good[0], good[1]);
    assert_eq!(refused(&world, &stripped), AuthError::Signature);
    let mut with_key = header();
    with_key["jwk"] = json!({ "kty": "oct", "k": "AAAA" });
    let ticket = forge(&with_key, &claims(&world, &json!({})), SECRET);
    assert_eq!(refused(&world, &ticket), AuthError::Header("jwk"));
}

#[test]
fn attack_a_token_is_no_ticket() {
    let world = open();
    assert_eq!(refused(&world, &world.token(json!({}))), AuthError::Type);
    // A token that says all that a ticket says, but for its type.
    let both = world.token(json!({
        "aud": ["wakecast", "wakecast-ticket"], "iat": world.now() / 1000,
        "exp": world.now() / 1000 + 600, "fleet": "main", "app": "live", "stream": "match-1",
        "purpose": "publish",
    }));
    assert_eq!(refused(&world, &both), AuthError::Type);
    // And each of a ticket's types but the right one.
    for typ in [
        "JWT",
        "ticket",
        "wakecast-ticket",
        "wakecast-ticket+jwt ",
        "application/wakecast-ticket+jwt",
    ] {
        let header = json!({ "alg": "HS256", "typ": typ });
        let ticket = forge(&header, &claims(&world, &json!({})), SECRET);
        assert_eq!(refused(&world, &ticket), AuthError::Type, "{typ}");
    }
    // The type alone is not enough either.
    let wrong = forge(&header(), &world.claims(json!({})), SECRET);
    assert_eq!(refused(&world, &wrong), AuthError::Audience);
}

#[test]
fn attack_a_ticket_is_no_token() {
    let world = open();
    let plain = ticket(&world, json!({}));
    // A ticket that says all that a token says, but for its type.
    let both = ticket(
        &world,
        json!({
            "aud": ["wakecast", "wakecast-ticket"], "fleets": ["main"], "apps": ["live"],
            "streams": ["*"], "scopes": ["play", "publish"],
        }),
    );
    let shouted = forge(
        &json!({ "alg": "HS256", "typ": "WAKECAST-TICKET+JWT" }),
        &claims(&world, &json!({ "aud": "wakecast" })),
        SECRET,
    );
    for ticket in [&plain, &both, &shouted] {
        assert_eq!(world.connect_with("header", ticket), 401);
        let offered = events::filled(&events::connect_browser(), "TOKEN", ticket);
        let offered = events::on_socket(offered, "subprotocol", world.now());
        assert_eq!(world.event(&offered)["statusCode"], 401);
        let access = events::filled(&events::http_access(), "TOKEN", ticket);
        assert_eq!(world.http(&access)["statusCode"], 401);
        world.link("good", "tab");
        let renew = json!({ "action": "renew", "id": "n", "token": ticket });
        let reply = world.send("good", &renew);
        assert_eq!(crate::world::error_code(&reply), "token_rejected");
        world.disconnect("good");
    }
    // Without its type a ticket's claims say nothing that a token's must.
    let untyped = sign(
        &claims(&world, &json!({ "aud": "wakecast" })),
        &Header::new(Algorithm::HS256),
        SECRET,
    );
    assert_eq!(world.connect_with("untyped", &untyped), 403);
    // Neither is it taken here in a header.
    let bearer = format!("Bearer {plain}");
    let event = events::with_header(request("source=sdk"), "authorization", Some(&bearer));
    assert_eq!(world.http(&event)["statusCode"], 401);
    assert!(rows(&world).is_empty());
}

#[test]
fn attack_claims_missing_or_of_the_wrong_type() {
    let world = open();
    for claim in [
        "iss", "aud", "sub", "iat", "exp", "tenant", "fleet", "app", "stream", "purpose",
    ] {
        for value in [
            Value::Null,
            json!(["match-1"]),
            json!(true),
            json!(-1),
            json!(""),
        ] {
            let error = refused(&world, &ticket(&world, json!({ claim: value })));
            assert!(
                !matches!(error, AuthError::Signature),
                "{claim}: {value}: {error}"
            );
        }
    }
    for (claim, value) in [
        ("stream", "*"),
        ("stream", "match-*"),
        ("stream", "a\u{0}b"),
    ] {
        let error = refused(&world, &ticket(&world, json!({ claim: value })));
        assert_eq!(error, AuthError::Claim("stream"), "{value}");
    }
    for purpose in ["watch", "admin", "Publish", "play publish"] {
        let error = refused(&world, &ticket(&world, json!({ "purpose": purpose })));
        assert_eq!(error, AuthError::Claim("purpose"), "{purpose}");
    }
}

#[test]
fn attack_expired_future_and_long_lived() {
    let world = open();
    let now = world.now() / 1000;
    for exp in [0, now - 1, now] {
        let error = refused(&world, &ticket(&world, json!({ "exp": exp })));
        assert_eq!(error, AuthError::Expired);
    }
    for claim in ["iat", "nbf"] {
        let over = json!({ claim: now + 31, "exp": now + 600 });
        assert_eq!(refused(&world, &ticket(&world, over)), AuthError::NotYet);
    }
    for exp in [now + 661, now + 86_400, u64::MAX] {
        let error = refused(&world, &ticket(&world, json!({ "exp": exp })));
        assert_eq!(error, AuthError::TicketTooLong);
    }
    // An old one that would still have time, and that nobody has used.
    let old = json!({ "iat": now - 61, "exp": now + 500 });
    let answer = ask(&world, &ticket(&world, old));
    assert_eq!((answer.status, answer.code()), (401, "token_expired"));
    assert!(world.table.keys().is_empty());
}

#[test]
fn attack_replay_after_a_late_first_use() {
    let world = open();
    let ticket = ticket(&world, json!({}));
    world.advance(61);
    for _ in 0..5 {
        let answer = ask(&world, &ticket);
        assert_eq!((answer.status, answer.code()), (401, "token_expired"));
        world.advance(60);
    }
    assert!(
        world.table.keys().is_empty(),
        "a refused first use is no use"
    );
}

#[test]
fn attack_replay_at_a_process_that_remembers_nothing() {
    let world = open();
    let ticket = ticket(&world, json!({}));
    let ask_fresh = || {
        let event = request(&format!("source=sdk&ticket={ticket}"));
        let answer = futures::executor::block_on(world.fresh_gateway().http(&event));
        answer["statusCode"].as_u64()
    };
    assert_eq!(ask(&world, &ticket).status, 503);
    world.advance(30);
    assert_eq!(ask_fresh(), Some(503));
    world.advance(569);
    assert_eq!(
        ask_fresh(),
        Some(503),
        "the first use counts, not the second"
    );
    world.advance(1);
    assert_eq!(ask_fresh(), Some(401));
    assert_eq!(ask(&world, &ticket).status, 401);
    // The table forgets the use in time, and the ticket is void for its age by then.
    world.advance(600);
    world
        .table
        .purge(world.clock.now(), std::time::Duration::ZERO);
    assert_eq!(ask_fresh(), Some(401));
}

#[test]
fn attack_of_two_first_uses_at_once_one_counts() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let shared = ticket(&world, json!({}));
    let (table, at) = (world.table.as_gateway(), world.clock.now());
    let event = request(&format!("source=sdk&ticket={shared}"));
    let other = world.fresh_gateway();
    // Another process notes its first use in the moment before ours would be noted.
    world.store.next(
        "use_ticket",
        Trouble::Meanwhile(Box::new(move || {
            at_once(other.http(&event));
        })),
    );
    assert_eq!(ask(&world, &shared).status, 200);
    let noted = world.table.keys();
    let noted: Vec<_> = noted
        .iter()
        .filter(|(_, sort)| sort.starts_with("TICKET#"))
        .collect();
    assert_eq!(noted.len(), 1);
    let id = only_row(&world).key.id;
    assert_eq!(at_once(table.ticket_use("acme", "ann", &id)), Ok(Some(at)));
}

#[test]
fn attack_another_spelling_of_the_signature_is_the_same_ticket() {
    let world = open();
    let good = ticket(&world, json!({}));
    assert_eq!(ask(&world, &good).status, 503);
    // The last character of a signature holds two bits that mean nothing.
    let (rest, last) = good.split_at(good.len() - 1);
    for spelled in 'A'..='Z' {
        let spelled = format!("{rest}{spelled}");
        if spelled != format!("{rest}{last}") {
            assert_ne!(ask(&world, &spelled).status, 200);
        }
    }
    assert_eq!(rows(&world).len(), 1);
}

#[test]
fn attack_other_tenant_fleet_app_and_issuer() {
    let world = open();
    let foreign = ticket(&world, json!({ "tenant": "globex" }));
    assert_eq!(refused(&world, &foreign), AuthError::NothingAllowed);
    for (over, status, code) in [
        (json!({ "fleet": "other" }), 403, "forbidden"),
        (json!({ "fleet": "main#x" }), 403, "forbidden"),
        (json!({ "app": "other" }), 400, "invalid_argument"),
    ] {
        let answer = ask(&world, &ticket(&world, over.clone()));
        assert_eq!((answer.status, answer.code()), (status, code), "{over}");
    }
    assert!(rows(&world).is_empty());
    assert_eq!((world.demand(), world.wakes.count()), (0, 0));
    // A key speaks for its own issuer.
    let mut issuers = config().issuers;
    issuers.push(Issuer {
        name: "https://other.example.com".to_owned(),
        keys: vec![Key {
            id: None,
            secret: Secret::new("the-other-issuers-secret-0123456789abcdef"),
        }],
        tenants: std::collections::BTreeSet::from(["globex".to_owned()]),
        admin: true,
    });
    let verifier = Verifier::new(&issuers).expect("a verifier");
    let theirs = json!({ "iss": "https://other.example.com" });
    for (over, secret, error) in [
        (
            json!({}),
            "the-other-issuers-secret-0123456789abcdef",
            AuthError::Issuer,
        ),
        (
            theirs,
            "the-other-issuers-secret-0123456789abcdef",
            AuthError::NothingAllowed,
        ),
    ] {
        let ticket = forge(&header(), &claims(&world, &over), secret);
        let verified = verifier.verify_ticket(&Secret::new(ticket), world.clock.now());
        assert_eq!(verified, Err(error));
    }
}

#[test]
fn attack_the_query_written_otherwise() {
    let world = open();
    let good = ticket(&world, json!({}));
    let other = ticket(&world, json!({ "stream": "other" }));
    let encoded = good.replacen('e', "%65", 1);
    for (query, status) in [
        (String::new(), 400),
        (format!("ticket={good}"), 400),
        (format!("ticket={good}&source="), 400),
        (format!("ticket={good}&source=SDK"), 400),
        (format!("ticket={good}&source=sdk2"), 400),
        (format!("ticket={good}&source=s%64k"), 400),
        (format!("ticket={good}&source=sdk&source=sdk"), 400),
        (format!("ticket={good}&source=sdk&source=x"), 400),
        (format!("ticket={good}&ticket={good}&source=sdk"), 400),
        (format!("ticket={good}&ticket={other}&source=sdk"), 400),
        (format!("ticket={good}&source=sdk&ticket="), 400),
        (format!("ticket={good}&%74icket={other}&source=sdk"), 400),
        (format!("%74icket={good}&source=sdk"), 400),
        (format!("t+icket={good}&source=sdk"), 400),
        (format!("ticket={good}&sourc%65=x&source=sdk"), 400),
        ("source=sdk".to_owned(), 401),
        ("source=sdk&ticket".to_owned(), 401),
        ("source=sdk&ticket=".to_owned(), 401),
        (format!("source=sdk&Ticket={good}"), 401),
        (format!("source=sdk;ticket={good}"), 400),
        (format!("source=sdk&ticket={encoded}"), 401),
        (format!("source=sdk&ticket={good}%00"), 401),
        (format!("source=sdk&ticket={good}+"), 401),
        (format!("source=sdk&ticket=={good}"), 401),
        (format!("source=sdk&ticket={good}%26ticket={other}"), 401),
        (format!("source=sdk&ticket={good},{other}"), 401),
        (format!("source=sdk&accessToken={good}"), 401),
    ] {
        let answer = get(&world, &query);
        assert_eq!(answer.status, status, "{query}");
        assert!(!answer.body.to_string().contains(&good[..20]), "{answer:?}");
    }
    assert!(world.table.keys().is_empty(), "something was written");
    // What the vendor's SDK may add of its own.
    assert_eq!(
        get(&world, &format!("ticket={good}&source=sdk&accessToken=x")).status,
        503
    );
}

#[test]
fn attack_huge_and_garbled() {
    let world = open();
    let huge = ticket(&world, json!({ "padding": "x".repeat(4096) }));
    assert_eq!(refused(&world, &huge), AuthError::TooLarge);
    for garbage in ["x", "a.b", "a.b.c", "a.b.c.d", "...", "{}", "%00.%00.%00"] {
        assert_eq!(refused(&world, garbage), AuthError::Malformed, "{garbage}");
    }
    for name in ["sub", "tenant", "fleet", "app", "stream"] {
        let long = ticket(&world, json!({ name: "x".repeat(257) }));
        assert_eq!(refused(&world, &long), AuthError::Claim(name));
    }
}

#[test]
fn attack_a_flood_of_one_ticket_costs_little() {
    let world = open();
    let ticket = ticket(&world, json!({}));
    let mut answered = 0;
    for _ in 0..200 {
        let answer = ask(&world, &ticket);
        match answer.status {
            503 => answered += 1,
            status => {
                assert_eq!((status, answer.retry_after.as_deref()), (429, Some("1")));
            }
        }
    }
    assert_eq!(answered, 5);
    let calls = world.store.passed().len();
    assert!(calls < 50, "{calls} operations");
    assert_eq!(rows(&world).len(), 1);
    world.advance(1);
    assert_eq!(ask(&world, &ticket).status, 503);
}

#[test]
fn attack_a_flood_of_forged_tickets_costs_no_reads() {
    let world = open();
    for number in 0..200 {
        let claims = claims(&world, &json!({ "sub": format!("nobody-{number}") }));
        let forged = forge(&header(), &claims, "another-secret-0123456789abcdef-0123");
        assert_eq!(ask(&world, &forged).status, 401);
    }
    assert!(world.store.passed().is_empty(), "the table was asked");
}

#[test]
fn attack_a_flood_of_tickets_meets_the_subjects_caps() {
    let mut config = config();
    config.vendor_sdk = true;
    config.links = LinkCaps {
        connects_per_minute: Some(4),
        open: None,
    };
    for fleet in config.fleets.values_mut() {
        fleet.caps.subject = SubjectCaps {
            live_rows: Some(2),
            ..SubjectCaps::default()
        };
    }
    let world = World::with(config);
    let numbered = |number: u32| ticket(&world, json!({ "n": number }));
    let answers: Vec<_> = (0..6).map(|n| ask(&world, &numbered(n))).collect();
    let told: Vec<_> = answers
        .iter()
        .map(|answer| (answer.status, answer.code()))
        .collect();
    let (waits, throttled) = ((503, "service_unavailable"), (429, "throttled"));
    let quota = (429, "quota_exceeded");
    assert_eq!(told, [waits, waits, quota, throttled, throttled, throttled]);
    let throttled = ask(&world, &numbered(5));
    assert_eq!(throttled.code(), "throttled");
    assert_eq!(throttled.retry_after.as_deref(), Some("60"));
    assert_eq!(rows(&world).len(), 2);
    // What is used already goes on.
    assert_eq!(ask(&world, &numbered(0)).status, 503);
    // The caps are one with those of the subject's links.
    assert_eq!(world.connect_with("s1", &world.token(json!({}))), 429);
    let bob = ticket(&world, json!({ "sub": "bob" }));
    assert_eq!(ask(&world, &bob).status, 503);
    // Tickets that nobody asks with any more give their places back.
    world.advance(121);
    world.link("s2", "tab");
    crate::world::assert_ack(&world.send("s2", &acquire("a")), "a");
}

#[test]
fn attack_players_protect_no_more_often_than_others() {
    let mut config = config();
    config.vendor_sdk = true;
    config.links = LinkCaps::OFF;
    for fleet in config.fleets.values_mut() {
        fleet.caps.subject.protections_per_hour = Some(2);
    }
    let world = World::with(config);
    world.given(7, InstanceStatus::Ready);
    for number in 0..4 {
        let over = json!({ "purpose": "play", "n": number });
        assert_eq!(ask(&world, &ticket(&world, over)).status, 200);
    }
    let boot = crate::world::instance(7, InstanceStatus::Ready)
        .boot
        .expect("a boot");
    let (timing, now) = (crate::world::fleet_config().timing, world.clock.now());
    let protecting = rows(&world);
    let protecting = protecting
        .iter()
        .filter(|row| wakecast_lambda::leases::protects(row, &boot, &timing, now));
    assert_eq!(protecting.count(), 2);
}

#[test]
fn attack_a_client_that_names_the_tickets_row() {
    let world = open();
    world.given(7, InstanceStatus::Ready);
    let shared = ticket(&world, json!({}));
    assert_eq!(ask(&world, &shared).status, 200);
    let id = only_row(&world).key.id;
    world.advance(1);
    // The subject's own socket takes it, and gives it up to the next request.
    world.link("s1", "tab");
    crate::world::ready(&world.send("s1", &acquire(&id)));
    world.advance(1);
    assert_eq!(ask(&world, &shared).status, 200);
    assert_eq!(world.sockets.take("s1").len(), 1, "it is told");
    // With another ask the id is no longer the ticket's.
    let mut other = acquire(&id);
    other["stream_id"] = json!("other");
    let reply = world.send("s1", &other);
    assert_eq!(crate::world::error_code(&reply), "invalid_argument");
    let release = crate::world::message("release", "r", "lease", &id);
    world.link("s2", "another");
    world.send("s2", &release);
    let answer = ask(&world, &shared);
    assert_eq!((answer.status, answer.code()), (409, "lease_lost"));
}

#[test]
fn a_table_that_does_not_answer_opens_nothing() {
    for name in [
        "use_ticket",
        "row",
        "put_counted_row",
        "instance",
        "instances",
    ] {
        for trouble in [Trouble::Fails, Trouble::ReplyLost] {
            let world = open();
            world.given(7, InstanceStatus::Ready);
            let ticket = ticket(&world, json!({}));
            world.store.next(name, trouble);
            let answer = ask(&world, &ticket);
            assert_eq!(
                (answer.status, answer.code()),
                (503, "service_unavailable"),
                "{name}"
            );
            assert_eq!(answer.retry_after.as_deref(), Some("1"));
            assert!(answer.body.get("websocket_url").is_none());
            // It mends itself.
            assert_eq!(ask(&world, &ticket).status, 200, "{name}");
            assert_eq!(rows(&world).len(), 1, "{name}");
        }
    }
    // A use that cannot be read is taken for none by nobody.
    let world = open();
    let ticket = ticket(&world, json!({}));
    assert_eq!(ask(&world, &ticket).status, 503);
    let id = only_row(&world).key.id;
    world.table.spoil("B#S#acme#ann", &format!("TICKET#{id}"));
    let event = request(&format!("source=sdk&ticket={ticket}"));
    let before = world.demand();
    for seconds in [0, 61] {
        world.advance(seconds);
        let answer = futures::executor::block_on(world.fresh_gateway().http(&event));
        assert_eq!(answer["statusCode"], 503);
    }
    assert_eq!(world.demand(), before);
    let read = at_once(world.table.ticket_use("acme", "ann", &id));
    assert!(matches!(read, Err(StoreError::Unreadable(_))));
}

#[test]
fn nothing_of_a_ticket_is_logged_or_shown() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let world = open();
        world.given(7, InstanceStatus::Ready);
        let good = ticket(&world, json!({ "sub": "canary-subject" }));
        let bad = ticket(&world, json!({ "aud": "canary" }));
        let forged = forge(
            &header(),
            &claims(&world, &json!({})),
            "canary-0123456789abcdef-0123456789",
        );
        let late = ticket(&world, json!({ "iat": world.now() / 1000 - 61 }));
        let twice = format!("source=sdk&ticket={good}&ticket={bad}");
        let mut bodies = get(&world, &twice).body.to_string();
        for name in ["use_ticket", "row", "put_counted_row", "instance"] {
            world.store.next(name, Trouble::Fails);
            bodies += &ask(&world, &good).body.to_string();
        }
        for ticket in [&bad, &forged, &late] {
            bodies += &ask(&world, ticket).body.to_string();
        }
        let granted = ask(&world, &good);
        let token = granted.body["stream_token"].as_str().expect("a token");
        let shown = format!("{:?} {bodies} {:?}", world.gateway, rows(&world));
        let text = log.text();
        assert!(text.contains("refused"), "{text}");
        for secret in [good.as_str(), &bad, &forged, &late, SECRET] {
            let (_, signature) = secret.rsplit_once('.').unwrap_or(("", secret));
            for part in [secret, signature] {
                assert!(!text.contains(part), "{text}");
                assert!(!shown.contains(part), "{shown}");
            }
        }
        assert!(!text.contains(token) && !text.contains("canary"), "{text}");
    });
}
