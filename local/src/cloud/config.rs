//! What the local cloud is made of, and its two profiles.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wakecast_lambda::config::{
    Budget, Caps, Counts, EndpointConfig, FleetConfig, KnownSetting, LinkCaps, Offering, Prior,
    SubjectCaps, Timing,
};
use wakecast_lambda::decisions::DecisionLog;
use wakecast_lambda::gateway::{LinkConfig, Waits};
use wakecast_lambda::model::FleetKey;

use crate::ec2::Ec2Settings;
use crate::gateway::Limits;
use crate::media::{BootTimeline, WebRtc};
use crate::random::Span;
use crate::real::RealServer;

/// The one app of the media stand-ins.
pub const APP: &str = "live";

/// The setting that shows whether an early touch has reset the app: switched on, and off by the
/// vendor's default.
const KNOWN_SETTING: &str = "publishJwtControlEnabled";

/// A table outlives no process here, so that any name will do.
const TABLE_ID: &str = "local";

/// The longest life that the gateway accepts of a token.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(1);

/// How fast the local cloud lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The real lifecycle, shortened for somebody who develops an app against it.
    #[default]
    Default,
    /// The whole lifecycle within a minute.
    Demonstration,
    /// Every wait as short as it may be: for tests that wait for events.
    Test,
}

/// What the local cloud is made of. Start from a profile and change what matters.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The port of the WebSocket API; the HTTP API, the admin and the Elastic IP take the next
    /// three. `None` takes free ones.
    pub port: Option<u16>,
    /// The fleet and its tenant, which tokens name.
    pub fleet: FleetKey,
    /// How long tokens live that do not say, at most [`LONGEST_TOKEN_LIFE`].
    pub token_life: Duration,
    /// The gateway's limits.
    pub limits: Limits,
    /// What links are told.
    pub link: LinkConfig,
    /// How long an acquire may wait.
    pub waits: Waits,
    /// Serves the vendor's own JavaScript SDK at the root of the HTTP API, to whom a ticket is given.
    pub vendor_sdk: bool,
    /// Times of the lifecycle.
    pub timing: Timing,
    /// Caps on starts, and on what one subject may ask for.
    pub caps: Caps,
    /// How many links one subject may open.
    pub links: LinkCaps,
    /// How long instances may run in a day.
    pub budget: Budget,
    /// Boot times that are told before there is history.
    pub prior: Vec<Prior>,
    /// What can be launched, in order.
    pub offerings: Vec<Offering>,
    /// The image id; an empty one makes every launch `misconfigured`.
    pub image: String,
    /// The endpoint is one fixed port, an Elastic IP, that leads to whichever instance it is on;
    /// otherwise it is the instance's own port, another one after each start.
    pub elastic: bool,
    /// The simulated EC2.
    pub ec2: Ec2Settings,
    /// How the media stand-ins boot.
    pub boot: BootTimeline,
    /// How the media stand-ins carry real media; `None` for their signalling alone.
    pub webrtc: Option<WebRtc>,
    /// A real media server in place of the stand-ins. It has its own address, so that `elastic`
    /// does not go with it.
    pub media_server: Option<RealServer>,
    /// Seeds everything simulated; `None` draws one.
    pub seed: Option<u64>,
    /// Where the reconciler's decisions are logged, if anywhere.
    pub decision_log: Option<Arc<dyn DecisionLog>>,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self::profile(Profile::Default)
    }
}

impl LocalConfig {
    /// Builds the configuration of a profile.
    #[must_use]
    pub fn profile(profile: Profile) -> Self {
        match profile {
            Profile::Default => Self::developer(),
            Profile::Demonstration => Self::demonstration(),
            Profile::Test => Self::test(),
        }
    }

