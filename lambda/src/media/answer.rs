//! Reads what a media server answered: status, body and signalling messages into results.
//!
//! Pure, and shared by every way to reach one: the adapter over sockets and a simulation.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ports::{Load, MediaError};

/// The most of a refusal's own words that an error repeats.
const MAX_WORDS: usize = 80;

/// Returns the body of a 200, or what the answer means instead.
///
/// # Errors
/// `NotYet` for 204 and every 5xx, `Forbidden` for 403, `Malformed` for the rest.
pub fn body(status: u16, body: &[u8]) -> Result<&[u8], MediaError> {
    match status {
        200 => Ok(body),
        // Jersey's answer for the settings of an app that does not run.
        204 => Err(MediaError::NotYet("204: the app is not running".to_owned())),
        403 => Err(MediaError::Forbidden(words_of(body))),
        500.. if body.is_empty() => Err(MediaError::NotYet(format!("{status} with an empty body"))),
        500.. => Err(MediaError::NotYet(format!("{status}: {}", words_of(body)))),
        _ => Err(MediaError::Malformed(format!(
            "HTTP {status}, expected 200"
        ))),
    }
}

/// Reads `{"host":…,"status":"ok"}`.
///
/// # Errors
/// `NotYet` for another status, `Malformed` for anything else.
pub fn liveness(body: &[u8]) -> Result<(), MediaError> {
    #[derive(Deserialize)]
    struct Liveness {
        status: String,
    }
    let Liveness { status } = parse(body, "liveness")?;
    if status == "ok" {
        Ok(())
    } else {
        Err(MediaError::NotYet("liveness does not say ok".to_owned()))
    }
}

/// Reads `{"applications":[…]}`.
///
/// # Errors
/// `Malformed` for anything else.
pub fn applications(body: &[u8]) -> Result<Vec<String>, MediaError> {
    #[derive(Deserialize)]
    struct Applications {
        applications: Vec<String>,
    }
    Ok(parse::<Applications>(body, "applications")?.applications)
}

/// Reads one field of an app's settings. The others, secrets among them, are dropped here.
///
/// # Errors
/// `Malformed` for anything but an object.
pub fn setting(body: &[u8], name: &str) -> Result<Option<Value>, MediaError> {
    Ok(parse::<Map<String, Value>>(body, "settings")?.remove(name))
}

/// Reads `system-resources`: −1 and an absent count mean "not measured", never zero.
///
/// # Errors
/// `Malformed` for anything but an object, and for a count that is no whole number or −1.
pub fn load(body: &[u8]) -> Result<Load, MediaError> {
    let fields: Map<String, Value> = parse(body, "system-resources")?;
    let start = fields
        .get("server-timing")
        .and_then(|timing| timing.get("start-time"));
    Ok(Load {
        live_streams: count(&fields, "localLiveStreams")?,
        webrtc_streams: count(&fields, "localWebRTCLiveStreams")?,
        webrtc_viewers: count(&fields, "localWebRTCViewers")?,
        hls_viewers: count(&fields, "localHLSViewers")?,
        dash_viewers: count(&fields, "localDASHViewers")?,
        start_time_ms: start.and_then(Value::as_u64),
    })
}

/// Reads what one signalling message says about a `ping`; `None` if it says nothing about it.
///
/// The inner error is `NotYet`, for `not_initialized_yet`.
pub fn pong(text: &str) -> Option<Result<(), MediaError>> {
    #[derive(Deserialize)]
    struct Message {
        command: String,
        #[serde(default)]
        definition: String,
    }
    let message: Message = serde_json::from_str(text).ok()?;
    match (message.command.as_str(), message.definition.as_str()) {
        ("pong", _) => Some(Ok(())),
        ("error", "not_initialized_yet") => {
            Some(Err(MediaError::NotYet("not_initialized_yet".to_owned())))
        }
        _ => None,
    }
}

fn count(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, MediaError> {
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    if value.as_i64() == Some(-1) {
        return Ok(None);
    }
    let Some(count) = value.as_u64() else {
        let wrong = format!("system-resources: {name} is no count; expected a whole number or -1");
        return Err(MediaError::Malformed(wrong));
    };
    Ok(Some(count))
}

/// The parser's own words name a position and a kind; none of the body.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, MediaError> {
    serde_json::from_slice(body).map_err(|error| {
        MediaError::Malformed(format!(
            "{what}: not the expected JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

/// The words of a refusal: Tomcat puts them behind `<b>Message</b>`.
fn words_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words = text
        .split_once("<b>Message</b>")
        .and_then(|(_, rest)| rest.split('<').next());
    let printable = words
        .unwrap_or_default()
        .trim()
        .chars()
        .filter(|c| !c.is_control());
    printable.take(MAX_WORDS).collect()
}
