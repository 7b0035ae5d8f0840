//! One connection to a media server, plain or over TLS, and one exchange over it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use url::{Host, Url};
use wakecast::Secret;

use super::answer;
use crate::ports::MediaError;

/// No answer we read is near this: `system-resources` is 4 KB, an app's settings 20 KB.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Where to connect, and by which name the other side proves itself.
#[derive(Debug, Clone)]
pub(super) struct Target {
    host: String,
    port: u16,
    tls: Option<ServerName<'static>>,
    /// The value of the `Host` header.
    authority: String,
}

impl Target {
    /// The target of a URL. `tls_name` replaces its host as the name on the certificate.
    pub(super) fn of(url: &Url, tls_name: Option<&str>) -> Result<Self, MediaError> {
        let secure = matches!(url.scheme(), "https" | "wss");
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(unusable("it names no host"));
        };
        let dialled = match &host {
            Host::Domain(name) => (*name).to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let name = tls_name.unwrap_or(&dialled);
        let tls = secure
            .then(|| ServerName::try_from(name.to_owned()))
            .transpose();
        let tls = tls.map_err(|_| unusable("its host is no TLS name"))?;
        let shown = tls_name.map_or_else(|| host.to_string(), str::to_owned);
        Ok(Self {
            host: dialled,
            port,
            tls,
            authority: format!("{shown}:{port}"),
        })
    }

    async fn connect(&self, tls: &Arc<ClientConfig>) -> Result<Box<dyn Stream>, MediaError> {
        let connected = match self.host.parse::<IpAddr>() {
            Ok(ip) => TcpStream::connect((ip, self.port)).await,
            Err(_) => {
                let found = lookup_host((self.host.as_str(), self.port)).await;
                let addresses: Vec<SocketAddr> = found.into_iter().flatten().collect();
                if addresses.is_empty() {
                    let host = &self.host;
                    return Err(MediaError::NotYet(format!(
                        "no address is found for the name {host}"
                    )));
                }
                TcpStream::connect(addresses.as_slice()).await
            }
        };
        let tcp = connected.map_err(|error| not_yet(&error))?;
        // One small request and its answer: waiting to fill a segment only costs time.
        let _ = tcp.set_nodelay(true);
        let Some(name) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let connector = TlsConnector::from(Arc::clone(tls));
        match connector.connect(name.clone(), tcp).await {
            Ok(stream) => Ok(Box::new(stream)),
            // A certificate that does not fit will not fit later; a cut handshake may.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(MediaError::Malformed(format!("TLS: {error}")))
            }
            Err(error) => Err(not_yet(&error)),
        }
    }
}

/// Sends one `GET` and returns the body of a 200.
pub(super) async fn get(
    url: &Url,
    target: &Target,
    tls: &Arc<ClientConfig>,
    token: Option<&Secret>,
) -> Result<Vec<u8>, MediaError> {
    let stream = target.connect(tls).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| cut(&error))?;
    let mut request = Request::get(url.path())
        .header(header::HOST, &target.authority)
        .header(header::CONNECTION, "close")
        .header(header::ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.header("ProxyAuthorization", token.expose());
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| {
        MediaError::Malformed("the request cannot be written: bad token or path".to_owned())
    })?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| cut(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES)
            .collect()
            .await;
        let body = body
            .map_err(|error| too_long_or_cut(error.as_ref()))?
            .to_bytes();
        answer::body(status, &body).map(<[u8]>::to_vec)
    };
    // The connection is driven beside the exchange and dropped with it.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = exchange => result,
        () = driven => Err(closed()),
    }
}

/// Opens a WebSocket, sends one `ping` and waits for its `pong`; other messages are skipped.
pub(super) async fn ping(
    url: &Url,
    target: &Target,
    tls: &Arc<ClientConfig>,
) -> Result<(), MediaError> {
    let stream = target.connect(tls).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .max_message_size(Some(MAX_BODY_BYTES))
        .max_frame_size(Some(MAX_BODY_BYTES));
    let (mut socket, _) = client_async_with_config(url.as_str(), stream, Some(config))
        .await
        .map_err(refused_upgrade)?;
    let asked = socket.send(Message::text("{\"command\":\"ping\"}")).await;
    asked.map_err(|error| broken(&error))?;
    let answered = loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                if let Some(answered) = answer::pong(text.as_str()) {
                    break answered;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(broken(&error)),
            None => return Err(closed()),
        }
    };
    // A clean end is a courtesy; the answer is known already.
    let _ = socket.close(None).await;
    answered
}

/// What HTTP and WebSocket run over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn not_yet(error: &io::Error) -> MediaError {
    MediaError::NotYet(match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        kind => format!("no connection: {kind}"),
    })
}

fn closed() -> MediaError {
    MediaError::NotYet("the connection was closed without an answer".to_owned())
}

fn cut(error: &hyper::Error) -> MediaError {
    if error.is_parse() {
        MediaError::Malformed("the answer is not HTTP".to_owned())
    } else {
        closed()
    }
}

fn too_long_or_cut(error: &(dyn std::error::Error + Send + Sync + 'static)) -> MediaError {
    if error.is::<LengthLimitError>() {
        MediaError::Malformed(format!("the answer is longer than {MAX_BODY_BYTES} bytes"))
    } else {
        closed()
    }
}

fn refused_upgrade(error: tungstenite::Error) -> MediaError {
    let tungstenite::Error::Http(response) = error else {
        return broken(&error);
    };
    let bytes = response.body().as_deref().unwrap_or_default();
    match answer::body(response.status().as_u16(), bytes) {
        Err(meaning) => meaning,
        Ok(_) => {
            MediaError::Malformed("HTTP 200 to a WebSocket handshake, expected 101".to_owned())
        }
    }
}

fn broken(error: &tungstenite::Error) -> MediaError {
    use tungstenite::error::ProtocolError::{HandshakeIncomplete, ResetWithoutClosingHandshake};
    match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Io(_)
        | tungstenite::Error::Protocol(HandshakeIncomplete | ResetWithoutClosingHandshake) => {
            closed()
        }
        tungstenite::Error::Capacity(_) => {
            MediaError::Malformed(format!("a message is longer than {MAX_BODY_BYTES} bytes"))
        }
        _ => MediaError::Malformed("the answer is not a WebSocket".to_owned()),
    }
}

pub(super) fn unusable(why: &str) -> MediaError {
    MediaError::Malformed(format!(
        "the address cannot be used: {why}; expected a host, or host:port"
    ))
}
