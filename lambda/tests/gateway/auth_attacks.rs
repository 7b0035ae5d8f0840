//! Each attack on a token, refused at every door and for its own reason.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use wakecast::Secret;
use wakecast_lambda::auth::{AuthError, Issuer, IssuerError, Key, Verifier};
use wakecast_lambda::ports::Clock as _;

use crate::world::{SECRET, World, config, events, sign};

/// Signs any header over any claims with HMAC-SHA256.
pub(crate) fn forge(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256);
    format!("{signed}.{}", signature.expect("a signature"))
}

/// Tries the token at `$connect`, at `renew` and at the access check. Nothing may come of it.
#[track_caller]
fn refused(world: &World, token: &str) -> AuthError {
    let verifier = Verifier::new(&config().issuers).expect("a verifier");
    let error = verifier
        .verify(&Secret::new(token), world.clock.now())
        .expect_err("the token was taken");
    assert!(!error.to_string().contains("canary"), "{error}");
    assert_eq!(
        world.connect_with("attack", token),
        u64::from(error.status())
    );
    let event = events::filled(&events::http_access(), "TOKEN", token);
    assert_eq!(world.http(&event)["statusCode"], error.status());
    assert!(
        world
            .table
            .keys()
            .iter()
            .all(|(key, _)| !key.contains("attack"))
    );
    world.link("good", "tab");
    let renew = json!({ "action": "renew", "id": "n", "token": token });
    let reply = world.send("good", &renew);
    assert_eq!(crate::world::error_code(&reply), error.code().as_str());
    assert_eq!(world.demand(), 0);
    error
}

fn good_header() -> Value {
    json!({ "alg": "HS256", "typ": "JWT" })
}

#[test]
fn good_token_is_taken() {
    let world = World::new();
    let token = forge(&good_header(), &world.claims(json!({})), SECRET);
    assert_eq!(world.connect_with("s1", &token), 200);
}

#[test]
fn attack_alg_none() {
    let world = World::new();
    for alg in ["none", "None", "NONE", ""] {
        let signed = forge(&json!({ "alg": alg }), &world.claims(json!({})), SECRET);
        let (unsigned, _) = signed.rsplit_once('.').expect("three parts");
        assert_eq!(
            refused(&world, &format!("{unsigned}.")),
            AuthError::Algorithm
        );
        assert_eq!(refused(&world, &signed), AuthError::Algorithm);
    }
}

#[test]
fn attack_rs256_to_hs256_confusion() {
    // The header says RS256 and the signature is an HMAC with what would be a public key.
    let world = World::new();
    for alg in [
        "RS256", "PS256", "ES256", "EdDSA", "HS384", "HS512", "hs256",
    ] {
        let token = forge(&json!({ "alg": alg }), &world.claims(json!({})), SECRET);
        assert_eq!(refused(&world, &token), AuthError::Algorithm, "{alg}");
    }
}

#[test]
fn attack_key_in_the_header() {
    let world = World::new();
    let mine = "an-attackers-own-secret-0123456789abcdef";
    let encoded = URL_SAFE_NO_PAD.encode(mine);
    let keys = [
        ("jwk", json!({ "kty": "oct", "k": encoded })),
        ("jku", json!("https://attacker.example.com/keys")),
        ("x5u", json!("https://attacker.example.com/cert")),
        ("x5c", json!([encoded])),
        ("crit", json!(["exp"])),
    ];
    for (name, value) in keys {
        let mut header = good_header();
        header[name] = value;
        for secret in [mine, SECRET] {
            let token = forge(&header, &world.claims(json!({})), secret);
            assert_eq!(refused(&world, &token), AuthError::Header(name));
        }
    }
}

#[test]
fn attack_unknown_kid_and_path_tricks() {
    let world = World::new();
    let tricks = [
        "other",
        "../../../../dev/null",
        "/dev/null",
        "' OR 1=1 --",
        "https://x",
        "",
    ];
    for kid in tricks {
        let mut header = good_header();
        header["kid"] = json!(kid);
        for secret in [SECRET, "", kid] {
            if secret.is_empty() {
                continue;
            }
            let token = forge(&header, &world.claims(json!({})), secret);
            assert_eq!(refused(&world, &token), AuthError::UnknownKey, "{kid}");
        }
    }
    let mut header = good_header();
    header["kid"] = json!(["a"]);
    let token = forge(&header, &world.claims(json!({})), SECRET);
    assert_eq!(refused(&world, &token), AuthError::UnknownKey);
}

