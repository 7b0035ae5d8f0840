//! Tickets: what a page hands to an SDK that can send no header.
//!
//! A ticket travels in a URL, and so may be seen by others: it is good for one stream and one purpose,
//! must be used within a minute, and ends ten minutes after that.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use wakecast::Secret;
use wakecast::protocol::Purpose;

use super::claims::{alive, name, time};
use super::verify::{AuthError, Issuer};
use crate::model::{Ask, Grants, Scope, Timestamp};

/// A ticket is first used at most this long after it was signed: a page asks at once, and whoever
/// finds its URL later finds it used or void.
pub const FIRST_USE: Duration = Duration::from_secs(60);

/// A ticket is good for this long from its first use: a boot from nothing, and the SDK's reconnects
/// in the first minutes.
pub const TICKET_LIFE: Duration = Duration::from_secs(600);

/// A verified ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its name: a hash of what was signed, which is of no use to anybody.
    pub id: String,
    /// Whose it is, and until when at most; it covers the fleet and the ask alone.
    pub grants: Grants,
    /// The fleet.
    pub fleet: String,
    /// The one stream, and whether it is published or played.
    pub ask: Ask,
    /// When it was signed.
    pub issued_at: Timestamp,
}

/// Reads the claims of a ticket whose signature fits.
pub(super) fn read(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    ticket: &Secret,
    now: Timestamp,
) -> Result<Ticket, AuthError> {
    let expires_at = alive(claims, issuer, now)?;
    let issued_at = time(claims, "iat")?.ok_or(AuthError::Claim("iat"))?;
    if issued_at.until(expires_at) > FIRST_USE + TICKET_LIFE {
        return Err(AuthError::TicketTooLong);
    }
    let named = |claim| name(claims, claim)?.ok_or(AuthError::Claim(claim));
    let (tenant, fleet) = (named("tenant")?, named("fleet")?);
    let (app, stream) = (named("app")?, named("stream")?);
    // A pattern would be many streams, and no stream's id holds one.
    if stream.contains('*') {
        return Err(AuthError::Claim("stream"));
    }
    let (purpose, scope) = match named("purpose")?.as_str() {
        "play" => (Purpose::Play, Scope::Play),
        "publish" => (Purpose::Publish, Scope::Publish),
        _ => return Err(AuthError::Claim("purpose")),
    };
    if !issuer.tenants.contains(&tenant) {
        return Err(AuthError::NothingAllowed);
    }
    Ok(Ticket {
        id: id(ticket),
        grants: Grants {
            subject: named("sub")?,
            tenant,
            fleets: vec![fleet.clone()],
            apps: vec![app.clone()],
            streams: vec![stream.clone()],
            scopes: BTreeSet::from([scope]),
            expires_at,
        },
        fleet,
        ask: Ask {
            purpose,
            app,
            stream_id: Some(stream),
        },
        issued_at,
    })
}

/// Hashes what the signature covers: another spelling of the signature is the same ticket.
fn id(ticket: &Secret) -> String {
    let ticket = ticket.expose();
    let signed = ticket.rsplit_once('.').map_or(ticket, |(signed, _)| signed);
    format!("ticket.{}", URL_SAFE_NO_PAD.encode(Sha256::digest(signed)))
}
