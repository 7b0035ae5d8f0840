//! The events API Gateway hands to a function, in their real shapes.

use hyper::HeaderMap;
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};
use wakecast_lambda::model::{ConnectionId, Timestamp};

use super::Invocation;

/// The id of the stand-in's API; the real one is ten letters and digits too.
const API_ID: &str = "localapi00";
/// The account of the stand-in.
const ACCOUNT: &str = "000000000000";

/// Where a request came in.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The `Host` of the API.
    pub(super) domain: String,
    /// The stage.
    pub(super) stage: String,
    /// The client's address.
    pub(super) source_ip: String,
}

/// `$connect`, with the handshake's headers and query.
pub(super) fn connect(
    origin: &Origin,
    invocation: &Invocation,
    now: Timestamp,
    request: &Parts,
) -> Value {
    let mut event = json!({
        "headers": headers(&request.headers),
        "multiValueHeaders": multi_value_headers(&request.headers),
        "requestContext": context(origin, invocation, now, "CONNECT"),
        "isBase64Encoded": false,
    });
    if let Some(agent) = request
        .headers
        .get("user-agent")
        .and_then(|value| value.to_str().ok())
    {
        event["requestContext"]["identity"]["userAgent"] = agent.into();
    }
    let query = query(request.uri.query().unwrap_or_default());
    if !query.is_empty() {
        event["queryStringParameters"] = single(&query);
        event["multiValueQueryStringParameters"] = multiple(&query);
    }
    event
}

/// A message of a client.
pub(super) fn message(
    origin: &Origin,
    invocation: &Invocation,
    now: Timestamp,
    body: &str,
) -> Value {
    let mut context = context(origin, invocation, now, "MESSAGE");
    context["messageId"] = invocation.request_id.0.clone().into();
    json!({ "requestContext": context, "body": body, "isBase64Encoded": false })
}

/// `$disconnect`: best effort on AWS, and never answered to anybody.
pub(super) fn disconnect(
    origin: &Origin,
    id: &ConnectionId,
    connected_at: Timestamp,
    now: Timestamp,
    code: u16,
    reason: &str,
) -> Value {
    let mut context = json!({
        "routeKey": "$disconnect",
        "eventType": "DISCONNECT",
        "disconnectStatusCode": code,
        "disconnectReason": reason,
        "messageDirection": "IN",
        "extendedRequestId": id.as_str(),
        "requestId": format!("disconnect-{id}"),
        "connectionId": id.as_str(),
    });
    add_common(&mut context, origin, connected_at, now);
    json!({
        "headers": { "Host": origin.domain, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": "" },
        "multiValueHeaders": {
            "Host": [origin.domain], "x-api-key": [""], "X-Forwarded-For": [""], "x-restapi": [""],
        },
        "requestContext": context,
        "isBase64Encoded": false,
    })
}

/// A request of the HTTP API, payload format 2.0.
pub(super) fn http(
    origin: &Origin,
    request_id: &str,
    now: Timestamp,
    request: &Parts,
    body: Option<String>,
) -> Value {
    let path = request.uri.path();
    let method = request.method.as_str();
    let query_text = request.uri.query().unwrap_or_default();
    let agent = request
        .headers
        .get("user-agent")
        .and_then(|value| value.to_str().ok());
    let lowered: Map<String, Value> = joined(&request.headers)
        .map(|(name, value)| (name, value.into()))
        .collect();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query_text,
        "headers": lowered,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": origin.domain,
            "domainPrefix": origin.domain.split('.').next().unwrap_or_default(),
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": origin.source_ip,
                "userAgent": agent.unwrap_or_default(),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": origin.stage,
            "time": clf_time(now),
            "timeEpoch": now.as_millis(),
        },
        "isBase64Encoded": false,
    });
    let query = query(query_text);
    if !query.is_empty() {
        event["queryStringParameters"] = comma_joined(&query);
    }
    if let Some(body) = body {
        event["body"] = body.into();
    }
    event
}

fn context(origin: &Origin, invocation: &Invocation, now: Timestamp, event_type: &str) -> Value {
    let mut context = json!({
        "routeKey": invocation.route,
        "eventType": event_type,
        "messageDirection": "IN",
        "extendedRequestId": invocation.request_id.0,
        "requestId": invocation.request_id.0,
        "connectionId": invocation.connection.as_str(),
    });
    add_common(&mut context, origin, invocation.connected_at, now);
    context
}

fn add_common(context: &mut Value, origin: &Origin, connected_at: Timestamp, now: Timestamp) {
    context["requestTime"] = clf_time(now).into();
    context["requestTimeEpoch"] = now.as_millis().into();
    context["connectedAt"] = connected_at.as_millis().into();
    context["stage"] = origin.stage.clone().into();
    context["identity"] = json!({ "sourceIp": origin.source_ip });
    context["domainName"] = origin.domain.clone().into();
    context["apiId"] = API_ID.into();
}

/// The last value of each header, under the name as clients write it.
fn headers(headers: &HeaderMap) -> Value {
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((canonical(name.as_str()), Value::from(value.to_str().ok()?)))
    });
    Value::Object(pairs.collect())
}

fn multi_value_headers(headers: &HeaderMap) -> Value {
    let pairs = headers.keys().map(|name| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        (canonical(name.as_str()), values.collect::<Vec<_>>().into())
    });
    Value::Object(pairs.collect())
}

/// All values of each header in one text, under the lower-case name: payload format 2.0.
fn joined(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.keys().map(|name| {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        (name.as_str().to_owned(), values.join(","))
    })
}

/// `sec-websocket-key` → `Sec-WebSocket-Key`.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| match word {
        "websocket" => "WebSocket".to_owned(),
        _ => {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            })
        }
    });
    words.collect::<Vec<_>>().join("-")
}

fn query(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn single(query: &[(String, String)]) -> Value {
    Value::Object(
        query
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect(),
    )
}

fn multiple(query: &[(String, String)]) -> Value {
    let mut all = Map::new();
    for (name, value) in query {
        let values = all
            .entry(name.clone())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.clone().into());
        }
    }
    Value::Object(all)
}

fn comma_joined(query: &[(String, String)]) -> Value {
    let mut all = Map::new();
    for (name, value) in query {
        let joined = match all.get(name).and_then(Value::as_str) {
            Some(earlier) => format!("{earlier},{value}"),
            None => value.clone(),
        };
        all.insert(name.clone(), joined.into());
    }
    Value::Object(all)
}

/// The common log format's time, as API Gateway writes it: `22/Nov/2026:17:20:00 +0000`.
fn clf_time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = at.as_millis() / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|at| MONTHS.get(at))
        .unwrap_or(&"Jan");
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// Year, month (1 to 12) and day of a count of days since 1970, by Howard Hinnant's
/// `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_api_gateway_writes_them() {
        let at = Timestamp::from_millis(1_795_368_000_123);
        assert_eq!(clf_time(at), "22/Nov/2026:17:20:00 +0000");
        assert_eq!(
            clf_time(Timestamp::from_millis(951_782_400_000)),
            "29/Feb/2000:00:00:00 +0000"
        );
    }

    #[test]
    fn header_names_are_written_as_clients_write_them() {
        assert_eq!(
            canonical("sec-websocket-protocol"),
            "Sec-WebSocket-Protocol"
        );
        assert_eq!(canonical("authorization"), "Authorization");
    }
}
