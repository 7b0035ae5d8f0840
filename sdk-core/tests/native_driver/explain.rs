//! `explain`, `diagnostics` and `metrics` of a real client: while it lives, and after.

use std::time::Duration;

use serde_json::json;
use wakecast::machine::{Condition, EndCause, Evidence, Headline, StateKind, Subject};
use wakecast::{Acquire, Client, ErrorCode, TokenError, TokenReason};

use crate::harness::{
    CANARY, ManualClock, builder, client, connected, endpoint, event, failed, granted, reconnecting,
};
use crate::peer::{Peer, within};

#[tokio::test]
async fn a_refused_connection_is_explained_with_the_words_of_the_system() {
    let clock = ManualClock::new();
    let gateway = Peer::start().await;
    let builder = builder(&gateway, &clock);
    drop(gateway);
    let client = builder.build().expect("a client");
    let mut events = client.events();
    assert_eq!(client.explain().await.headline, Headline::Idle);
    client.connect();
    let wait = reconnecting(&mut events).await;

    let all = within("the explanation", client.explain()).await;
    assert_eq!(all.headline, Headline::Reconnecting);
    let link = &all.findings[0];
    assert_eq!(link.what, Condition::WaitingToRetry);
    assert_eq!(link.code, Some(ErrorCode::NetworkUnreachable));
    assert_eq!(link.next[0].after, wait);
    let told = matches!(
        &link.evidence[0],
        Evidence::Attempt {
            cause: EndCause::Unreachable,
            ..
        }
    );
    assert!(told, "{all:?}");
    let text = all.to_string();
    assert!(text.contains("efused"), "the words of the system: {text}");
    assert!(text.contains("tries again in"), "{text}");
    assert_eq!(
        client
            .metrics()
            .await
            .failed_attempts
            .of(EndCause::Unreachable),
        1
    );
}

#[tokio::test]
async fn an_acquisition_is_explained_while_it_waits() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1").id("wish"));
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let acquire = socket.receive("acquire").await;
    let progress = json!({
        "type": "progress", "id": acquire["id"], "rev": 1, "phase": "booting",
        "elapsed_ms": 10_000, "eta_p50_ms": 50_000, "eta_p90_ms": 80_000, "overdue": false,
    });
    socket.send(progress).await;
    event("booting", &mut events, |event| match event {
        wakecast::Event::Progress { progress, .. } if progress.eta_p50.is_some() => Some(()),
        _ => None,
    })
    .await;
    clock.advance(Duration::from_secs(5));
    let all = client.explain().await;
    assert_eq!(all.headline, Headline::Waiting);
    let wait = all.about("wish").next().expect("a finding");
    assert_eq!(wait.about, Subject::Acquisition { id: "wish".into() });
    assert_eq!(wait.what, Condition::Starting);
    let usual = wait.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Start {
            elapsed, usual_p50, ..
        } => Some((*elapsed, *usual_p50)),
        _ => None,
    });
    let secs = Duration::from_secs;
    assert_eq!(usual, Some((secs(15), Some(secs(60)))));
    drop(acquisition);
}

#[tokio::test]
async fn a_failed_client_says_what_to_do() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut events = client.events();
    client.connect();
    gateway.next().await.refuse(403, &[]).await;
    assert_eq!(failed(&mut events).await, ErrorCode::Forbidden);
    let all = client.explain().await;
    assert_eq!(
        (all.headline, all.state),
        (Headline::Failed, StateKind::Failed)
    );
    let text = all.to_string();
    assert!(
        text.contains("HTTP status 403") && text.contains("call retry()"),
        "{text}"
    );
}

#[tokio::test]
async fn it_answers_after_the_end_from_what_was_last() {
    let mut granted = granted().await;
    let client = granted.client.clone();
    let closing = granted.client.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    let release = granted.socket.receive("release").await;
    granted.socket.ack(&release).await;
    within("close", closed).await.expect("no panic");
    for _ in 0..2 {
        let diagnostics = within("the answer", client.diagnostics()).await;
        assert_eq!(diagnostics.explanation.headline, Headline::Closed);
        assert_eq!(diagnostics.state, StateKind::Closed);
        assert_eq!(diagnostics.metrics.acquires_warm, 1);
        assert!(diagnostics.records.len() > 5);
    }
    assert_eq!(client.metrics().await.welcomes, 1);
}

#[test]
fn it_answers_after_its_runtime_is_gone() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(async {
        let client = Client::builder("ws://127.0.0.1:9/prod")
            .token_provider(|_: TokenReason| async { Err(TokenError::new("none")) })
            .build()
            .expect("a client");
        client.connect();
        client
    });
    drop(runtime);
    let other = tokio::runtime::Runtime::new().expect("another runtime");
    let all = other.block_on(within("the answer", client.explain()));
    assert_eq!(all.headline, Headline::Closed);
}

#[tokio::test]
async fn n42_nothing_secret_is_in_a_ticket() {
    let gateway = Peer::start().await;
    let media = Peer::start().await;
    let clock = ManualClock::new();
    let builder = builder(&gateway, &clock).access_url(gateway.http_url());
    let client = builder.build().expect("a client");
    let mut events = client.events();
    let acquisition = client.acquire(Acquire::publish("live", "match-1").verify(false));
    let mut socket = gateway.welcome().await;
    connected(&mut events).await;
    let acquire = socket.receive("acquire").await;
    let mut secret = endpoint(&media);
    secret["websocket_url"] = json!(format!("{}?token={CANARY}-query", media.ws_url()));
    socket
        .send(crate::harness::ready(&acquire, 1, secret))
        .await;
    let lease = within("the lease", acquisition).await.expect("a lease");
    let error = json!({
        "type": "error", "code": "misconfigured", "message": format!("{CANARY}-server"),
        "retryable": false, "outcome": "unknown",
    });
    socket.send(error).await;
    event("a diagnostic", &mut events, |event| {
        matches!(event, wakecast::Event::Diagnostic(_)).then_some(())
    })
    .await;
    socket.cut();
    reconnecting(&mut events).await;
    let diagnostics = client.diagnostics().await;
    let told = [
        diagnostics.to_string(),
        diagnostics.to_json(),
        format!("{diagnostics:?}"),
    ];
    for told in &told {
        assert!(!told.contains(CANARY), "{told}");
    }
    let [text, json, _] = told;
    assert!(
        text.contains("127.0.0.1") && text.contains("/prod"),
        "where it went: {text}"
    );
    let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        read["explanation"]["gateways"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(read["metrics"]["drops"]["dropped"], 1, "{json}");
    drop(lease);
}

#[tokio::test]
async fn n42_the_words_of_a_provider_stay_out_of_a_ticket() {
    let gateway = Peer::start().await;
    let clock = ManualClock::new();
    let client = builder(&gateway, &clock)
        .token_provider(|_: TokenReason| async {
            Err(TokenError::new(format!("the backend said {CANARY}")))
        })
        .build()
        .expect("a client");
    let mut events = client.events();
    client.connect();
    reconnecting(&mut events).await;
    let diagnostics = client.diagnostics().await;
    assert_eq!(
        diagnostics.explanation.findings[0].code,
        Some(ErrorCode::TokenProviderFailed)
    );
    assert!(
        !format!("{diagnostics} {diagnostics:?}").contains(CANARY),
        "{diagnostics}"
    );
}
