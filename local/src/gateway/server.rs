//! The WebSocket API on a real port: no decisions here, only sockets and invocations.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wakecast_lambda::model::{ConnectionId, Timestamp};

use super::events::{self, Origin};
use super::function::response;
use super::sockets::{Admitted, Command};
use super::{
    Action, Crash, Function, FunctionFault, Handshake, Integration, Invocation, Sockets, link,
};
use crate::Listener;

/// A WebSocket API of the API Gateway on a loopback port. Dropping it ends it at once.
#[derive(Debug)]
pub struct WebSocketApi {
    address: SocketAddr,
    stage: String,
    ending: Arc<Notify>,
    accepting: JoinHandle<()>,
    timer: JoinHandle<()>,
}

impl WebSocketApi {
    /// Serves a stage on `listener`; messages go to `function`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn serve(
        listener: Listener,
        stage: &str,
        sockets: Sockets,
        function: Arc<dyn Function>,
    ) -> Self {
        let address = listener.address;
        let api = Api {
            stage: stage.to_owned(),
            domain: address.to_string(),
            sockets,
            function,
        };
        let timer = api.sockets.clone();
        let ending = Arc::new(Notify::new());
        Self {
            address,
            stage: stage.to_owned(),
            accepting: tokio::spawn(accept(listener.inner, Arc::new(api), ending.clone())),
            timer: tokio::spawn(async move { timer.keep_time().await }),
            ending,
        }
    }

    /// Lets nobody in any more and waits for the connections there are; close them first.
    pub async fn shutdown(mut self) {
        self.ending.notify_one();
        let _ = (&mut self.accepting).await;
    }

    /// Ends at once, as a crash does: no Close frame, no `$disconnect`. Returns when the port is
    /// free; the connections there were end a moment later.
    pub async fn kill(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }

    /// Returns the URL that clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/{}", self.address, self.stage)
    }
}

impl Drop for WebSocketApi {
    fn drop(&mut self) {
        self.accepting.abort();
        self.timer.abort();
    }
}

/// What every connection's task needs.
#[derive(Debug)]
pub(super) struct Api {
    stage: String,
    domain: String,
    pub(super) sockets: Sockets,
    function: Arc<dyn Function>,
}

impl Api {
    /// Invokes the function for a message and lets the gateway do what follows.
    pub(super) fn message(self: &Arc<Self>, peer: SocketAddr, invocation: Invocation, body: &str) {
        let event = events::message(&self.origin(peer), &invocation, self.sockets.now(), body);
        let api = self.clone();
        tokio::spawn(async move { api.invoke(peer, invocation, event).await });
    }

    /// Tells the function that a connection has ended. Best effort, as on AWS.
    pub(super) fn disconnect(
        self: &Arc<Self>,
        peer: SocketAddr,
        id: &ConnectionId,
        connected_at: Timestamp,
        code: u16,
        reason: &str,
    ) {
        let now = self.sockets.now();
        let event = events::disconnect(&self.origin(peer), id, connected_at, now, code, reason);
        let api = self.clone();
        tokio::spawn(async move {
            if let Err(crash) = api.call(event).await {
                tracing::warn!(%crash, "$disconnect");
            }
        });
    }

    async fn invoke(self: &Arc<Self>, peer: SocketAddr, invocation: Invocation, event: Value) {
        let Invocation {
            request_id,
            connection,
            connected_at,
            route,
            ..
        } = invocation;
        let integration = match self.call(event).await {
            Ok(answer) => response(&answer).map_or(Integration::Failed, Integration::Answered),
            Err(crash) => {
                tracing::warn!(%crash, route, "integration");
                Integration::Failed
            }
        };
        let let_in = matches!(&integration, Integration::Answered(answer)
            if (200..300).contains(&answer.status));
        let heard = self.sockets.answer(&request_id, &connection, integration);
        if !heard && let_in && route == "$connect" {
            self.disconnect(peer, &connection, connected_at, 1006, "");
        }
    }

    async fn call(&self, event: Value) -> Result<Value, Crash> {
        match self.sockets.take_function_fault() {
            None => self.function.invoke(event).await,
            Some(FunctionFault::Crashes) => Err(Crash("scripted".to_owned())),
            Some(FunctionFault::LosesResponse) => {
                self.function.invoke(event).await?;
                Err(Crash("scripted, after its work".to_owned()))
            }
            // The platform ends it, when nobody waits for it any more.
            Some(FunctionFault::Hangs) => {
                self.sockets.function_times_out().await;
                Err(Crash("scripted, timed out".to_owned()))
            }
        }
    }

    fn origin(&self, peer: SocketAddr) -> Origin {
        Origin {
            domain: self.domain.clone(),
            stage: self.stage.clone(),
            source_ip: peer.ip().to_string(),
        }
    }
}