    /// The lifecycle as it is in production, with grace, settle and tick short enough to see an
    /// app through a drain.
    fn developer() -> Self {
        let timing = Timing {
            grace: Duration::from_secs(60),
            min_up: Duration::from_secs(60),
            stream_token: Duration::from_secs(20),
            tick: Duration::from_secs(5),
            ..Timing::default()
        };
        Self {
            port: None,
            fleet: FleetKey {
                tenant: "local".to_owned(),
                fleet: "main".to_owned(),
            },
            token_life: LONGEST_TOKEN_LIFE,
            limits: Limits::default(),
            link: LinkConfig::default(),
            waits: Waits::default(),
            vendor_sdk: false,
            timing,
            // Nobody pays for simulated instances, and developers start them all day.
            caps: Caps {
                launches_per_hour: 1_000,
                starts_per_hour: 1_000,
                // Everybody here shares the one token that is printed.
                subject: SubjectCaps::OFF,
            },
            links: LinkCaps::OFF,
            budget: Budget {
                fleet_per_day: None,
                tenant_per_day: None,
            },
            prior: Prior::demonstration(),
            offerings: vec![
                offering("c7g.xlarge", "eu-central-1a"),
                offering("c7g.xlarge", "eu-central-1b"),
                offering("c6g.xlarge", "eu-central-1a"),
            ],
            image: "ami-0123456789abcdef0".to_owned(),
            elastic: false,
            ec2: Ec2Settings {
                // Fast enough to wait for, slow enough to see.
                pending: Span::millis(1_500, 2_500),
                stopping: Span::millis(1_500, 2_500),
                shutting_down: Span::millis(1_000, 2_000),
                describe_lag: Span::millis(100, 400),
                ..Ec2Settings::default()
            },
            boot: BootTimeline::OBSERVED,
            webrtc: None,
            media_server: None,
            seed: None,
            decision_log: None,
        }
    }

    /// Grace and minimum up-time 3 s, stream tokens 5 s and so settle 10 s, tick 1 s, client
    /// tokens 20 s.
    fn demonstration() -> Self {
        Self {
            token_life: Duration::from_secs(20),
            timing: Timing::demonstration(),
            ..Self::developer()
        }
    }

    /// Grace and minimum up-time 300 ms, stream tokens 3 s and so settle 8 s, a boot within a second.
    fn test() -> Self {
        let base = Self::demonstration();
        Self {
            token_life: LONGEST_TOKEN_LIFE,
            timing: Timing {
                grace: Duration::from_millis(300),
                min_up: Duration::from_millis(300),
                stream_token: Duration::from_secs(3),
                round: Duration::from_millis(50),
                tick: Duration::from_millis(250),
                ..base.timing
            },
            ec2: Ec2Settings {
                // Long enough for `launching` to be seen between two rounds.
                pending: Span::millis(300, 400),
                stopping: Span::millis(20, 60),
                shutting_down: Span::millis(20, 60),
                describe_lag: Span::millis(0, 20),
                request: Span::millis(1, 5),
                reply: Span::millis(1, 5),
                ..base.ec2
            },
            boot: BootTimeline::QUICK,
            ..base
        }
    }

    /// Builds the fleet's configuration; `elastic` is the fixed address, if there is one.
    pub(super) fn fleet_config(&self, elastic: Option<SocketAddr>) -> FleetConfig {
        FleetConfig {
            apps: vec![self.app().to_owned()],
            known_setting: self.known_setting(),
            min: 0,
            max: 1,
            offerings: self.offerings.clone(),
            image: self.image.clone(),
            template: "1".to_owned(),
            endpoint: self.endpoint(elastic),
            counts: self
                .media_server
                .as_ref()
                .map_or(Counts::ENTERPRISE, |real| real.counts),
            timing: self.timing,
            caps: self.caps,
            budget: self.budget,
            prior: self.prior.clone(),
            table_id: TABLE_ID.to_owned(),
        }
    }

    /// Returns the one app.
    pub(super) fn app(&self) -> &str {
        self.media_server.as_ref().map_or(APP, |real| &real.app)
    }

    fn known_setting(&self) -> KnownSetting {
        match &self.media_server {
            Some(real) => real.known_setting(),
            None => KnownSetting {
                app: APP.to_owned(),
                name: KNOWN_SETTING.to_owned(),
                value: Value::Bool(true),
            },
        }
    }

    fn endpoint(&self, elastic: Option<SocketAddr>) -> EndpointConfig {
        let host = elastic.map_or_else(|| "{address}".to_owned(), |address| address.to_string());
        let (websocket_url, http_url) = match &self.media_server {
            Some(real) => real.url.endpoint(),
            None => (
                format!("ws://{host}/{{app}}/websocket"),
                format!("http://{host}/{{app}}"),
            ),
        };
        EndpointConfig {
            websocket_url,
            http_url,
            elastic: elastic.is_some(),
        }
    }

    /// Returns where the `nth` server listens: on loopback only.
    pub(super) fn address(&self, nth: u16) -> SocketAddr {
        let port = self.port.map_or(0, |first| first.saturating_add(nth));
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }
}

fn offering(instance_type: &str, zone: &str) -> Offering {
    Offering {
        instance_type: instance_type.to_owned(),
        zone: zone.to_owned(),
        subnet: format!("subnet-{zone}"),
    }
}
