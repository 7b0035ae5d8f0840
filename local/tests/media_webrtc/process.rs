//! The same over real sockets: WebSocket and UDP on loopback.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wakecast_local::media::{BootTimeline, MediaConfig, MediaProcess, WebRtc};

use super::peer::Peer;

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

struct Tab {
    peer: Box<Peer>,
    udp: UdpSocket,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Tab {
    async fn open(process: &MediaProcess, publishes: bool) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = udp.local_addr().unwrap();
        let now = Instant::now();
        let mut peer = if publishes {
            Peer::publisher(now, address, "s1")
        } else {
            Peer::viewer(now, address, "s1")
        };
        peer.begin();
        let url = format!("ws://{}/live/websocket", process.address());
        let socket = connect_async(url).await.unwrap().0;
        Self {
            peer: Box::new(peer),
            udp,
            socket,
        }
    }

    /// Plays its part until it is so.
    async fn until(&mut self, wanted: impl Fn(&Peer) -> bool) {
        let mut buffer = [0; 2_048];
        while !wanted(&self.peer) {
            for text in std::mem::take(&mut self.peer.texts) {
                self.socket.send(Message::text(text)).await.unwrap();
            }
            for (to, bytes) in std::mem::take(&mut self.peer.datagrams) {
                self.udp.send_to(&bytes, to).await.unwrap();
            }
            let due = tokio::time::Instant::from_std(self.peer.next_timeout());
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => {
                    let (length, from) = received.unwrap();
                    self.peer.receive(Instant::now(), from, &buffer[..length]);
                }
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.peer.hear(Instant::now(), &text),
                    other => panic!("the server ended the socket: {other:?}"),
                },
                () = tokio::time::sleep_until(due) => self.peer.tick(Instant::now()),
            }
        }
    }
}

async fn started() -> MediaProcess {
    let config = MediaConfig::enterprise()
        .with_boot(BootTimeline::INSTANT)
        .with_webrtc(WebRtc::LOOPBACK);
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    MediaProcess::start(config, any_port).await.unwrap()
}

async fn patiently<T>(what: Pin<Box<impl Future<Output = T>>>) -> T {
    // Real peers are large.
    let within = tokio::time::timeout(PATIENCE, what);
    within.await.expect("within a minute")
}

#[tokio::test]
async fn a_publisher_and_two_viewers_over_loopback() {
    patiently(Box::pin(async {
        let process = started().await;
        let mut publisher = Tab::open(&process, true).await;
        let live = |peer: &Peer| peer.definitions().contains(&"publish_started");
        publisher.until(live).await;
        assert_eq!(process.status().counts.webrtc_streams, 1);

        let mut first = Tab::open(&process, false).await;
        tokio::select! {
            () = publisher.until(|_| false) => {}
            () = first.until(|peer| peer.frames.len() >= 25) => {}
        }
        let mut second = Tab::open(&process, false).await;
        tokio::select! {
            () = publisher.until(|_| false) => {}
            () = first.until(|_| false) => {}
            () = second.until(|peer| peer.frames.len() >= 25 && peer.audio_frames.len() >= 25) => {}
        }
        assert!(second.peer.keyframes >= 1);
        for viewer in [&first, &second] {
            let frames = &viewer.peer.frames;
            assert!(frames.is_sorted() && frames.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_eq!(process.status().counts.webrtc_viewers, 2);

        // The tab is killed: its sockets close, without a word over WebRTC.
        drop(publisher);
        let over = |peer: &Peer| peer.definitions().contains(&"play_finished") && peer.closed;
        first.until(over).await;
        second.until(over).await;
        assert_eq!(process.status().counts, Default::default());
    }))
    .await;
}

#[tokio::test]
async fn a_media_port_that_is_taken_is_an_error() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let config = MediaConfig::enterprise().with_webrtc(WebRtc {
        address: taken.local_addr().unwrap(),
    });
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let started = MediaProcess::start(config, any_port).await;
    assert_eq!(started.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
