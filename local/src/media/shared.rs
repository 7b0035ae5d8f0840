//! The model behind a lock, and everything in the process that waits for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::exchange::{Opening, Output, Request, SocketId};
use super::model::{MediaModel, MediaStatus};

/// What held requests and sockets watch besides the status.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Control {
    /// Rises with each input that a request cannot cause.
    revision: u64,
    /// Whether the process hangs.
    pub(super) hang: bool,
}

/// A message from the model to one WebSocket.
#[derive(Debug)]
pub(super) enum Frame {
    Text(String),
    Close(u16, &'static str),
}

/// One open WebSocket as its task holds it.
#[derive(Debug)]
pub(super) struct OpenSocket {
    pub(super) id: SocketId,
    pub(super) frames: mpsc::UnboundedReceiver<Frame>,
    /// Changes when the process is gone.
    pub(super) gone: watch::Receiver<u64>,
}

/// The model and everything that waits for it.
#[derive(Debug)]
pub(super) struct Shared {
    origin: Instant,
    state: Mutex<State>,
    pub(super) status: watch::Sender<MediaStatus>,
    pub(super) control: watch::Sender<Control>,
    gone: watch::Sender<u64>,
    /// Whether the port is open.
    pub(super) port: watch::Sender<bool>,
    /// Where media comes and goes, if it is carried.
    pub(super) media: Option<UdpSocket>,
    /// Told when the model's next timeout is nearer than the one that is waited for.
    pub(super) sooner: Notify,
}

#[derive(Debug)]
struct State {
    model: MediaModel,
    sockets: BTreeMap<SocketId, mpsc::UnboundedSender<Frame>>,
    /// The timeout that is waited for.
    armed: Option<u64>,
}

impl Shared {
    pub(super) fn new(model: MediaModel, media: Option<UdpSocket>) -> Self {
        let control = Control {
            revision: 0,
            hang: model.faults().hang,
        };
        Self {
            origin: Instant::now(),
            status: watch::Sender::new(model.status(0)),
            control: watch::Sender::new(control),
            gone: watch::Sender::new(0),
            port: watch::Sender::new(false),
            media,
            sooner: Notify::new(),
            state: Mutex::new(State {
                model,
                sockets: BTreeMap::new(),
                armed: None,
            }),
        }
    }

    /// Lets time pass and says until when nothing is due; [`Shared::sooner`] says if that changes.
    pub(super) fn keep_time(&self) -> Option<u64> {
        self.locked(|state, now| {
            state.model.tick(now);
            state.armed = state.model.next_timeout(now);
            state.armed
        })
    }

    pub(super) fn watch_control(&self) -> watch::Receiver<Control> {
        self.control.subscribe()
    }

    pub(super) fn watch_gone(&self) -> watch::Receiver<u64> {
        self.gone.subscribe()
    }

    /// One input, and what follows from it.
    pub(super) fn with<T>(&self, input: impl FnOnce(&mut MediaModel, u64) -> T) -> T {
        self.locked(|state, now| input(&mut state.model, now))
    }

    /// A handshake; an accepted socket is known to the model and to us from one moment on.
    pub(super) fn open(&self, request: &Request) -> (Opening, Option<OpenSocket>) {
        self.locked(|state, now| {
            let opening = state.model.ws_open(now, request);
            let Opening::Accepted(id) = opening else {
                return (opening, None);
            };
            let (sender, frames) = mpsc::unbounded_channel();
            state.sockets.insert(id, sender);
            (
                opening,
                Some(OpenSocket {
                    id,
                    frames,
                    gone: self.gone.subscribe(),
                }),
            )
        })
    }

    /// The end of a socket's connection.
    pub(super) fn closed(&self, id: SocketId) {
        self.locked(|state, now| {
            state.sockets.remove(&id);
            state.model.ws_closed(now, id);
        });
    }

    /// Waits until a silent request is worth handing in again.
    pub(super) async fn silence(&self, until: Option<u64>, control: &mut watch::Receiver<Control>) {
        let changed = async {
            // The sender lives in `self`.
            let _ = control.changed().await;
        };
        match until {
            Some(at) => {
                let _ = tokio::time::timeout_at(self.instant(at), changed).await;
            }
            None => changed.await,
        }
    }

    pub(super) fn control<T>(&self, input: impl FnOnce(&mut MediaModel, u64) -> T) -> T {
        let (result, hang) = self.with(|model, now| (input(model, now), model.faults().hang));
        self.control.send_modify(|control| {
            control.revision += 1;
            control.hang = hang;
        });
        result
    }

    fn locked<T>(&self, input: impl FnOnce(&mut State, u64) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let result = input(&mut state, now);
        while let Some(output) = state.model.poll() {
            self.dispatch(&mut state.sockets, output);
        }
        let due = state.model.next_timeout(now);
        if due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed)) {
            state.armed = due;
            self.sooner.notify_one();
        }
        let status = state.model.status(now);
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
        result
    }

    fn dispatch(
        &self,
        sockets: &mut BTreeMap<SocketId, mpsc::UnboundedSender<Frame>>,
        output: Output,
    ) {
        let (socket, frame) = match output {
            Output::Send { socket, text } => (socket, Frame::Text(text)),
            Output::Close {
                socket,
                code,
                reason,
            } => (socket, Frame::Close(code, reason)),
            Output::Drop { socket } => {
                sockets.remove(&socket);
                return;
            }
            Output::Datagram { to, bytes } => {
                // What the network does not take now is lost, as datagrams are.
                if let Some(media) = &self.media {
                    let _ = media.try_send_to(&bytes, to);
                }
                return;
            }
            Output::Gone => {
                self.gone.send_modify(|lives| *lives += 1);
                return;
            }
        };
        // A socket whose task ended is reported by `closed`; its last messages go nowhere.
        if let Some(sender) = sockets.get(&socket) {
            let _ = sender.send(frame);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn instant(&self, at: u64) -> Instant {
        self.origin + Duration::from_millis(at)
    }
}
