//! Gives up waiting after a time on the clock port.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::ports::Clock;

/// Returns what `work` returns, or `None` once `limit` has passed without it. The work is dropped
/// then: it may or may not have taken effect.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let end = clock.sleep_until(clock.now() + limit);
    match select(pin!(work), end).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(((), _)) => None,
    }
}
