//! Tokens from the app's own backend, over HTTP.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};

use crate::native::address::{Address, InsecureHosts, Scheme};
use crate::native::builder::invalid;
use crate::native::dial::Dialer;
use crate::native::failure::{ConnectFailure, retry_after};
use crate::native::proxy::Proxy;
use crate::native::task::OwnedTask;
use crate::native::token::{Token, TokenError, TokenProvider};
use crate::{Error, Secret, TokenReason, redact_url};

/// For everything from the name to the last byte: less than the 15 s that the client waits for a
/// provider, so that the failure names the backend.
const TIMEOUT: Duration = Duration::from_secs(12);

/// A token has at most 4 KB; the rest is room for fields that other clients of the backend read.
const MAX_BODY: usize = 64 * 1024;

/// The largest answer head that is read; backends set large cookies.
const MAX_HEAD: usize = 32 * 1024;

/// Asks the app's backend for tokens: `POST`, with and for JSON.
///
/// The request says why: `{"reason": "initial"}`, `"expiring"` or `"rejected"`; on the last a cache
/// of the backend must step aside. The answer is status 200 or 201 with
///
/// ```json
/// { "token": "eyJ…", "expires_in": 3600 }
/// ```
///
/// `expires_in` is in seconds from now, a number of at least 0; without it, or with `null` or 0, the
/// life is read from the token, where it is a JWT. Other fields are ignored; at most 64 KB are read.
///
/// | answer | what the client does |
/// |---|---|
/// | 401, 403 | this user may not: [`TokenError::refused`], no more attempts until `retry()` |
/// | 429, 503 | asks again, not before `Retry-After` (in seconds) |
/// | a redirect | refused, so that credentials go nowhere else; asks again later |
/// | anything else, no answer within 12 s | asks again later |
///
/// The user's own credentials, a session cookie or a bearer token, are set once and never printed.
/// When they change, give the client a closure instead. Every call uses a connection of its own,
/// goes through the proxy of the environment unless told otherwise, and follows the rules for TLS of
/// [`crate::native`].
///
/// ```no_run
/// # fn example(session: String) -> Result<(), wakecast::Error> {
/// use wakecast::{Client, HttpTokenProvider};
///
/// let provider = HttpTokenProvider::builder("https://app.example.com/wakecast-token")
///     .header("cookie", format!("session={session}"))
///     .build()?;
/// let client = Client::builder("wss://gateway.example.com/prod")
///     .token_provider(provider)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct HttpTokenProvider {
    address: Address,
    headers: HeaderMap,
    dialer: Dialer,
}

impl HttpTokenProvider {
    /// Begins a provider for the address that hands out tokens.
    pub fn builder(url: impl Into<String>) -> HttpTokenProviderBuilder {
        HttpTokenProviderBuilder {
            url: url.into(),
            headers: Vec::new(),
            insecure: InsecureHosts::default(),
            roots: Vec::new(),
            proxy: Proxy::environment(),
        }
    }

    async fn ask(&self, reason: TokenReason) -> Result<Token, TokenError> {
        let failure = match tokio::time::timeout(TIMEOUT, self.exchange(reason)).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(failure)) => failure.in_short(),
            Err(_) => format!("no whole answer within {} s", TIMEOUT.as_secs()),
        };
        Err(self.error(&failure))
    }

    /// The outer error is one of the way there, the inner one the backend's.
    async fn exchange(
        &self,
        reason: TokenReason,
    ) -> Result<Result<Token, TokenError>, ConnectFailure> {
        let request = self.request(reason)?;
        let stream = self.dialer.dial(&self.address).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        let _connection = OwnedTask::spawn(async move {
            // Its failure reaches the request below, which is where it is told.
            let _ = connection.await;
        });
        let response = sender.send_request(request).await?;
        if let Err(error) = self.judge(&response) {
            return Ok(Err(error));
        }
        let body = match Limited::new(response.into_body(), MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Ok(Err(self.error("its answer is longer than 64 KB")));
            }
            Err(error) => return Err(ConnectFailure::Cut(error.to_string())),
        };
        Ok(read(&body).map_err(|reason| self.error(reason)))
    }

    fn request(&self, reason: TokenReason) -> Result<Request<Full<Bytes>>, ConnectFailure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.address.target())
            .body(Full::from(body(reason)))
            .map_err(|error| ConnectFailure::Unusable(error.to_string()))?;
        let host = HeaderValue::try_from(self.address.authority())
            .map_err(|error| ConnectFailure::Unusable(error.to_string()))?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(HOST, host);
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json.clone());
        headers.insert(ACCEPT, json);
        Ok(request)
    }

    fn judge<B>(&self, response: &Response<B>) -> Result<(), TokenError> {
        let status = response.status();
        let place = self.place();
        let code = status.as_u16();
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(()),
            StatusCode::UNAUTHORIZED => Err(TokenError::refused(format!(
                "{place} does not know this user (HTTP 401): sign in again"
            ))),
            StatusCode::FORBIDDEN => Err(TokenError::refused(format!(
                "{place} gives this user no token (HTTP 403)"
            ))),
            _ if status.is_redirection() => Err(TokenError::new(format!(
                "{place} redirects (HTTP {code}), which is not followed: give the final address, or \
                 sign in to the network that answers in its place"
            ))),
            _ => {
                let error = TokenError::new(format!("{place} answered with HTTP {code}"));
                let asked_to_wait = matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                );
                Err(match retry_after(response.headers()) {
                    Some(wait) if asked_to_wait => error.retry_after(wait),
                    _ => error,
                })
            }
        }
    }

    fn error(&self, reason: &str) -> TokenError {
        TokenError::new(format!("no token from {}: {reason}", self.place()))
    }

    /// The backend as messages name it: no path, since some carry a key there.
    fn place(&self) -> String {
        format!("the token address on {}", self.address.authority())
    }
}

