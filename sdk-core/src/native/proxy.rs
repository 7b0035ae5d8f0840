//! Through an HTTP proxy: which addresses go through one, and the tunnel that `CONNECT` makes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;

use super::address::Address;
use super::dial::Stream;
use super::failure::ConnectFailure;
use super::task::OwnedTask;
use crate::Secret;

/// For the proxy's name, its connection and its answer: a second less than a whole attempt may
/// take, so that the failure names the proxy.
pub(super) const TUNNEL_TIMEOUT: Duration = Duration::from_secs(9);

/// The largest answer head that is read.
const MAX_HEAD: usize = 16 * 1024;

/// Stands for a proxy that cannot be used, to find out whether it would have been.
const PLACEHOLDER: &str = "http://proxy.invalid";

/// Whether a client goes through an HTTP proxy.
///
/// Every connection then does: to the gateway, to the access address, to an endpoint that is
/// proved, and that of an [`HttpTokenProvider`](crate::HttpTokenProvider). The proxy is asked to
/// `CONNECT`, so TLS goes from end to end and the proxy sees host names, not tokens. It resolves
/// the names.
///
/// ```
/// use wakecast::Proxy;
///
/// let proxy = Proxy::http("http://user:secret@proxy.example.com:3128").bypass("10.0.0.0/8,.lan");
/// assert!(!format!("{proxy:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Proxy(Setting);

#[derive(Clone)]
enum Setting {
    Environment,
    Direct,
    Fixed { url: Secret, bypass: String },
}

impl Proxy {
    /// Follows the environment, read when the client is built: `HTTPS_PROXY`, else `ALL_PROXY`,
    /// but for the hosts of `NO_PROXY`; also in lower case, and an empty one counts as unset.
    /// Loopback and plain text, which is for test networks, go direct; `HTTP_PROXY` is not read.
    /// This is what a client does unless told otherwise.
    pub fn environment() -> Self {
        Self(Setting::Environment)
    }

    /// Goes direct, whatever the environment says.
    pub fn none() -> Self {
        Self(Setting::Direct)
    }

    /// Goes through this proxy, loopback and plain text included: `http://host:port` or, with TLS
    /// to the proxy itself, `https://host:port`; credentials for Basic authentication as
    /// `http://user:password@host:port`, percent-encoded.
    pub fn http(url: impl Into<Secret>) -> Self {
        Self(Setting::Fixed {
            url: url.into(),
            bypass: String::new(),
        })
    }

    /// Sets which hosts are reached without [this proxy](Self::http), as `NO_PROXY` does: names,
    /// which stand for what is below them too, addresses, networks such as `10.0.0.0/8`, or `*`,
    /// with commas between.
    #[must_use]
    pub fn bypass(mut self, hosts: impl Into<String>) -> Self {
        if let Setting::Fixed { bypass, .. } = &mut self.0 {
            *bypass = hosts.into();
        }
        self
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::environment()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Setting::Environment => "Proxy::environment()",
            Setting::Direct => "Proxy::none()",
            Setting::Fixed { .. } => "Proxy::http(…)",
        })
    }
}

/// Which addresses go through which proxy.
pub(super) struct Proxies {
    /// `None` goes direct.
    rule: Option<Rule>,
}

struct Rule {
    /// What to connect to, or why the setting cannot be used.
    server: Result<Server, String>,
    /// Reads `NO_PROXY`.
    matcher: Matcher,
    /// Whether `NO_PROXY` names every host, which the matcher does not take to mean addresses.
    none: bool,
    /// From the environment: not for loopback and plain text.
    ambient: bool,
}

/// A proxy server.
pub(super) struct Server {
    pub(super) address: Address,
    authorization: Option<HeaderValue>,
}

impl Proxies {
    /// # Errors
    ///
    /// Why a proxy that was set for this client cannot be used.
    pub(super) fn new(proxy: &Proxy) -> Result<Self, String> {
        let rule = match &proxy.0 {
            Setting::Direct => None,
            Setting::Fixed { url, bypass } => {
                let mut rule = Rule::new("the proxy's url", url.expose(), bypass, false);
                rule.server = Ok(rule.server?);
                Some(rule)
            }
            Setting::Environment => {
                let bypass = variable(&["NO_PROXY", "no_proxy"]);
                let bypass = bypass.map(|(_, hosts)| hosts).unwrap_or_default();
                variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
                    .map(|(name, url)| Rule::new(name, &url, &bypass, true))
            }
        };
        Ok(Self { rule })
    }

