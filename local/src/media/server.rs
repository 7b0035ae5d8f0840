//! Serves a [`MediaModel`] on real ports: no decisions here, only sockets and one timer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::boot::BootPhase;
use super::config::{Faults, MediaConfig};
use super::connection;
use super::model::{MediaModel, MediaStatus};
use super::power::Power;
use super::shared::Shared;

/// Connections the kernel keeps while the process is silent; the vendor's `acceptCount`.
const BACKLOG: u32 = 100;

/// Larger datagrams are cut, and then belong to nobody: WebRTC keeps below an Ethernet frame.
const MAX_DATAGRAM_BYTES: usize = 2_048;

/// A running stand-in on a real port. Dropping it kills the process and frees the port.
#[derive(Debug)]
pub struct MediaProcess {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl MediaProcess {
    /// Starts a process that will listen on `address`; port 0 picks a free one. The port is
    /// reserved at once and refuses connections until the boot opens it.
    ///
    /// A `unix_ms_at_zero` of 0 stands for this machine's clock. Media, if it is carried, has a UDP
    /// port of its own, which is bound as long as the value lives.
    ///
    /// # Errors
    /// A port cannot be bound, or the configuration is wrong ([`io::ErrorKind::InvalidInput`]
    /// with a sentence on what is).
    ///
    /// # Panics
    /// Outside a tokio runtime with time and network.
    pub async fn start(config: MediaConfig, address: SocketAddr) -> io::Result<Self> {
        Self::start_with(config, Faults::default(), address).await
    }

    /// The same with faults in force from the first moment.
    ///
    /// # Errors
    /// As [`MediaProcess::start`].
    #[allow(
        clippy::unused_async,
        reason = "so that it can only be called inside a runtime"
    )]
    pub async fn start_with(
        mut config: MediaConfig,
        faults: Faults,
        address: SocketAddr,
    ) -> io::Result<Self> {
        if config.unix_ms_at_zero == 0 {
            config.unix_ms_at_zero = unix_ms();
        }
        let media = match &mut config.webrtc {
            Some(webrtc) => {
                let socket = bind_media(webrtc.address)?;
                webrtc.address = socket.local_addr()?;
                Some(socket)
            }
            None => None,
        };
        let model = MediaModel::start_with(config, faults, 0)
            .map_err(|wrong| io::Error::new(io::ErrorKind::InvalidInput, wrong))?;
        let reserved = reserve(address)?;
        let address = reserved.local_addr()?;
        let shared = Arc::new(Shared::new(model, media));
        let mut tasks = vec![
            tokio::spawn(accept(Arc::clone(&shared), reserved, address)),
            tokio::spawn(keep_time(Arc::clone(&shared))),
        ];
        if shared.media.is_some() {
            tasks.push(tokio::spawn(receive_media(Arc::clone(&shared))));
        }
        let process = Self {
            address,
            shared,
            tasks,
        };
        process.settled().await;
        Ok(process)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands the model an input of the driver's choice, at this moment: an ingest, a freeze, a
    /// crash, faults.
    pub fn control<T>(&self, input: impl FnOnce(&mut MediaModel, u64) -> T) -> T {
        self.shared.control(input)
    }

    /// What the server looks like from inside, now.
    pub fn status(&self) -> MediaStatus {
        self.shared.with(|model, now| model.status(now))
    }

    /// Waits until the status is as wanted and returns it; the port is open or closed by then as
    /// the model says. Cancel-safe; has no deadline.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&MediaStatus) -> bool) -> MediaStatus {
        let found = {
            let mut status = self.shared.status.subscribe();
            let found = status.wait_for(|status| wanted(status)).await;
            found.ok().map(|status| status.clone())
        };
        self.settled().await;
        // The sender lives in `shared`, as long as `self`: there is always a status.
        found.unwrap_or_else(|| self.status())
    }

    /// Waits until the port is open or closed as the model says, after an input that changes it.
    /// Cancel-safe.
    pub async fn settled(&self) {
        let mut port = self.shared.port.subscribe();
        let mut status = self.shared.status.subscribe();
        loop {
            let open = *port.borrow_and_update();
            if open == (status.borrow_and_update().phase > BootPhase::Refused) {
                return;
            }
            tokio::select! {
                _ = port.changed() => {}
                _ = status.changed() => {}
            }
        }
    }

    /// SIGTERM; returns when the process is gone and its port refuses.
    pub async fn stop(&self) {
        self.control(|model, now| model.stop(now));
        self.wait_for(|status| matches!(status.power, Power::Down { .. }))
            .await;
    }

    /// SIGKILL; returns when the port refuses. Every connection is being dropped by then.
    pub async fn kill(&self) {
        self.control(|model, now| model.kill(now));
        self.settled().await;
    }

    /// Starts the process again on the same port after it ended.
    pub async fn boot(&self) {
        self.control(|model, now| model.boot(now));
        self.settled().await;
    }
}

impl Drop for MediaProcess {
    fn drop(&mut self) {
        self.control(|model, now| model.kill(now));
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Lets the model's time pass: one timer, armed anew when something is due sooner.
async fn keep_time(shared: Arc<Shared>) {
    loop {
        let due = shared.keep_time();
        let sooner = shared.sooner.notified();
        match due {
            Some(at) => {
                let _ = tokio::time::timeout_at(shared.instant(at), sooner).await;
            }
            None => sooner.await,
        }
    }
}

/// Hands every datagram to the model.
async fn receive_media(shared: Arc<Shared>) {
    let Some(media) = &shared.media else { return };
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    loop {
        match media.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                shared.with(|model, now| model.datagram(now, from, bytes));
            }
            // A peer whose port is closed is reported here, once for each datagram to it.
            Err(error) => tracing::debug!(%error, "media"),
        }
    }
}

/// Opens and closes the port as the model says and takes connections while it is open.
async fn accept(shared: Arc<Shared>, mut reserved: TcpSocket, address: SocketAddr) {
    let mut status = shared.status.subscribe();
    loop {
        if status
            .wait_for(|status| status.phase > BootPhase::Refused)
            .await
            .is_err()
        {
            return;
        }
        match reserved.listen(BACKLOG) {
            Ok(listener) => {
                shared.port.send_replace(true);
                take_connections(&shared, &listener, &mut status).await;
            }
            Err(error) => {
                tracing::error!(%address, %error, "the media stand-in cannot listen");
                return;
            }
        }
        reserved = match reserve(address) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%address, %error, "the media stand-in lost its port");
                return;
            }
        };
        shared.port.send_replace(false);
    }
}

async fn take_connections(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    status: &mut watch::Receiver<MediaStatus>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection::serve(Arc::clone(shared), stream, peer));
                }
                // Out of descriptors or a connection that ended before it was taken.
                Err(error) => tracing::debug!(%error, "accept"),
            },
            Some(_) = connections.join_next() => {}
            gone = status.wait_for(|status| status.phase == BootPhase::Refused) => {
                drop(gone);
                return;
            }
        }
    }
}

/// Binds the port without listening, so that connections are refused and nobody takes it.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn bind_media(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
