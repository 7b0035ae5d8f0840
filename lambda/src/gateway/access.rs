//! The HTTP routes, of which `GET /v1/access` and `POST /v1/hints/<secret>` are answered here.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wakecast::Secret;
use wakecast::protocol::VERSION;

use super::Gateway;
use super::event::{HttpEvent, Response, bearer};
use crate::model::FleetKey;

const ACCESS: &str = "/v1/access";
const HINTS: &str = "/v1/hints/";
/// The vendor's SDK asks whatever URL it is given; ours is the root.
const VENDOR: &str = "/";

/// While the table does not answer, nobody needs to ask again sooner.
const RETRY_AFTER_S: &str = "5";

/// A browser may remember for this long that the access check may be asked: Chrome's own limit.
const PREFLIGHT_LIFE_S: &str = "7200";

impl Gateway {
    pub(super) async fn request(&self, event: &HttpEvent) -> Response {
        match (event.method(), event.path()) {
            ("GET", ACCESS) => self.with_cors(event, self.access(event).await),
            ("OPTIONS", ACCESS) => self.with_cors(event, preflight("Authorization")),
            (_, ACCESS) => not_allowed(),
            (_, VENDOR) if !self.config.vendor_sdk => Response::status(404),
            ("GET", VENDOR) => self.with_cors(event, self.vendor(event).await),
            // Its request is a simple one. Whoever asks first all the same is let in.
            ("OPTIONS", VENDOR) => self.with_cors(event, preflight("Content-Type")),
            (_, VENDOR) => not_allowed(),
            ("POST", path) => match path.strip_prefix(HINTS) {
                Some(secret) => self.hint(&Secret::new(secret)).await,
                None => Response::status(404),
            },
            _ => Response::status(404),
        }
    }

    /// Says what a `$connect` with this token would have met, since a browser cannot see it.
    async fn access(&self, event: &HttpEvent) -> Response {
        let version = event.query("v").map(str::parse::<u32>);
        if version.is_some_and(|version| version != Ok(VERSION)) {
            return Response::status(426);
        }
        let token = event.header("authorization").and_then(bearer);
        let grants = match self.admit(&Secret::new(token.unwrap_or_default())) {
            Ok(grants) => grants,
            Err(error) => {
                tracing::info!(%error, "an access check was refused");
                return Response::status(error.status());
            }
        };
        // A connect needs the table: so does the answer that one would succeed. Only those whom an
        // issuer vouches for use up the reads, so that nobody else can keep them from asking.
        let now = self.ports.clock.now();
        if let Some(seconds) = self.recall.admit_access(now) {
            return Response::too_many(Duration::from_secs(seconds));
        }
        let (tenant, subject) = (&grants.tenant, &grants.subject);
        let links = self.ports.store.subject_links(tenant, subject, now).await;
        match links.map(|links| self.link_wait(&links, now)) {
            Ok(None) => Response::status(204),
            Ok(Some(wait)) => Response::too_many(wait),
            Err(_) => Response::status(503).with_header("Retry-After", RETRY_AFTER_S),
        }
    }

    /// Makes the fleet's reconciler look sooner, and nothing else: the body is not read. Hints
    /// within a second are one, which no caller can tell from the answer.
    async fn hint(&self, secret: &Secret) -> Response {
        let Some(fleet) = self.fleet_of(secret) else {
            return Response::status(404);
        };
        if self.recall.admit_hint(&fleet, self.ports.clock.now()) {
            self.ports.wake.wake(&fleet).await;
        }
        Response::status(204)
    }

    /// Compares with every configured secret, in a time that does not depend on any.
    fn fleet_of(&self, secret: &Secret) -> Option<FleetKey> {
        let given = Sha256::digest(secret.expose());
        let mut found = None;
        for hint in &self.config.hints {
            let known = Sha256::digest(hint.secret.expose());
            let pairs = known.iter().zip(given.iter());
            if pairs.fold(0_u8, |all, (known, given)| all | (known ^ given)) == 0 {
                found = Some(hint.fleet.clone());
            }
        }
        found
    }

    fn with_cors(&self, event: &HttpEvent, response: Response) -> Response {
        let response = response.with_header("Cache-Control", "no-store");
        let Some(origin) = event.header("origin") else {
            return response;
        };
        let origins = &self.config.origins;
        let allowed = if origins.iter().any(|known| known == "*") {
            "*"
        } else if origins.iter().any(|known| known == origin) {
            origin
        } else {
            return response.with_header("Vary", "Origin");
        };
        response
            .with_header("Access-Control-Allow-Origin", allowed)
            .with_header("Access-Control-Expose-Headers", "Retry-After")
            .with_header("Vary", "Origin")
    }
}

/// What a browser may ask of a route that is read by `GET`.
fn preflight(headers: &str) -> Response {
    Response::status(204)
        .with_header("Access-Control-Allow-Methods", "GET, OPTIONS")
        .with_header("Access-Control-Allow-Headers", headers)
        .with_header("Access-Control-Max-Age", PREFLIGHT_LIFE_S)
}

fn not_allowed() -> Response {
    Response::status(405).with_header("Allow", "GET, OPTIONS")
}
