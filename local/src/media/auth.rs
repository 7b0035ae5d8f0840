//! The three checks of a JSON Web Token: the server's, an app's and a stream's.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

/// Whether `token` is signed with `secret` (HS256) and its times hold at `unix_s`.
///
/// There is no leeway: an `iat` or `nbf` one second ahead is refused. A missing `exp` is accepted
/// for ever.
pub(super) fn token_holds(token: &str, secret: &str, unix_s: u64) -> bool {
    claims(token, secret, unix_s).is_some()
}

/// Whether `token` lets its bearer do `kind` (`publish` or `play`) on `stream`.
pub(super) fn stream_token_holds(
    token: Option<&str>,
    secret: Option<&str>,
    stream: &str,
    kind: &str,
    unix_s: u64,
) -> bool {
    let (Some(token), Some(secret)) = (token, secret) else {
        return false;
    };
    let Some(claims) = claims(token, secret, unix_s) else {
        return false;
    };
    let says = |name: &str, value: &str| claims.get(name).and_then(Value::as_str) == Some(value);
    says("streamId", stream) && says("type", kind)
}

fn claims(token: &str, secret: &str, unix_s: u64) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(Algorithm::HS256);
    // The library reads the machine's clock; the times are judged below by the box's own.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret.as_bytes());
    let claims = decode::<Map<String, Value>>(token, &key, &validation)
        .ok()?
        .claims;
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    let now = unix_s as f64;
    let expired = time("exp").is_some_and(|exp| now > exp);
    let early = ["iat", "nbf"]
        .into_iter()
        .filter_map(time)
        .any(|at| at > now);
    (!expired && !early).then_some(claims)
}
