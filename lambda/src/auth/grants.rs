//! What a token may ask for.

use wakecast::protocol::Purpose;

use crate::model::{Ask, FleetKey, Grants, Scope};

/// Why an ask is not covered by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The fleet is another tenant's, or is not named.
    #[error("the token's `fleets` do not name this fleet")]
    Fleet,
    /// The scope is missing.
    #[error("the token's scopes do not cover this purpose: it needs `{0}`")]
    Scope(&'static str),
    /// The app is not named.
    #[error("the token's `apps` do not name this app")]
    App,
    /// No pattern fits.
    #[error("no pattern of the token's `streams` fits this stream")]
    Stream,
    /// Without a stream the ask is for any.
    #[error("name a stream: only a token whose `streams` hold `*` may leave it out")]
    AnyStream,
}

/// Checks an ask of a fleet against what the token allows. `watch` needs what `play` needs.
///
/// # Errors
/// Says what is missing.
pub fn allows(grants: &Grants, fleet: &FleetKey, ask: &Ask) -> Result<(), NotAllowed> {
    if grants.tenant != fleet.tenant || !grants.fleets.contains(&fleet.fleet) {
        return Err(NotAllowed::Fleet);
    }
    let (scope, word) = match ask.purpose {
        Purpose::Publish => (Scope::Publish, "publish"),
        _ => (Scope::Play, "play"),
    };
    if !grants.scopes.contains(&scope) {
        return Err(NotAllowed::Scope(word));
    }
    if !grants.apps.contains(&ask.app) {
        return Err(NotAllowed::App);
    }
    match &ask.stream_id {
        None if !grants.streams.iter().any(|pattern| pattern == "*") => Err(NotAllowed::AnyStream),
        Some(stream) if !grants.streams.iter().any(|pattern| fits(pattern, stream)) => {
            Err(NotAllowed::Stream)
        }
        _ => Ok(()),
    }
}

/// A pattern is exact, or a prefix with one trailing `*`.
fn fits(pattern: &str, stream: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => stream.starts_with(prefix),
        None => pattern == stream,
    }
}