impl TokenProvider for HttpTokenProvider {
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>> {
        self.ask(reason).boxed()
    }
}

impl fmt::Debug for HttpTokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTokenProvider")
            .field("host", &self.address.authority())
            .finish_non_exhaustive()
    }
}

/// The settings of an [`HttpTokenProvider`].
#[must_use]
pub struct HttpTokenProviderBuilder {
    url: String,
    headers: Vec<(String, Secret)>,
    insecure: InsecureHosts,
    roots: Vec<Vec<u8>>,
    proxy: Proxy,
}

impl HttpTokenProviderBuilder {
    /// Adds a header, such as a session cookie. Its value is never printed.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends `Authorization: Bearer` with this token of the app's own sign-in.
    pub fn bearer(self, token: impl Into<Secret>) -> Self {
        let value = format!("Bearer {}", token.into().expose());
        self.header(AUTHORIZATION.as_str(), value)
    }

    /// Allows plain `http://` to this host, for a test network. Loopback needs no leave.
    pub fn allow_insecure_host(mut self, host: impl AsRef<str>) -> Self {
        self.insecure.allow(host.as_ref());
        self
    }

    /// Adds a root certificate in DER. With any added, no other is trusted.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Sets the proxy; that of the environment unless set.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Makes the provider.
    ///
    /// # Errors
    ///
    /// `invalid_argument`, with what was expected: an address that is not `https://` (plain text is
    /// for loopback, or by [`allow_insecure_host`](Self::allow_insecure_host)) or that holds a user
    /// name, query or fragment; a header that HTTP cannot carry or that the request sets itself; an
    /// unusable certificate or proxy.
    pub fn build(self) -> Result<HttpTokenProvider, Error> {
        let name = "the token provider's url";
        let address =
            Address::configured(name, &self.url, Scheme::Http, &self.insecure).map_err(invalid)?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let parsed = HeaderName::try_from(&name)
                .ok()
                .filter(|name| !is_reserved(name))
                .zip(HeaderValue::try_from(value.expose()).ok());
            let (parsed, mut value) = parsed.ok_or_else(|| {
                invalid(format!(
                    "the header {name:?} cannot be set: its name or value is not one of HTTP, or the \
                     request sets it itself"
                ))
            })?;
            value.set_sensitive(true);
            headers.append(parsed, value);
        }
        let dialer = Dialer::new(&self.roots, &self.proxy).map_err(invalid)?;
        dialer.check(&address).map_err(invalid)?;
        Ok(HttpTokenProvider {
            address,
            headers,
            dialer,
        })
    }
}

impl fmt::Debug for HttpTokenProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTokenProviderBuilder")
            .field("url", &redact_url(&self.url))
            .finish_non_exhaustive()
    }
}

fn body(reason: TokenReason) -> &'static str {
    match reason {
        TokenReason::Initial => r#"{"reason":"initial"}"#,
        TokenReason::Expiring => r#"{"reason":"expiring"}"#,
        TokenReason::Rejected => r#"{"reason":"rejected"}"#,
    }
}

/// Whether the request sets this header itself.
fn is_reserved(name: &HeaderName) -> bool {
    let reserved = [
        ACCEPT,
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        HOST,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    reserved.contains(name)
}

const SHAPE: &str = "its answer is not {\"token\": \"…\", \"expires_in\": seconds}";

/// Reads the answer. The error never quotes it, which the JSON library would do.
fn read(body: &[u8]) -> Result<Token, &'static str> {
    let mut answer: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            SHAPE
        } else {
            "its answer is not JSON: the address may be wrong, or a network's sign-in page answers"
        }
    })?;
    let Some(Value::String(token)) = answer.remove("token") else {
        return Err(SHAPE);
    };
    if token.is_empty() {
        return Err("the token in its answer is empty");
    }
    let token = Token::new(token);
    let life = match answer.remove("expires_in") {
        None | Some(Value::Null) => return Ok(token),
        Some(life) => life.as_f64().ok_or(SHAPE)?,
    };
    let life = Duration::try_from_secs_f64(life)
        .map_err(|_| "expires_in in its answer is negative or beyond measure")?;
    Ok(token.expires_in(life))
}
