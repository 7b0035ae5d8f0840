use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wakecast_lambda::media::{HttpMediaServer, Scheme};
use wakecast_lambda::ports::{Load, MediaError, MediaServer};
use wakecast_local::media::{BootPhase, BootTimeline, Faults, MediaConfig, MediaProcess};

use crate::{
    SERVER_SECRET, STREAM_SECRET, WallClock, adapter, adapter_with, any_port, config, held_at,
    hold, impatient, open, publish, release, started, started_held_at,
};

fn not_yet<T>(why: &str) -> Result<T, MediaError> {
    Err(MediaError::NotYet(why.to_owned()))
}

/// Serves one connection with these bytes after its request came, and returns the address.
async fn scripted(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind(any_port()).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&answer).await;
    });
    address
}

#[tokio::test]
async fn a_name_without_an_address_is_told_as_one() {
    // No resolver asks for a label of more than 63 bytes, so that no network is needed.
    let name = format!("{}.example.com", "x".repeat(64));
    assert_eq!(
        adapter().liveness(&format!("{name}:5443")).await,
        not_yet(&format!("no address is found for the name {name}"))
    );
}

#[tokio::test]
async fn a_boot_is_seen_phase_by_phase() {
    let process = started_held_at(BootPhase::Refused).await;
    let address = process.address().to_string();
    let server = adapter();
    assert_eq!(
        server.liveness(&address).await,
        not_yet("connection refused")
    );

    hold(&process, BootPhase::Silent).await;
    process
        .wait_for(|status| status.phase == BootPhase::Silent)
        .await;
    assert_eq!(
        impatient().liveness(&address).await,
        not_yet("no answer within 50 ms")
    );

    hold(&process, BootPhase::Answering).await;
    assert_eq!(
        server.liveness(&address).await,
        not_yet("500 with an empty body")
    );

    hold(&process, BootPhase::Forbidden).await;
    let forbidden = Err(MediaError::Forbidden("Not allowed IP".to_owned()));
    assert_eq!(server.liveness(&address).await, forbidden);

    hold(&process, BootPhase::Live).await;
    assert_eq!(server.liveness(&address).await, Ok(()));
    assert_eq!(server.applications(&address).await, Ok(Vec::new()));
    let setting = server
        .setting(&address, "live", "publishJwtControlEnabled")
        .await;
    assert_eq!(setting, not_yet("204: the app is not running"));

    release(&process).await;
    assert_eq!(
        server.applications(&address).await,
        Ok(vec!["live".to_owned()])
    );
    assert_eq!(server.ping(&address, "live").await, Ok(()));
    let setting = server
        .setting(&address, "live", "publishJwtControlEnabled")
        .await;
    assert_eq!(setting, Ok(Some(json!(true))));
    assert_eq!(server.setting(&address, "live", "nosuch").await, Ok(None));
}

#[tokio::test]
async fn a_boot_passes_its_phases_by_itself() {
    let timeline = config().with_boot(BootTimeline::DEMONSTRATION);
    let process = MediaProcess::start(timeline, any_port())
        .await
        .expect("a process");
    let address = process.address().to_string();
    let server = adapter();
    // The phases are real time here and a slow machine may see a later one, never an earlier.
    process
        .wait_for(|status| status.phase >= BootPhase::Silent)
        .await;
    let told = server.liveness(&address).await;
    assert_ne!(told, not_yet("connection refused"));
    assert_ne!(
        told,
        not_yet("no answer within 2000 ms"),
        "the silence ends by itself"
    );
    process
        .wait_for(|status| status.phase >= BootPhase::Live)
        .await;
    assert_eq!(server.liveness(&address).await, Ok(()));
    process
        .wait_for(|status| !status.ready_apps.is_empty())
        .await;
    assert_eq!(
        server.applications(&address).await,
        Ok(vec!["live".to_owned()])
    );
    assert_eq!(server.ping(&address, "live").await, Ok(()));
    assert!(process.status().settings_lost.is_empty());
}

