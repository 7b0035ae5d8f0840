//! Messages to other links, through `@connections`.

use std::time::Duration;

use wakecast::protocol::ServerMessage;

use crate::delivery::POST_LIMIT;
use crate::model::{Link, Timestamp};
use crate::ports::{Clock, Connections, PostError};
use crate::within::within;

/// Until its `$connect` has been answered a socket is "gone" although it is just coming.
const SETTLING: Duration = Duration::from_secs(5);

/// Between two tries while it settles.
const RETRY: Duration = Duration::from_millis(500);

/// How long one message waits for other links in all: its sender waits along with it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns until when what follows from a message may wait for other links.
pub(super) fn patience(heard_at: Timestamp) -> Timestamp {
    heard_at + PATIENCE
}

/// Sends a message to a link. A link younger than 5 s that is reported gone is tried again until
/// it is older or `until` has come; nothing is concluded from it. Whatever fails is found by the
/// next `hello`.
pub(super) async fn push(
    connections: &dyn Connections,
    clock: &dyn Clock,
    link: &Link,
    message: &ServerMessage,
    until: Timestamp,
) {
    let text = message.encode();
    loop {
        let post = connections.post(&link.connection, &text);
        let posted = within(clock, POST_LIMIT, post).await;
        let now = clock.now();
        let settles = now.since(link.connected_at) < SETTLING && now < until;
        match posted.unwrap_or(Err(PostError::Unavailable)) {
            Ok(()) => return,
            Err(PostError::Gone) if settles => clock.sleep_until(now + RETRY).await,
            Err(error) => {
                tracing::debug!(%error, kind = message.kind(), "a push did not arrive");
                return;
            }
        }
    }
}
