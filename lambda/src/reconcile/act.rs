//! The acting half of a round, in the one order that the laws rest on.

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;

use super::observe::View;
use super::push::{Outbox, Parcel};
use super::{Broken, Run, report};
use crate::lifecycle::{Decision, Next, RowChange};
use crate::model::Row;
use crate::store::{Commit, StoreError};

/// Writes and posts in flight at once: enough for a herd of thousands within a round, few enough
/// for one function's sockets.
pub(super) const IN_FLIGHT: usize = 64;

impl Run<'_> {
    /// Carries the decision out: commit, row changes with what they tell, grants, pushes, calls.
    /// A refused commit ends it before anything else has happened.
    pub(super) async fn act(&mut self, view: &View, decision: Decision) -> Result<Next, Broken> {
        let Decision { commit, rows, grants, pushes, calls, next, .. } = decision;
        self.commit(commit.as_ref()).await?;
        self.answers.clear();

        let mut outbox = Outbox::default();
        for parcel in self.change_rows(rows).await? {
            outbox.add(parcel);
        }
        for parcel in self.grant(grants).await? {
            outbox.add(parcel);
        }
        for push in pushes {
            outbox.add(Parcel { link: push.link, message: push.message });
        }

        // Slow sockets must not hold up a start: the posts are begun first, the calls do not wait
        // for their end.
        let delivered = self.deliver(outbox);
        let called = self.call_all(calls, view, commit.as_ref());
        let (gone, answers) = join(delivered, called).await;
        self.answers = answers;
        self.mark_absent(&view.rows, &gone).await?;
        Ok(next)
    }

    /// Answers that the decision has used up are kept if the table definitely refused it.
    async fn commit(&mut self, commit: Option<&Commit>) -> Result<(), Broken> {
        self.still_mine()?;
        let Some(commit) = commit else { return Ok(()) };
        let result = self.ports.store.commit(self.fleet, &self.lock, self.now(), commit).await;
        if let Err(StoreError::Unavailable(_)) = &result {
            self.answers.clear();
        }
        Ok(result?)
    }

    /// Writes rows and returns what to tell those whose write succeeded. A row that has changed
    /// since it was read is left for the next round.
    async fn change_rows(&self, changes: Vec<RowChange>) -> Result<Vec<Parcel>, Broken> {
        let writes = changes.into_iter().map(|change| async move {
            self.still_mine()?;
            let RowChange { row, expected, tell } = change;
            match self.ports.store.put_row(&row, Some(expected)).await {
                Ok(written) => {
                    let parcel = written.link.zip(tell);
                    Ok(parcel.map(|(link, message)| Parcel { link, message }))
                }
                Err(StoreError::LockLost) => Err(Broken::LockLost),
                Err(error) => {
                    report::row_left(self.fleet, &self.lock, &error);
                    Ok(None)
                }
            }
        });
        in_order(writes).await
    }

    /// Grants waiters on the ready boot: G1, then G2, then what to tell.
    async fn grant(&self, rows: Vec<Row>) -> Result<Vec<Parcel>, Broken> {
        let grants = rows.into_iter().map(|row| async move {
            self.still_mine()?;
            Ok(self.grant_one(row).await)
        });
        in_order(grants).await
    }
}

/// Runs the works, a bounded number at once, and returns what came of them in their order.
async fn in_order<F>(works: impl Iterator<Item = F>) -> Result<Vec<Parcel>, Broken>
where
    F: Future<Output = Result<Option<Parcel>, Broken>>,
{
    let mut results = stream::iter(works).buffered(IN_FLIGHT);
    let mut parcels = Vec::new();
    while let Some(result) = results.next().await {
        parcels.extend(result?);
    }
    Ok(parcels)
}
