//! The open links, and `@connections`, which reaches them from any thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures::channel::mpsc::UnboundedSender;
use wakecast::machine::{Epoch, Input, TransportEnd};
use wakecast_lambda::model::{ConnectionId, Timestamp};
use wakecast_lambda::ports::{Connections, PostError};

/// The open links, which the `@connections` port reaches from any thread.
#[derive(Clone, Default)]
pub(super) struct Links(pub(super) Arc<Mutex<BTreeMap<ConnectionId, Link>>>);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: String,
    pub(super) epoch: Epoch,
    pub(super) inbox: UnboundedSender<Input>,
    pub(super) opened_at: Timestamp,
    pub(super) active_at: Timestamp,
    pub(super) state: LinkState,
    pub(super) up_free_at: Timestamp,
    pub(super) down: UnboundedSender<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    Connecting,
    Open,
    BlackHole,
}

impl Links {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ConnectionId, Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, id: &ConnectionId, text: String) {
        if let Some(link) = self.lock().get(id) {
            let _ = link.down.unbounded_send(text);
        }
    }
}

/// `@connections`.
#[derive(Debug)]
pub(super) struct Posts(pub(super) Weak<Mutex<BTreeMap<ConnectionId, Link>>>);

#[async_trait]
impl Connections for Posts {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        let links = self.0.upgrade().ok_or(PostError::Unavailable)?;
        let links = links.lock().unwrap_or_else(PoisonError::into_inner);
        match links.get(connection) {
            Some(link) if link.state != LinkState::Connecting => {
                let _ = link.down.unbounded_send(text.to_owned());
                Ok(())
            }
            _ => Err(PostError::Gone),
        }
    }

    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError> {
        let links = self.0.upgrade().ok_or(PostError::Unavailable)?;
        let link = links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(connection);
        let link = link.ok_or(PostError::Gone)?;
        let end = TransportEnd::Dropped;
        let _ = link.inbox.unbounded_send(Input::TransportClosed {
            epoch: link.epoch,
            end,
        });
        Ok(())
    }
}
