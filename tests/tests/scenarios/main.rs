//! The shared scenarios of `tests/scenarios/end-to-end.json`, played by the Rust client against the
//! local cloud over loopback sockets. Each is a test of its own; the cloud is told and asked over its
//! admin alone, as the runners of the other languages do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod app;
mod file;
mod journal;
mod matching;
mod play;
#[path = "../end_to_end/provider.rs"]
#[allow(dead_code, reason = "not every test needs all of the provider")]
mod provider;
mod words;
mod world;

use file::File;

/// Names each scenario as a test, and lists them.
macro_rules! scenarios {
    ($($name:ident = $id:literal),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                play::scenario($id).await;
            }
        )+

        const PLAYED: &[&str] = &[$($id),+];
    };
}

scenarios! {
    acquire = "acquire",
    progress = "progress",
    ready = "ready",
    endpoint_refreshed = "endpoint-refreshed",
    renew = "renew",
    cut_in_mid_boot = "cut-in-mid-boot",
    gateway_restart = "gateway-restart",
    gateway_restart_in_mid_boot = "gateway-restart-in-mid-boot",
    token_refused = "token-refused",
    throttled = "throttled",
    socket_blocked = "socket-blocked",
    drain = "drain",
    moved = "moved",
    cancel = "cancel",
    deadline = "deadline",
    resumed = "resumed",
    taken_over = "taken-over",
    close = "close",
}

#[test]
fn every_scenario_of_the_file_is_played_and_no_other() {
    let file = File::read();
    let listed: Vec<_> = (file.scenarios.iter())
        .map(|scenario| scenario.id.as_str())
        .collect();
    assert_eq!(
        listed, PLAYED,
        "left: tests/scenarios/end-to-end.json, right: this runner"
    );
}

#[test]
fn every_scenario_says_what_it_proves_and_looks_at_the_app_and_the_cloud() {
    for scenario in File::read().scenarios {
        let id = &scenario.id;
        assert!(
            scenario.proves.ends_with('.'),
            "{id}: `proves` is a sentence"
        );
        let looks = |step: &&file::Step| step.sees.is_some() || step.counts.is_some();
        let looked_at: Vec<_> = (scenario.steps.iter().filter(looks))
            .map(|step| step.who.as_str())
            .collect();
        assert!(
            looked_at.iter().any(|who| *who != "cloud"),
            "{id}: no app is looked at"
        );
        for name in scenario.apps.keys() {
            let is_there = scenario.steps.iter().any(|step| step.who == *name);
            assert!(is_there, "{id}: {name} does nothing");
        }
    }
}
