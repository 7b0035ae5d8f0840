//! The URL under which somebody knows a media server, in whichever form it was at hand.

use std::fmt;

use url::{Host, Url};

/// Where a media server answers: read from `http(s)://HOST[:PORT]`, from an app's page
/// `…/APP`, or from a player's `ws(s)://HOST[:PORT]/APP/websocket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    secure: bool,
    host: String,
    port: u16,
    /// The port is not the scheme's own.
    shows_port: bool,
    app: Option<String>,
}

/// Why a text is no URL of a media server. It repeats none of the text, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the media server's URL {found}: expected a scheme, a host and a port, such as \
     https://media.example.com:5443; {remedy}"
)]
pub struct UrlError {
    found: &'static str,
    remedy: &'static str,
}

impl ServerUrl {
    /// Reads a URL. A port that is not named is the scheme's own, 80 or 443, as everywhere.
    ///
    /// # Errors
    /// Another scheme, no host, a path that is no app's, or a user, query or fragment.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|_| {
            wrong(
                "cannot be read",
                "write it out, scheme first, without spaces",
            )
        })?;
        let secure = match url.scheme() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => {
                let remedy = "use http, https, ws or wss";
                return Err(wrong("has another scheme", remedy));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            let remedy = "take it out: secrets go into --media-secret-file";
            return Err(wrong("names a user", remedy));
        }
        if url.query().is_some() || url.fragment().is_some() {
            let remedy = "cut it off at the first `?` or `#`";
            return Err(wrong("holds a query or a fragment", remedy));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(wrong("names no host", "name the server's host"));
        };
        let host = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => format!("[{ip}]"),
        };
        Ok(Self {
            secure,
            host,
            port,
            shows_port: url.port().is_some(),
            app: app(&url)?,
        })
    }

    /// Returns the app that its path names, if it names one.
    #[must_use]
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// Tells whether it is reached over TLS.
    pub(crate) fn secure(&self) -> bool {
        self.secure
    }

    /// Tells whether it leaves the port to the scheme.
    pub(crate) fn implies_port(&self) -> bool {
        !self.shows_port
    }

    /// Returns the host and port as they are dialled.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the server's root, for people.
    pub(crate) fn root(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Returns the endpoint's templates: signalling, and HTTP.
    pub(crate) fn endpoint(&self) -> (String, String) {
        let scheme = if self.secure { "wss" } else { "ws" };
        let websocket = format!("{scheme}://{}/{{app}}/websocket", self.authority());
        (websocket, format!("{}/{{app}}", self.root()))
    }

    fn authority(&self) -> String {
        if self.shows_port {
            self.address()
        } else {
            self.host.clone()
        }
    }
}

impl fmt::Display for ServerUrl {
    /// Writes the server's root. It never holds a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root())
    }
}

/// Reads `/`, `/APP` and `/APP/websocket`.
fn app(url: &Url) -> Result<Option<String>, UrlError> {
    let segments: Vec<&str> = url
        .path()
        .split('/')
        .filter(|name| !name.is_empty())
        .collect();
    match segments.as_slice() {
        [] => Ok(None),
        [app] | [app, "websocket"] if is_app_name(app) && *app != "rest" => {
            Ok(Some((*app).to_owned()))
        }
        _ => {
            let remedy = "end it after the port, or after the app's name";
            Err(wrong("has a path that is no app's", remedy))
        }
    }
}

/// Tells whether a text can be an app's name: letters, digits, `-`, `_` and `.`.
#[must_use]
pub fn is_app_name(app: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !app.is_empty() && app.chars().all(fits)
}

fn wrong(found: &'static str, remedy: &'static str) -> UrlError {
    UrlError { found, remedy }
}
