//! Tokens as an app's own backend would mint them.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use wakecast::Secret;
use wakecast_lambda::auth::{FIRST_USE, Issuer, Key, TICKET_LIFE};
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

/// What a ticket is for: one stream, published or played, by the vendor's own SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRequest {
    /// Whose it is.
    pub subject: String,
    /// The one stream.
    pub stream: String,
    /// Published, or else played.
    pub publish: bool,
}

impl TicketRequest {
    /// May play the stream.
    #[must_use]
    pub fn play(subject: impl Into<String>, stream: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            stream: stream.into(),
            publish: false,
        }
    }

    /// May publish the stream.
    #[must_use]
    pub fn publish(subject: impl Into<String>, stream: impl Into<String>) -> Self {
        Self {
            publish: true,
            ..Self::play(subject, stream)
        }
    }
}

/// A ticket. It must be used within [`FIRST_USE`](wakecast_lambda::auth::FIRST_USE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The ticket.
    pub secret: Secret,
}

impl Ticket {
    /// Returns what the vendor's SDK takes as its `httpEndpointUrl`.
    pub(crate) fn endpoint_url(&self, access_url: &str) -> Secret {
        Secret::new(format!("{access_url}/?ticket={}", self.secret.expose()))
    }
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
        let secret = self.sign(None, &claims)?;
        let expires_at = Timestamp::from_millis(expires * 1000);
        Ok(Token {
            secret,
            expires_in: now.until(expires_at),
        })
    }

    pub(super) fn ticket(
        &self,
        clock: &dyn Clock,
        request: &TicketRequest,
    ) -> Result<Ticket, TokenError> {
        let now = clock.now().as_millis() / 1000;
        let claims = json!({
            "iss": ISSUER,
            "aud": "wakecast-ticket",
            "sub": request.subject,
            "iat": now,
            "exp": now + (FIRST_USE + TICKET_LIFE).as_secs(),
            "tenant": self.fleet.tenant,
            "fleet": self.fleet.fleet,
            "app": self.app,
            "stream": request.stream,
            "purpose": if request.publish { "publish" } else { "play" },
        });
        let secret = self.sign(Some("wakecast-ticket+jwt"), &claims)?;
        Ok(Ticket { secret })
    }

    fn sign(&self, typ: Option<&str>, claims: &Value) -> Result<Secret, TokenError> {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = typ.map(str::to_owned).or(header.typ);
        let key = EncodingKey::from_secret(self.secret.expose().as_bytes());
        Ok(Secret::new(encode(&header, claims, &key)?))
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
