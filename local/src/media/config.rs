//! What one Ant Media Server stand-in is: its edition, apps, settings, secrets and faults.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::boot::{BootPhase, BootTimeline};
use super::webrtc::WebRtc;

/// Which product the stand-in behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// No WebRTC playing, no stream tokens, WebRTC publishing without a reply; the count of
    /// WebRTC streams reads −1.
    Community,
    /// WebRTC both ways and stream tokens.
    Enterprise,
}

/// One app of the server, with the settings written on its disk.
#[derive(Clone)]
pub struct AppConfig {
    /// The app's name, the first segment of its paths.
    pub name: String,
    /// The settings that differ from the vendor's defaults, by their JSON name. They hold
    /// secrets and never print.
    pub settings: BTreeMap<String, Value>,
}

impl AppConfig {
    /// An app with the vendor's defaults.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: BTreeMap::new(),
        }
    }

    /// Sets one setting, as the operator would in `red5-web.properties`.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Switches stream tokens on for publishing and playing, signed with `secret`.
    #[must_use]
    pub fn with_stream_tokens(self, secret: &str) -> Self {
        self.with_setting("publishJwtControlEnabled", true)
            .with_setting("playJwtControlEnabled", true)
            .with_setting("jwtStreamSecretKey", secret)
    }
}

impl std::fmt::Debug for AppConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.settings.keys().collect();
        f.debug_struct("AppConfig")
            .field("name", &self.name)
            .field("settings", &names)
            .finish()
    }
}

/// The server as it is installed: what survives a restart.
#[derive(Clone)]
pub struct MediaConfig {
    /// Which product it is.
    pub edition: Edition,
    /// The host name that liveness reports.
    pub host: String,
    /// The version that `/rest/v2/version` reports.
    pub version: String,
    /// The apps in the order in which they get ready.
    pub apps: Vec<AppConfig>,
    /// The secret of the server's JWT control; `None` turns the control off, and then the root
    /// API is open to nobody.
    pub server_secret: Option<String>,
    /// How a boot goes.
    pub boot: BootTimeline,
    /// The box's wall clock when the driver's clock reads zero, in milliseconds since 1970.
    /// Token times are judged by it, so a value that differs from the caller's is clock skew.
    pub unix_ms_at_zero: u64,
    /// Seeds the scatter of what the real server leaves to its timers.
    pub seed: u64,
    /// How the Enterprise Edition carries real media; with `None` the signalling alone is
    /// modelled, and every offer is taken to flow. The keys of connections are drawn from the
    /// operating system, so that a run with media is not repeated by its seed.
    pub webrtc: Option<WebRtc>,
}

impl MediaConfig {
    /// An Enterprise Edition with one app `live`, no tokens and the observed boot.
    pub fn enterprise() -> Self {
        Self {
            edition: Edition::Enterprise,
            host: "media".to_owned(),
            version: "3.0.3".to_owned(),
            apps: vec![AppConfig::new("live")],
            server_secret: None,
            boot: BootTimeline::OBSERVED,
            unix_ms_at_zero: 0,
            seed: 0,
            webrtc: None,
        }
    }

    /// A Community Edition with one app `live`, no tokens and the observed boot.
    pub fn community() -> Self {
        Self {
            edition: Edition::Community,
            ..Self::enterprise()
        }
    }

    /// Replaces the apps.
    #[must_use]
    pub fn with_apps(mut self, apps: impl IntoIterator<Item = AppConfig>) -> Self {
        self.apps = apps.into_iter().collect();
        self
    }

    /// Turns the server's JWT control on.
    #[must_use]
    pub fn with_server_secret(mut self, secret: &str) -> Self {
        self.server_secret = Some(secret.to_owned());
        self
    }

    /// Replaces the boot timeline.
    #[must_use]
    pub fn with_boot(mut self, boot: BootTimeline) -> Self {
        self.boot = boot;
        self
    }

    /// Carries real media.
    #[must_use]
    pub fn with_webrtc(mut self, webrtc: WebRtc) -> Self {
        self.webrtc = Some(webrtc);
        self
    }

    /// Sets the box's wall clock at the driver's zero.
    #[must_use]
    pub fn with_unix_ms_at_zero(mut self, unix_ms: u64) -> Self {
        self.unix_ms_at_zero = unix_ms;
        self
    }
}

impl std::fmt::Debug for MediaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaConfig")
            .field("edition", &self.edition)
            .field("apps", &self.apps)
            .field("boot", &self.boot)
            .finish_non_exhaustive()
    }
}

/// What is scripted to go wrong. Each field takes effect when it is set and ends when it is
/// cleared, except that a boot keeps the slowdown it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Connections are accepted and nothing is answered, on HTTP and on open WebSockets. What
    /// arrived meanwhile is answered when the hang ends.
    pub hang: bool,
    /// The next boots take this many percent of the timeline.
    pub slowdown_percent: u32,
    /// A boot never passes this phase.
    pub hold_at: Option<BootPhase>,
    /// Every root path but liveness answers 403, as with another server secret.
    pub forbidden: bool,
    /// Settings (app, name) that read these values instead of their own, and act by them.
    #[serde(serialize_with = "named")]
    pub wrong_settings: BTreeMap<(String, String), Value>,
}

/// Settings as `app/name`: a map of JSON has texts for keys.
fn named<S: Serializer>(
    settings: &BTreeMap<(String, String), Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let named = settings.iter();
    serializer.collect_map(named.map(|((app, name), value)| (format!("{app}/{name}"), value)))
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            hang: false,
            slowdown_percent: 100,
            hold_at: None,
            forbidden: false,
            wrong_settings: BTreeMap::new(),
        }
    }
}

/// The vendor's default of each setting the stand-in knows.
pub(super) fn default_settings() -> BTreeMap<String, Value> {
    let defaults = [
        ("acceptOnlyStreamsInDataStore", Value::from(false)),
        ("hlsMuxingEnabled", Value::from(true)),
        ("ipFilterEnabled", Value::from(true)),
        ("jwtControlEnabled", Value::from(false)),
        ("jwtSecretKey", Value::Null),
        ("jwtStreamSecretKey", Value::Null),
        ("listenerHookURL", Value::from("")),
        ("mp4MuxingEnabled", Value::from(false)),
        ("playJwtControlEnabled", Value::from(false)),
        ("publishJwtControlEnabled", Value::from(false)),
        ("remoteAllowedCIDR", Value::from("127.0.0.1")),
        ("webRTCEnabled", Value::from(true)),
    ];
    defaults
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
