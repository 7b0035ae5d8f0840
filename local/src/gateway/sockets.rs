//! The gateway's connections as everybody but their own tasks sees them: `@connections`, faults
//! and the one timer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use wakecast_lambda::model::{ConnectionId, Timestamp};
use wakecast_lambda::ports::{Clock, Connections, PostError};

use super::{
    Action, GatewayFaults, GatewayModel, Handshake, Incoming, Integration, Invocation, Limits,
    ManagementError, Received, RequestId,
};

/// The gateway's connections. Cheap to clone; serves as the [`Connections`] port.
#[derive(Clone)]
pub struct Sockets {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    stirred: Notify,
}

struct State {
    model: GatewayModel,
    links: BTreeMap<ConnectionId, Link>,
    faults: GatewayFaults,
}

struct Link {
    commands: mpsc::UnboundedSender<Command>,
    connected_at: Timestamp,
    open: bool,
}

/// What a connection's task is told.
#[derive(Debug)]
pub(super) enum Command {
    /// The gateway acts.
    Act(Action),
    /// The network is cut: nothing more is read or written.
    Cut {
        /// The gateway does not notice.
        silent: bool,
    },
}

/// A handshake that was let in.
pub(super) struct Admitted {
    pub(super) invocation: Invocation,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
}

impl Sockets {
    /// Puts the port over a model. Somebody must poll [`Sockets::keep_time`].
    #[must_use]
    pub fn new(model: GatewayModel, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            model,
            links: BTreeMap::new(),
            faults: GatewayFaults::default(),
        };
        let shared = Shared {
            clock,
            state: Mutex::new(state),
            stirred: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Lists the open connections and when each was made.
    #[must_use]
    pub fn open(&self) -> Vec<(ConnectionId, Timestamp)> {
        let state = self.state();
        let open = state.links.iter().filter(|(_, link)| link.open);
        open.map(|(id, link)| (id.clone(), link.connected_at))
            .collect()
    }

    /// Cuts a connection without a Close frame. If `silent`, the gateway does not notice either:
    /// it goes on posting into the void, and `$disconnect` never comes.
    pub fn cut(&self, id: &ConnectionId, silent: bool) {
        if let Some(link) = self.state().links.get(id) {
            let _ = link.commands.send(Command::Cut { silent });
        }
    }

    /// Closes every connection with 1001.
    pub fn close_all(&self) {
        let mut state = self.state();
        for (id, action) in state.model.close_all() {
            state.act(&id, action);
        }
    }

    /// Changes the faults in force.
    pub fn set_faults(&self, change: impl FnOnce(&mut GatewayFaults)) {
        change(&mut self.state().faults);
    }

    /// Returns the faults in force.
    #[must_use]
    pub fn faults(&self) -> GatewayFaults {
        self.state().faults.clone()
    }

    /// Ends what runs out of time, when it does. Never returns; may be dropped at any time.
    pub async fn keep_time(&self) {
        loop {
            let next = self.state().model.next_timeout();
            let stirred = self.shared.stirred.notified();
            match next {
                None => stirred.await,
                Some(at) => tokio::select! {
                    () = stirred => {}
                    () = self.shared.clock.sleep_until(at) => self.expire(),
                },
            }
        }
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        *self.state().model.limits()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(super) fn admit(&self) -> Result<Admitted, Handshake> {
        let now = self.now();
        let mut state = self.state();
        if let Some(status) = state.faults.take_refusal() {
            return Err(Handshake::Refused {
                status,
                headers: Vec::new(),
            });
        }
        let invocation = state.model.connect(now)?;
        let (sender, commands) = mpsc::unbounded_channel();
        let link = Link {
            commands: sender,
            connected_at: now,
            open: false,
        };
        state.links.insert(invocation.connection.clone(), link);
        drop(state);
        self.shared.stirred.notify_one();
        Ok(Admitted {
            invocation,
            commands,
        })
    }

    pub(super) fn receive(&self, id: &ConnectionId, incoming: Incoming<'_>) -> Received {
        let now = self.now();
        let received = self.state().model.receive(now, id, incoming);
        self.shared.stirred.notify_one();
        received
    }

    /// Takes an integration's answer. Returns whether somebody was there to get it.
    pub(super) fn answer(&self, request: &RequestId, id: &ConnectionId, how: Integration) -> bool {
        let now = self.now();
        let mut state = self.state();
        let action = state.model.answer(now, request, how);
        let heard = state.links.contains_key(id);
        if let Some(action) = action {
            state.act(id, action);
        }
        drop(state);
        self.shared.stirred.notify_one();
        heard
    }

    /// Forgets a connection whose task ends. Returns whether `$disconnect` is due.
    pub(super) fn forget(&self, id: &ConnectionId) -> bool {
        let mut state = self.state();
        state.links.remove(id);
        state.model.gone(id)
    }

    /// Waits until a function that begins now has run out of time, which is later than the
    /// gateway's patience with it. Cancel-safe.
    pub(super) async fn function_times_out(&self) {
        let limit = self.limits().integration * 2;
        self.shared.clock.sleep_until(self.now() + limit).await;
    }

    /// Takes the fate of one invocation.
    pub(super) fn take_function_fault(&self) -> Option<super::FunctionFault> {
        self.state().faults.take_function_fault()
    }

    fn expire(&self) {
        let now = self.now();
        let mut state = self.state();
        for (id, action) in state.model.expire(now) {
            state.act(&id, action);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn act(&mut self, id: &ConnectionId, action: Action) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if matches!(action, Action::Handshake(Handshake::Accepted { .. })) {
            link.open = true;
        }
        let _ = link.commands.send(Command::Act(action));
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("open", &self.state().model.open())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connections for Sockets {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let now = self.now();
        let mut state = self.state();
        if state.faults.take_throttled_push() {
            return Err(PostError::Throttled);
        }
        let action = state.model.post(now, connection, text).map_err(told)?;
        if !state.faults.take_dropped_push() {
            state.act(connection, action);
        }
        Ok(())
    }

    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError> {
        let mut state = self.state();
        if state.faults.take_throttled_push() {
            return Err(PostError::Throttled);
        }
        let action = state.model.delete(connection).map_err(told)?;
        state.act(connection, action);
        Ok(())
    }
}

fn told(error: ManagementError) -> PostError {
    match error {
        ManagementError::Gone => PostError::Gone,
        ManagementError::TooLarge => PostError::Unavailable,
    }
}
