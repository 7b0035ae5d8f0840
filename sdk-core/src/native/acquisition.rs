//! One wish for an endpoint, from the call to the lease.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{oneshot, watch};

use super::events::ProgressStream;
use super::handle::{AcquireWaiter, Command, Grant, Handle, closed};
use super::lease::Lease;
use crate::machine::{Input, RequestKey};
use crate::{Acquire, Error, Progress};

/// A wish for an endpoint, made by [`Client::acquire`](crate::Client::acquire). It is under way
/// already; await it for the [`Lease`].
///
/// Resolves once the endpoint is ready and, unless [`Acquire::verify`] says otherwise, was reached
/// from this device's own network; at the latest at the deadline, with `start_timeout` or
/// `capacity_unavailable`.
///
/// Dropping it before that, also while it is awaited, cancels it on the wire. To await it and
/// keep a hand on it, await `&mut acquisition`:
///
/// ```no_run
/// use wakecast::{Acquire, Client, Error, Lease};
///
/// async fn play(client: &Client, gone: tokio::sync::oneshot::Receiver<()>) -> Result<Lease, Error> {
///     let mut acquisition = client.acquire(Acquire::play("live", "match-1"));
///     tokio::select! {
///         outcome = &mut acquisition => outcome,
///         _ = gone => {
///             acquisition.cancel();
///             acquisition.await // `cancelled`, or a lease that was granted just before
///         }
///     }
/// }
/// ```
#[must_use = "dropping an acquisition cancels it"]
pub struct Acquisition {
    handle: Arc<Handle>,
    id: String,
    key: RequestKey,
    granted: oneshot::Receiver<Result<Grant, Error>>,
    progress: watch::Receiver<Option<Progress>>,
    /// What dropping still has to undo.
    open: bool,
}

impl Acquisition {
    pub(super) fn start(handle: Arc<Handle>, mut acquire: Acquire) -> Self {
        let id = match acquire.preset_id() {
            Some(id) => id.to_owned(),
            None => handle.draw_id(),
        };
        acquire = acquire.id(id.clone());
        if !handle.verify {
            acquire = acquire.verify(false);
        }
        let key = handle.draw_key();
        let (settle, granted) = oneshot::channel();
        let (tell, progress) = watch::channel(None);
        handle.command(Command::Acquire {
            input: Input::Acquire { key, acquire },
            key,
            waiter: AcquireWaiter {
                id: id.clone(),
                granted: settle,
                progress: tell,
            },
        });
        Self {
            handle,
            id,
            key,
            granted,
            progress,
            open: true,
        }
    }

    /// Returns the id: the idempotency key of this wish and later the lease's name. An app that
    /// stores it and sets it on another acquire, after a restart for instance, continues this one.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the progress from now on, beginning with the latest that is known.
    pub fn progress(&self) -> ProgressStream {
        ProgressStream::new(self.progress.clone())
    }

    /// Cancels, also on the wire. Awaiting it then ends with `cancelled`, unless the lease was
    /// granted already. May be called more than once.
    pub fn cancel(&self) {
        self.handle.input(Input::Cancel { key: self.key });
    }

    /// Lets go without cancelling, and returns the id. The wish goes on as long as the client
    /// lives; what it is granted is held like any lease. A successor with the same id takes it
    /// over: within 120 s of this client's [`detach`](crate::Client::detach) or of its process's
    /// end the server still knows it.
    pub fn detach(mut self) -> String {
        self.open = false;
        self.handle.input(Input::DetachAcquire { key: self.key });
        std::mem::take(&mut self.id)
    }
}

impl Future for Acquisition {
    type Output = Result<Lease, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.open {
            // Awaited again after its outcome, through a `&mut`.
            return Poll::Ready(Err(closed()));
        }
        let Poll::Ready(received) = Pin::new(&mut self.granted).poll(context) else {
            return Poll::Pending;
        };
        self.open = false;
        let outcome = received.unwrap_or_else(|_| Err(closed()));
        Poll::Ready(outcome.map(|grant| Lease::new(Arc::clone(&self.handle), grant)))
    }
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        if self.open {
            self.handle.input(Input::Abandon { key: self.key });
        }
    }
}

impl fmt::Debug for Acquisition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquisition")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
