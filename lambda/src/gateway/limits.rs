//! How much one client may have at the table. Checked in this one place, before a row is written.

use futures_util::FutureExt as _;

use super::Gateway;
use super::rows::together;
use crate::model::{Connection, RowKey, Timestamp};
use crate::store::StoreError;

/// Most rows of one link, in a `hello` and at any time, ended ones that are still remembered
/// included: a client of ours holds and waits for at most as many.
pub(super) const MAX_ROWS: usize = 128;

impl Gateway {
    /// Tells whether a link has no room for `more` rows that it has not claimed. Rows that are forgotten by now make room:
    /// they are looked for once the link seems full, and no longer counted as claimed.
    pub(super) async fn is_full(
        &self,
        connection: &Connection,
        more: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let fits = |claimed: usize| claimed.saturating_add(more) <= MAX_ROWS;
        if more == 0 || fits(connection.rows.len()) {
            return Ok(false);
        }
        if self.recall.was_full(&connection.id, now) {
            return Ok(true);
        }
        let reads = connection.rows.iter().map(|key| {
            let read = async move {
                let row = self.ports.store.row(key).await?;
                let forgotten = row.is_none_or(|row| row.expires_at <= now);
                Ok(forgotten.then(|| key.clone()))
            };
            read.boxed()
        });
        let forgotten: Result<Vec<Option<RowKey>>, StoreError> =
            together(reads.collect()).await.into_iter().collect();
        let forgotten = forgotten?.into_iter().flatten().collect();
        let left = connection.rows.difference(&forgotten).count();
        if !forgotten.is_empty() {
            let store = &self.ports.store;
            store.disclaim(&connection.id, &forgotten).await?;
        }
        if left >= MAX_ROWS {
            self.recall.remember_full(&connection.id, now);
        }
        Ok(!fits(left))
    }
}
