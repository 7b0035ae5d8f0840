//! Verifies a token: a strict wrapper around `jsonwebtoken`.
//!
//! The algorithm is fixed, not read from the token; a key is found by comparing its configured
//! name, never by looking anything up; times are compared with the port's clock, in exact types.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use wakecast::protocol::MAX_TOKEN;
use wakecast::{ErrorCode, Secret};

use super::claims;
use super::ticket::{self, Ticket};
use crate::model::{Grants, Timestamp};

/// Shortest HS256 secret in bytes: as long as the hash, as RFC 7518 §3.2 demands.
const MIN_SECRET: usize = 32;

/// What every token must name as its audience.
const AUDIENCE: &str = "wakecast";

/// What every ticket must name as its audience.
const TICKET_AUDIENCE: &str = "wakecast-ticket";

/// The `typ` of a ticket's header, as RFC 8725 §3.11 advises: nothing that is signed has two types,
/// so that no token is a ticket and no ticket a token, whatever their claims say.
const TICKET_TYPE: &str = "wakecast-ticket+jwt";

/// Somebody who may issue tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` claim.
    pub name: String,
    /// Keys that are valid now, HS256; several while keys are rotated.
    pub keys: Vec<Key>,
    /// Tenants that this issuer may speak for.
    pub tenants: BTreeSet<String>,
    /// Its tokens may carry the scope `admin`.
    pub admin: bool,
}

/// A shared secret.
#[derive(Clone, Debug)]
pub struct Key {
    /// The `kid` of the token's header; a key without one serves tokens without one.
    pub id: Option<String>,
    /// At least 32 bytes.
    pub secret: Secret,
}

/// A list of issuers that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Nobody could connect.
    #[error("no issuer has a key: configure at least one")]
    None,
    /// A secret could be guessed.
    #[error("a key of issuer `{0}` has fewer than 32 bytes: HS256 needs at least 32 random ones")]
    ShortSecret(String),
    /// Two keys would be tried for one token.
    #[error("issuer `{0}` has two keys with the same id: give each its own")]
    SameKey(String),
}

/// Why a token is refused. It never quotes the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// None came.
    #[error("no token: send it as `Authorization: Bearer` or as the subprotocol wakecast.bearer")]
    Missing,
    /// Larger than [`MAX_TOKEN`].
    #[error("the token is larger than 4096 bytes: put less into it")]
    TooLarge,
    /// Not three parts of base64url JSON.
    #[error("not a JSON Web Token: three parts of base64url are expected")]
    Malformed,
    /// Another algorithm than HS256.
    #[error("the token's algorithm is not HS256: sign it with HS256")]
    Algorithm,
    /// A ticket in place of a token, or the other way round.
    #[error("the header's `typ` is wrong: a ticket says wakecast-ticket+jwt, and a token does not")]
    Type,
    /// The header brings a key or demands an extension.
    #[error("the token's header holds `{0}`, which is never honoured: leave it out")]
    Header(&'static str),
    /// No configured key has this `kid`.
    #[error("the token's key id is not known: use the id of a configured key")]
    UnknownKey,
    /// Forged, or signed with another secret.
    #[error("the token's signature does not fit: sign it with the configured secret")]
    Signature,
    /// The key belongs to another issuer.
    #[error("the token's `iss` is not the issuer of its key")]
    Issuer,
    /// Made for somebody else.
    #[error("the token's `aud` is not wakecast")]
    Audience,
    /// A claim is missing or of the wrong type.
    #[error("the token's claim `{0}` is missing or of the wrong type")]
    Claim(&'static str),
    /// `exp` has passed; there is no leeway.
    #[error("the token has ended: fetch a fresh one")]
    Expired,
    /// `exp` is more than an hour ahead.
    #[error("the token lives longer than an hour: make it shorter")]
    TooLong,
    /// A ticket's `exp` is further from its `iat` than it can ever be good for.
    #[error("the ticket's `exp` is more than 660 s after its `iat`: make it shorter")]
    TicketTooLong,
    /// A ticket that nobody has used in its first minute.
    #[error("the ticket was first used more than 60 s after its `iat`: sign one for each page")]
    TicketTooLate,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet: check the issuer's clock")]
    NotYet,
    /// A valid token that allows nothing here.
    #[error("the token allows nothing here: it needs a tenant, fleets, apps and scopes")]
    NothingAllowed,
}

impl AuthError {
    /// Returns the HTTP status: 403 for a valid token that allows nothing, else 401.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NothingAllowed => 403,
            _ => 401,
        }
    }

    /// Returns the protocol's code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NothingAllowed => ErrorCode::Forbidden,
            Self::Expired | Self::TicketTooLate => ErrorCode::TokenExpired,
            _ => ErrorCode::TokenRejected,
        }
    }
}

/// Verifies tokens of the configured issuers.
#[derive(Debug)]
pub struct Verifier {
    candidates: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    issuer: Issuer,
    key_id: Option<String>,
    key: DecodingKey,
    token: Validation,
    ticket: Validation,
}

/// What a signed text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Token,
    Ticket,
}

