//! A real media server behind the simulated instances.
//!
//! Its boot and its stop stay simulated: while no simulated instance is `running`, the reconciler
//! is told that nothing answers. From then on readiness, counts and the endpoint are the real
//! server's own.

mod check;
mod port;
mod server_url;

use serde_json::Value;
use wakecast::Secret;
use wakecast_lambda::config::{Counts, KnownSetting};

pub use check::RealServerError;
pub(crate) use check::check;
pub(crate) use port::{GatedMediaServer, RealMachines};
pub use server_url::{ServerUrl, UrlError, is_app_name};

/// Publishing needs a stream token: on, where this cloud signs them, and off where it does not.
const PUBLISH_CONTROL: &str = "publishJwtControlEnabled";

/// A real Ant Media Server, and what this cloud has to know of it.
#[derive(Clone, Debug)]
pub struct RealServer {
    /// Where it answers.
    pub url: ServerUrl,
    /// The app whose endpoint is handed out.
    pub app: String,
    /// Its `server.jwtServerSecretKey`, with which calls of its REST interface are signed.
    pub server_secret: Secret,
    /// The app's `jwtStreamSecretKey`; `None` where the app takes no stream tokens.
    pub stream_secret: Option<Secret>,
    /// A setting of the app and its configured value, as JSON. `None` looks at
    /// `publishJwtControlEnabled`, which must be true exactly if there is a `stream_secret`.
    pub setting: Option<(String, Value)>,
    /// What its edition counts.
    pub counts: Counts,
}

impl RealServer {
    pub(crate) fn known_setting(&self) -> KnownSetting {
        let (name, value) = self.setting.clone().unwrap_or_else(|| {
            let enforced = self.stream_secret.is_some();
            (PUBLISH_CONTROL.to_owned(), Value::Bool(enforced))
        });
        KnownSetting {
            app: self.app.clone(),
            name,
            value,
        }
    }
}
