//! Posts to sockets: what each answer of the gateway means, and what is tried again.
//!
//! Reconciler and fan-out post by this file and no other way. A push is never the only way: a
//! client that missed one asks again, or learns it with its next `hello`.

use std::time::Duration;

use wakecast::protocol::ServerMessage;

use crate::auth::allows;
use crate::leases;
use crate::model::{Ask, Connection, ConnectionId, FleetKey, Link, Row, RowKey};
use crate::ports::{Clock, Connections, Entropy, PostError, Store};
use crate::store::StoreError;
use crate::within::within;

/// Writes and posts in flight at once: enough for a herd of thousands within a round, few enough
/// for one function's sockets.
pub(crate) const IN_FLIGHT: usize = 64;

/// A post takes milliseconds; a slower one must not hold a place of those in flight.
pub(crate) const POST_LIMIT: Duration = Duration::from_secs(2);

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
pub(crate) struct Parcel {
    pub(crate) link: Link,
    pub(crate) message: ServerMessage,
    /// What its row asks for: an endpoint goes to no link whose token does not cover that.
    pub(crate) ask: Option<Ask>,
    /// The row that it tells of, as it was written: once the row is newer, so is what its owner
    /// learns.
    row: Option<(RowKey, u64)>,
}

impl Parcel {
    /// Addresses a message about a row that was just written to the row's link, if it has one that
    /// is not known to be gone.
    pub(crate) fn about(row: Row, message: ServerMessage) -> Option<Self> {
        let Row {
            key,
            version,
            link,
            ask,
            absent_since,
            ..
        } = row;
        let link = link.filter(|_| absent_since.is_none());
        link.map(|link| Self {
            link,
            message,
            ask,
            row: Some((key, version)),
        })
    }

    /// Addresses a message that no write goes with.
    pub(crate) const fn plain(link: Link, message: ServerMessage) -> Self {
        Self {
            link,
            message,
            ask: None,
            row: None,
        }
    }
}

/// How one post went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Sent,
    /// The link's token has ended or no longer covers the row: it must not learn an endpoint.
    Withheld,
    /// The row has become newer between two tries.
    Superseded,
    /// The socket is closed.
    Gone(ConnectionId),
    /// The gateway forbids it: its address or the function's role is wrong.
    Forbidden,
    Failed,
}

/// What it takes to post.
#[derive(Clone, Copy)]
pub(crate) struct Courier<'a> {
    pub(crate) fleet: &'a FleetKey,
    pub(crate) store: &'a dyn Store,
    pub(crate) connections: &'a dyn Connections,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
}

impl Courier<'_> {
    /// Posts one message, again where that makes sense.
    pub(crate) async fn post(&self, parcel: Parcel) -> Delivery {
        let Parcel {
            link,
            message,
            ask,
            row,
        } = parcel;
        if carries_endpoint(&message) && !self.may_learn_endpoint(&link, ask.as_ref()).await {
            return Delivery::Withheld;
        }
        let text = message.encode();
        let (mut early, mut retries) = (0, 0);
        loop {
            let post = self.connections.post(&link.connection, &text);
            let pause = match within(self.clock, POST_LIMIT, post)
                .await
                .unwrap_or(Err(PostError::Unavailable))
            {
                Ok(()) => return Delivery::Sent,
                Err(PostError::Gone) if self.clock.now().since(link.connected_at) >= YOUNG => {
                    return Delivery::Gone(link.connection);
                }
                Err(PostError::Gone) if early < YOUNG_RETRIES => {
                    early += 1;
                    YOUNG_PAUSE
                }
                Err(PostError::Throttled | PostError::Unavailable) if retries < RETRIES => {
                    let pause = self.jittered(RETRY_PAUSE * 2_u32.pow(retries));
                    retries += 1;
                    pause
                }
                Err(PostError::Forbidden) => return Delivery::Forbidden,
                Err(_) => return Delivery::Failed,
            };
            self.clock.sleep_until(self.clock.now() + pause).await;
            if self.superseded(row.as_ref()).await {
                return Delivery::Superseded;
            }
        }
    }

    /// Notes that the owner of this row is gone, as `$disconnect` would have. The connection's own
    /// item belongs to the gateway and expires by itself.
    pub(crate) async fn mark_absent(
        &self,
        key: &RowKey,
        connection: &ConnectionId,
    ) -> Result<(), StoreError> {
        // The row may have been written since, by this very round or for a newer link.
        let Some(row) = self.store.row(key).await? else {
            return Ok(());
        };
        if let Some(absent) = leases::disconnect(&row, connection, self.clock.now()) {
            self.store.put_row(&absent, Some(row.version)).await?;
        }
        Ok(())
    }

    /// Endpoints and stream tokens go only to a link whose token is alive and, as it is now after
    /// any renewal, covers what the row asks for.
    async fn may_learn_endpoint(&self, link: &Link, ask: Option<&Ask>) -> bool {
        let Some(ask) = ask else { return false };
        match self.store.connection(&link.connection).await {
            Ok(Some(Connection { grants, .. })) => {
                self.clock.now() < grants.expires_at && allows(&grants, self.fleet, ask).is_ok()
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Whoever wrote the row since tells its owner; what cannot be read is told rather than not.
    async fn superseded(&self, row: Option<&(RowKey, u64)>) -> bool {
        let Some((key, version)) = row else {
            return false;
        };
        let now = self.store.row(key).await;
        now.is_ok_and(|row| row.is_none_or(|row| row.version != *version))
    }

    fn jittered(&self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.entropy.next_u64() % longest.saturating_add(1))
    }
}

fn carries_endpoint(message: &ServerMessage) -> bool {
    matches!(
        message,
        ServerMessage::Ready(_) | ServerMessage::Endpoint(_) | ServerMessage::Moved(_)
    )
}
