//! One connection to the stand-in: HTTP/1.1, and a WebSocket after an upgrade.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{StatusCode, server};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::exchange::{Opening, Reply, Request, Response};
use super::shared::{Frame, OpenSocket, Shared};

/// Messages up to this size reach the model, which judges them by its own limit; a larger one
/// is refused with the same code before it is held in memory.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

type Answer = hyper::Response<Full<Bytes>>;

/// Serves one connection until it ends or the process is gone.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let mut gone = shared.watch_gone();
    let service = service_fn(move |request| answer(Arc::clone(&shared), peer, request));
    let connection = server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // A client that goes away and a connection we cut on purpose both end in an error here.
        _ = connection => {}
        _ = gone.changed() => {}
    }
}

/// The service ends the connection without a byte.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl std::error::Error for Cut {}

async fn answer(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Cut> {
    let reduced = reduce(&request, peer);
    // The server lets pages of every origin read its answers.
    let crosses = request.headers().contains_key(header::ORIGIN);
    if let Some(key) = upgrade_key(request.headers()) {
        return upgrade(shared, request, &reduced, &key).await;
    }
    let mut control = shared.watch_control();
    loop {
        match shared.with(|model, now| model.http(now, &reduced)) {
            Reply::Answer(response) => {
                let mut answer = render(response)?;
                if crosses {
                    let any = HeaderValue::from_static("*");
                    answer
                        .headers_mut()
                        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
                }
                return Ok(answer);
            }
            Reply::Refused => return Err(Cut),
            Reply::Silent { until } => shared.silence(until, &mut control).await,
        }
    }
}

async fn upgrade(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
    reduced: &Request,
    key: &str,
) -> Result<Answer, Cut> {
    let mut control = shared.watch_control();
    loop {
        match shared.open(reduced) {
            (Opening::Accepted(_), Some(socket)) => {
                let upgraded = hyper::upgrade::on(request);
                tokio::spawn(converse(shared, upgraded, socket));
                return switching(key);
            }
            (Opening::Answer(response), _) => return render(response),
            (Opening::Silent { until }, _) => shared.silence(until, &mut control).await,
            (Opening::Accepted(_) | Opening::Refused | Opening::Cut, _) => return Err(Cut),
        }
    }
}

/// Carries one WebSocket until either side ends it or the process is gone.
async fn converse(shared: Arc<Shared>, upgraded: OnUpgrade, mut socket: OpenSocket) {
    let mut gone = socket.gone.clone();
    let carried = async {
        // The client may go between the handshake and now.
        let Ok(upgraded) = upgraded.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let mut stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config))
                .await;
        carry(&shared, &mut stream, &mut socket).await;
    };
    tokio::select! {
        () = carried => {}
        _ = gone.changed() => {}
    }
    shared.closed(socket.id);
}

async fn carry(
    shared: &Shared,
    stream: &mut WebSocketStream<TokioIo<Upgraded>>,
    socket: &mut OpenSocket,
) {
    let mut control = shared.watch_control();
    loop {
        // A hanging process reads nothing: not even its peers' ends.
        let hang = control.borrow_and_update().hang;
        tokio::select! {
            message = stream.next(), if !hang => match message {
                Some(Ok(Message::Text(text))) => {
                    shared.with(|model, now| model.ws_text(now, socket.id, text.as_str()));
                }
                // Binary messages get no answer; pings and Close frames the library answers.
                Some(Ok(_)) => {}
                Some(Err(Error::Capacity(_))) => {
                    let _ = stream.close(Some(close(1009, "message too big"))).await;
                    return;
                }
                Some(Err(_)) | None => return,
            },
            Some(frame) = socket.frames.recv() => {
                let sent = match frame {
                    Frame::Text(text) => stream.send(Message::text(text)).await,
                    Frame::Close(code, reason) => stream.close(Some(close(code, reason))).await,
                };
                if sent.is_err() {
                    return;
                }
            }
            _ = control.changed() => {}
        }
    }
}

fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    }
}

fn reduce(request: &hyper::Request<Incoming>, peer: SocketAddr) -> Request {
    let text = |name: &str| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let cookies = text("cookie").unwrap_or_default();
    let session = cookies
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
    Request {
        method: request.method().as_str().to_owned(),
        target: target.to_owned(),
        proxy_authorization: text("proxyauthorization"),
        authorization: text("authorization"),
        session: session.map(str::to_owned),
        peer: peer.ip(),
    }
}

/// The key of a WebSocket handshake, if the request is one.
fn upgrade_key(headers: &HeaderMap) -> Option<String> {
    let wanted = headers.get(header::UPGRADE)?.to_str().ok()?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    wanted
        .eq_ignore_ascii_case("websocket")
        .then(|| key.to_owned())
}

fn switching(key: &str) -> Result<Answer, Cut> {
    hyper::Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "upgrade")
        .header(
            header::SEC_WEBSOCKET_ACCEPT,
            derive_accept_key(key.as_bytes()),
        )
        .body(Full::default())
        .map_err(|_| Cut)
}

fn render(response: Response) -> Result<Answer, Cut> {
    let mut builder = hyper::Response::builder().status(response.status);
    if let Some(kind) = response.content_type {
        builder = builder.header(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(session) = response.new_session {
        builder = builder.header(
            header::SET_COOKIE,
            format!("JSESSIONID={session}; Path=/; HttpOnly"),
        );
    }
    builder
        .body(Full::new(Bytes::from(response.body)))
        .map_err(|_| Cut)
}