#[tokio::test]
async fn what_waited_in_the_silence_is_answered_when_it_ends() {
    let process = started_held_at(BootPhase::Silent).await;
    let address = process.address().to_string();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { adapter().liveness(&address).await })
        })
        .collect();
    release(&process).await;
    for probe in waiting {
        assert_eq!(probe.await.expect("no panic"), Ok(()));
    }
}

#[tokio::test]
async fn an_early_ping_is_not_yet_and_costs_the_settings_until_a_restart() {
    let process = started_held_at(BootPhase::Swapping).await;
    let address = process.address().to_string();
    let server = adapter();
    let closed = not_yet("the connection was closed without an answer");
    assert_eq!(server.ping(&address, "live").await, closed);
    hold(&process, BootPhase::Live).await;
    assert_eq!(
        server.ping(&address, "live").await,
        not_yet("not_initialized_yet")
    );
    release(&process).await;
    let name = "publishJwtControlEnabled";
    assert_eq!(
        server.setting(&address, "live", name).await,
        Ok(Some(json!(false)))
    );
    assert_eq!(process.status().settings_lost, ["live"]);

    process.stop().await;
    assert_eq!(
        server.liveness(&address).await,
        not_yet("connection refused")
    );
    process.boot().await;
    assert_eq!(
        server.ping(&address, "live").await,
        Ok(()),
        "the same port, ready at once"
    );
    assert_eq!(
        server.setting(&address, "live", name).await,
        Ok(Some(json!(true)))
    );
}

#[tokio::test]
async fn load_is_read_count_by_count() {
    let process = started(config()).await;
    let address = process.address().to_string();
    let before = adapter().load(&address).await.expect("a load");
    assert_eq!(before.live_streams, Some(0));
    let _publisher = publish(&process).await;
    let load = adapter().load(&address).await.expect("a load");
    let expected = Load {
        live_streams: Some(1),
        webrtc_streams: Some(1),
        webrtc_viewers: Some(0),
        hls_viewers: Some(0),
        dash_viewers: Some(0),
        start_time_ms: before.start_time_ms,
    };
    assert_eq!(load, expected);
    assert!(load.start_time_ms.is_some());

    // The restart is over when the old socket ends; the port stays open throughout.
    process.control(|model, now| model.crash(now, 1));
    process.wait_for(|status| status.starts == 2).await;
    let after = adapter().load(&address).await.expect("a load");
    assert!(
        after.start_time_ms > before.start_time_ms,
        "it restarted by itself"
    );
    assert_eq!(after.live_streams, Some(0));
}

#[tokio::test]
async fn a_count_that_is_not_measured_is_none() {
    let community = MediaConfig {
        apps: config().apps,
        ..MediaConfig::community()
    };
    let community = community
        .with_boot(config().boot)
        .with_server_secret(SERVER_SECRET);
    let process = started(community).await;
    let load = adapter()
        .load(&process.address().to_string())
        .await
        .expect("a load");
    assert_eq!(load.webrtc_streams, None);
    assert_eq!(load.live_streams, Some(0));
}

#[tokio::test]
async fn another_secret_is_forbidden_everywhere_but_at_liveness() {
    let process = started(config()).await;
    let address = process.address().to_string();
    let server = adapter_with("another-secret-of-32-characters!!");
    assert_eq!(server.liveness(&address).await, Ok(()));
    let forbidden = MediaError::Forbidden("Invalid Server JWT Token".to_owned());
    assert_eq!(server.applications(&address).await, Err(forbidden.clone()));
    assert_eq!(
        server.setting(&address, "live", "x").await,
        Err(forbidden.clone())
    );
    assert_eq!(server.load(&address).await, Err(forbidden));
}

#[tokio::test]
async fn a_box_whose_clock_lags_takes_our_tokens() {
    let mut lagging = config();
    let behind = u64::try_from(Duration::from_secs(30).as_millis()).expect("small");
    lagging.unix_ms_at_zero = wakecast_lambda::ports::Clock::now(&WallClock).as_millis() - behind;
    let process = started(lagging).await;
    let applications = adapter().applications(&process.address().to_string()).await;
    assert_eq!(applications, Ok(vec!["live".to_owned()]));
}

