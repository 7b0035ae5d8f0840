//! From verified claims to grants: exact types, exact times.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::verify::{AuthError, Issuer};
use crate::model::{Grants, Scope, Timestamp};

/// A token lives at most this long: it is reusable until its end, and a stolen one should not be
/// for long.
const MAX_LIFE: Duration = Duration::from_secs(3600);

/// An issuer's clock may be this far ahead of ours. It is granted to `nbf`, `iat` and the limit on
/// a token's life; `exp` itself has no leeway.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// Longest name in a claim, in bytes: names become parts of table keys.
const MAX_NAME: usize = 256;

/// Most names in one list: a token of [`wakecast::protocol::MAX_TOKEN`] bytes hardly holds more.
const MAX_NAMES: usize = 256;

/// Reads what the claims allow at `now`.
pub(super) fn grants(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Grants, AuthError> {
    let expires_at = alive(claims, issuer, now)?;
    if now.until(expires_at) > MAX_LIFE + CLOCK_SKEW {
        return Err(AuthError::TooLong);
    }
    let subject = name(claims, "sub")?.ok_or(AuthError::Claim("sub"))?;
    let tenant = name(claims, "tenant")?.ok_or(AuthError::NothingAllowed)?;
    let grants = Grants {
        subject,
        fleets: names(claims, "fleets")?,
        apps: names(claims, "apps")?,
        streams: names(claims, "streams")?,
        scopes: scopes(claims, issuer)?,
        tenant,
        expires_at,
    };
    let something = issuer.tenants.contains(&grants.tenant)
        && !grants.fleets.is_empty()
        && !grants.apps.is_empty()
        && !grants.scopes.is_empty();
    if something {
        Ok(grants)
    } else {
        Err(AuthError::NothingAllowed)
    }
}

/// Checks who speaks and whether it is time, and returns the end.
pub(super) fn alive(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Timestamp, AuthError> {
    if claims.get("iss").and_then(Value::as_str) != Some(&issuer.name) {
        return Err(AuthError::Issuer);
    }
    let expires_at = time(claims, "exp")?.ok_or(AuthError::Claim("exp"))?;
    if now >= expires_at {
        return Err(AuthError::Expired);
    }
    for claim in ["nbf", "iat"] {
        if time(claims, claim)?.is_some_and(|from| now.until(from) > CLOCK_SKEW) {
            return Err(AuthError::NotYet);
        }
    }
    Ok(expires_at)
}

/// Names a claim that is missing or of the wrong type.
pub(super) fn wrong(claim: &str) -> AuthError {
    match claim {
        "exp" => AuthError::Claim("exp"),
        "iss" => AuthError::Claim("iss"),
        "aud" => AuthError::Claim("aud"),
        "sub" => AuthError::Claim("sub"),
        _ => AuthError::Malformed,
    }
}

/// A time in whole seconds. A value of another type is refused, never read as absent.
pub(super) fn time(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<Timestamp>, AuthError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_u64().ok_or(AuthError::Claim(claim))?;
            Ok(Some(Timestamp::from_millis(seconds.saturating_mul(1000))))
        }
    }
}

pub(super) fn name(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<String>, AuthError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if fits(text) => Ok(Some(text.clone())),
        Some(_) => Err(AuthError::Claim(claim)),
    }
}

fn names(claims: &Map<String, Value>, claim: &'static str) -> Result<Vec<String>, AuthError> {
    let list = match claims.get(claim) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_NAMES => list,
        Some(_) => return Err(AuthError::Claim(claim)),
    };
    let texts = list.iter().map(|value| match value {
        Value::String(text) if fits(text) => Ok(text.clone()),
        _ => Err(AuthError::Claim(claim)),
    });
    texts.collect()
}

fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}

/// Unknown scopes belong to somebody else; `admin` counts only from an issuer configured for it.
fn scopes(claims: &Map<String, Value>, issuer: &Issuer) -> Result<BTreeSet<Scope>, AuthError> {
    let known = names(claims, "scopes")?;
    let known = known.iter().filter_map(|scope| match scope.as_str() {
        "play" => Some(Scope::Play),
        "publish" => Some(Scope::Publish),
        "admin" if issuer.admin => Some(Scope::Admin),
        _ => None,
    });
    Ok(known.collect())
}
