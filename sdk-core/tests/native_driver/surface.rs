//! The public types: what can be watched, shared and sent, and the clock below them.

use std::future::poll_fn;
use std::time::Duration;

use serde_json::json;
use wakecast::native::{Clock, SystemClock};
use wakecast::{
    Acquire, Acquisition, Client, ClientBuilder, ConnectionState, ErrorCode, Event, Events, Lease,
    LeaseChanges, Outcome, Phase, ProgressStream, Token, TokenError, TokenReason,
};

use crate::harness::{client, connected, endpoint, event, prove, ready};
use crate::peer::{Peer, within};

#[test]
fn everything_can_be_sent_to_another_task() {
    fn sent<T: Send + 'static>() {}
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Client>();
    shared::<Acquisition>();
    shared::<Lease>();
    sent::<ClientBuilder>();
    sent::<Events>();
    sent::<ProgressStream>();
    sent::<LeaseChanges>();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_way_works_on_several_threads() {
    let gateway = Peer::start().await;
    let media = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let acquisition = tokio::spawn(client.acquire(Acquire::publish("live", "match-1")));
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket.send(ready(&acquire, 1, endpoint(&media))).await;
    prove(&media).await;
    let lease = within("the lease", acquisition)
        .await
        .expect("no panic")
        .expect("a lease");
    let released = tokio::spawn(async move { lease.release().await });
    let release = socket.receive("release").await;
    socket.ack(&release).await;
    within("the release", released)
        .await
        .expect("no panic")
        .expect("released");
    within("close", client.close()).await;
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_events_it_missed() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let mut slow = client.events();
    let mut quick = client.events();
    client.connect();
    let mut socket = gateway.welcome().await;
    connected(&mut quick).await;
    for n in 0..400 {
        let code = format!("scripted_{n}");
        socket
            .send(json!({
                "type": "error", "code": code, "message": "scripted", "retryable": false,
                "outcome": "unknown",
            }))
            .await;
        event("the error", &mut quick, |event| match event {
            Event::Diagnostic(error) if error.code().as_str() == code => Some(()),
            _ => None,
        })
        .await;
    }
    let first = within("an event", slow.next())
        .await
        .expect("an open client");
    let Event::Lagged { n } = first else {
        panic!("{first:?}")
    };
    let mut rest = 0;
    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(slow.next()) {
        assert!(matches!(event, Event::Diagnostic(_)), "{event:?}");
        rest += 1;
    }
    assert!(n >= 144 && rest <= 256, "{n} missed, {rest} kept");
}

#[tokio::test]
async fn readers_of_events_are_independent() {
    let gateway = Peer::start().await;
    let (client, _clock) = client(&gateway);
    let (mut one, mut two) = (client.events(), client.events());
    client.connect();
    let _socket = gateway.welcome().await;
    connected(&mut one).await;
    connected(&mut two).await;
    assert!(matches!(client.state(), ConnectionState::Connected { .. }));
}

#[tokio::test]
async fn progress_goes_on_between_pushes() {
    let gateway = Peer::start().await;
    let (client, clock) = client(&gateway);
    let acquisition = client.acquire(Acquire::publish("live", "match-1"));
    let mut updates = acquisition.progress();
    let mut socket = gateway.welcome().await;
    let acquire = socket.receive("acquire").await;
    socket
        .send(json!({
            "type": "progress", "id": acquire["id"], "rev": 1, "phase": "booting",
            "elapsed_ms": 10_000, "eta_p50_ms": 40_000, "eta_p90_ms": 60_000, "overdue": false,
        }))
        .await;
    let told = loop {
        let update = within("progress", updates.next())
            .await
            .expect("an open acquisition");
        if update.phase == Phase::Booting {
            break update;
        }
    };
    // Nothing more comes from the server; only time passes.
    let mut last = told.fraction;
    for _ in 0..5 {
        clock.advance(Duration::from_secs(2));
        let update = within("progress", updates.next())
            .await
            .expect("an open acquisition");
        assert!(
            update.fraction > last && update.fraction < 1.0,
            "{last} then {update:?}"
        );
        assert!(update.elapsed > told.elapsed);
        last = update.fraction;
    }
    // A reader that comes late begins with the latest.
    let late = within("progress", acquisition.progress().next())
        .await
        .expect("an update");
    assert!(late.fraction >= last, "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_sleep_is_made_of_short_ones() {
    let day = Duration::from_secs(24 * 3600);
    let mut sleep = SystemClock.sleep_until(SystemClock.now() + day);
    let mut polls = 0;
    let counted = poll_fn(|context| {
        polls += 1;
        sleep.as_mut().poll(context)
    });
    // The runtime's time runs ahead while the device's stands still: a resume seen from inside.
    tokio::time::timeout(Duration::from_secs(600), counted)
        .await
        .expect_err("a day is long");
    assert!(
        polls >= 20,
        "one sleep was longer than 30 s: {polls} polls in 600 s"
    );
}

#[tokio::test]
async fn a_sleep_until_the_past_is_over() {
    let now = SystemClock.now();
    within("the past", SystemClock.sleep_until(now)).await;
    assert!(SystemClock.now() >= now);
}

#[tokio::test]
async fn a_client_id_that_the_server_would_refuse_is_refused_at_once() {
    let build = |id: &str| {
        Client::builder("wss://gateway.example.com/prod")
            .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new("t")) })
            .client_id(id)
            .build()
    };
    let longest = "x".repeat(128);
    for id in ["a", "phone-1.2:3_4", "{~}", &longest] {
        assert!(build(id).is_ok(), "{id}");
    }
    let longer = "x".repeat(129);
    for id in ["", "my phone", " ", "naïve", "a\n", "a\u{7f}", &longer] {
        let error = build(id).expect_err("a refusal");
        assert_eq!(*error.code(), ErrorCode::InvalidArgument, "{id:?}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(
            error.message().contains("1 to 128 visible ASCII"),
            "{error}"
        );
    }
}
