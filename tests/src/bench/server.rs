//! A stand-in for the gateway in a process of its own, which answers as fast as it can and keeps
//! nothing: so that the figures are those of the client's side.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use futures::{SinkExt as _, StreamExt as _};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use wakecast::protocol::{
    Ack, ClientMessage, Endpoint, Pong, Ready, Renewed, SUBPROTOCOL, ServerMessage, Status, Welcome,
};
use wakecast::{Phase, Secret};

/// The argument that makes this program the server.
pub const SERVE: &str = "serve";

/// What the server speaks WebSockets over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// TCP.
    Plain,
    /// TLS, with an authority that is made for it.
    Tls,
}

impl Wire {
    const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }

    /// Reads the argument after [`SERVE`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Plain, Self::Tls]
            .into_iter()
            .find(|wire| wire.word() == word)
    }
}

/// The server's process. It ends with this value.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    /// Its authority's certificate in DER, where it speaks TLS.
    pub(super) root: Option<Vec<u8>>,
}

impl Server {
    /// Starts this very program again, as the server.
    pub(super) fn start(wire: Wire) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .args([SERVE, wire.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| format!("the server does not start: {error}"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        // The address, and over TLS the certificate as a list of its bytes.
        let (url, root) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let server = Self {
            child,
            url: url.to_owned(),
            root: serde_json::from_str(root).ok(),
        };
        if server.url.is_empty() {
            return Err("the server has not told its address".to_owned());
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until standard input ends, which it does with the process that asked for it.
///
/// # Errors
/// What could not be set up, in a sentence.
pub fn serve(wire: Wire) -> Result<(), String> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    super::block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| format!("no port: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let port = address.port();
        let acceptor = match wire {
            Wire::Plain => {
                println!("ws://127.0.0.1:{port}/bench");
                None
            }
            Wire::Tls => {
                let (root, acceptor) = authority()?;
                println!("wss://localhost:{port}/bench {}", serde_json::json!(root));
                Some(acceptor)
            }
        };
        let _ = std::io::stdout().flush();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => link(stream).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            link(stream).await;
                        }
                    }
                }
            });
        }
        Ok(())
    })
}

/// Makes an authority and what accepts for `localhost` in its name.
fn authority() -> Result<(Vec<u8>, TlsAcceptor), String> {
    let told = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new(Vec::new()).map_err(told)?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(told)?;
    let issuer = CertifiedIssuer::self_signed(params, key).map_err(told)?;
    let key = KeyPair::generate().map_err(told)?;
    let params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(told)?;
    let leaf = params.signed_by(&key, &issuer).map_err(told)?;
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| error.to_string())?;
    Ok((issuer.der().to_vec(), TlsAcceptor::from(Arc::new(config))))
}

async fn link(stream: impl AsyncRead + AsyncWrite + Unpin) {
    #[allow(clippy::result_large_err, reason = "the library's signature")]
    let echo = |request: &Request, mut response: Response| {
        const HEADER: &str = "Sec-WebSocket-Protocol";
        // A plain peer asks for none.
        if request.headers().contains_key(HEADER) {
            let name = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert(HEADER, name);
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, echo).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let Some(reply) = ClientMessage::decode(&text).ok().and_then(answer) else {
            continue;
        };
        if socket.send(Message::text(reply.encode())).await.is_err() {
            return;
        }
    }
}

/// What the server says to a message.
pub(super) fn answer(message: ClientMessage) -> Option<ServerMessage> {
    Some(match message {
        ClientMessage::Hello(hello) => ServerMessage::Welcome(Welcome {
            id: hello.id,
            session: "session".to_owned(),
            token_expires_in_ms: 3_600_000,
            heartbeat_ms: 270_000,
            max_age_ms: 7_200_000,
            reconnect_spread_ms: 1_000,
            leases: Vec::new(),
            requests: Vec::new(),
        }),
        ClientMessage::Status(request) => ServerMessage::Status(Status {
            id: request.id,
            fleet: "main".to_owned(),
            ready: false,
            phase: Some(Phase::Booting),
            eta_p50_ms: 9_000,
            eta_p90_ms: 15_000,
            overdue: false,
            note: None,
            code: None,
            retry_after_ms: None,
            operator: None,
        }),
        ClientMessage::Ping(_) => ServerMessage::Pong(Pong {}),
        ClientMessage::Renew(renew) => ServerMessage::Renewed(Renewed {
            id: renew.id,
            expires_in_ms: 3_600_000,
            reconnect_spread_ms: 1_000,
        }),
        ClientMessage::Acquire(acquire) => ServerMessage::Ready(Ready {
            id: acquire.id,
            rev: 1,
            endpoint: Endpoint {
                websocket_url: "wss://media.example.com:5443/live/websocket".to_owned(),
                http_url: "https://media.example.com:5443/live".to_owned(),
                app: acquire.app,
                stream_token: Some(Secret::new("x".repeat(200))),
                stream_token_expires_in_ms: Some(60_000),
            },
            verify_spread_ms: 0,
        }),
        other => ServerMessage::Ack(Ack {
            id: other.id()?.to_owned(),
        }),
    })
}