#[test]
fn attack_forged_signature() {
    let world = World::new();
    let claims = world.claims(json!({}));
    let other = forge(
        &good_header(),
        &claims,
        "another-secret-0123456789abcdef-0123",
    );
    assert_eq!(refused(&world, &other), AuthError::Signature);
    // Claims exchanged under a good signature.
    let good = forge(&good_header(), &claims, SECRET);
    let richer = world.claims(json!({ "sub": "bob", "scopes": ["admin"] }));
    let parts: Vec<&str> = good.split('.').collect();
    let payload = URL_SAFE_NO_PAD.encode(richer.to_string());
    let swapped = format!("{}.{payload}.{}", parts[0], parts[2]);
    assert_eq!(refused(&world, &swapped), AuthError::Signature);
    let stripped = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(refused(&world, &stripped), AuthError::Signature);
}

#[test]
fn attack_wrong_typed_exp_and_nbf() {
    let world = World::new();
    let soon = world.now() / 1000 + 600;
    let wrong = [
        json!(soon.to_string()),
        json!(soon as f64 + 0.5),
        json!([soon]),
        json!(true),
    ];
    for value in &wrong {
        for claim in ["exp", "nbf", "iat"] {
            let claims = world.claims(json!({ claim: value }));
            let token = forge(&good_header(), &claims, SECRET);
            let error = refused(&world, &token);
            // A list is not even read as a claim.
            let reasons = [AuthError::Claim(claim), AuthError::Malformed];
            assert!(reasons.contains(&error), "{claim}: {value}: {error}");
        }
    }
    let mut claims = world.claims(json!({}));
    claims["exp"] = Value::Null;
    let token = forge(&good_header(), &claims, SECRET);
    assert_eq!(refused(&world, &token), AuthError::Claim("exp"));
    claims["exp"] = json!(-1);
    let token = forge(&good_header(), &claims, SECRET);
    assert_eq!(refused(&world, &token), AuthError::Claim("exp"));
}

#[test]
fn attack_missing_claims() {
    let world = World::new();
    for claim in ["iss", "aud", "exp", "sub"] {
        let token = world.token(json!({ claim: null }));
        assert_eq!(refused(&world, &token), AuthError::Claim(claim));
    }
}

#[test]
fn attack_wrong_audience() {
    let world = World::new();
    for aud in [
        json!("other"),
        json!(["other"]),
        json!([]),
        json!("wakecast.evil"),
    ] {
        let token = world.token(json!({ "aud": aud }));
        assert_eq!(refused(&world, &token), AuthError::Audience, "{aud}");
    }
    let token = world.token(json!({ "aud": ["other", "wakecast"] }));
    assert_eq!(world.connect_with("s1", &token), 200);
}

#[test]
fn attack_wrong_issuer() {
    let world = World::new();
    for iss in [
        "https://attacker.example.com",
        "https://issuer.example.com/",
        "",
    ] {
        let token = world.token(json!({ "iss": iss }));
        assert_eq!(refused(&world, &token), AuthError::Issuer, "{iss}");
    }
    let listed = world.token(json!({ "iss": ["https://issuer.example.com", "https://a"] }));
    assert_eq!(refused(&world, &listed), AuthError::Issuer);
}

#[test]
fn attack_future_nbf() {
    let world = World::new();
    let now = world.now() / 1000;
    for claim in ["nbf", "iat"] {
        let token = world.token(json!({ claim: now + 31 }));
        assert_eq!(refused(&world, &token), AuthError::NotYet, "{claim}");
        let token = world.token(json!({ claim: now + 30 }));
        assert_eq!(
            world.connect_with("s1", &token),
            200,
            "an issuer's clock may be ahead"
        );
    }
}

#[test]
fn attack_expired_without_any_leeway() {
    let world = World::new();
    let now = world.now() / 1000;
    for exp in [0, now - 3600, now - 1, now] {
        assert_eq!(
            refused(&world, &world.token(json!({ "exp": exp }))),
            AuthError::Expired
        );
    }
    assert_eq!(
        world.connect_with("s1", &world.token(json!({ "exp": now + 1 }))),
        200
    );
}

#[test]
fn attack_token_that_outlives_an_hour() {
    let world = World::new();
    let now = world.now() / 1000;
    for exp in [now + 3631, now + 86_400, u64::MAX] {
        assert_eq!(
            refused(&world, &world.token(json!({ "exp": exp }))),
            AuthError::TooLong
        );
    }
    assert_eq!(
        world.connect_with("s1", &world.token(json!({ "exp": now + 3630 }))),
        200
    );
}

#[test]
fn attack_huge_token() {
    let world = World::new();
    let token = world.token(json!({ "padding": "x".repeat(4096) }));
    assert_eq!(refused(&world, &token), AuthError::TooLarge);
    let names: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let token = world.token(json!({ "apps": names }));
    assert_eq!(refused(&world, &token), AuthError::Claim("apps"));
}