impl Verifier {
    /// Builds a verifier.
    ///
    /// # Errors
    /// The list is empty, a secret is short, or two keys of an issuer have the same id.
    pub fn new(issuers: &[Issuer]) -> Result<Self, IssuerError> {
        let mut candidates = Vec::new();
        for issuer in issuers {
            let mut ids = BTreeSet::new();
            for key in &issuer.keys {
                if key.secret.expose().len() < MIN_SECRET {
                    return Err(IssuerError::ShortSecret(issuer.name.clone()));
                }
                if !ids.insert(key.id.clone()) {
                    return Err(IssuerError::SameKey(issuer.name.clone()));
                }
                candidates.push(Candidate {
                    issuer: Issuer {
                        keys: Vec::new(),
                        ..issuer.clone()
                    },
                    key_id: key.id.clone(),
                    key: DecodingKey::from_secret(key.secret.expose().as_bytes()),
                    token: validation(&issuer.name, AUDIENCE),
                    ticket: validation(&issuer.name, TICKET_AUDIENCE),
                });
            }
        }
        if candidates.is_empty() {
            return Err(IssuerError::None);
        }
        Ok(Self { candidates })
    }

    /// Verifies a token at `now` and returns what it allows.
    ///
    /// # Errors
    /// Says why the token is refused, without quoting it.
    pub fn verify(&self, token: &Secret, now: Timestamp) -> Result<Grants, AuthError> {
        self.check(token, Kind::Token, |claims, issuer| {
            claims::grants(claims, issuer, now)
        })
    }

    /// Verifies a ticket at `now` and returns what it allows, but not when it was first used: that is
    /// the table's to say.
    ///
    /// # Errors
    /// Says why the ticket is refused, without quoting it.
    pub fn verify_ticket(&self, ticket: &Secret, now: Timestamp) -> Result<Ticket, AuthError> {
        self.check(ticket, Kind::Ticket, |claims, issuer| {
            ticket::read(claims, issuer, ticket, now)
        })
    }

    fn check<T>(
        &self,
        token: &Secret,
        kind: Kind,
        read: impl Fn(&Map<String, Value>, &Issuer) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        let token = token.expose();
        if token.is_empty() {
            return Err(AuthError::Missing);
        }
        if token.len() > MAX_TOKEN {
            return Err(AuthError::TooLarge);
        }
        let key_id = check_header(token, kind)?;
        let mut refused = AuthError::UnknownKey;
        // Two issuers may use the same key id: the signature tells them apart.
        for candidate in &self.candidates {
            if candidate.key_id != key_id {
                continue;
            }
            match candidate.decode(token, kind) {
                Ok(map) => return read(&map, &candidate.issuer),
                Err(error) if refused == AuthError::UnknownKey => refused = error,
                Err(AuthError::Signature) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Candidate {
    fn decode(&self, token: &str, kind: Kind) -> Result<Map<String, Value>, AuthError> {
        let validation = match kind {
            Kind::Token => &self.token,
            Kind::Ticket => &self.ticket,
        };
        jsonwebtoken::decode::<Map<String, Value>>(token, &self.key, validation)
            .map(|data| data.claims)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => AuthError::Signature,
                ErrorKind::InvalidAlgorithm | ErrorKind::MissingAlgorithm => AuthError::Algorithm,
                ErrorKind::InvalidIssuer => AuthError::Issuer,
                ErrorKind::InvalidAudience => AuthError::Audience,
                ErrorKind::MissingRequiredClaim(name) => claims::wrong(name),
                _ => AuthError::Malformed,
            })
    }
}

/// Times are left to `claims`, which has the clock; the rest is checked here and there.
fn validation(issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = true;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

/// Reads the header before any key is touched, and returns its `kid`.
fn check_header(token: &str, kind: Kind) -> Result<Option<String>, AuthError> {
    #[derive(Deserialize)]
    struct Header {
        alg: Value,
        typ: Option<Value>,
        kid: Option<Value>,
        crit: Option<Value>,
        jku: Option<Value>,
        jwk: Option<Value>,
        x5u: Option<Value>,
        x5c: Option<Value>,
    }
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthError::Malformed);
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| AuthError::Malformed)?;
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| AuthError::Malformed)?;
    if header.alg != "HS256" {
        return Err(AuthError::Algorithm);
    }
    let typ = header.typ.as_ref().and_then(Value::as_str);
    let is_ticket = typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TICKET_TYPE));
    if is_ticket != (kind == Kind::Ticket) {
        return Err(AuthError::Type);
    }
    let foreign = [
        ("crit", &header.crit),
        ("jku", &header.jku),
        ("jwk", &header.jwk),
        ("x5u", &header.x5u),
        ("x5c", &header.x5c),
    ];
    if let Some((name, _)) = foreign.iter().find(|(_, value)| value.is_some()) {
        return Err(AuthError::Header(name));
    }
    match header.kid {
        None => Ok(None),
        Some(Value::String(id)) => Ok(Some(id)),
        Some(_) => Err(AuthError::UnknownKey),
    }
}
