//! Loopback ports.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A loopback port that is ours: nothing of the local cloud listens anywhere else.
#[derive(Debug)]
pub struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) inner: TcpListener,
}

impl Listener {
    /// Takes a port; 0 takes a free one.
    ///
    /// # Errors
    /// The port is taken or not allowed, or the address is no loopback address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let why = format!("{address} is no loopback address: use 127.0.0.1");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let inner = TcpListener::bind(address).await?;
        Ok(Self {
            address: inner.local_addr()?,
            inner,
        })
    }
}

/// As many as the standard library lets wait.
const BACKLOG: u32 = 128;

/// A port that is kept while nobody listens there: connects are refused, and no other socket of
/// this machine is given it by chance.
#[derive(Debug)]
pub(crate) struct KeptPort(TcpSocket);

impl KeptPort {
    pub(crate) fn keep(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of whoever listened here before may still be ending.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self(socket))
    }

    pub(crate) fn listen(self) -> io::Result<Listener> {
        let inner = self.0.listen(BACKLOG)?;
        Ok(Listener {
            address: inner.local_addr()?,
            inner,
        })
    }
}
