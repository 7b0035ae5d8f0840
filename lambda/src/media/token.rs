//! The two JSON Web Tokens an Ant Media Server takes, both HS256.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use wakecast::Secret;

use crate::model::Timestamp;
use crate::ports::StreamTokens;

/// A token could not be signed. The cause says why and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed: {0}")]
pub struct TokenError(#[from] jsonwebtoken::errors::Error);

/// Mints a token for the server's root API, good until `expires_at`.
///
/// It carries `exp` and nothing else: the server refuses an `iat` or `nbf` that its own clock has
/// not reached, without leeway, and a box that just woke may lag. It goes into the header
/// `ProxyAuthorization`, without `Bearer`.
///
/// # Errors
/// The signature failed.
pub fn server_token(secret: &Secret, expires_at: Timestamp) -> Result<Secret, TokenError> {
    #[derive(Serialize)]
    struct Claims {
        exp: u64,
    }
    sign(
        secret,
        &Claims {
            exp: seconds(expires_at),
        },
    )
}

/// Mints a token for publishing or playing one stream, good until `expires_at`.
///
/// The server checks it when publishing or playing begins and never again.
///
/// # Errors
/// The signature failed.
pub fn stream_token(
    secret: &Secret,
    stream_id: &str,
    publish: bool,
    expires_at: Timestamp,
) -> Result<Secret, TokenError> {
    #[derive(Serialize)]
    struct Claims<'a> {
        #[serde(rename = "streamId")]
        stream_id: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
        exp: u64,
    }
    let kind = if publish { "publish" } else { "play" };
    sign(
        secret,
        &Claims {
            stream_id,
            kind,
            exp: seconds(expires_at),
        },
    )
}

/// Stream tokens signed with each app's own secret. An app without one takes no tokens.
#[derive(Debug, Clone, Default)]
pub struct JwtStreamTokens {
    secrets: BTreeMap<String, Secret>,
}

impl JwtStreamTokens {
    /// Takes the secrets by app (`jwtStreamSecretKey`).
    pub fn new(secrets: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self {
            secrets: secrets.into_iter().collect(),
        }
    }
}

impl StreamTokens for JwtStreamTokens {
    fn mint(
        &self,
        app: &str,
        stream_id: &str,
        publish: bool,
        expires_at: Timestamp,
    ) -> Option<Secret> {
        let secret = self.secrets.get(app)?;
        match stream_token(secret, stream_id, publish, expires_at) {
            Ok(token) => Some(token),
            Err(error) => {
                tracing::error!(app, %error, "no stream token");
                None
            }
        }
    }
}

fn sign(secret: &Secret, claims: &impl Serialize) -> Result<Secret, TokenError> {
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), claims, &key)?;
    Ok(Secret::from(token))
}

/// Whole seconds, rounded down: a token never lives longer than it was meant to.
fn seconds(at: Timestamp) -> u64 {
    at.as_millis() / 1_000
}
