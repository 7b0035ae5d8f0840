//! Opens a byte stream to an address: name, TCP, TLS, each failure named by its stage.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::failure::ConnectFailure;
use super::proxy::{Proxies, Proxy, Server, TUNNEL_TIMEOUT};
use super::tls;

/// How long one address may stay silent before the next is tried beside it: RFC 8305 recommends
/// 250 ms, so that a broken IPv6 route costs a blink and not the whole connect timeout.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A TCP or TLS stream.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) type Stream = Box<dyn Duplex>;

/// What every connection of a client has in common.
pub(super) struct Dialer {
    tls: TlsConnector,
    proxies: Proxies,
}

impl Dialer {
    /// `roots` are DER certificates that replace the public ones.
    ///
    /// # Errors
    ///
    /// What is wrong with a certificate or the proxy, and what was expected.
    pub(super) fn new(roots: &[Vec<u8>], proxy: &Proxy) -> Result<Self, String> {
        let tls = tls::connector(roots).map_err(|reason| {
            format!("a root certificate is unusable ({reason}); expected DER, not PEM")
        })?;
        let proxies = Proxies::new(proxy)?;
        Ok(Self { tls, proxies })
    }

    /// Checks that there is a way to an address, as far as that can be told without a try.
    pub(super) fn check(&self, address: &Address) -> Result<(), String> {
        self.proxies.via(address).map(|_| ())
    }

    /// Connects. Has no timeout of its own but for a proxy: whoever asks aborts it. Dropping the
    /// future closes what was half open.
    pub(super) async fn dial(&self, address: &Address) -> Result<Stream, ConnectFailure> {
        let way = self
            .proxies
            .via(address)
            .map_err(ConnectFailure::Unreachable)?;
        let stream = match way {
            None => tcp(address).await?,
            Some(proxy) => {
                let tunnel = self.through(proxy, address);
                match tokio::time::timeout(TUNNEL_TIMEOUT, tunnel).await {
                    Ok(stream) => stream?,
                    Err(_) => {
                        let seconds = TUNNEL_TIMEOUT.as_secs();
                        return Err(proxy.failure(format!("no answer within {seconds} s")));
                    }
                }
            }
        };
        self.secure(stream, address).await
    }

    async fn through(&self, proxy: &Server, target: &Address) -> Result<Stream, ConnectFailure> {
        let told = |failure: ConnectFailure| proxy.failure(failure);
        let stream = tcp(&proxy.address).await.map_err(told)?;
        let stream = self.secure(stream, &proxy.address).await.map_err(told)?;
        proxy.tunnel(stream, target).await
    }

    /// Begins TLS where the address wants it.
    async fn secure(&self, stream: Stream, address: &Address) -> Result<Stream, ConnectFailure> {
        if !address.is_secure() {
            return Ok(stream);
        }
        let name = address.server_name().ok_or_else(|| {
            ConnectFailure::Tls(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no certificate can hold this host name",
            ))
        })?;
        let stream = self.tls.connect(name, stream).await;
        Ok(Box::new(stream.map_err(ConnectFailure::Tls)?))
    }
}

async fn tcp(address: &Address) -> Result<Stream, ConnectFailure> {
    let tcp = connect(resolve(address).await?).await?;
    // Frames are small and each waits for an answer: Nagle would hold them back.
    tcp.set_nodelay(true).map_err(ConnectFailure::Tcp)?;
    Ok(Box::new(tcp))
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, ConnectFailure> {
    if let Some(ip) = address.ip() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let found = tokio::net::lookup_host((address.host(), address.port()))
        .await
        .map_err(ConnectFailure::Dns)?;
    let addresses = interleave(found.collect());
    if addresses.is_empty() {
        return Err(ConnectFailure::Dns(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )));
    }
    Ok(addresses)
}

/// Alternates the address families, first the one that the resolver prefers.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let count = addresses.len();
    let (preferred, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(count);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    while ordered.len() < count {
        ordered.extend(preferred.next());
        ordered.extend(other.next());
    }
    ordered
}

/// The first address that answers wins; the attempts of the others are dropped.
async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectFailure> {
    let mut waiting = addresses.into_iter();
    let mut trying = FuturesUnordered::new();
    let mut last = None;
    trying.extend(waiting.next().map(TcpStream::connect));
    loop {
        tokio::select! {
            done = trying.next() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    last = Some(error);
                    trying.extend(waiting.next().map(TcpStream::connect));
                }
                None => {
                    return Err(ConnectFailure::Tcp(last.unwrap_or_else(|| {
                        io::Error::new(io::ErrorKind::AddrNotAvailable, "no address to try")
                    })));
                }
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => {
                trying.extend(waiting.next().map(TcpStream::connect));
            }
        }
    }
}
