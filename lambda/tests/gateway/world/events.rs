//! Recorded events, with what a test varies put in.

use serde_json::{Value, json};

fn recorded(text: &str) -> Value {
    serde_json::from_str(text).expect("a recorded event")
}

pub(crate) fn connect_native() -> Value {
    recorded(include_str!("../events/connect_native.json"))
}

pub(crate) fn connect_browser() -> Value {
    recorded(include_str!("../events/connect_browser.json"))
}

pub(crate) fn http_access() -> Value {
    recorded(include_str!("../events/http_access.json"))
}

pub(crate) fn http_hint() -> Value {
    recorded(include_str!("../events/http_hint.json"))
}

/// Puts a text in place of a placeholder, wherever it stands.
pub(crate) fn filled(event: &Value, placeholder: &str, text: &str) -> Value {
    let escaped = serde_json::to_string(text).expect("a text");
    let text = event
        .to_string()
        .replace(placeholder, escaped.trim_matches('"'));
    recorded(&text)
}

/// Names the socket and when it was opened.
pub(crate) fn on_socket(mut event: Value, connection: &str, connected_at: u64) -> Value {
    event["requestContext"]["connectionId"] = json!(connection);
    event["requestContext"]["connectedAt"] = json!(connected_at);
    event
}

pub(crate) fn message(connection: &str, connected_at: u64, body: &str) -> Value {
    let mut event = recorded(include_str!("../events/message.json"));
    event["body"] = json!(body);
    on_socket(event, connection, connected_at)
}

pub(crate) fn disconnect(connection: &str, connected_at: u64) -> Value {
    let event = recorded(include_str!("../events/disconnect.json"));
    on_socket(event, connection, connected_at)
}

/// Sets a header in both lists, without regard to case.
pub(crate) fn with_header(mut event: Value, name: &str, value: Option<&str>) -> Value {
    for list in ["headers", "multiValueHeaders"] {
        let Some(headers) = event.get_mut(list).and_then(Value::as_object_mut) else {
            continue;
        };
        headers.retain(|key, _| !key.eq_ignore_ascii_case(name));
        if let Some(value) = value {
            let value = if list == "headers" {
                json!(value)
            } else {
                json!([value])
            };
            headers.insert(name.to_owned(), value);
        }
    }
    event
}
