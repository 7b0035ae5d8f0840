//! API Gateway's events and responses, in the shape the real one gives them.

use std::time::Duration;

use serde_json::{Value, json};
use wakecast::Secret;
use wakecast::protocol::{BEARER_PREFIX, SUBPROTOCOL};
use wakecast_lambda::model::{ConnectionId, Timestamp};

/// `$connect`.
#[must_use]
pub fn connect(id: &ConnectionId, at: Timestamp, token: &Secret) -> Value {
    let mut event = websocket("$connect", "CONNECT", id, at, at);
    let offered = format!("{SUBPROTOCOL}, {BEARER_PREFIX}{}", token.expose());
    event["headers"] = json!({ "Sec-WebSocket-Protocol": offered });
    event["multiValueHeaders"] = json!({ "Sec-WebSocket-Protocol": [offered] });
    event
}

/// A message.
#[must_use]
pub fn message(id: &ConnectionId, opened_at: Timestamp, at: Timestamp, body: &str) -> Value {
    let mut event = websocket("$default", "MESSAGE", id, opened_at, at);
    event["body"] = Value::from(body);
    event["requestContext"]["messageId"] = Value::from("bWVzc2FnZQ==");
    event
}

/// `$disconnect`.
#[must_use]
pub fn disconnect(id: &ConnectionId, opened_at: Timestamp, at: Timestamp) -> Value {
    let mut event = websocket("$disconnect", "DISCONNECT", id, opened_at, at);
    event["requestContext"]["disconnectStatusCode"] = Value::from(1006);
    event["requestContext"]["disconnectReason"] = Value::from("");
    event
}

/// `GET /v1/access` of the HTTP API, payload format 2.0.
#[must_use]
pub fn access(token: &Secret, at: Timestamp) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "GET /v1/access",
        "rawPath": "/v1/access",
        "rawQueryString": "",
        "headers": { "authorization": format!("Bearer {}", token.expose()) },
        "requestContext": {
            "http": { "method": "GET", "path": "/v1/access", "sourceIp": "192.0.2.1" },
            "stage": "$default",
            "requestId": "access",
            "timeEpoch": at.as_millis(),
        },
        "isBase64Encoded": false,
    })
}

/// The status of a response.
#[must_use]
pub fn status(response: &Value) -> u16 {
    response
        .get("statusCode")
        .and_then(Value::as_u64)
        .and_then(|n| u16::try_from(n).ok())
        .unwrap_or(502)
}

/// The subprotocol that a response of `$connect` echoes.
#[must_use]
pub fn subprotocol(response: &Value) -> Option<String> {
    header(response, "sec-websocket-protocol")
}

/// The `Retry-After` of a response, in seconds.
#[must_use]
pub fn retry_after(response: &Value) -> Option<Duration> {
    header(response, "retry-after")?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// The gateway's own error frame.
#[must_use]
pub fn error_frame(id: &ConnectionId, message: &str) -> String {
    json!({ "message": message, "connectionId": id.as_str(), "requestId": "gateway" }).to_string()
}

/// Tells whether the mock integration answers this message.
#[must_use]
pub fn is_ping(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|message| message["action"] == "ping")
}

fn websocket(
    route: &str,
    kind: &str,
    id: &ConnectionId,
    opened_at: Timestamp,
    at: Timestamp,
) -> Value {
    json!({
        "requestContext": {
            "routeKey": route,
            "eventType": kind,
            "connectionId": id.as_str(),
            "connectedAt": opened_at.as_millis(),
            "requestTimeEpoch": at.as_millis(),
            "extendedRequestId": "simulation",
            "messageDirection": "IN",
            "stage": "prod",
            "domainName": "simulation.execute-api.example",
            "apiId": "simulation",
            "identity": { "sourceIp": "192.0.2.1" },
        },
        "isBase64Encoded": false,
    })
}

fn header(response: &Value, name: &str) -> Option<String> {
    let headers = response.get("headers")?.as_object()?;
    let (_, value) = headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    value.as_str().map(str::to_owned)
}
