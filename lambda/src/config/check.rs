//! Checks a fleet's configuration at start.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Budget, EndpointConfig, FleetConfig, LinkCaps, SubjectCaps, Timing};

/// A field that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}: expected {expected}; {remedy}")]
pub struct ConfigError {
    /// Its name.
    pub field: &'static str,
    /// What it holds, in words; never a secret.
    pub found: String,
    /// What would work.
    pub expected: &'static str,
    /// How to mend it.
    pub remedy: &'static str,
}

/// A stream token is never good for longer: a drain waits it out.
const LONGEST_STREAM_TOKEN: Duration = Duration::from_secs(60);

/// A budget below one boot of a new instance would be spent by starting it.
const SHORTEST_BUDGET: Duration = Duration::from_secs(600);

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn fleet(config: &FleetConfig) -> Result<(), ConfigError> {
    size(config)?;
    apps(config)?;
    offerings(config)?;
    endpoint(&config.endpoint)?;
    timing(&config.timing)?;
    caps(config)?;
    subject_caps(&config.caps.subject)?;
    budget(&config.budget)?;
    prior(config)?;
    require(
        !config.table_id.is_empty(),
        "table_id",
        || "empty".to_owned(),
        "a random text",
        "store one when the table is made",
    )
}

fn size(config: &FleetConfig) -> Result<(), ConfigError> {
    require(
        config.max == 1,
        "max",
        || config.max.to_string(),
        "1",
        "this version runs one instance a fleet: use more fleets",
    )?;
    require(
        config.min <= config.max,
        "min",
        || config.min.to_string(),
        "0 or 1",
        "1 keeps the instance running without demand",
    )
}

fn apps(config: &FleetConfig) -> Result<(), ConfigError> {
    let plain = |app: &String| !app.is_empty() && !app.contains(['/', '?', '#', ' ']);
    require(
        !config.apps.is_empty() && config.apps.iter().all(plain),
        "apps",
        || format!("{:?}", config.apps),
        "at least one plain app name",
        "name the media server's apps, such as `live`",
    )?;
    let known = &config.known_setting;
    require(
        config.apps.contains(&known.app),
        "known_setting.app",
        || format!("`{}`", known.app),
        "one of `apps`",
        "name an app whose settings are checked after its start",
    )?;
    require(
        !known.name.is_empty(),
        "known_setting.name",
        || "empty".to_owned(),
        "a setting",
        "name one whose configured value differs from the server's default",
    )
}

fn offerings(config: &FleetConfig) -> Result<(), ConfigError> {
    let filled = config.offerings.iter().all(|offering| {
        ![&offering.instance_type, &offering.zone, &offering.subnet]
            .iter()
            .any(|t| t.is_empty())
    });
    require(
        !config.offerings.is_empty() && filled,
        "offerings",
        || format!("{} of them, all filled: {filled}", config.offerings.len()),
        "at least one type with zone and subnet",
        "list types and zones in the order in which to try them",
    )?;
    let pools = config
        .offerings
        .iter()
        .map(|offering| (&offering.instance_type, &offering.zone))
        .collect::<BTreeSet<_>>();
    require(
        pools.len() == config.offerings.len(),
        "offerings",
        || "the same type and zone twice".to_owned(),
        "each type and zone once",
        "remove the repetition",
    )
}

fn endpoint(endpoint: &EndpointConfig) -> Result<(), ConfigError> {
    let websocket = &endpoint.websocket_url;
    require(
        scheme(websocket, ["ws", "wss"]),
        "endpoint.websocket_url",
        || format!("`{websocket}`"),
        "ws:// or wss:// and a host",
        "for example `wss://media.example.com:5443/{app}/websocket`",
    )?;
    require(
        scheme(&endpoint.http_url, ["http", "https"]),
        "endpoint.http_url",
        || format!("`{}`", endpoint.http_url),
        "http:// or https:// and a host",
        "for example `https://media.example.com:5443/{app}`",
    )?;
    let templated = websocket.contains("{address}");
    require(
        !(endpoint.elastic && templated),
        "endpoint.elastic",
        || "true with `{address}` in the URL".to_owned(),
        "a fixed host",
        "name the host whose DNS record holds the Elastic IP",
    )?;
    require(
        templated == endpoint.http_url.contains("{address}"),
        "endpoint.http_url",
        || format!("`{}`", endpoint.http_url),
        "`{address}` in both URLs or in neither",
        "use the same host in both",
    )
}

fn scheme(url: &str, allowed: [&str; 2]) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| {
        let host = rest.split('/').next().unwrap_or_default();
        allowed.contains(&scheme) && !host.is_empty() && !rest.contains([' ', '?', '#', '@'])
    })
}

