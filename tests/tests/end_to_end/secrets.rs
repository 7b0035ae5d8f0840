//! Nothing secret is logged. Every other test checks it as well, at its end.

use serde_json::json;
use wakecast::{Acquire, ConnectionState, Event};

use crate::cloud::{APP, Cloud, connected, event, within};
use crate::logs::{Logs, TARGETS};
use crate::media::Media;

#[tokio::test]
async fn no_token_is_logged_by_any_part() {
    let logs = Logs::install();
    let cloud = Cloud::quick().await;
    let client = cloud.client("alice");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish(APP, "match-1"));
    connected(&mut events).await;
    // Each of these makes some part complain.
    cloud
        .fault(json!({ "fault": "throttle_pushes", "times": 2 }))
        .await;
    cloud
        .fault(json!({ "fault": "function", "how": "crash", "times": 1 }))
        .await;
    cloud.cut("alice").await;
    let lease = within("the lease", acquisition).await.unwrap();
    let endpoint = lease.endpoint().await.unwrap();
    let token = endpoint.stream_token.clone().expect("a stream token");
    let mut media = Media::open(&endpoint).await;
    media.publish("match-1", Some(&token)).await.unwrap();
    let mut thief = Media::open(&endpoint).await;
    let refusal = thief.publish("match-2", Some(&token)).await;
    assert_eq!(refusal, Err("unauthorized_access".to_owned()));
    within("the end", client.close()).await;
    event("Closed", &mut events, |event| {
        matches!(event, Event::State(ConnectionState::Closed)).then_some(())
    })
    .await;
    for target in TARGETS {
        assert!(
            logs.targets().contains(&target),
            "{target} has logged nothing"
        );
    }
    for shown in [
        format!("{client:?} {lease:?} {endpoint:?}"),
        cloud.status().await.to_string(),
        serde_json::to_string(&cloud.timeline().events()).unwrap(),
    ] {
        assert!(!shown.contains(token.expose()), "{shown}");
    }
    cloud.end();
}

#[test]
#[should_panic(expected = "secrets were logged")]
fn the_search_finds_a_token() {
    Logs::default().finds("a token=eyJhbGciOiJIUzI1NiJ9.e30.x");
}