async fn accept(listener: TcpListener, api: Arc<Api>, ending: Arc<Notify>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve(api.clone(), stream, peer));
                }
                // Out of descriptors, or a connection that ended before it was taken.
                Err(error) => tracing::debug!(%error, "accept"),
            },
            Some(_) = connections.join_next() => {}
            () = ending.notified() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One TCP connection: the handshake, and then the WebSocket until its end.
async fn serve(api: Arc<Api>, stream: TcpStream, peer: SocketAddr) {
    let (upgraded, mut upgrade) = tokio::sync::mpsc::channel(1);
    let service = {
        let api = api.clone();
        service_fn(move |request| {
            let api = api.clone();
            let upgraded = upgraded.clone();
            async move { Ok::<_, Infallible>(handshake(&api, peer, request, upgraded).await) }
        })
    };
    let http = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = http.await {
        tracing::debug!(%error, "handshake");
    }
    if let Some(link) = upgrade.recv().await {
        link::run(api, peer, link).await;
    }
}

/// A connection that was let in, and its upgrade.
pub(super) struct Upgrade {
    pub(super) place: Place,
    pub(super) on: hyper::upgrade::OnUpgrade,
    pub(super) commands: tokio::sync::mpsc::UnboundedReceiver<Command>,
}

/// A connection's place in the gateway; gives it up when dropped.
pub(super) struct Place {
    pub(super) id: ConnectionId,
    pub(super) connected_at: Timestamp,
    sockets: Sockets,
    left: bool,
}

impl Place {
    /// Gives the place up. Returns whether `$disconnect` is due.
    pub(super) fn leave(mut self) -> bool {
        self.left = true;
        self.sockets.forget(&self.id)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            self.sockets.forget(&self.id);
        }
    }
}

async fn handshake(
    api: &Arc<Api>,
    peer: SocketAddr,
    mut request: Request<Body>,
    upgraded: tokio::sync::mpsc::Sender<Upgrade>,
) -> Response<Full<Bytes>> {
    if request.uri().path().trim_matches('/') != api.stage {
        return refusal(StatusCode::FORBIDDEN);
    }
    let Some(key) = websocket_key(&request) else {
        return refusal(StatusCode::UPGRADE_REQUIRED);
    };
    let on = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let (headers, link) = match connect(api, peer, &parts).await {
        Ok((headers, link)) => (headers, link),
        Err(Handshake::Refused { status, headers }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return with_headers(refusal(status), headers);
        }
        Err(Handshake::Accepted { .. }) => return refusal(StatusCode::BAD_GATEWAY),
    };
    let (place, commands) = link;
    let _ = upgraded.try_send(Upgrade {
        place,
        on,
        commands,
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fixed = response.headers_mut();
    fixed.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fixed.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = ("sec-websocket-accept".to_owned(), key);
    with_headers(response, std::iter::once(accept).chain(headers))
}

type Linked = (Place, tokio::sync::mpsc::UnboundedReceiver<Command>);

/// Asks `$connect` and waits for what the gateway makes of it.
async fn connect(
    api: &Arc<Api>,
    peer: SocketAddr,
    parts: &Parts,
) -> Result<(Vec<(String, String)>, Linked), Handshake> {
    let Admitted {
        invocation,
        mut commands,
    } = api.sockets.admit()?;
    let place = Place {
        id: invocation.connection.clone(),
        connected_at: invocation.connected_at,
        sockets: api.sockets.clone(),
        left: false,
    };
    let event = events::connect(&api.origin(peer), &invocation, api.sockets.now(), parts);
    let invoker = api.clone();
    tokio::spawn(async move { invoker.invoke(peer, invocation, event).await });
    loop {
        match commands.recv().await {
            Some(Command::Act(Action::Handshake(Handshake::Accepted { headers }))) => {
                return Ok((headers, (place, commands)));
            }
            Some(Command::Act(Action::Handshake(refused))) => return Err(refused),
            Some(Command::Act(_)) => {}
            Some(Command::Cut { .. }) | None => {
                return Err(Handshake::Refused {
                    status: 502,
                    headers: Vec::new(),
                });
            }
        }
    }
}

/// Checks the handshake as far as a gateway does and returns the value of its accept header.
fn websocket_key(request: &Request<Body>) -> Option<String> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let upgrades = header("upgrade")?.eq_ignore_ascii_case("websocket");
    let version = header("sec-websocket-version")? == "13";
    let key = header("sec-websocket-key")?;
    (upgrades && version).then(|| derive_accept_key(key.as_bytes()))
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let message = status.canonical_reason().unwrap_or("Error");
    let body = json!({ "message": message }).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

fn with_headers(
    mut response: Response<Full<Bytes>>,
    headers: impl IntoIterator<Item = (String, String)>,
) -> Response<Full<Bytes>> {
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
