//! Messages to other links, through `@connections`.

use std::time::Duration;

use wakecast::protocol::ServerMessage;

use crate::model::Link;
use crate::ports::{Clock, Connections, PostError};

/// Until its `$connect` has been answered a socket is "gone" although it is just coming.
const SETTLING: Duration = Duration::from_secs(5);

/// Between two tries while it settles.
const RETRY: Duration = Duration::from_millis(500);

/// Sends a message to a link. A link younger than 5 s that is reported gone is tried again until
/// it is older; nothing is concluded from it. Whatever fails is found by the next `hello`.
pub(super) async fn push(
    connections: &dyn Connections,
    clock: &dyn Clock,
    link: &Link,
    message: &ServerMessage,
) {
    let text = message.encode();
    loop {
        match connections.post(&link.connection, &text).await {
            Ok(()) => return,
            Err(PostError::Gone) if clock.now().since(link.connected_at) < SETTLING => {
                clock.sleep_until(clock.now() + RETRY).await;
            }
            Err(error) => {
                tracing::debug!(%error, kind = message.kind(), "a push did not arrive");
                return;
            }
        }
    }
}
