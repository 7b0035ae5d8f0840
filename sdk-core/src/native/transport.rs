//! One WebSocket to the gateway, from its opening to its end, in a task of its own.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tracing::{Instrument as _, Span};

use super::dial::Stream;
use super::log;
use super::network::Network;
use crate::Secret;
use crate::machine::{Epoch, GatewayIndex, Input, TransportEnd};

/// How long a closing socket may take to write what is queued, its close frame last. A peer that
/// no longer reads must not hold `close()` up.
const FLUSH: Duration = Duration::from_secs(1);

/// The driver's end of a transport.
#[derive(Debug)]
pub(super) struct Transport {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    task: JoinHandle<()>,
    span: Span,
}

/// Which transport, and where to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) epoch: Epoch,
    pub(super) gateway: GatewayIndex,
}

#[derive(Debug)]
enum Outgoing {
    Text(Secret),
    Close(u16),
}

impl Transport {
    /// Begins to open. What happens is told through `inputs`, each with `epoch`.
    pub(super) fn open(
        place: Place,
        token: Secret,
        network: Arc<Network>,
        span: Span,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        // Unbounded, but the machine bounds it: requests in flight are limited, and an answer
        // that does not come ends the transport.
        let (outgoing, queue) = mpsc::unbounded_channel();
        let link = Link { place, inputs };
        let run = async move { link.run(token, network, queue).await };
        let task = tokio::spawn(run.instrument(span.clone()));
        Self {
            outgoing,
            task,
            span,
        }
    }

    /// Queues a text frame.
    pub(super) fn send(&self, text: Secret) {
        // A task that has ended has told so by an input.
        let _ = self.outgoing.send(Outgoing::Text(text));
    }

    /// Writes what is queued, then a close frame, and ends; at most a second from now.
    pub(super) async fn close(mut self, code: u16) {
        self.span.in_scope(|| log::closing(code));
        let _ = self.outgoing.send(Outgoing::Close(code));
        if tokio::time::timeout(FLUSH, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Link {
    place: Place,
    inputs: mpsc::Sender<Input>,
}

impl Link {
    async fn run(
        self,
        token: Secret,
        network: Arc<Network>,
        mut queue: mpsc::UnboundedReceiver<Outgoing>,
    ) {
        let epoch = self.place.epoch;
        let opened = tokio::select! {
            opened = network.open(self.place.gateway, &token) => opened,
            // Nothing can be written before it is open: whatever comes here ends it.
            _ = queue.recv() => return,
        };
        let upgraded = match opened {
            Ok(upgraded) => upgraded,
            Err(failure) => {
                log::opened(Some(&failure));
                self.tell(Input::Refused {
                    epoch,
                    refusal: failure.into(),
                })
                .await;
                return;
            }
        };
        log::opened(None);
        self.tell(Input::TransportOpened {
            epoch,
            subprotocol: upgraded.subprotocol,
        })
        .await;

        let (sink, stream) = upgraded.socket.split();
        let end = tokio::select! {
            end = self.read(stream) => end,
            end = write(sink, queue) => match end {
                Some(end) => end,
                // Closed by the machine, which wants no answer.
                None => return,
            },
        };
        log::ended(&end);
        self.tell(Input::TransportClosed { epoch, end }).await;
    }

    /// Reads until the peer ends it.
    async fn read(&self, mut stream: SplitStream<WebSocketStream<Stream>>) -> TransportEnd {
        let epoch = self.place.epoch;
        while let Some(message) = stream.next().await {
            match message {
                Ok(Message::Text(text)) => {
                    let text = Secret::new(text.as_str());
                    self.tell(Input::Frame { epoch, text }).await;
                }
                Ok(Message::Binary(_)) => self.tell(Input::BinaryFrame { epoch }).await,
                Ok(Message::Close(frame)) => {
                    // Polled once more, the library answers the close frame.
                    let _ = tokio::time::timeout(FLUSH, stream.next()).await;
                    return frame.map_or(TransportEnd::Dropped, |frame| match frame.code.into() {
                        // These two stand for "no code" and never travel.
                        1005 | 1006 => TransportEnd::Dropped,
                        code => TransportEnd::Code(code),
                    });
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(error) => return ended(&error),
            }
        }
        TransportEnd::Dropped
    }

    async fn tell(&self, input: Input) {
        // The driver has ended: there is nobody left to tell.
        let _ = self.inputs.send(input).await;
    }
}

/// Writes until the queue says close or is dropped (`None`), or the peer is gone.
async fn write(
    mut sink: SplitSink<WebSocketStream<Stream>, Message>,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) -> Option<TransportEnd> {
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            Outgoing::Text(text) => {
                if let Err(error) = sink.send(Message::text(text.into_exposed())).await {
                    return Some(ended(&error));
                }
            }
            Outgoing::Close(code) => {
                let frame = CloseFrame {
                    code: code.into(),
                    reason: "".into(),
                };
                let _ = sink.send(Message::Close(Some(frame))).await;
                return None;
            }
        }
    }
    None
}

/// Tells an end that the peer made from one that this side met.
fn ended(error: &tungstenite::Error) -> TransportEnd {
    let peer = match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => true,
        tungstenite::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ),
        _ => false,
    };
    if peer {
        TransportEnd::Dropped
    } else {
        TransportEnd::Failed {
            message: error.to_string(),
        }
    }
}
