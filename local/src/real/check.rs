//! Looks at a real server once, before anything is served: a server that could never become ready
//! is told at the start, in words, and not after ten minutes of a boot that does not end.
//!
//! The order is that of warming: only root paths until the server lists the app.

use serde_json::Value;
use wakecast_lambda::config::{Counts, KnownSetting};
use wakecast_lambda::ports::{MediaError, MediaServer};

use super::RealServer;

/// What the server's REST interface says to a call without a valid login or token.
const NOT_AUTHENTICATED: &str = "Not authenticated user";
/// What it says to a token of another secret, or of another time.
const INVALID_TOKEN: &str = "Invalid Server JWT Token";
/// What it says to an address outside its list.
const NOT_ALLOWED: &str = "Not allowed IP";

/// Why a real server cannot stand behind the simulated instances.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealServerError {
    /// Nothing answers, or nothing that has booted.
    #[error(
        "no media server answers at {root}: {why}; expected `GET /rest/v2/liveness` to say ok; \
         start the server or mend --media-server{hint}"
    )]
    Unreachable {
        /// The server's root.
        root: String,
        /// What was seen.
        why: String,
        /// About ports.
        hint: &'static str,
    },
    /// Something answers that is no Ant Media Server, or one behind a proxy of its own mind.
    #[error(
        "what answers at {root} is not understood: {why}; expected an Ant Media Server; {remedy}"
    )]
    NotUnderstood {
        /// The server's root.
        root: String,
        /// What was seen.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// 403.
    #[error("the media server at {root} refuses our calls (403, \"{words}\"): {remedy}")]
    Refused {
        /// The server's root.
        root: String,
        /// The server's own words.
        words: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The app is not among those that run.
    #[error(
        "the media server at {root} does not run the app `{app}`: it lists {listed}; choose one \
         with --media-app"
    )]
    App {
        /// The server's root.
        root: String,
        /// The app that was asked for.
        app: String,
        /// Those that run.
        listed: String,
    },
    /// The app has no setting of that name.
    #[error(
        "the app `{app}` has no setting `{name}`: expected it to be {expected}; {remedy}, or name \
         another setting with --media-setting"
    )]
    NoSetting {
        /// The app.
        app: String,
        /// The setting.
        name: String,
        /// Its value here.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The known setting has another value.
    #[error(
        "the app `{app}` has {name} = {found}, expected {expected}: {remedy}, or name another \
         setting with --media-setting"
    )]
    Setting {
        /// The app.
        app: String,
        /// The setting.
        name: String,
        /// Its value on the server.
        found: String,
        /// Its value here.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Tokens that we sign would be refused.
    #[error(
        "the app `{app}` signs stream tokens with another secret: expected its jwtStreamSecretKey \
         to be what --media-stream-secret-file or WAKECAST_MEDIA_STREAM_SECRET holds; make them \
         equal"
    )]
    StreamSecret {
        /// The app.
        app: String,
    },
    /// Players would be refused.
    #[error(
        "the app `{app}` wants a token of players (playJwtControlEnabled = true), and there is no \
         secret to sign one: give its jwtStreamSecretKey in --media-stream-secret-file or \
         WAKECAST_MEDIA_STREAM_SECRET, or switch the setting off"
    )]
    PlayControl {
        /// The app.
        app: String,
    },
    /// The other edition: its counts would be read wrongly.
    #[error(
        "the media server at {root} {found}: expected the {expected} Edition; use \
         --media-edition {remedy}"
    )]
    Edition {
        /// The server's root.
        root: String,
        /// What was seen.
        found: &'static str,
        /// The edition that was named.
        expected: &'static str,
        /// The option that would fit.
        remedy: &'static str,
    },
}

/// Asks `server` everything that readiness will ask, once.
pub(crate) async fn check(
    server: &dyn MediaServer,
    real: &RealServer,
) -> Result<(), RealServerError> {
    let address = real.url.address();
    let told = |error: MediaError| told(real, error);
    server.liveness(&address).await.map_err(told)?;
    let listed = server.applications(&address).await.map_err(told)?;
    if !listed.contains(&real.app) {
        return Err(RealServerError::App {
            root: real.url.root(),
            app: real.app.clone(),
            listed: if listed.is_empty() {
                "none, or still starts them".to_owned()
            } else {
                listed.join(", ")
            },
        });
    }
    server.ping(&address, &real.app).await.map_err(told)?;
    check_settings(server, real, &address).await?;
    let load = server.load(&address).await.map_err(told)?;
    check_edition(real, load.webrtc_streams.is_some())
}