#[tokio::test]
async fn a_hanging_server_is_not_yet_until_it_goes_on() {
    let faults = Faults {
        hang: true,
        ..Faults::default()
    };
    let process = MediaProcess::start_with(config(), faults, any_port())
        .await
        .expect("a process");
    let address = process.address().to_string();
    let silent = "no answer within 50 ms";
    assert_eq!(impatient().liveness(&address).await, not_yet(silent));
    assert_eq!(impatient().ping(&address, "live").await, not_yet(silent));
    assert_eq!(
        impatient().load(&address).await.map(|_| ()),
        not_yet(silent)
    );
    let held = tokio::spawn(async move { adapter().ping(&address, "live").await });
    release(&process).await;
    assert_eq!(held.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn an_endpoint_is_pinged_by_its_url() {
    let process = started(config()).await;
    let address = process.address();
    let server = adapter();
    let good = format!("ws://{address}/live/websocket?target=edge");
    assert_eq!(server.ping_endpoint(&good).await, Ok(()));
    let missing = server
        .ping_endpoint(&format!("ws://{address}/nosuch/websocket"))
        .await;
    assert_eq!(
        missing,
        Err(MediaError::Malformed("HTTP 404, expected 200".to_owned()))
    );
    for url in ["http://127.0.0.1/live/websocket", "nonsense", "ws:"] {
        let refused = server.ping_endpoint(url).await;
        assert!(
            matches!(refused, Err(MediaError::Malformed(_))),
            "{url}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_malformed() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{\"status\":\"ok\",\"x\":\"{}\"}}",
        "x".repeat(300 * 1024)
    );
    let answers = [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        long.as_str(),
    ];
    for answer in answers {
        let address = scripted(answer.as_bytes().to_vec()).await;
        let read = adapter().liveness(&address).await;
        assert!(
            matches!(read, Err(MediaError::Malformed(_))),
            "{:.40}: {read:?}",
            answer
        );
    }
    let counts = r#"{"localLiveStreams":-2}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{counts}",
        counts.len()
    );
    let address = scripted(answer.into_bytes()).await;
    assert!(matches!(
        adapter().load(&address).await,
        Err(MediaError::Malformed(_))
    ));
}

#[tokio::test]
async fn a_connection_cut_in_mid_answer_is_not_yet() {
    for cut in ["", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"sta"] {
        let address = scripted(cut.as_bytes().to_vec()).await;
        let read = adapter().liveness(&address).await;
        assert_eq!(
            read,
            not_yet("the connection was closed without an answer"),
            "{cut}"
        );
    }
}

#[tokio::test]
async fn an_address_is_a_host_and_perhaps_a_port() {
    for address in ["", "a/b", "user@host", "host:99999", "host?x=1", "ho st"] {
        let refused = adapter().liveness(address).await;
        assert!(
            matches!(refused, Err(MediaError::Malformed(_))),
            "{address}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_plain_server_is_no_tls_server() {
    let process = started(config()).await;
    let scheme = Scheme::Https {
        name: Some("media.example".to_owned()),
    };
    let server = HttpMediaServer::new(SERVER_SECRET.into(), Arc::new(WallClock), scheme);
    let refused = server
        .expect("an adapter")
        .liveness(&process.address().to_string())
        .await;
    assert!(
        matches!(refused, Err(MediaError::Malformed(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn errors_and_debug_forms_hold_no_secret() {
    let settings = format!("{{\"jwtStreamSecretKey\":\"{STREAM_SECRET}\",");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{settings}",
        settings.len()
    );
    let address = scripted(answer.into_bytes()).await;
    let server = adapter();
    let error = server
        .setting(&address, "live", "x")
        .await
        .expect_err("cut short");
    let printed = format!("{server:?} {error:?} {error}");
    for secret in [SERVER_SECRET, STREAM_SECRET] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn a_process_that_is_dropped_frees_its_port() {
    let process = MediaProcess::start_with(config(), held_at(BootPhase::Ready), any_port()).await;
    let process = process.expect("a process");
    let address = process.address();
    let mut socket = open(&process).await;
    drop(process);
    assert!(crate::next(&mut socket).await.is_err());
    assert_eq!(
        adapter().liveness(&address.to_string()).await,
        not_yet("connection refused")
    );
}