#[test]
fn attack_garbage() {
    let world = World::new();
    for garbage in [
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "...",
        "{}",
        "=.=.=",
        "😀.😀.😀",
    ] {
        assert_eq!(refused(&world, garbage), AuthError::Malformed, "{garbage}");
    }
    let good = world.token(json!({}));
    assert_eq!(refused(&world, &format!("{good}.x")), AuthError::Malformed);
    let parts: Vec<&str> = good.split('.').collect();
    let array = forge(&json!(["HS256"]), &world.claims(json!({})), SECRET);
    assert_eq!(refused(&world, &array), AuthError::Malformed);
    let text = forge(&good_header(), &json!("claims"), SECRET);
    assert_eq!(refused(&world, &text), AuthError::Malformed);
    assert_eq!(
        refused(&world, &format!("{}..{}", parts[0], parts[2])),
        AuthError::Signature
    );
}

#[test]
fn attack_tenant_of_another_issuer() {
    let world = World::new();
    let token = world.token(json!({ "tenant": "globex" }));
    assert_eq!(refused(&world, &token), AuthError::NothingAllowed);
}

#[test]
fn attack_admin_scope_from_an_ordinary_issuer() {
    let world = World::new();
    let token = world.token(json!({ "scopes": ["admin"] }));
    assert_eq!(refused(&world, &token), AuthError::NothingAllowed);
    let mut issuers = config().issuers;
    issuers[0].admin = true;
    let verifier = Verifier::new(&issuers).expect("a verifier");
    assert!(
        verifier
            .verify(&Secret::new(token), world.clock.now())
            .is_ok()
    );
}

#[test]
fn key_ids_are_compared_and_keys_rotate() {
    let world = World::new();
    let other = "the-next-secret-0123456789abcdef-0123456789";
    let key = |id: &str, secret: &str| Key {
        id: Some(id.to_owned()),
        secret: Secret::new(secret),
    };
    let issuers = [Issuer {
        keys: vec![key("old", SECRET), key("new", other)],
        ..config().issuers.remove(0)
    }];
    let verifier = Verifier::new(&issuers).expect("a verifier");
    let verify = |kid: Option<&str>, secret| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = kid.map(str::to_owned);
        let token = sign(&world.claims(json!({})), &header, secret);
        verifier
            .verify(&Secret::new(token), world.clock.now())
            .map(|grants| grants.subject)
    };
    assert_eq!(verify(Some("old"), SECRET).as_deref(), Ok("ann"));
    assert_eq!(verify(Some("new"), other).as_deref(), Ok("ann"));
    assert_eq!(verify(Some("new"), SECRET), Err(AuthError::Signature));
    assert_eq!(verify(None, SECRET), Err(AuthError::UnknownKey));
}

#[test]
fn issuers_cannot_speak_for_each_other() {
    // Two issuers without key ids: the signature decides whose token it is, and `iss` must agree.
    let world = World::new();
    let other = "the-other-issuers-secret-0123456789abcdef";
    let mut issuers = config().issuers;
    issuers.push(Issuer {
        name: "https://other.example.com".to_owned(),
        keys: vec![Key {
            id: None,
            secret: Secret::new(other),
        }],
        tenants: std::collections::BTreeSet::from(["globex".to_owned()]),
        admin: false,
    });
    let verifier = Verifier::new(&issuers).expect("a verifier");
    let verify = |claims, secret| {
        let token = forge(&good_header(), &world.claims(claims), secret);
        verifier
            .verify(&Secret::new(token), world.clock.now())
            .map(|grants| grants.tenant)
    };
    let theirs = json!({ "iss": "https://other.example.com", "tenant": "globex" });
    assert_eq!(verify(theirs, other).as_deref(), Ok("globex"));
    assert_eq!(verify(json!({}), other), Err(AuthError::Issuer));
    let ours = json!({ "iss": "https://other.example.com" });
    assert_eq!(verify(ours, other), Err(AuthError::NothingAllowed));
}

#[test]
fn weak_issuers_are_refused_at_start() {
    let short = Issuer {
        keys: vec![Key {
            id: None,
            secret: Secret::new("canary-short"),
        }],
        ..config().issuers.remove(0)
    };
    let error = Verifier::new(&[short]).expect_err("a short secret");
    assert!(matches!(error, IssuerError::ShortSecret(_)));
    assert!(!error.to_string().contains("canary"));
    assert_eq!(Verifier::new(&[]).expect_err("nobody"), IssuerError::None);
    let key = || Key {
        id: None,
        secret: Secret::new(SECRET),
    };
    let twice = Issuer {
        keys: vec![key(), key()],
        ..config().issuers.remove(0)
    };
    assert!(matches!(
        Verifier::new(&[twice]),
        Err(IssuerError::SameKey(_))
    ));
}
