//! The client.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::acquisition::Acquisition;
use super::builder::ClientBuilder;
use super::events::Events;
use super::handle::{Command, Handle, closed};
use crate::machine::Input;
use crate::{Acquire, ConnectionState, Diagnostics, Error, Explanation, FleetStatus, Metrics};

/// Keeps one link to the service, and on it acquires endpoints.
///
/// A clone is another handle on the same client. When the last handle, acquisition and lease is
/// gone, the client closes by itself; leases that were dropped without a release are then left to
/// the server, which keeps them for 120 s.
///
/// ```no_run
/// use wakecast::{Acquire, Client, Token, TokenError, TokenReason};
///
/// # async fn example() -> Result<(), wakecast::Error> {
/// let client = Client::builder("wss://gateway.example.com/prod")
///     .access_url("https://access.example.com/prod")
///     .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new("…")) })
///     .build()?;
///
/// let acquisition = client.acquire(Acquire::publish("live", "match-1"));
/// let mut progress = acquisition.progress();
/// tokio::spawn(async move {
///     while let Some(progress) = progress.next().await {
///         println!("{:?}: {:.0} %", progress.phase, progress.fraction * 100.0);
///     }
/// });
///
/// let lease = acquisition.await?;
/// let endpoint = lease.endpoint().await?;
/// println!("publish to {}", endpoint.websocket_url);
/// lease.release().await?;
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

impl Client {
    /// Begins a client for the WebSocket address of the service, such as
    /// `wss://gateway.example.com/prod`.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Opens the link with nothing to ask yet, so that the first acquire need not wait for it.
    /// Returns at once; [`state`](Self::state) and [`events`](Self::events) tell how it goes.
    pub fn connect(&self) {
        self.handle.input(Input::Connect);
    }

    /// Asks for an endpoint. Starts at once, awaited or not, and opens the link if need be.
    pub fn acquire(&self, acquire: Acquire) -> Acquisition {
        Acquisition::start(Arc::clone(&self.handle), acquire)
    }

    /// Asks what the token's only fleet does: whether an instance is ready, how far a start is and
    /// how long it still takes. Starts, keeps and wakes nothing, but opens the link if need be.
    ///
    /// With the scope `admin` the answer holds [`operator`](FleetStatus::operator) too: instances,
    /// waiters, caps, why starts pause. Answered within 30 s; dropping the future asks no more.
    ///
    /// ```no_run
    /// # async fn example(client: wakecast::Client) -> Result<(), wakecast::Error> {
    /// let status = client.status().await?;
    /// match status.phase {
    ///     Some(phase) if !status.ready => println!("{phase:?}, {:?} to go", status.eta_p50),
    ///     Some(_) => println!("ready"),
    ///     None => println!("at rest; a start takes about {:?}", status.eta_p50),
    /// }
    /// if let Some(operator) = &status.operator {
    ///     println!("{} wait, {} hold", operator.waiters, operator.leases);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid_argument` if the token allows several fleets (see [`status_of`](Self::status_of)),
    /// `request_timeout` without an answer, `queue_full` while too much waits for a link, `closed`.
    /// [`Error::outcome`] tells whether it was written; asking again is always safe.
    pub async fn status(&self) -> Result<FleetStatus, Error> {
        self.ask_status(None).await
    }

    /// Asks like [`status`](Self::status) about the fleet of that name.
    ///
    /// # Errors
    ///
    /// Those of [`status`](Self::status), and `forbidden` if the token does not name the fleet.
    pub async fn status_of(&self, fleet: impl Into<String>) -> Result<FleetStatus, Error> {
        self.ask_status(Some(fleet.into())).await
    }

    async fn ask_status(&self, fleet: Option<String>) -> Result<FleetStatus, Error> {
        let (waiter, answer) = oneshot::channel();
        let key = self.handle.draw_key();
        let input = Input::Status { key, fleet };
        self.handle.command(Command::Status { input, key, waiter });
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Explains why the client is not connected, or why something that was acquired is not ready:
    /// what is found and what it rests on, what happens next and when, and what a person can do.
    /// Answers at once, also in `Failed` and after the end; printed, it is plain English.
    ///
    /// ```no_run
    /// # async fn example(client: wakecast::Client) {
    /// println!("{}", client.explain().await);
    /// // Not connected: the server could not be reached (network_unreachable).
    /// //   because   2 s ago, after 20 ms: no TCP connection: Connection refused (os error 111)
    /// //   next      tries again in 4 s
    /// //   you can   check the network of this device
    /// //             check the address that the client was built with
    /// # }
    /// ```
    pub async fn explain(&self) -> Explanation {
        self.diagnostics().await.explanation
    }

    /// Returns what is safe to attach to a ticket: versions, state, explanation, counters and the
    /// last 128 records. It holds no token, no stream token, no query, and no text of the token
    /// provider or the server. Printed, it is text; [`Diagnostics::to_json`] is for programs.
    ///
    /// Answers at once, also after the end: then with the last there was.
    pub async fn diagnostics(&self) -> Diagnostics {
        self.handle.diagnose().await
    }

    /// Returns what the client has counted since it was made.
    ///
    /// ```no_run
    /// # async fn example(client: wakecast::Client) {
    /// let metrics = client.metrics().await;
    /// println!("{} attempts, {} drops", metrics.attempts, metrics.drops.total());
    /// if let Some(time) = metrics.time_to_connect.mean() {
    ///     println!("connects in {time:?}");
    /// }
    /// # }
    /// ```
    pub async fn metrics(&self) -> Metrics {
        self.diagnostics().await.metrics
    }

    /// Returns the latest connection state.
    pub fn state(&self) -> ConnectionState {
        self.handle.state.borrow().clone()
    }

    /// Returns the events from now on. Each call makes a reader of its own.
    pub fn events(&self) -> Events {
        Events::new(&self.handle.events)
    }

    /// Leaves [`ConnectionState::Failed`] with a fresh token. Does nothing in other states.
    pub fn retry(&self) {
        self.handle.input(Input::Retry);
    }

    /// Tells the client that the device has a network (`true`) or none. A hint that makes it react
    /// sooner; nothing stops for good.
    pub fn set_network(&self, available: bool) {
        self.handle.input(if available {
            Input::NetworkUp
        } else {
            Input::NetworkDown
        });
    }

    /// Tells the client that the device is on another network than before.
    pub fn network_changed(&self) {
        self.handle.input(Input::NetworkChanged);
    }

    /// Tells the client whether the app is in front. In the background, with nothing held or
    /// waited for, it makes no attempts.
    pub fn set_foreground(&self, foreground: bool) {
        self.handle.input(if foreground {
            Input::Foreground
        } else {
            Input::Background
        });
    }

    /// Closes for good, from any state: releases what is held (waiting at most a second for it),
    /// settles everything that is still awaited with `closed`, and ends the link. Goes on when the
    /// future is dropped. Every later request ends with `closed`.
    pub async fn close(&self) {
        self.handle.input(Input::Close);
        self.handle.commands.closed().await;
    }

    /// Closes like [`close`](Self::close) but tells the server nothing: for 120 s it keeps what is
    /// held and waited for, and a successor that acquires with the same ids takes it over.
    pub async fn detach(&self) {
        self.handle.input(Input::Detach);
        self.handle.commands.closed().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &self.state())
            .finish()
    }
}
