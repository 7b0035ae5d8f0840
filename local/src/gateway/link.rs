//! One WebSocket from its upgrade to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::server::{Api, Place, Upgrade};
use super::sockets::Command;
use super::{Action, Close, Incoming, Received};

/// How long a client may take to answer a Close frame before the connection is dropped.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Runs the socket; tells `$disconnect` at its end.
pub(super) async fn run(api: Arc<Api>, peer: SocketAddr, upgrade: Upgrade) {
    let Upgrade {
        place,
        on,
        mut commands,
    } = upgrade;
    let stream = match on.await {
        Ok(stream) => TokioIo::new(stream),
        Err(error) => {
            tracing::debug!(%error, "upgrade");
            return end(&api, peer, place, &End::Lost);
        }
    };
    let limits = api.sockets.limits();
    let config = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .max_frame_size(Some(limits.frame))
        .max_message_size(Some(limits.message));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let ended = loop {
        let step = tokio::select! {
            command = commands.recv() => command.unwrap_or(Command::Cut { silent: false }),
            message = socket.next() => match receive(&api, peer, &place, message) {
                Step::Nothing => continue,
                Step::Act(action) => Command::Act(action),
                Step::Ended(end) => break end,
            },
        };
        match step {
            Command::Act(Action::Send(text)) => {
                if socket.send(Message::text(text)).await.is_err() {
                    break End::Lost;
                }
            }
            Command::Act(Action::Close(close)) => {
                end(&api, peer, place, &End::Closed(close.clone()));
                return say_goodbye(socket, &close).await;
            }
            // The handshake is over.
            Command::Act(Action::Handshake(_)) => {}
            Command::Cut { silent: false } => break End::Lost,
            Command::Cut { silent: true } => {
                drop(socket);
                // The gateway goes on as if nothing had happened, until it closes by itself.
                while let Some(command) = commands.recv().await {
                    if let Command::Act(Action::Close(_)) = command {
                        break;
                    }
                }
                return;
            }
        }
    };
    end(&api, peer, place, &ended);
}

/// How a socket ended.
enum End {
    /// Without a Close frame.
    Lost,
    /// The client closed it.
    ByClient(u16),
    /// The gateway closed it.
    Closed(Close),
}

enum Step {
    Nothing,
    Act(Action),
    Ended(End),
}

fn receive(
    api: &Arc<Api>,
    peer: SocketAddr,
    place: &Place,
    message: Option<Result<Message, Error>>,
) -> Step {
    let received = match message {
        Some(Ok(Message::Text(text))) => {
            // A larger frame never gets here: the reader gives it up.
            let largest_frame = text.len().min(api.sockets.limits().frame);
            let incoming = Incoming::Text {
                text: &text,
                largest_frame,
            };
            match api.sockets.receive(&place.id, incoming) {
                Received::Invoke(invocation) => {
                    api.message(peer, invocation, &text);
                    return Step::Nothing;
                }
                received => received,
            }
        }
        Some(Ok(Message::Binary(_))) => api.sockets.receive(&place.id, Incoming::Binary),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
            api.sockets.receive(&place.id, Incoming::Control)
        }
        Some(Err(Error::Capacity(_))) => api.sockets.receive(&place.id, Incoming::TooLarge),
        Some(Ok(Message::Close(frame))) => {
            let code = frame.map_or(1005, |frame| u16::from(frame.code));
            return Step::Ended(End::ByClient(code));
        }
        Some(Err(error)) => {
            tracing::debug!(%error, "read");
            return Step::Ended(End::Lost);
        }
        None => return Step::Ended(End::Lost),
    };
    match received {
        Received::Act(action) => Step::Act(action),
        Received::Invoke(_) | Received::Nothing => Step::Nothing,
    }
}

fn end(api: &Arc<Api>, peer: SocketAddr, place: Place, ended: &End) {
    let (id, connected_at) = (place.id.clone(), place.connected_at);
    let was_open = place.leave();
    let (code, reason) = match ended {
        End::Lost => (1006, ""),
        End::ByClient(code) => (*code, ""),
        End::Closed(close) => (close.code.unwrap_or(1005), close.reason),
    };
    if was_open || matches!(ended, End::Closed(_)) {
        api.disconnect(peer, &id, connected_at, code, reason);
    }
}

/// Sends the Close frame and reads on until the client has hung up: a connection that is closed
/// with unread bytes is reset, and the frame may be lost with it.
async fn say_goodbye(mut socket: Socket, close: &Close) {
    let frame = close.code.map(|code| CloseFrame {
        code: CloseCode::from(code),
        reason: close.reason.into(),
    });
    if socket.close(frame).await.is_err() {
        return;
    }
    let mut stream = socket.into_inner();
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(&mut stream, &mut nowhere);
    let _ = tokio::time::timeout(CLOSE_WAIT, rest).await;
}
