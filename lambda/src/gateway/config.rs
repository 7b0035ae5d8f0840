//! What an operator sets for the gateway, checked at start.

use std::collections::BTreeMap;
use std::time::Duration;

use wakecast::Secret;
use wakecast::protocol::{MAX_WAIT, MAX_WATCH, Purpose};

use crate::auth::{Issuer, IssuerError};
use crate::config::{ConfigError, FleetConfig, LinkCaps};
use crate::model::FleetKey;

/// Shortest hint secret in bytes: 128 random bits in base64url.
const MIN_HINT_SECRET: usize = 22;

/// Shortest wait of an acquire: nothing can be answered sooner than a round of the reconciler.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The gateway's configuration.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The fleets that may be asked for.
    pub fleets: BTreeMap<FleetKey, FleetConfig>,
    /// Who may issue tokens.
    pub issuers: Vec<Issuer>,
    /// The secret paths by which media servers and instances give hints.
    pub hints: Vec<Hint>,
    /// Origins that may read `/v1/access` and the vendor SDK's route in a browser; `*` for any. Any is
    /// safe: no cookie is involved, the token or ticket is the app's own.
    pub origins: Vec<String>,
    /// What links are told.
    pub link: LinkConfig,
    /// How many links one subject may open.
    pub links: LinkCaps,
    /// How long an acquire may wait.
    pub waits: Waits,
    /// Serves `GET /?source=sdk&ticket=…`, the route of Ant Media's own JavaScript SDK. Off unless
    /// it is needed: its tickets travel in URLs.
    pub vendor_sdk: bool,
}

/// A secret path and the fleet it wakes.
#[derive(Clone, Debug)]
pub struct Hint {
    /// The last part of `POST /v1/hints/<secret>`; at least 22 characters of base64url.
    pub secret: Secret,
    /// The fleet whose reconciler looks sooner.
    pub fleet: FleetKey,
}

/// What links are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Heartbeat of a quiet link.
    pub heartbeat: Duration,
    /// Age at which the API Gateway cuts a link.
    pub max_age: Duration,
    /// New connections a second that a reconnect may use up, of the account's 500.
    pub connects_per_second: u32,
}

impl Default for LinkConfig {
    /// 270 s, since the gateway cuts after 10 min of silence and each ping is billed; 2 h, the
    /// gateway's limit; 350, which leaves room for refused and first connects.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(270),
            max_age: Duration::from_secs(2 * 3600),
            connects_per_second: 350,
        }
    }
}

/// How long an acquire may wait; each is at least one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Of an acquire that says 0; at most `longest`.
    pub default: Duration,
    /// The longest wait of `publish` and `play`.
    pub longest: Duration,
    /// The longest wait of `watch`, and the one of a `watch` that says 0.
    pub watch: Duration,
}

impl Default for Waits {
    /// 10 min, two boots of a stopped instance and a retry; an hour, a token's life; a day.
    fn default() -> Self {
        Self {
            default: Duration::from_secs(600),
            longest: MAX_WAIT,
            watch: MAX_WATCH,
        }
    }
}

impl Waits {
    /// Returns how long an acquire waits that asks for `asked`, 0 for the default.
    pub(super) fn of(&self, purpose: Purpose, asked: Duration) -> Duration {
        let (default, longest) = match purpose {
            Purpose::Watch => (self.watch, self.watch),
            _ => (self.default, self.longest),
        };
        match asked {
            Duration::ZERO => default,
            asked => asked.min(longest).max(SHORTEST_WAIT),
        }
    }

    fn check(&self) -> Result<(), GatewayConfigError> {
        let waits = [
            ("waits.default", self.default),
            ("waits.longest", self.longest),
            ("waits.watch", self.watch),
        ];
        match waits.into_iter().find(|(_, wait)| *wait < SHORTEST_WAIT) {
            Some((name, _)) => Err(GatewayConfigError::ShortWait(name)),
            None if self.default > self.longest => Err(GatewayConfigError::DefaultWait),
            None => Ok(()),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayConfigError {
    /// Nobody could connect.
    #[error(transparent)]
    Issuers(#[from] IssuerError),
    /// Nothing could be asked for.
    #[error("no fleet is configured: name at least one")]
    NoFleet,
    /// A hint's path could be guessed.
    #[error("the hint secret of {0} has fewer than 22 characters: use 128 random bits")]
    ShortHint(FleetKey),
    /// A hint for an unknown fleet.
    #[error("the hint secret of {0} names a fleet that is not configured")]
    HintFleet(FleetKey),
    /// The spread would be without end.
    #[error("connects_per_second is 0: use at most the account's limit, 350 by default")]
    NoConnects,
    /// Nobody could connect.
    #[error(transparent)]
    Links(ConfigError),
    /// Every acquire would be over before it could be answered.
    #[error("{0} is below one second: give acquires the time of at least one round")]
    ShortWait(&'static str),
    /// Whoever names no deadline would wait for longer than anybody may.
    #[error("waits.default is above waits.longest: lower the one or raise the other")]
    DefaultWait,
}

impl GatewayConfig {
    /// Checks everything but the issuers, which their verifier checks.
    pub(super) fn check(&self) -> Result<(), GatewayConfigError> {
        if self.fleets.is_empty() {
            return Err(GatewayConfigError::NoFleet);
        }
        for hint in &self.hints {
            if hint.secret.expose().len() < MIN_HINT_SECRET {
                return Err(GatewayConfigError::ShortHint(hint.fleet.clone()));
            }
            if !self.fleets.contains_key(&hint.fleet) {
                return Err(GatewayConfigError::HintFleet(hint.fleet.clone()));
            }
        }
        if self.link.connects_per_second == 0 {
            return Err(GatewayConfigError::NoConnects);
        }
        self.links.validate().map_err(GatewayConfigError::Links)?;
        self.waits.check()
    }
}