    /// The proxy for an address; `None` goes direct.
    ///
    /// # Errors
    ///
    /// Why the environment's proxy cannot be used, where it would have to be: going direct instead
    /// would pass by what somebody has set up.
    pub(super) fn via(&self, address: &Address) -> Result<Option<&Server>, String> {
        let Some(rule) = &self.rule else {
            return Ok(None);
        };
        if rule.none {
            return Ok(None);
        }
        if rule.ambient && (address.is_loopback() || !address.is_secure()) {
            return Ok(None);
        }
        let uri = format!("https://{}/", address.authority());
        let matched = uri
            .parse::<Uri>()
            .is_ok_and(|uri| rule.matcher.intercept(&uri).is_some());
        match &rule.server {
            _ if !matched => Ok(None),
            Ok(server) => Ok(Some(server)),
            Err(reason) => Err(reason.clone()),
        }
    }
}

impl Rule {
    fn new(name: &str, url: &str, bypass: &str, ambient: bool) -> Self {
        let server = Address::proxy(name, url).map(|(address, url)| {
            let any = Uri::from_static("https://host.invalid");
            // Without `NO_PROXY` in the way: this one only reads the credentials.
            let found = Matcher::builder().all(url).build().intercept(&any);
            let authorization = found.and_then(|found| found.basic_auth().cloned());
            Server {
                address,
                authorization,
            }
        });
        Self {
            server,
            matcher: Matcher::builder().all(PLACEHOLDER).no(bypass).build(),
            none: bypass.split(',').any(|host| host.trim() == "*"),
            ambient,
        }
    }
}

impl Server {
    /// A failure on the way through this proxy.
    pub(super) fn failure(&self, reason: impl fmt::Display) -> ConnectFailure {
        ConnectFailure::Proxy {
            proxy: self.address.host_and_port(),
            reason: reason.to_string(),
        }
    }

    /// Asks the proxy at the other end of `stream` for a connection to `target`.
    pub(super) async fn tunnel(
        &self,
        stream: Stream,
        target: &Address,
    ) -> Result<Stream, ConnectFailure> {
        let place = target.host_and_port();
        let mut request = Request::connect(&place)
            .header(HOST, &place)
            .body(Empty::<Bytes>::new())
            .map_err(|error| ConnectFailure::Unusable(error.to_string()))?;
        if let Some(authorization) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let told = |error: hyper::Error| self.failure(ConnectFailure::from(error).in_short());
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(told)?;
        let connection = OwnedTask::spawn(async move {
            // Its failure reaches the request below, which is where it is told.
            let _ = connection.with_upgrades().await;
        });
        let response = sender.send_request(request).await.map_err(told)?;
        if !response.status().is_success() {
            return Err(self.failure(self.refusal(response.status(), &place)));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(told)?;
        drop(connection);
        let parts = upgraded
            .downcast::<TokioIo<Stream>>()
            .map_err(|_| self.failure("the tunnel is not ours"))?;
        // In TLS and in HTTP it is the client that speaks first.
        if !parts.read_buf.is_empty() {
            return Err(self.failure("it sent data of its own into the tunnel"));
        }
        Ok(parts.io.into_inner())
    }

    fn refusal(&self, status: StatusCode, place: &str) -> String {
        let code = status.as_u16();
        match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED if self.authorization.is_some() => {
                "it refuses the user name and password (HTTP 407): correct them in its URL".into()
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => "it wants a user name and password \
                (HTTP 407): give them in its URL, as http://user:password@host:port"
                .into(),
            StatusCode::FORBIDDEN => {
                format!("it does not allow connections to {place} (HTTP 403)")
            }
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => format!("it cannot reach {place} (HTTP {code})"),
            _ => format!("it answered CONNECT with HTTP {code}"),
        }
    }
}

/// The first of these variables that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "proxies are the one thing that apps expect from the environment"
)]
fn variable(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.trim().is_empty()).then(|| (*name, value.trim().to_owned()))
    })
}
