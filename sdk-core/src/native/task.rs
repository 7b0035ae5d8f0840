//! A task that ends with its owner.

use std::future::Future;

use tokio::task::AbortHandle;

/// Aborts its task when dropped, so that no socket, timer or call outlives what it was for.
#[derive(Debug)]
pub(super) struct OwnedTask(AbortHandle);

impl OwnedTask {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
