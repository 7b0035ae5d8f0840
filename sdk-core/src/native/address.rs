//! Where to connect: a checked URL, and the rule that keeps tokens off plain text connections.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

/// The two protocols that a URL can be checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `wss`, or `ws` where plain text is allowed.
    WebSocket,
    /// `https`, or `http` where plain text is allowed.
    Http,
}

impl Scheme {
    fn secure(self) -> &'static str {
        match self {
            Self::WebSocket => "wss",
            Self::Http => "https",
        }
    }

    fn plain(self) -> &'static str {
        match self {
            Self::WebSocket => "ws",
            Self::Http => "http",
        }
    }
}

/// Hosts that may be reached without TLS, besides loopback: named one by one, never by a switch,
/// so that a test setting cannot send a production token in plain text.
#[derive(Clone, Debug, Default)]
pub(super) struct InsecureHosts(BTreeSet<String>);

impl InsecureHosts {
    pub(super) fn allow(&mut self, host: &str) {
        self.0.insert(host.to_ascii_lowercase());
    }

    fn permits(&self, host: &Host<&str>) -> bool {
        is_loopback(host) || self.0.contains(&host.to_string().to_ascii_lowercase())
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        // RFC 6761: `localhost` and the names below it never leave the machine.
        Host::Domain(name) => {
            name.eq_ignore_ascii_case("localhost")
                || name.to_ascii_lowercase().ends_with(".localhost")
        }
    }
}

/// A URL that has passed every check. Prints without its query.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    secure: bool,
    loopback: bool,
    host: String,
    ip: Option<IpAddr>,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Address {
    /// Checks a URL that the app configured: no query, so that nobody is tempted to put a secret
    /// where access logs keep it.
    ///
    /// The error says what was expected and never repeats the URL.
    pub(super) fn configured(
        name: &str,
        text: &str,
        scheme: Scheme,
        insecure: &InsecureHosts,
    ) -> Result<Self, String> {
        let address = Self::parse(name, text, scheme, insecure)?;
        if address.query.is_some() {
            return Err(format!(
                "{name} has a query; leave it out: tokens travel in a header, never in a URL"
            ));
        }
        Ok(address)
    }

    /// Checks a URL that the server handed out, which may carry a query.
    pub(super) fn parse(
        name: &str,
        text: &str,
        scheme: Scheme,
        insecure: &InsecureHosts,
    ) -> Result<Self, String> {
        let (secure_name, plain_name) = (scheme.secure(), scheme.plain());
        let url = Url::parse(text).map_err(|error| {
            format!("{name} is not a URL ({error}); expected {secure_name}://host/path")
        })?;
        let secure = match url.scheme() {
            found if found == secure_name => true,
            found if found == plain_name => false,
            found => {
                return Err(format!(
                    "{name} has the scheme {found}; expected {secure_name}://host/path"
                ));
            }
        };
        let Some(host) = url.host() else {
            return Err(format!(
                "{name} names no host; expected {secure_name}://host/path"
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "{name} holds a user name or password; leave it out and give credentials through \
                 the token provider"
            ));
        }
        if url.fragment().is_some() {
            return Err(format!(
                "{name} has a fragment (#…), which no server sees; leave it out"
            ));
        }
        if !secure && !insecure.permits(&host) {
            return Err(format!(
                "{name} would send tokens unencrypted to {host}; use {secure_name}://, or for a \
                 test network name the host with allow_insecure_host(\"{host}\")"
            ));
        }
        Ok(Self::of(&url, &host, secure))
    }

    /// Checks the URL of a proxy, which may hold credentials and come without a scheme, as in the
    /// environment. Returns where it is, and the URL as the standard writes it, credentials
    /// included.
    pub(super) fn proxy(name: &str, text: &str) -> Result<(Self, String), String> {
        let expected = "expected http://host:port or https://host:port, with user:password@ before \
                        the host if need be; Proxy::none() goes direct";
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let url = Url::parse(&whole)
            .map_err(|error| format!("{name} is not a proxy's URL ({error}); {expected}"))?;
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            found => {
                return Err(format!(
                    "{name} has the scheme {found}, which is not supported; {expected}"
                ));
            }
        };
        let host = url
            .host()
            .ok_or_else(|| format!("{name} names no host; {expected}"))?;
        Ok((Self::of(&url, &host, secure), url.to_string()))
    }

    fn of(url: &Url, host: &Host<&str>, secure: bool) -> Self {
        let ip = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
            Host::Domain(_) => None,
        };
        Self {
            secure,
            loopback: is_loopback(host),
            host: host.to_string(),
            ip,
            port: url.port().unwrap_or(if secure { 443 } else { 80 }),
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        }
    }

    /// The same place with `segment` added to its path, whether or not that ended in a slash.
    pub(super) fn join(&self, segment: &str) -> Self {
        let path = format!("{}/{segment}", self.path.trim_end_matches('/'));
        Self {
            path,
            ..self.clone()
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the host never leaves the machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Host and port, as `CONNECT` names a target and messages a proxy.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host as names are looked up: no brackets around an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: the port only where it is not the scheme's own.
    pub(super) fn authority(&self) -> String {
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// The request target. Holds the query, so it goes to the wire and nowhere else.
    pub(super) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The name that the server's certificate has to hold; `None` if no certificate could.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        match self.ip {
            Some(ip) => Some(ServerName::from(ip)),
            None => ServerName::try_from(self.host.clone()).ok(),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = if self.secure { "tls" } else { "plain" };
        write!(f, "{security} {}:{}{}", self.host, self.port, self.path)?;
        if self.query.is_some() {
            f.write_str("?…")?;
        }
        Ok(())
    }
}
