//! A stand-in for the gateway in a process of its own, which answers as fast as it can and keeps
//! nothing: so that the figures are those of the client's side.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use wakecast::Phase;
use wakecast::protocol::{
    Ack, ClientMessage, Pong, Renewed, SUBPROTOCOL, ServerMessage, Status, Welcome,
};

/// The argument that makes this program the server.
pub const SERVE: &str = "serve";

/// The server's process. It ends with this value.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
}

impl Server {
    /// Starts this very program again, as the server.
    pub(super) fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| format!("the server does not start: {error}"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let url = line.trim().to_owned();
        let server = Self { child, url };
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
pub fn serve() -> Result<(), String> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    super::block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| format!("no port: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?;
        println!("ws://{port}/bench");
        let _ = std::io::stdout().flush();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(link(stream));
        }
        Ok(())
    })
}

async fn link(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
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
        other => ServerMessage::Ack(Ack {
            id: other.id()?.to_owned(),
        }),
    })
}
