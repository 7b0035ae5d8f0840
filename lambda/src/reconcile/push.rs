//! Pushes: the newest state only, many at once, and one failure stops nothing.
//!
//! A push is never the only way: a client that missed one asks again, or learns it with its next
//! `hello`.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use wakecast::protocol::ServerMessage;

use super::act::IN_FLIGHT;
use super::within::within;
use super::{Broken, Run, report};
use crate::auth::allows;
use crate::leases;
use crate::model::{Ask, Connection, ConnectionId, Link, Row};
use crate::ports::PostError;

/// A post takes milliseconds; a slower one must not hold a place of those in flight.
const POST_LIMIT: Duration = Duration::from_secs(2);

/// All posts of a round together: the lock must not run out under them.
const ROUND_LIMIT: Duration = Duration::from_secs(8);

/// A socket that is younger may still be inside `$connect`, where posts meet 410 as well.
const YOUNG: Duration = Duration::from_secs(5);

/// Between two posts to a young socket that met 410.
const YOUNG_PAUSE: Duration = Duration::from_millis(250);

/// Posts to a young socket after the first one: a second covers a slow `$connect`.
const YOUNG_RETRIES: u32 = 4;

/// Posts after one that was throttled or not answered; the client asks again later anyway.
const RETRIES: u32 = 3;

/// The longest pause before the first of those; doubled for each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// One message for one link.
pub(super) struct Parcel {
    pub(super) link: Link,
    pub(super) message: ServerMessage,
    /// What its row asks for: an endpoint goes to no link whose token does not cover that.
    pub(super) ask: Option<Ask>,
}

impl Parcel {
    /// Addresses a message about a row to the row's link, if it has one.
    pub(super) fn about(row: Row, message: ServerMessage) -> Option<Self> {
        let Row { link, ask, .. } = row;
        link.map(|link| Self { link, message, ask })
    }
}

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

/// How one post went.
enum Delivery {
    Sent,
    /// The link's token has ended or no longer covers the row: it must not learn an endpoint.
    Withheld,
    /// The socket is closed.
    Gone(ConnectionId),
    Failed,
}

impl Run<'_> {
    /// Posts everything and returns the sockets that are gone.
    pub(super) async fn deliver(&self, outbox: Outbox) -> BTreeSet<ConnectionId> {
        let mut gone = BTreeSet::new();
        let mut open = outbox.parcels.len();
        if open == 0 {
            return gone;
        }
        let (mut withheld, mut failed) = (0, 0);
        let parcels = stream::iter(outbox.parcels.into_values());
        let mut posts = pin!(
            parcels
                .map(|parcel| self.post(parcel))
                .buffer_unordered(IN_FLIGHT)
        );
        let mut limit = self.ports.clock.sleep_until(self.now() + ROUND_LIMIT);
        while let Either::Left((Some(delivery), _)) = select(posts.next(), &mut limit).await {
            open -= 1;
            match delivery {
                Delivery::Sent => {}
                Delivery::Withheld => withheld += 1,
                Delivery::Failed => failed += 1,
                Delivery::Gone(connection) => {
                    gone.insert(connection);
                }
            }
        }
        report::delivered(self.fleet, &self.lock, gone.len(), withheld, failed, open);
        gone
    }

    async fn post(&self, parcel: Parcel) -> Delivery {
        let Parcel { link, message, ask } = parcel;
        if carries_endpoint(&message) && !self.may_learn_endpoint(&link, ask.as_ref()).await {
            return Delivery::Withheld;
        }
        let text = message.encode();
        let clock = self.ports.clock.as_ref();
        let (mut early, mut retries) = (0, 0);
        loop {
            let post = self.ports.connections.post(&link.connection, &text);
            match within(clock, POST_LIMIT, post)
                .await
                .unwrap_or(Err(PostError::Unavailable))
            {
                Ok(()) => return Delivery::Sent,
                Err(PostError::Gone) if self.now().since(link.connected_at) >= YOUNG => {
                    return Delivery::Gone(link.connection);
                }
                Err(PostError::Gone) if early < YOUNG_RETRIES => {
                    early += 1;
                    clock.sleep_until(self.now() + YOUNG_PAUSE).await;
                }
                Err(PostError::Throttled | PostError::Unavailable) if retries < RETRIES => {
                    let pause = self.jittered(RETRY_PAUSE * 2_u32.pow(retries));
                    retries += 1;
                    clock.sleep_until(self.now() + pause).await;
                }
                Err(_) => return Delivery::Failed,
            }
        }
    }

    /// Endpoints and stream tokens go only to a link whose token is alive and, as it is now after
    /// any renewal, covers what the row asks for.
    async fn may_learn_endpoint(&self, link: &Link, ask: Option<&Ask>) -> bool {
        let Some(ask) = ask else { return false };
        match self.ports.store.connection(&link.connection).await {
            Ok(Some(Connection { grants, .. })) => {
                self.now() < grants.expires_at && allows(&grants, self.fleet, ask).is_ok()
            }
            Ok(None) | Err(_) => false,
        }
    }

    fn jittered(&self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.ports.entropy.next_u64() % longest.saturating_add(1))
    }

    /// Notes that the owners of these sockets are gone, as `$disconnect` would have. The
    /// connection's own item belongs to the gateway and expires by itself.
    pub(super) async fn mark_absent(
        &self,
        rows: &[Row],
        gone: &BTreeSet<ConnectionId>,
    ) -> Result<(), Broken> {
        for row in rows {
            let Some(link) = row
                .link
                .as_ref()
                .filter(|link| gone.contains(&link.connection))
            else {
                continue;
            };
            self.still_mine()?;
            // The row may have been written since, by this very round or for a newer link.
            let Ok(Some(row)) = self.ports.store.row(&row.key).await else {
                continue;
            };
            let Some(absent) = leases::disconnect(&row, &link.connection, self.now()) else {
                continue;
            };
            if let Err(error) = self.ports.store.put_row(&absent, Some(row.version)).await {
                report::row_left(self.fleet, &self.lock, &error);
            }
        }
        Ok(())
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

fn carries_endpoint(message: &ServerMessage) -> bool {
    matches!(
        message,
        ServerMessage::Ready(_) | ServerMessage::Endpoint(_) | ServerMessage::Moved(_)
    )
}
