//! Tokens as an app's own backend would mint them.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use wakecast::Secret;
use wakecast_lambda::auth::{Issuer, Key};
use wakecast_lambda::model::{FleetKey, Scope, Timestamp};
use wakecast_lambda::ports::{Clock, Entropy};

/// The issuer of local tokens.
const ISSUER: &str = "wakecast-local";

/// What a token allows, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// Whose it is.
    pub subject: String,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// Which streams: exact, or with one trailing `*`.
    pub streams: Vec<String>,
    /// How long it lives; `None` for the cloud's own setting.
    pub life: Option<Duration>,
}

impl TokenRequest {
    /// May publish and play every stream.
    #[must_use]
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            scopes: vec![Scope::Publish, Scope::Play],
            streams: vec!["*".to_owned()],
            life: None,
        }
    }

    /// May play every stream.
    #[must_use]
    pub fn player(subject: impl Into<String>) -> Self {
        Self {
            scopes: vec![Scope::Play],
            ..Self::new(subject)
        }
    }

    /// Limits the streams.
    #[must_use]
    pub fn with_streams(mut self, streams: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.streams = streams.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the life.
    #[must_use]
    pub fn with_life(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }
}

/// A token and its life as a token provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// How long it is still good.
    pub expires_in: Duration,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed: {0}")]
pub struct TokenError(#[from] jsonwebtoken::errors::Error);

/// Mints tokens for one fleet.
#[derive(Clone)]
pub(super) struct Mint {
    secret: Secret,
    fleet: FleetKey,
    app: String,
    life: Duration,
}

impl Mint {
    pub(super) fn new(entropy: &dyn Entropy, fleet: FleetKey, app: &str, life: Duration) -> Self {
        Self {
            secret: random_secret(entropy),
            fleet,
            app: app.to_owned(),
            life,
        }
    }

    /// Returns the issuer that the gateway has to trust.
    pub(super) fn issuer(&self) -> Issuer {
        Issuer {
            name: ISSUER.to_owned(),
            keys: vec![Key {
                id: None,
                secret: self.secret.clone(),
            }],
            tenants: [self.fleet.tenant.clone()].into(),
            admin: true,
        }
    }

    pub(super) fn mint(
        &self,
        clock: &dyn Clock,
        request: &TokenRequest,
    ) -> Result<Token, TokenError> {
        let now = clock.now();
        // Claims hold whole seconds: rounded up, so that a token lives as long as was asked.
        let expires = (now + request.life.unwrap_or(self.life))
            .as_millis()
            .div_ceil(1000);
        let scopes: Vec<_> = request.scopes.iter().map(word).collect();
        let claims = json!({
            "iss": ISSUER,
            "aud": "wakecast",
            "sub": request.subject,
            "iat": now.as_millis() / 1000,
            "exp": expires,
            "tenant": self.fleet.tenant,
            "fleets": [self.fleet.fleet],
            "apps": [self.app],
            "streams": request.streams,
            "scopes": scopes,
        });
        let key = EncodingKey::from_secret(self.secret.expose().as_bytes());
        let secret = Secret::new(encode(&Header::new(Algorithm::HS256), &claims, &key)?);
        let expires_at = Timestamp::from_millis(expires * 1000);
        Ok(Token {
            secret,
            expires_in: now.until(expires_at),
        })
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint")
            .field("fleet", &self.fleet)
            .finish_non_exhaustive()
    }
}

/// Draws 256 bits, in hexadecimal digits.
pub(super) fn random_secret(entropy: &dyn Entropy) -> Secret {
    let words: Vec<_> = (0..4)
        .map(|_| format!("{:016x}", entropy.next_u64()))
        .collect();
    Secret::new(words.concat())
}

fn word(scope: &Scope) -> &'static str {
    match scope {
        Scope::Play => "play",
        Scope::Publish => "publish",
        Scope::Admin => "admin",
    }
}
