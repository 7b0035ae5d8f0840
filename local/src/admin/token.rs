//! `POST /token`: what the token provider of an app in development asks.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use wakecast_lambda::model::Scope;

use super::AdminError;
use crate::cloud::{LONGEST_TOKEN_LIFE, Parts, TokenRequest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    subject: String,
    scopes: Option<Vec<Scope>>,
    streams: Option<Vec<String>>,
    life_s: Option<u64>,
}

pub(super) fn token(parts: &Parts, body: &[u8]) -> Result<Value, AdminError> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| AdminError::Malformed("token request", error.to_string()))?;
    if body.subject.is_empty() {
        return Err(AdminError::Field {
            field: "subject",
            expected: "a name",
        });
    }
    if body
        .life_s
        .is_some_and(|life| !(1..=LONGEST_TOKEN_LIFE.as_secs()).contains(&life))
    {
        return Err(AdminError::Field {
            field: "life_s",
            expected: "1 to 3600",
        });
    }
    let mut request = TokenRequest::new(body.subject);
    request.life = body.life_s.map(Duration::from_secs);
    request.scopes = body.scopes.unwrap_or(request.scopes);
    request.streams = body.streams.unwrap_or(request.streams);
    let token = parts.token(&request)?;
    let expires_in_ms = u64::try_from(token.expires_in.as_millis()).unwrap_or(u64::MAX);
    Ok(json!({ "token": token.secret.expose(), "expires_in_ms": expires_in_ms }))
}
