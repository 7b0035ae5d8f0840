//! The fleets that worlds are made of.

use wakecast_lambda::config::{
    Budget, Caps, Counts, EndpointConfig, FleetConfig, KnownSetting, Offering, Prior, Timing,
};

use super::media;

/// One type in two zones, an app `live`, the defaults for the rest.
pub fn config() -> FleetConfig {
    let offering = |zone: &str| Offering {
        instance_type: "c7g.xlarge".into(),
        zone: zone.into(),
        subnet: format!("subnet-{zone}"),
    };
    FleetConfig {
        apps: vec!["live".into()],
        known_setting: KnownSetting {
            app: "live".into(),
            name: "jwtControlEnabled".into(),
            value: serde_json::Value::Bool(media::SETTING),
        },
        min: 0,
        max: 1,
        offerings: vec![offering("a"), offering("b")],
        image: "ami-1".into(),
        template: "1".into(),
        endpoint: EndpointConfig {
            websocket_url: "wss://{address}/{app}/websocket".into(),
            http_url: "https://{address}/{app}".into(),
            elastic: false,
        },
        counts: Counts::ENTERPRISE,
        timing: Timing::default(),
        caps: Caps::default(),
        budget: Budget::default(),
        prior: Prior::defaults(),
        table_id: "table".into(),
    }
}

/// The same behind one Elastic IP.
pub fn elastic() -> FleetConfig {
    FleetConfig {
        endpoint: EndpointConfig {
            websocket_url: "wss://media.example.com:5443/{app}/websocket".into(),
            http_url: "https://media.example.com:5443/{app}".into(),
            elastic: true,
        },
        ..config()
    }
}
