//! The decision log of a whole life, decided again.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use wakecast::Acquire;
use wakecast_lambda::decisions::{JsonLines, Replay, Verdict};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::ec2::Happened;

use crate::cloud::{APP, Cloud, quick, within};

/// What is written, for whoever holds a clone.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_life_is_decided_the_same_from_its_log_and_no_secret_is_in_it() {
    let written = Shared::default();
    let mut config = quick();
    config.decision_log = Some(Arc::new(JsonLines::new(written.clone())));
    let cloud = Cloud::start(config).await;
    let client = cloud.client("alice");
    let lease = within(
        "the lease",
        client.acquire(Acquire::publish(APP, "match-1")),
    )
    .await
    .unwrap();
    let endpoint = lease.endpoint().await.unwrap();
    within("the release", lease.release()).await.unwrap();
    cloud.stood(Stand::Draining).await;
    cloud.happened(Happened::Stopped).await;
    cloud.stood(Stand::Stopped).await;
    let hint = cloud.hint_url();
    cloud.stop().await;

    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let mut replay = Replay::new();
    let mut steps = Vec::new();
    for line in text.lines() {
        let replayed = replay.line(line).expect("a decision");
        assert_eq!(replayed.verdict, Verdict::Same, "{line}");
        let line: Value = serde_json::from_str(line).expect("one JSON object a line");
        let taken = line["decided"]["transitions"].as_array().unwrap();
        steps.extend(taken.iter().map(|step| step["to"].clone()));
    }
    assert_eq!(
        steps,
        ["booting", "ready", "draining", "stopping", "stopped"]
    );
    let token = endpoint.stream_token.expect("a stream token");
    let hint = hint.expose().rsplit('/').next().expect("a path").to_owned();
    for secret in [token.expose(), &hint] {
        assert!(!text.contains(secret));
    }
    // Whatever is signed looks like this.
    assert!(!text.contains("eyJ"), "no JWT is in it");
}
