//! The media server's port over HTTP and WebSocket.
//!
//! One connection an exchange and no repetition: the caller looks again a second later. Before an
//! app is ready nothing but root paths may be asked, and that order is the caller's too.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use url::Url;
use wakecast::Secret;

use super::answer;
use super::link::{self, Target, unusable};
use super::token::server_token;
use crate::model::Timestamp;
use crate::ports::{Clock, Load, MediaError, MediaServer};

/// How long a server token lives: one exchange, and a box whose clock is most of a minute ahead.
const TOKEN_LIFE_MS: u64 = 60_000;

/// How long an exchange may take from the first packet to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A probe of a booting server. A booting server may accept and say nothing for seconds; the
    /// round lasts one, and the lock must not wait for a server that hangs.
    pub probe: Duration,
    /// A look at the load of a serving one, which a busy server may answer late: unknown counts
    /// as busy, so giving up early would only keep it running.
    pub sample: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe: Duration::from_secs(2),
            sample: Duration::from_secs(5),
        }
    }
}

/// How the server is reached at a bare address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS, port 5080 unless the address names one. For one machine or a closed network.
    Http,
    /// With TLS, port 5443 unless the address names one.
    Https {
        /// The name on the certificate where the address is not it: the endpoint's.
        name: Option<String>,
    },
}

/// A media server over HTTP/1.1 and WebSocket.
#[derive(Clone)]
pub struct HttpMediaServer {
    secret: Secret,
    clock: Arc<dyn Clock>,
    scheme: Scheme,
    tls: Arc<ClientConfig>,
    limits: Limits,
}

impl HttpMediaServer {
    /// An adapter that signs its tokens with the server's `jwtServerSecretKey` and trusts the
    /// common certificate authorities.
    ///
    /// # Errors
    /// The TLS library refuses its own defaults.
    pub fn new(
        secret: Secret,
        clock: Arc<dyn Clock>,
        scheme: Scheme,
    ) -> Result<Self, rustls::Error> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        Self::with_roots(secret, clock, scheme, roots)
    }

    /// The same, trusting `roots` alone.
    ///
    /// # Errors
    /// As [`HttpMediaServer::new`].
    pub fn with_roots(
        secret: Secret,
        clock: Arc<dyn Clock>,
        scheme: Scheme,
        roots: RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            secret,
            clock,
            scheme,
            tls: Arc::new(tls),
            limits: Limits::default(),
        })
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Asks one root path and reads its body.
    async fn ask<T>(
        &self,
        address: &str,
        path: &[&str],
        signed: bool,
        limit: Duration,
        read: impl FnOnce(&[u8]) -> Result<T, MediaError> + Send,
    ) -> Result<T, MediaError> {
        let (url, target) = self.locate(address, path)?;
        let token = if signed { Some(self.token()?) } else { None };
        let body = within(limit, link::get(&url, &target, &self.tls, token.as_ref())).await?;
        read(&body)
    }

    /// The URL of a path at a bare address, and where it is dialled.
    fn locate(&self, address: &str, path: &[&str]) -> Result<(Url, Target), MediaError> {
        let (scheme, port, name) = match &self.scheme {
            Scheme::Http => ("http", 5080, None),
            Scheme::Https { name } => ("https", 5443, name.as_deref()),
        };
        let mut url =
            Url::parse(&format!("{scheme}://{address}")).map_err(|_| unusable("it is no host"))?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("it holds more than a host and a port"));
        }
        // The scheme's common port is never the server's, unless the address says so.
        let says_port = address
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if url.port().is_none() && !says_port {
            url.set_port(Some(port))
                .map_err(|()| unusable("it takes no port"))?;
        }
        url.path_segments_mut()
            .map_err(|()| unusable("it takes no path"))?
            .clear()
            .extend(path);
        let target = Target::of(&url, name)?;
        Ok((url, target))
    }

    fn token(&self) -> Result<Secret, MediaError> {
        let expires_at =
            Timestamp::from_millis(self.clock.now().as_millis().saturating_add(TOKEN_LIFE_MS));
        server_token(&self.secret, expires_at)
            .map_err(|error| MediaError::Malformed(error.to_string()))
    }
}

#[async_trait]
impl MediaServer for HttpMediaServer {
    async fn liveness(&self, address: &str) -> Result<(), MediaError> {
        // Without a token: a bad one would turn the answer into 403.
        let path = ["rest", "v2", "liveness"];
        self.ask(address, &path, false, self.limits.probe, answer::liveness)
            .await
    }

    async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError> {
        let path = ["rest", "v2", "applications"];
        self.ask(
            address,
            &path,
            true,
            self.limits.probe,
            answer::applications,
        )
        .await
    }

    async fn setting(
        &self,
        address: &str,
        app: &str,
        name: &str,
    ) -> Result<Option<Value>, MediaError> {
        let path = ["rest", "v2", "applications", "settings", app];
        let read = |body: &[u8]| answer::setting(body, name);
        self.ask(address, &path, true, self.limits.probe, read)
            .await
    }

    async fn ping(&self, address: &str, app: &str) -> Result<(), MediaError> {
        let (mut url, target) = self.locate(address, &[app, "websocket"])?;
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme)
            .map_err(|()| unusable("it takes no WebSocket"))?;
        within(self.limits.probe, link::ping(&url, &target, &self.tls)).await
    }

    async fn ping_endpoint(&self, websocket_url: &str) -> Result<(), MediaError> {
        let url = Url::parse(websocket_url).map_err(|_| unusable("it is no URL"))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(unusable("its scheme is neither ws nor wss"));
        }
        let target = Target::of(&url, None)?;
        within(self.limits.probe, link::ping(&url, &target, &self.tls)).await
    }

    async fn load(&self, address: &str) -> Result<Load, MediaError> {
        let path = ["rest", "v2", "system-resources"];
        self.ask(address, &path, true, self.limits.sample, answer::load)
            .await
    }
}

impl fmt::Debug for HttpMediaServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMediaServer")
            .field("scheme", &self.scheme)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

async fn within<T>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, MediaError>> + Send,
) -> Result<T, MediaError> {
    match tokio::time::timeout(limit, exchange).await {
        Ok(result) => result,
        Err(_) => Err(MediaError::NotYet(format!(
            "no answer within {} ms",
            limit.as_millis()
        ))),
    }
}
