//! From an acquire to a stop and on to the second start, with a media server of its own process.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast::{Acquire, Client, Endpoint, Token, TokenError, TokenReason};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::{Event, What};
use wakecast_local::ec2::{Ec2Settings, Happened};
use wakecast_local::random::Span;
use wakecast_local::{LocalCloud, LocalConfig, Profile, TokenRequest};

use crate::server::Server;

/// Longer than the story takes: it only ends one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_real_server_is_woken_counted_drained_and_woken_again() {
    let server = Server::guarded();
    let mut config = quick();
    config.media_server = Some(server.described());
    let cloud = Arc::new(LocalCloud::start(config).await.unwrap());
    let client = client(
        &cloud,
        TokenRequest::new("alice"),
        mpsc::unbounded_channel().0,
    );

    let acquire = Acquire::publish("live", "match-1");
    let lease = within(&cloud, client.acquire(acquire)).await.unwrap();
    let endpoint = lease.endpoint().await.unwrap();
    let websocket = server.url.replace("http://", "ws://");
    assert_eq!(
        endpoint.websocket_url,
        format!("{websocket}/live/websocket")
    );
    assert_eq!(endpoint.http_url, format!("{}/live", server.url));

    // The token that was handed out is good at the real server, and no other is.
    let mut media = Media::open(&endpoint).await;
    assert_eq!(media.publish("match-1", "forged").await, Err(denied()));
    let token = endpoint.stream_token.as_ref().unwrap().expose();
    assert_eq!(media.publish("match-2", token).await, Err(denied()));
    media.publish("match-1", token).await.unwrap();
    let counted = |what: &What| matches!(what, What::Media { publishers: 1, .. });
    seen(&cloud, counted).await;

    // The lease is gone; the stream that the real server counts keeps the instance.
    lease.release().await.unwrap();
    time_passes(&cloud).await;
    assert_eq!(stands(&cloud), [Stand::Booting, Stand::Ready]);
    media.stop("match-1").await;
    stood(&cloud, Stand::Stopped).await;
    let whole = [
        Stand::Booting,
        Stand::Ready,
        Stand::Draining,
        Stand::Stopping,
        Stand::Stopped,
    ];
    assert_eq!(stands(&cloud), whole);

    // The server itself went on; what was simulated is started again, not launched.
    let acquire = Acquire::play("live", "match-2");
    let lease = within(&cloud, client.acquire(acquire)).await.unwrap();
    let again = lease.endpoint().await.unwrap();
    assert_eq!(again.websocket_url, endpoint.websocket_url);
    assert_eq!(cloud.timeline().count(Happened::Launched), 1);
    assert_eq!(cloud.timeline().count(Happened::Started), 1);

    // It dies under the cloud: unknown counts as busy, so nothing is stopped.
    lease.release().await.unwrap();
    server.stop();
    time_passes(&cloud).await;
    assert_eq!(cloud.timeline().count(Happened::StopAccepted), 1);
}

#[tokio::test]
async fn a_real_server_takes_no_faults() {
    let server = Server::guarded();
    let mut config = quick();
    config.media_server = Some(server.described());
    let cloud = LocalCloud::start(config).await.unwrap();
    let (status, body) = post(
        &format!("{}/faults", cloud.admin_url),
        r#"{"fault":"media_hangs"}"#,
    )
    .await;
    assert_eq!(status, 409);
    assert!(body.contains("real_media_server"), "{body}");
    let (status, _) = post(
        &format!("{}/faults", cloud.admin_url),
        r#"{"fault":"describe_lag","ms":1}"#,
    )
    .await;
    assert_eq!(status, 200);
    cloud.stop().await;
    server.stop();
}

fn quick() -> LocalConfig {
    let mut config = LocalConfig::profile(Profile::Demonstration);
    config.timing.grace = Duration::from_millis(300);
    config.timing.min_up = Duration::from_millis(300);
    config.timing.stream_token = Duration::from_secs(2);
    config.timing.round = Duration::from_millis(50);
    config.timing.tick = Duration::from_millis(250);
    config.ec2 = Ec2Settings {
        pending: Span::millis(20, 60),
        stopping: Span::millis(20, 60),
        describe_lag: Span::millis(0, 20),
        request: Span::millis(1, 5),
        reply: Span::millis(1, 5),
        ..Ec2Settings::default()
    };
    config
}