fn timing(timing: &Timing) -> Result<(), ConfigError> {
    let positive = [
        ("timing.grace", timing.grace),
        ("timing.stream_token", timing.stream_token),
        ("timing.pending_limit", timing.pending_limit),
        ("timing.boot_limit_stopped", timing.boot_limit_stopped),
        ("timing.boot_limit_new", timing.boot_limit_new),
        ("timing.failed_pause", timing.failed_pause),
        ("timing.misconfigured_retry", timing.misconfigured_retry),
        ("timing.absence", timing.absence),
        ("timing.row_memory", timing.row_memory),
        ("timing.tick", timing.tick),
        ("timing.round", timing.round),
        ("timing.lock_reserve", timing.lock_reserve),
        ("timing.stop_doubt", timing.stop_doubt),
    ];
    for (field, value) in positive {
        require(
            !value.is_zero(),
            field,
            || "zero".to_owned(),
            "more than zero",
            "the default suits most fleets",
        )?;
    }
    require(
        timing.stream_token <= LONGEST_STREAM_TOKEN,
        "timing.stream_token",
        || format!("{:?}", timing.stream_token),
        "at most 60 s",
        "clients fetch a fresh one when they need it",
    )?;
    require(
        timing.round <= timing.tick,
        "timing.round",
        || format!("{:?}", timing.round),
        "at most the tick",
        "use 1 s",
    )?;
    // A round must be able to wait for the lock's extension and still have the reserve.
    require(
        timing.lock >= timing.lock_reserve * 2 + timing.round,
        "timing.lock",
        || format!("{:?}", timing.lock),
        "at least twice `lock_reserve` and a round",
        "use 30 s with a reserve of 10 s",
    )
}

fn caps(config: &FleetConfig) -> Result<(), ConfigError> {
    let caps = &config.caps;
    require(
        caps.starts_per_hour > 0,
        "caps.starts_per_hour",
        || "0".to_owned(),
        "at least 1",
        "no start is possible otherwise",
    )?;
    require(
        caps.launches_per_hour > 0,
        "caps.launches_per_hour",
        || "0".to_owned(),
        "at least 1",
        "no new instance is possible otherwise",
    )
}

/// A cap of zero would lock everybody out; switching one off is another thing.
fn some_room(caps: &[(&'static str, Option<u32>)]) -> Result<(), ConfigError> {
    for (field, cap) in caps {
        require(
            *cap != Some(0),
            field,
            || "0".to_owned(),
            "at least 1, or none",
            "leave it out to switch the cap off",
        )?;
    }
    Ok(())
}

fn subject_caps(caps: &SubjectCaps) -> Result<(), ConfigError> {
    some_room(&[
        ("caps.subject.live_rows", caps.live_rows),
        (
            "caps.subject.protections_per_hour",
            caps.protections_per_hour,
        ),
        ("caps.subject.starts_per_10_min", caps.starts_per_10_min),
        ("caps.subject.idle_wakes_per_hour", caps.idle_wakes_per_hour),
    ])
}

pub(super) fn link_caps(caps: &LinkCaps) -> Result<(), ConfigError> {
    some_room(&[
        ("links.connects_per_minute", caps.connects_per_minute),
        ("links.open", caps.open),
    ])
}

fn budget(budget: &Budget) -> Result<(), ConfigError> {
    let budgets = [
        ("budget.fleet_per_day", budget.fleet_per_day),
        ("budget.tenant_per_day", budget.tenant_per_day),
    ];
    for (field, value) in budgets {
        require(
            value.is_none_or(|value| value >= SHORTEST_BUDGET),
            field,
            || format!("{value:?}"),
            "at least 10 min, or none",
            "give hours a day, or leave it out for no budget",
        )?;
    }
    require(
        budget.fleet_per_day.is_none_or(|value| value <= DAY),
        "budget.fleet_per_day",
        || format!("{:?}", budget.fleet_per_day),
        "at most 24 h",
        "one instance cannot run longer in a day: leave it out for no budget",
    )
}

fn prior(config: &FleetConfig) -> Result<(), ConfigError> {
    for prior in &config.prior {
        require(
            prior.p50 <= prior.p90,
            "prior",
            || format!("{:?} {}: P50 above P90", prior.path, prior.phase.as_str()),
            "P50 at most P90",
            "exchange them",
        )?;
    }
    Ok(())
}

fn require(
    holds: bool,
    field: &'static str,
    found: impl FnOnce() -> String,
    expected: &'static str,
    remedy: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError {
            field,
            found: found(),
            expected,
            remedy,
        })
    }
}
