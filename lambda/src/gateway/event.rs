//! The API Gateway's events and responses, as far as they are read here.
//!
//! Field names are AWS's. Whatever is not needed is not read, so that new fields do no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

type Headers = BTreeMap<String, Value>;

/// An event of a WebSocket API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketEvent {
    #[serde(default)]
    headers: Option<Headers>,
    #[serde(default)]
    multi_value_headers: Option<Headers>,
    pub(super) request_context: SocketContext,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketContext {
    pub(super) event_type: EventType,
    pub(super) connection_id: String,
    pub(super) connected_at: u64,
}

/// What happened to the socket.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum EventType {
    Connect,
    Disconnect,
    Message,
}

impl SocketEvent {
    /// Returns every value of a header, whose name comes in any case.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        match &self.multi_value_headers {
            Some(headers) => values(headers, name),
            None => self
                .headers
                .as_ref()
                .map(|headers| values(headers, name))
                .unwrap_or_default(),
        }
    }
}

/// An event of an HTTP API, payload version 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpEvent {
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: Headers,
    request_context: HttpContext,
}

#[derive(Deserialize)]
struct HttpContext {
    http: HttpRequest,
    #[serde(default)]
    stage: String,
}

#[derive(Deserialize)]
struct HttpRequest {
    method: String,
}

impl HttpEvent {
    pub(super) fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// Returns the path without the stage, which the raw path holds unless it is the default one.
    pub(super) fn path(&self) -> &str {
        let stage = self.request_context.stage.as_str();
        let below = self
            .raw_path
            .strip_prefix('/')
            .filter(|_| !stage.is_empty())
            .and_then(|path| path.strip_prefix(stage));
        match below {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => &self.raw_path,
        }
    }

    /// Returns a header; HTTP APIs join several values by commas.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).first().copied()
    }

    /// Returns a query parameter as it stands, the first of that name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.parameters()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Returns every query parameter as it stands, names that are encoded and repeated included.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.raw_query_string.split('&');
        pairs.filter_map(|pair| pair.split_once('='))
    }
}

fn values<'a>(headers: &'a Headers, name: &str) -> Vec<&'a str> {
    let named = headers
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let texts = named.flat_map(|(_, value)| match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => vec![text.as_str()],
        _ => Vec::new(),
    });
    texts.collect()
}

/// Returns the token of an `Authorization` header.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// A response, to a route or to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Response {
    pub(super) const fn status(status: u16) -> Self {
        Self {
            status,
            headers: BTreeMap::new(),
            body: String::new(),
        }
    }

    /// 429. The API Gateway drops the header of a refused `$connect`; the access check repeats it.
    pub(super) fn too_many(wait: Duration) -> Self {
        Self::status(429).with_retry_after(wait)
    }

    pub(super) fn text(body: String) -> Self {
        Self {
            body,
            ..Self::status(200)
        }
    }

    /// A body of JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let response = Self {
            body: body.to_string(),
            ..Self::status(status)
        };
        response.with_header("Content-Type", "application/json")
    }

    /// Tells when to come back.
    pub(super) fn with_retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.with_header("Retry-After", seconds.to_string())
    }

    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the JSON that a Lambda proxy integration expects.
    pub(super) fn into_json(self) -> Value {
        json!({
            "statusCode": self.status,
            "headers": self.headers,
            "body": self.body,
            "isBase64Encoded": false,
        })
    }
}
