//! What every world is made of: one tenant, one fleet, its secrets and its servers.

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use wakecast::Secret;
use wakecast_lambda::auth::{Issuer, Key};
use wakecast_lambda::config::{
    Budget, Caps, Counts, EndpointConfig, FleetConfig, KnownSetting, LinkCaps, Offering, Prior,
    Timing,
};
use wakecast_lambda::gateway::{Gateway, GatewayConfig, GatewayPorts, LinkConfig, Waits};
use wakecast_lambda::media::JwtStreamTokens;
use wakecast_lambda::model::{FleetKey, Timestamp};
use wakecast_local::media::{AppConfig, BootTimeline, Faults, MediaConfig};

use super::users::APP;

/// Every world begins at the same moment of the wall clock, far from the epoch.
pub const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// The stack's name.
pub const STACK: &str = "simulation";
/// Where the Elastic IP's name leads.
pub const ELASTIC_HOST: &str = "live.sim:5443";
/// The zones of the region.
pub const ZONES: [&str; 2] = ["sim-1a", "sim-1b"];

const ISSUER: &str = "app";
const SECRET: &str = "a-shared-secret-of-the-simulation-only";
const SERVER_SECRET: &str = "a-server-secret-of-the-simulation-only";
const STREAM_SECRET: &str = "a-stream-secret-of-the-simulation-only";
const HOOK: &str = "https://hooks.sim/v1";

/// The one fleet.
#[must_use]
pub fn fleet() -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: "main".to_owned(),
    }
}

/// The fleet's settings, with the real numbers.
#[must_use]
pub fn config() -> FleetConfig {
    let offerings = ["c7g.xlarge", "c6g.xlarge"]
        .into_iter()
        .flat_map(|instance_type| {
            ZONES.into_iter().map(move |zone| Offering {
                instance_type: instance_type.to_owned(),
                zone: zone.to_owned(),
                subnet: format!("subnet-{zone}"),
            })
        });
    FleetConfig {
        apps: vec![APP.to_owned()],
        known_setting: KnownSetting {
            app: APP.to_owned(),
            name: "listenerHookURL".to_owned(),
            value: json!(HOOK),
        },
        min: 0,
        max: 1,
        offerings: offerings.collect(),
        image: "ami-simulation".to_owned(),
        template: "7".to_owned(),
        endpoint: template(),
        counts: Counts {
            webrtc: true,
            hls: true,
            dash: false,
        },
        timing: Timing::default(),
        caps: Caps::default(),
        budget: Budget::default(),
        prior: Prior::defaults(),
        table_id: "0123456789abcdef".to_owned(),
    }
}

/// An endpoint at the instance's own address.
#[must_use]
pub fn template() -> EndpointConfig {
    EndpointConfig {
        websocket_url: "wss://{address}/{app}/websocket".to_owned(),
        http_url: "https://{address}/{app}".to_owned(),
        elastic: false,
    }
}

/// An endpoint behind an Elastic IP.
#[must_use]
pub fn elastic() -> EndpointConfig {
    EndpointConfig {
        websocket_url: format!("wss://{ELASTIC_HOST}/{{app}}/websocket"),
        http_url: format!("https://{ELASTIC_HOST}/{{app}}"),
        elastic: true,
    }
}

/// The image's media server.
#[must_use]
pub fn installed(seed: u64) -> MediaConfig {
    let app = AppConfig::new(APP).with_setting("listenerHookURL", HOOK);
    let mut installed = MediaConfig::enterprise()
        .with_apps([app.with_stream_tokens(STREAM_SECRET)])
        .with_server_secret(SERVER_SECRET)
        .with_boot(BootTimeline::OBSERVED);
    installed.seed = seed;
    installed
}

/// A boot whose settings are lost.
#[must_use]
pub fn lost_settings() -> Faults {
    let setting = (APP.to_owned(), "listenerHookURL".to_owned());
    Faults {
        wrong_settings: BTreeMap::from([(setting, json!(""))]),
        ..Faults::default()
    }
}

/// The secret of the media server's root API.
#[must_use]
pub fn server_secret() -> Secret {
    Secret::from(SERVER_SECRET.to_owned())
}

/// Mints stream tokens.
#[must_use]
pub fn stream_tokens() -> JwtStreamTokens {
    JwtStreamTokens::new([(APP.to_owned(), Secret::from(STREAM_SECRET.to_owned()))])
}

/// Mints a client token, as the app's backend does.
#[must_use]
pub fn client_token(subject: &str, expires_at: Timestamp) -> Secret {
    signed_token(subject, expires_at, SECRET)
}

/// A client token signed by somebody else.
#[must_use]
pub fn forged_token(subject: &str, expires_at: Timestamp) -> Secret {
    signed_token(
        subject,
        expires_at,
        "a-secret-that-the-gateway-does-not-know",
    )
}

fn signed_token(subject: &str, expires_at: Timestamp, secret: &str) -> Secret {
    let claims = json!({
        "iss": ISSUER,
        "aud": "wakecast",
        "sub": subject,
        "exp": expires_at.as_millis() / 1_000,
        "tenant": fleet().tenant,
        "fleets": [fleet().fleet],
        "apps": [APP],
        "streams": ["*"],
        "scopes": ["play", "publish"],
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key);
    Secret::from(token.unwrap_or_default())
}

/// Builds the gateway.
///
/// # Panics
/// If the simulation's own configuration is wrong.
#[must_use]
pub fn gateway(ports: GatewayPorts, config: &FleetConfig, links: LinkCaps) -> Gateway {
    let issuer = Issuer {
        name: ISSUER.to_owned(),
        keys: vec![Key {
            id: None,
            secret: Secret::from(SECRET.to_owned()),
        }],
        tenants: BTreeSet::from([fleet().tenant]),
        admin: false,
    };
    let config = GatewayConfig {
        fleets: BTreeMap::from([(fleet(), config.clone())]),
        issuers: vec![issuer],
        hints: Vec::new(),
        origins: vec!["*".to_owned()],
        link: LinkConfig::default(),
        links,
        waits: Waits::default(),
        vendor_sdk: false,
    };
    match Gateway::new(ports, config) {
        Ok(gateway) => gateway,
        Err(error) => panic!("the simulation's gateway: {error}"),
    }
}
