//! What the public types share: the way to the driver.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::events::Event;
use super::feed::Feed;
use crate::machine::{Ids, Input, RequestKey};
use crate::{
    ConnectionState, Diagnostics, Endpoint, Error, ErrorCode, FleetStatus, LeaseChange,
    LeaseStatus, Outcome, Progress, Stage,
};

/// One per client, held by every [`crate::Client`], [`crate::Acquisition`] and [`crate::Lease`].
/// The driver ends after the last of them is gone.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) state: watch::Receiver<ConnectionState>,
    pub(super) events: Arc<Feed<Event>>,
    pub(super) ids: Mutex<Ids>,
    pub(super) next_key: AtomicU64,
    pub(super) verify: bool,
    /// What the driver left behind when it ended.
    pub(super) last: Arc<OnceLock<Diagnostics>>,
}

/// What the app asks of the driver.
#[derive(Debug)]
pub(super) enum Command {
    /// An input without a waiter.
    Input(Input),
    /// [`Input::Acquire`] and its waiter.
    Acquire {
        input: Input,
        key: RequestKey,
        waiter: AcquireWaiter,
    },
    /// [`Input::DetachLease`], whose changes nobody will read.
    DetachLease(String),
    /// [`Input::Endpoint`] and its waiter.
    Endpoint {
        input: Input,
        key: RequestKey,
        waiter: Waiter<Endpoint>,
    },
    /// [`Input::Release`] and its waiter.
    Release {
        input: Input,
        key: RequestKey,
        waiter: Waiter<()>,
    },
    /// [`Input::Status`] and its waiter.
    Status {
        input: Input,
        key: RequestKey,
        waiter: Waiter<FleetStatus>,
    },
    /// What the machine knows about itself.
    Diagnose(oneshot::Sender<Diagnostics>),
}

pub(super) type Waiter<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) struct AcquireWaiter {
    pub(super) id: String,
    pub(super) granted: Waiter<Grant>,
    pub(super) progress: watch::Sender<Option<Progress>>,
}

/// What a lease is made of.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) lease: String,
    pub(super) status: watch::Receiver<LeaseStatus>,
    pub(super) changes: broadcast::Receiver<LeaseChange>,
}

impl Handle {
    /// Sends a command. After the driver's end it goes nowhere, and dropping its waiter settles
    /// whoever waits with `closed`.
    pub(super) fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    pub(super) fn input(&self, input: Input) {
        self.command(Command::Input(input));
    }

    /// Asks the driver what its machine knows about itself; after its end, what it left behind.
    pub(super) async fn diagnose(&self) -> Diagnostics {
        let (waiter, answer) = oneshot::channel();
        self.command(Command::Diagnose(waiter));
        match answer.await {
            Ok(diagnostics) => diagnostics,
            // A driver that ended without a word left a client that is closed, and no more to tell.
            Err(_) => self.last.get_or_init(Diagnostics::of_closed).clone(),
        }
    }

    pub(super) fn draw_key(&self) -> RequestKey {
        RequestKey(self.next_key.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn draw_id(&self) -> String {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .draw()
    }
}

/// What a waiter gets whose driver has ended.
pub(super) fn closed() -> Error {
    Error::new(ErrorCode::Closed, Outcome::Unknown, Stage::Local)
}
