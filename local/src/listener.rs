//! Loopback ports.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

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
