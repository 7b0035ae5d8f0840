//! The values of options.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use wakecast_local::Profile;
use wakecast_local::cloud::LONGEST_TOKEN_LIFE;
use wakecast_local::media::Edition;
use wakecast_local::real::{ServerUrl, is_app_name};

use super::{ArgumentError, Carrying};

pub(super) fn port(value: String) -> Result<u16, ArgumentError> {
    match value.parse() {
        // The two ports after it are used as well.
        Ok(port @ 1..=65_533) => Ok(port),
        _ => Err(wrong("--port", value, "1 to 65533")),
    }
}

pub(super) fn media_port(value: String) -> Result<u16, ArgumentError> {
    value
        .parse()
        .map_err(|_| wrong("--port", value, "0 to 65535"))
}

/// Peers are told the address, so that it must be one, and not all of them.
pub(super) fn carrying(value: String) -> Result<Carrying, ArgumentError> {
    if value == "none" {
        return Ok(Carrying::Nothing);
    }
    let expected = "one IP address of this machine, such as 127.0.0.1, or none";
    match value.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() && !address.is_multicast() => {
            Ok(Carrying::On(address))
        }
        _ => Err(wrong("--media-address", value, expected)),
    }
}

pub(super) fn profile(value: String) -> Result<Profile, ArgumentError> {
    match value.as_str() {
        "default" => Ok(Profile::Default),
        "demonstration" => Ok(Profile::Demonstration),
        "test" => Ok(Profile::Test),
        _ => Err(wrong("--profile", value, "default, demonstration or test")),
    }
}

pub(super) fn token_life(value: String) -> Result<Duration, ArgumentError> {
    match value.parse() {
        Ok(seconds) if (1..=LONGEST_TOKEN_LIFE.as_secs()).contains(&seconds) => {
            Ok(Duration::from_secs(seconds))
        }
        _ => Err(wrong("--token-life", value, "seconds, 1 to 3600")),
    }
}

pub(super) fn links(value: String) -> Result<u32, ArgumentError> {
    match value.parse() {
        Ok(count @ 1..) => Ok(count),
        _ => Err(wrong("--links", value, "a number from 1")),
    }
}

/// A URL may hold credentials: it is not repeated.
pub(super) fn server_url(value: &str) -> Result<ServerUrl, ArgumentError> {
    ServerUrl::parse(value).map_err(|error| ArgumentError::Withheld {
        option: "--media-server",
        problem: error.to_string(),
    })
}

pub(super) fn app(value: String) -> Result<String, ArgumentError> {
    if is_app_name(&value) {
        Ok(value)
    } else {
        let expected = "an app's name: letters, digits, `-`, `_` and `.`";
        Err(wrong("--media-app", value, expected))
    }
}

pub(super) fn edition(value: String) -> Result<Edition, ArgumentError> {
    match value.as_str() {
        "enterprise" => Ok(Edition::Enterprise),
        "community" => Ok(Edition::Community),
        _ => Err(wrong("--media-edition", value, "enterprise or community")),
    }
}

/// `NAME=VALUE`; a value that is no JSON is a text. A setting may be a secret: it is not repeated.
pub(super) fn setting(value: &str) -> Result<(String, Value), ArgumentError> {
    match value.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((name.to_owned(), value))
        }
        _ => Err(ArgumentError::Withheld {
            option: "--media-setting",
            problem: "expected NAME=VALUE, such as mp4MuxingEnabled=true".to_owned(),
        }),
    }
}

fn wrong(option: &'static str, value: String, expected: &'static str) -> ArgumentError {
    ArgumentError::Value {
        option,
        value,
        expected,
    }
}
