//! A granted endpoint.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, oneshot, watch};

use super::events::LeaseChanges;
use super::handle::{Command, Grant, Handle, closed};
use crate::machine::Input;
use crate::{Endpoint, Error, LeaseChange, LeaseStatus};

/// The right to use an instance until it is released, lost or forgotten.
///
/// The client keeps it over reconnects, and tells through [`changes`](Self::changes) when its
/// instance drains, is replaced or gone.
///
/// **Dropping a lease releases nothing.** A dropped value may be an accident, an aborted task or a
/// collected object of another language, and must not take the server from under a running
/// stream. The client goes on holding it; what ends it is [`release`](Self::release),
/// [`Client::close`](crate::Client::close), or, once the last handle is gone or the process has
/// ended, the server after 120 s without a link.
///
/// ```no_run
/// use wakecast::{Error, Lease, LeaseChange};
///
/// async fn stream(lease: Lease) -> Result<(), Error> {
///     let mut changes = lease.changes();
///     let mut endpoint = lease.endpoint().await?; // its token is good now, not for ever
///     loop {
///         println!("open the stream at {}", endpoint.websocket_url);
///         endpoint = loop {
///             match changes.next().await {
///                 Some(LeaseChange::Moved { endpoint }) => break endpoint,
///                 Some(LeaseChange::Lost { .. }) | None => return Ok(()),
///                 Some(change) => println!("{change:?}"),
///             }
///         };
///     }
/// }
/// ```
pub struct Lease {
    handle: Arc<Handle>,
    id: String,
    status: watch::Receiver<LeaseStatus>,
    changes: Mutex<Changes>,
}

/// The first reader gets all that happened since the grant, later ones what happens from then on.
struct Changes {
    since_grant: Option<broadcast::Receiver<LeaseChange>>,
    from_now: broadcast::Receiver<LeaseChange>,
}

impl Lease {
    pub(super) fn new(handle: Arc<Handle>, grant: Grant) -> Self {
        let from_now = grant.changes.resubscribe();
        let changes = Mutex::new(Changes {
            since_grant: Some(grant.changes),
            from_now,
        });
        Self {
            handle,
            id: grant.lease,
            status: grant.status,
            changes,
        }
    }

    /// Returns the id, which is that of its acquisition.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the latest status.
    pub fn status(&self) -> LeaseStatus {
        *self.status.borrow()
    }

    /// Returns the endpoint with a stream token that is valid at that moment: the last one while
    /// it has at least 10 s left, else a new one. While the lease moves to another instance this
    /// waits for it. Dropping the future asks no more.
    ///
    /// # Errors
    ///
    /// `lease_lost` once the lease is gone, `request_timeout` without an answer, `closed`.
    pub async fn endpoint(&self) -> Result<Endpoint, Error> {
        let (waiter, answer) = oneshot::channel();
        let key = self.handle.draw_key();
        let input = Input::Endpoint {
            key,
            lease: self.id.clone(),
        };
        self.handle
            .command(Command::Endpoint { input, key, waiter });
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Returns the changes. The first stream begins at the grant, so that nothing is missed;
    /// later ones begin now.
    pub fn changes(&self) -> LeaseChanges {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = match changes.since_grant.take() {
            Some(receiver) => receiver,
            None => changes.from_now.resubscribe(),
        };
        LeaseChanges::new(receiver)
    }

    /// Gives the lease back, so that its instance can stop. Asked for when first awaited; goes on
    /// when the future is dropped after that.
    ///
    /// # Errors
    ///
    /// `request_timeout` when the server did not confirm it, `closed`. The lease counts as released
    /// all the same.
    pub async fn release(&self) -> Result<(), Error> {
        let (waiter, answer) = oneshot::channel();
        let key = self.handle.draw_key();
        let input = Input::Release {
            key,
            lease: self.id.clone(),
        };
        self.handle.command(Command::Release { input, key, waiter });
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Lets go without a word to the server, and returns the id by which a successor, in this
    /// client or in another process, can acquire it again. Unlike after dropping it, the client no
    /// longer holds it: [`close`](crate::Client::close) does not release it, and the server keeps it
    /// until 120 s after the link that held it has ended.
    pub fn detach(self) -> String {
        self.handle.command(Command::DetachLease(self.id.clone()));
        self.id
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &self.id)
            .field("status", &self.status())
            .finish()
    }
}
