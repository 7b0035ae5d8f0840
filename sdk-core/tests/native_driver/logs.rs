//! What is logged: the spans, and each target at its documented levels. That no line holds a token
//! is tested with the other secrets.

use wakecast::{Acquire, ErrorCode};

use crate::harness::{CANARY, client, connected, endpoint, ready};
use crate::peer::{Peer, within};
use crate::secrets::Captured;

/// The table of the rustdoc: under each target, the levels that occur.
const LEVELS: [(&str, &[&str]); 3] = [
    (
        "wakecast::client:",
        &["ERROR", "WARN", "INFO", "DEBUG", "TRACE"],
    ),
    ("wakecast::connection:", &["DEBUG"]),
    (
        "wakecast::acquisition:",
        &["WARN", "INFO", "DEBUG", "TRACE"],
    ),
];

#[tokio::test]
async fn connections_and_acquisitions_have_spans_at_the_documented_levels() {
    let logs = Captured::install();
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    let first = client.acquire(
        Acquire::publish("live", "s-1")
            .id("logs-granted")
            .verify(false),
    );
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&gateway))).await;
    let lease = within("the lease", first).await.expect("a lease");

    let second = client.acquire(Acquire::play("live", "s-2").id("logs-refused"));
    let acquire = socket.receive("acquire").await;
    let refused = serde_json::json!({
        "type": "error", "id": acquire["id"], "code": "quota_exceeded", "message": CANARY,
        "retryable": false, "outcome": "rejected",
    });
    socket.send(refused).await;
    let error = within("the refusal", second).await.expect_err("refused");
    assert_eq!(*error.code(), ErrorCode::QuotaExceeded);
    let (released, ()) = tokio::join!(lease.release(), async {
        let release = socket.receive("release").await;
        socket
            .send(serde_json::json!({ "type": "ack", "id": release["id"] }))
            .await;
    });
    released.expect("a confirmed release");
    within("close", client.close()).await;

    let text = logs.text().clone();
    let line = |level: &str, parts: &[&str]| {
        let fits = |line: &&str| {
            line.contains(&format!(" {level} ")) && parts.iter().all(|part| line.contains(part))
        };
        assert!(
            text.lines().any(|line| fits(&line)),
            "no {level} line with {parts:?}"
        );
    };
    let host = gateway.ws_url();
    let host = host.trim_start_matches("ws://").trim_end_matches("/prod");
    let host = format!("connection{{epoch=1 gateway=\"{host}\" attempt=1}}");
    for message in ["opening", "open", "closing code=1000"] {
        let message = format!("wakecast::connection: {message}");
        line("DEBUG", &[&host, &message]);
    }
    let granted = r#"acquisition{id="logs-granted" app="live" purpose="publish" stream="s-1"}: wakecast::acquisition"#;
    line("DEBUG", &[granted, "begun"]);
    line("TRACE", &[granted, "progress"]);
    line("INFO", &[granted, "granted"]);
    line("INFO", &[granted, "lease change=\"released\""]);
    let refused = r#"acquisition{id="logs-refused" app="live" purpose="play" stream="s-2"}"#;
    line("WARN", &[refused, "failed code=quota_exceeded"]);
    line("INFO", &["wakecast::client: state state=Connected"]);

    // Every test of this process adds lines to these.
    for (target, levels) in LEVELS {
        for line in text
            .lines()
            .filter(|line| line.contains(&format!(" {target} ")))
        {
            let level = line.split_whitespace().nth(1).unwrap_or_default();
            assert!(levels.contains(&level), "{level} is not documented: {line}");
        }
    }
    assert!(
        !text.contains(CANARY),
        "a message's text or a token was logged"
    );
}