async fn check_settings(
    server: &dyn MediaServer,
    real: &RealServer,
    address: &str,
) -> Result<(), RealServerError> {
    let setting = async |name: &str| {
        let found = server.setting(address, &real.app, name).await;
        found.map_err(|error| told(real, error))
    };
    let known = real.known_setting();
    let found = setting(&known.name).await?;
    if found.as_ref() != Some(&known.value) {
        return Err(other_setting(real, known, found.as_ref()));
    }
    let app = real.app.clone();
    match &real.stream_secret {
        Some(secret) => {
            let signs = setting("jwtStreamSecretKey").await?;
            if signs.as_ref().and_then(Value::as_str) != Some(secret.expose()) {
                return Err(RealServerError::StreamSecret { app });
            }
        }
        None => {
            if setting("playJwtControlEnabled").await? == Some(Value::Bool(true)) {
                return Err(RealServerError::PlayControl { app });
            }
        }
    }
    Ok(())
}

/// Counts that are not measured read as unknown for ever, and those that are not looked at would
/// let a server with viewers stop.
fn check_edition(real: &RealServer, measures_webrtc: bool) -> Result<(), RealServerError> {
    let (found, expected, remedy) = match (real.counts == Counts::COMMUNITY, measures_webrtc) {
        (false, false) => ("does not count WebRTC", "Enterprise", "community"),
        (true, true) => ("counts WebRTC", "Community", "enterprise"),
        _ => return Ok(()),
    };
    Err(RealServerError::Edition {
        root: real.url.root(),
        found,
        expected,
        remedy,
    })
}

fn told(real: &RealServer, error: MediaError) -> RealServerError {
    let root = real.url.root();
    match error {
        MediaError::NotYet(why) => RealServerError::Unreachable {
            root,
            why,
            hint: if real.url.implies_port() {
                " (without a balancer before it the port is 5443 for https, 5080 for http)"
            } else {
                ""
            },
        },
        MediaError::Forbidden(words) => RealServerError::Refused {
            root,
            remedy: remedy(&words),
            words,
        },
        MediaError::Malformed(why) => RealServerError::NotUnderstood {
            root,
            remedy: if why.starts_with("TLS") {
                "use the name on its certificate, which a public authority has to have signed, or \
                 http:// where it serves without TLS"
            } else {
                "mend --media-server: no proxy that asks for a login may stand before it"
            },
            why,
        },
    }
}

/// Says how the known setting has to be, and what mends it.
fn other_setting(real: &RealServer, known: KnownSetting, found: Option<&Value>) -> RealServerError {
    let (app, name) = (real.app.clone(), known.name);
    let expected = shown(&name, &known.value);
    let Some(found) = found else {
        return RealServerError::NoSetting {
            app,
            name,
            expected,
            remedy: "mend its name, which is spelled as in the server's REST interface, add it to \
                     the app's settings",
        };
    };
    RealServerError::Setting {
        app,
        found: shown(&name, found),
        expected,
        remedy: match (&real.setting, &real.stream_secret) {
            (Some(_), _) => "set it in the app's settings",
            (None, Some(_)) => {
                "switch stream tokens on in the app's settings, or leave the stream secret out"
            }
            (None, None) => {
                "give the app's jwtStreamSecretKey in --media-stream-secret-file or \
                 WAKECAST_MEDIA_STREAM_SECRET, or switch stream tokens off"
            }
        },
        name,
    }
}

/// A setting's value for a message, unless it is a secret.
fn shown(name: &str, value: &Value) -> String {
    if is_secret(name) {
        "…".to_owned()
    } else {
        value.to_string()
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "password", "key"]
        .iter()
        .any(|word| name.contains(word))
}

/// What mends a 403, by the server's own words.
fn remedy(words: &str) -> &'static str {
    if words.contains(INVALID_TOKEN) {
        "--media-secret-file or WAKECAST_MEDIA_SECRET has to hold its server.jwtServerSecretKey, \
         and the clocks of both machines must agree within a minute"
    } else if words.contains(NOT_ALLOWED) {
        "add this machine to its server.allowed_dashboard_CIDR, or wait until it has booted"
    } else if words.contains(NOT_AUTHENTICATED) {
        "its JWT control is off: set server.jwtServerControlEnabled=true and \
         server.jwtServerSecretKey in conf/red5.properties, and restart it"
    } else {
        "expected its JWT control on (server.jwtServerControlEnabled=true) with the secret that \
         --media-secret-file or WAKECAST_MEDIA_SECRET holds"
    }
}
