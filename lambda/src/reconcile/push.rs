//! Pushes of a round: the newest state only, many at once, and one failure stops nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use wakecast::protocol::ServerMessage;

use super::{Broken, Run, report};
use crate::delivery::{Courier, Delivery, IN_FLIGHT, Parcel};
use crate::model::{ConnectionId, Row};

/// All posts of a round together: the lock must not run out under them.
const ROUND_LIMIT: Duration = Duration::from_secs(8);

/// The posts of one round.
#[derive(Default)]
pub(super) struct Outbox {
    parcels: BTreeMap<u64, Parcel>,
    newest: BTreeMap<(ConnectionId, String), u64>,
    next: u64,
}

impl Outbox {
    /// Adds a message; an older one about the same row to the same link is dropped.
    pub(super) fn add(&mut self, parcel: Parcel) {
        if let Some(subject) = subject(&parcel.message) {
            let about = (parcel.link.connection.clone(), subject.to_owned());
            if let Some(older) = self.newest.insert(about, self.next) {
                self.parcels.remove(&older);
            }
        }
        self.parcels.insert(self.next, parcel);
        self.next = self.next.saturating_add(1);
    }
}

/// How the posts of one round went.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Sockets that are closed.
    pub(super) gone: BTreeSet<ConnectionId>,
    /// Posts to nobody: the token has ended, or the row has become newer.
    pub(super) withheld: u32,
    /// Posts that the gateway forbids.
    pub(super) forbidden: u32,
    /// Posts that failed.
    pub(super) failed: u32,
    /// Posts for which there was no time.
    pub(super) left: usize,
}

impl Delivered {
    fn add(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Sent => {}
            Delivery::Withheld | Delivery::Superseded => self.withheld += 1,
            Delivery::Forbidden => self.forbidden += 1,
            Delivery::Failed => self.failed += 1,
            Delivery::Gone(connection) => {
                self.gone.insert(connection);
            }
        }
    }
}

impl Run<'_> {
    /// Posts everything and returns how it went.
    pub(super) async fn deliver(&self, outbox: Outbox) -> Delivered {
        let mut delivered = Delivered {
            left: outbox.parcels.len(),
            ..Delivered::default()
        };
        if delivered.left == 0 {
            return delivered;
        }
        let courier = self.courier();
        let parcels = stream::iter(outbox.parcels.into_values());
        let mut posts = pin!(
            parcels
                .map(|parcel| courier.post(parcel))
                .buffer_unordered(IN_FLIGHT)
        );
        let mut limit = self.ports.clock.sleep_until(self.now() + ROUND_LIMIT);
        while let Either::Left((Some(delivery), _)) = select(posts.next(), &mut limit).await {
            delivered.left -= 1;
            delivered.add(delivery);
        }
        report::delivered(self.fleet, &self.lock, &delivered);
        delivered
    }

    /// Notes that the owners of these sockets are gone.
    pub(super) async fn mark_absent(
        &self,
        rows: &[Row],
        gone: &BTreeSet<ConnectionId>,
    ) -> Result<(), Broken> {
        let courier = self.courier();
        for row in rows {
            let Some(link) = row
                .link
                .as_ref()
                .filter(|link| gone.contains(&link.connection))
            else {
                continue;
            };
            self.still_mine()?;
            if let Err(error) = courier.mark_absent(&row.key, &link.connection).await {
                report::row_left(self.fleet, &self.lock, &error);
            }
        }
        Ok(())
    }

    fn courier(&self) -> Courier<'_> {
        Courier {
            fleet: self.fleet,
            store: self.ports.store.as_ref(),
            connections: self.ports.connections.as_ref(),
            clock: self.ports.clock.as_ref(),
            entropy: self.ports.entropy.as_ref(),
        }
    }
}

/// The row that a message is about, where a newer message replaces it. An answer to a request of
/// its own replaces nothing and is not replaced.
fn subject(message: &ServerMessage) -> Option<&str> {
    match message {
        ServerMessage::Progress(progress) => Some(&progress.id),
        ServerMessage::Ready(ready) => Some(&ready.id),
        ServerMessage::Endpoint(endpoint) if endpoint.id.is_none() => Some(&endpoint.lease),
        ServerMessage::Draining(draining) => Some(&draining.lease),
        ServerMessage::Moved(moved) => Some(&moved.lease),
        ServerMessage::Lost(lost) => Some(&lost.lease),
        ServerMessage::Error(error) => error.id.as_deref(),
        _ => None,
    }
}