/// A client that reports each time it asks for a token.
fn client(
    cloud: &Arc<LocalCloud>,
    request: TokenRequest,
    asked: mpsc::UnboundedSender<()>,
) -> Client {
    let minting = cloud.clone();
    let provider = move |_: TokenReason| {
        let _ = asked.send(());
        let minted = minting.token(&request);
        async move {
            let token = minted.map_err(TokenError::new)?;
            Ok(Token::new(token.secret).expires_in(token.expires_in))
        }
    };
    Client::builder(&cloud.websocket_url)
        .access_url(&cloud.access_url)
        .token_provider(provider)
        .build()
        .unwrap()
}

async fn within<T>(cloud: &LocalCloud, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {:#?}", cloud.timeline().events()),
    }
}

async fn seen(cloud: &LocalCloud, mut wanted: impl FnMut(&What) -> bool) {
    let event = cloud
        .timeline()
        .wait_for(|event: &Event| wanted(&event.what));
    within(cloud, event).await;
}

async fn stood(cloud: &LocalCloud, wanted: Stand) {
    let is_wanted = |what: &What| matches!(what, What::Stand { stand, .. } if *stand == wanted);
    seen(cloud, is_wanted).await;
}

fn stands(cloud: &LocalCloud) -> Vec<Stand> {
    let stand = |event: Event| match event.what {
        What::Stand { stand, .. } => Some(stand),
        _ => None,
    };
    let events = cloud.timeline().events();
    events.into_iter().filter_map(stand).collect()
}

/// Lets time pass by an event: a short token is renewed, at the soonest 5 s after the first.
async fn time_passes(cloud: &Arc<LocalCloud>) {
    let (asked, mut calls) = mpsc::unbounded_channel();
    let short = TokenRequest::new("bob").with_life(Duration::from_secs(3));
    let client = client(cloud, short, asked);
    client.connect();
    for _ in 0..2 {
        within(cloud, calls.recv()).await;
    }
    client.close().await;
}

fn denied() -> String {
    "unauthorized_access".to_owned()
}

/// A publisher at the real server, over its signalling socket.
struct Media(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Media {
    async fn open(endpoint: &Endpoint) -> Self {
        Self(connect_async(&endpoint.websocket_url).await.unwrap().0)
    }

    async fn publish(&mut self, stream: &str, token: &str) -> Result<(), String> {
        self.send(json!({
            "command": "publish", "streamId": stream, "token": token, "video": true,
        }))
        .await;
        self.until("start").await?;
        let sdp = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n";
        self.send(json!({
            "command": "takeConfiguration", "streamId": stream, "type": "offer", "sdp": sdp,
        }))
        .await;
        self.until("notification").await
    }

    async fn stop(&mut self, stream: &str) {
        self.send(json!({ "command": "stop", "streamId": stream }))
            .await;
    }

    async fn send(&mut self, message: Value) {
        let text = Message::text(message.to_string());
        self.0.send(text).await.unwrap();
    }

    /// Reads on until this command; an `error` is its definition.
    async fn until(&mut self, command: &str) -> Result<(), String> {
        loop {
            let message = match self.0.next().await {
                Some(Ok(Message::Text(text))) => text,
                other => panic!("no {command} but {other:?}"),
            };
            let message: Value = serde_json::from_str(&message).unwrap();
            if message["command"] == "error" {
                return Err(message["definition"].as_str().unwrap().to_owned());
            }
            if message["command"] == command {
                return Ok(());
            }
        }
    }
}

async fn post(url: &str, body: &str) -> (u16, String) {
    let headers = [("Content-Type", "application/json")];
    let answer = crate::http::send("POST", url, &headers, body).await;
    (answer.status, answer.body)
}
