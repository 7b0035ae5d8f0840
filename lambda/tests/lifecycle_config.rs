//! A fleet's configuration is checked at start, and says what is wrong with it.

mod support;

use std::time::Duration;

use support::{config, elastic};
use wakecast::protocol::Phase;
use wakecast_lambda::config::{FleetConfig, Prior, Timing};
use wakecast_lambda::model::BootPath;

/// A change that breaks a configuration, and the field that is then named.
type Breakage = (&'static str, fn(&mut FleetConfig));

#[test]
fn a_wrong_field_is_named_with_what_was_expected_and_how_to_mend_it() {
    let breakages: [Breakage; 19] = [
        ("max", |c| c.max = 2),
        ("min", |c| c.min = 2),
        ("apps", |c| c.apps.clear()),
        ("apps", |c| c.apps.push("live/..".into())),
        ("known_setting.app", |c| {
            c.known_setting.app = "other".into()
        }),
        ("known_setting.name", |c| c.known_setting.name.clear()),
        ("offerings", |c| c.offerings.clear()),
        ("offerings", |c| c.offerings[0].subnet.clear()),
        ("offerings", |c| {
            c.offerings[1].zone = c.offerings[0].zone.clone()
        }),
        ("endpoint.websocket_url", |c| {
            c.endpoint.websocket_url = "https://host".into()
        }),
        ("endpoint.websocket_url", |c| {
            c.endpoint.websocket_url = "wss://".into()
        }),
        ("endpoint.http_url", |c| {
            c.endpoint.http_url = "https://host/?token=1".into()
        }),
        ("endpoint.elastic", |c| c.endpoint.elastic = true),
        ("timing.stream_token", |c| {
            c.timing.stream_token = Duration::from_secs(61)
        }),
        ("timing.round", |c| c.timing.round = Duration::from_secs(61)),
        ("timing.lock", |c| c.timing.lock = Duration::from_secs(20)),
        ("timing.grace", |c| c.timing.grace = Duration::ZERO),
        ("caps.starts_per_hour", |c| c.caps.starts_per_hour = 0),
        ("table_id", |c| c.table_id.clear()),
    ];
    for (field, breaks) in breakages {
        let mut broken = config();
        breaks(&mut broken);
        let error = broken.validate().expect_err(field);
        assert_eq!(error.field, field);
        let text = error.to_string();
        assert!(
            text.contains("expected") && text.contains(error.remedy),
            "{text}"
        );
    }
    let mut swapped = config();
    swapped.prior.push(Prior {
        path: BootPath::New,
        phase: Phase::Booting,
        p50: Duration::from_secs(2),
        p90: Duration::from_secs(1),
    });
    assert_eq!(swapped.validate().expect_err("prior").field, "prior");
}

#[test]
fn both_profiles_are_valid_and_a_region_without_an_image_is_no_error_at_start() {
    let mut demonstration = elastic();
    demonstration.timing = Timing::demonstration();
    demonstration.prior = Prior::demonstration();
    demonstration.image.clear();
    for config in [config(), elastic(), demonstration] {
        config.validate().expect("valid");
    }
    assert_eq!(Timing::default().settle(), Duration::from_secs(65));
    assert_eq!(Timing::demonstration().settle(), Duration::from_secs(10));
}

#[test]
fn the_endpoint_is_the_address_until_a_fixed_host_has_it() {
    let (own, fixed) = (config().endpoint, elastic().endpoint);
    assert_eq!(
        own.websocket_url(Some("h:1"), "live"),
        "wss://h:1/live/websocket"
    );
    assert_eq!(own.http_url(Some("h:1"), "live"), "https://h:1/live");
    assert_eq!(fixed.address_of(Some("h:1"), false).as_deref(), Some("h:1"));
    assert_eq!(
        fixed.address_of(None, true).as_deref(),
        Some("media.example.com:5443")
    );
    assert_eq!(fixed.address_of(None, false), None);
}
