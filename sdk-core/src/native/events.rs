//! What an app can watch.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::feed::{Feed, Told};
use crate::{ConnectionState, Error, LeaseChange, LeaseStatus, Progress};

/// How many events wait for a slow reader: a cold start with several acquisitions stays far below.
/// A reader that never looks costs about 35 KB, one that keeps up and a client without any nothing.
pub(super) const EVENT_CAPACITY: usize = 256;

/// How many changes of one lease wait for a slow reader; a lease sees a handful in its life.
pub(super) const CHANGE_CAPACITY: usize = 16;

/// Something that happened, in order.
///
/// ```no_run
/// use wakecast::{Client, Event};
///
/// async fn log(client: &Client) {
///     let mut events = client.events(); // before the first question, to miss nothing
///     while let Some(event) = events.next().await {
///         match event {
///             Event::State(state) => println!("{state:?}"),
///             Event::Progress { id, progress } => println!("{id}: {}", progress.phase.as_str()),
///             Event::Lease { lease, status, .. } => println!("{lease}: {status:?}"),
///             Event::Diagnostic(error) => eprintln!("{error}"),
///             Event::Lagged { n } => eprintln!("too slow: {n} events were dropped"),
///             _ => {}
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The connection state changed.
    State(ConnectionState),
    /// An acquisition, or a lease that moves, came nearer to an instance.
    Progress {
        /// Id of the acquisition or lease.
        id: String,
        /// How near.
        progress: Progress,
    },
    /// A lease changed.
    Lease {
        /// Id of the lease.
        lease: String,
        /// Its status after the change.
        status: LeaseStatus,
        /// The change.
        change: LeaseChange,
    },
    /// Something that belongs to no request and that a developer wants to see.
    Diagnostic(Error),
    /// The reader was too slow: this many events were dropped before the next one. The latest
    /// values are still at [`Client::state`](crate::Client::state) and
    /// [`Lease::status`](crate::Lease::status).
    Lagged {
        /// Number of events that were dropped.
        n: u64,
    },
}

/// Declares a stream type around a boxed one, so that the public type stays ours.
macro_rules! named_stream {
    ($(#[$meta:meta])* $name:ident of $item:ty) => {
        $(#[$meta])*
        pub struct $name(BoxStream<'static, $item>);

        impl Stream for $name {
            type Item = $item;

            fn poll_next(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                self.0.poll_next_unpin(context)
            }
        }

        impl $name {
            /// Returns the next item; `None` once there will be no more. Cancel-safe.
            pub async fn next(&mut self) -> Option<$item> {
                self.0.next().await
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

named_stream! {
    /// A client's events from the moment it was made; a slow reader gets [`Event::Lagged`]. Ends
    /// after the client has closed.
    Events of Event
}

named_stream! {
    /// The latest progress of an acquisition: a slow reader skips what is out of date. Its
    /// fraction never goes back. Ends with the acquisition.
    ProgressStream of Progress
}

named_stream! {
    /// The changes of a lease. A reader that missed some goes on with the oldest that is kept:
    /// each change says all that its lease is then. Ends after the lease was lost or released, or
    /// the client has closed.
    LeaseChanges of LeaseChange
}

impl Events {
    pub(super) fn new(feed: &Arc<Feed<Event>>) -> Self {
        let reader = feed.reader();
        let events = stream::poll_fn(move |context| {
            reader.poll_next(context).map(|told| {
                told.map(|told| match told {
                    Told::Item(event) => event,
                    Told::Missed(n) => Event::Lagged { n },
                })
            })
        });
        Self(events.boxed())
    }
}

impl ProgressStream {
    /// `receiver` has seen nothing yet, so that what is known already comes first.
    pub(super) fn new(receiver: watch::Receiver<Option<Progress>>) -> Self {
        let progress = stream::unfold(receiver, |mut receiver| async move {
            loop {
                receiver.changed().await.ok()?;
                let latest = receiver.borrow_and_update().clone();
                if let Some(progress) = latest {
                    return Some((progress, receiver));
                }
            }
        });
        Self(progress.boxed())
    }
}

impl LeaseChanges {
    pub(super) fn new(receiver: broadcast::Receiver<LeaseChange>) -> Self {
        let changes = stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(change) => return Some((change, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        Self(changes.boxed())
    }
}
