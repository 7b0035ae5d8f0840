use std::net::{Ipv4Addr, SocketAddr};

use wakecast_local::media::{AppConfig, BootPhase, BootTimeline, MediaConfig, MediaProcess};

use super::*;

const STREAM: &str = "match-1";

async fn server(app: AppConfig) -> (MediaProcess, Endpoint) {
    let config = MediaConfig::enterprise()
        .with_apps([app])
        .with_boot(BootTimeline::INSTANT);
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = MediaProcess::start(config, any_port).await.unwrap();
    server
        .wait_for(|status| status.phase == BootPhase::Ready)
        .await;
    let address = server.address();
    let endpoint = Endpoint {
        websocket_url: format!("ws://{address}/live/websocket"),
        http_url: format!("http://{address}/live"),
        app: "live".to_owned(),
        stream_token: None,
        stream_token_expires_in_ms: None,
    };
    (server, endpoint)
}

#[tokio::test]
async fn a_stream_is_published_played_and_ended() {
    let (server, endpoint) = server(AppConfig::new("live")).await;
    let mut publisher = MediaSocket::open(&endpoint, STREAM).await.unwrap();
    let mut viewer = MediaSocket::open(&endpoint, STREAM).await.unwrap();
    viewer.ping().await.unwrap();
    assert_eq!(viewer.play().await, Ok(false), "nobody publishes yet");

    publisher.publish().await.unwrap();
    assert_eq!(viewer.play().await, Ok(true));
    let counts = server.status().counts;
    assert_eq!((counts.webrtc_streams, counts.webrtc_viewers), (1, 1));

    publisher.stay_until(std::future::ready(())).await.unwrap();
    publisher.stop().await.unwrap();
    viewer.played_out().await.unwrap();
    assert_eq!(server.status().counts.live_streams, 0);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_word_and_holds_no_token() {
    let app = AppConfig::new("live").with_stream_tokens("a secret that is long enough");
    let (_server, mut endpoint) = server(app).await;
    endpoint.stream_token = Some(Secret::new("canary"));
    let mut publisher = MediaSocket::open(&endpoint, STREAM).await.unwrap();
    let refused = publisher.publish().await.unwrap_err();
    assert_eq!(
        refused,
        "the media server answered unauthorized_access instead of start"
    );
}

#[tokio::test]
async fn a_server_that_goes_away_ends_every_wait() {
    let (server, endpoint) = server(AppConfig::new("live")).await;
    let mut publisher = MediaSocket::open(&endpoint, STREAM).await.unwrap();
    let mut viewer = MediaSocket::open(&endpoint, STREAM).await.unwrap();
    publisher.publish().await.unwrap();
    viewer.play().await.unwrap();
    server.kill().await;
    let stayed = publisher.stay_until(std::future::pending::<()>()).await;
    assert!(stayed.is_err());
    assert!(viewer.played_out().await.is_err());
    assert!(MediaSocket::open(&endpoint, STREAM).await.is_err());
}
