//! The acting half of a round, in the one order that the laws rest on.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;

use super::observe::View;
use super::push::Outbox;
use super::share::Work;
use super::turn::oldest_first;
use super::{Broken, FAILED_ROUNDS, Run, report};
use crate::delivery::{IN_FLIGHT, Parcel};
use crate::grant::{Granting, ready_boot};
use crate::guards::Guard;
use crate::lifecycle::{Decision, Next, RowChange};
use crate::model::{Instance, Row};
use crate::ports::BootOf;
use crate::store::{Commit, StoreError};

/// Rows that one round writes at most: seconds of a slow table, so that the lock outlives them and
/// the first of a herd need not wait for the last.
const WRITES_A_ROUND: usize = 1_024;

/// Proofs of an endpoint that a fresh server meets in a second: each is a TLS handshake and a
/// WebSocket, and a small server with cold caches does some hundreds of those.
const PROOFS_PER_SECOND: u32 = 250;

/// No client waits longer for its first proof, however large the herd.
const LONGEST_SPREAD: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// Carries the decision out: commit, row changes with what they tell, grants, pushes, calls.
    /// A refused commit ends it before anything else has happened.
    pub(super) async fn act(&mut self, view: &View, decision: Decision) -> Result<Next, Broken> {
        let Decision {
            commit,
            rows,
            grants,
            pushes,
            calls,
            next,
            alarms,
            ..
        } = decision;
        self.commit(commit.as_ref()).await?;
        self.answers.clear();
        report::alarms(self.fleet, &self.lock, &alarms);

        let spread = verify_spread(grants.len());
        let ready = ready_boot(&instances_now(view, commit.as_ref()));
        let work = Work {
            rows,
            grants,
            pushes,
        };
        let Work {
            rows,
            grants,
            pushes,
        } = self
            .share(work, &view.rows, ready.as_ref(), spread, &calls)
            .await?;
        // What is left over shows in the next round's rows, and is decided again.
        let (rows, grants, over) = oldest_first(rows, grants, WRITES_A_ROUND);
        let next = if over { Next::Now } else { next };

        let mut outbox = Outbox::default();
        let changed = self.change_rows(rows).await?;
        let granted = self.grant(grants, spread, ready).await?;
        let next = self.after_writes(changed.left || granted.left, next);
        for parcel in changed.parcels.into_iter().chain(granted.parcels) {
            outbox.add(parcel);
        }
        for push in pushes {
            outbox.add(Parcel::plain(push.link, push.message));
        }

        self.still_mine()?;
        // Slow sockets must not hold up a start: the posts are begun first, the calls do not wait
        // for their end.
        let delivered = self.deliver(outbox);
        let called = self.call_all(calls, view, commit.as_ref());
        let (delivered, answers) = join(delivered, called).await;
        self.answers = answers;
        if delivered.forbidden > 0 && !std::mem::replace(&mut self.told_forbidden, true) {
            report::forbidden(self.fleet, &self.lock);
        }
        self.mark_absent(&view.rows, &delivered.gone).await?;
        Ok(next)
    }

    /// Answers that the decision has used up are kept if the table definitely refused it.
    async fn commit(&mut self, commit: Option<&Commit>) -> Result<(), Broken> {
        self.still_mine()?;
        let Some(commit) = commit else { return Ok(()) };
        let forgetful = (!self.guards.on(Guard::Intent)).then(|| self.unwritten.keep(commit));
        let commit = forgetful.as_ref().unwrap_or(commit);
        let result = self
            .ports
            .store
            .commit(self.fleet, &self.lock, self.now(), commit)
            .await;
        if let Err(StoreError::Unavailable(_)) = &result {
            self.answers.clear();
        }
        Ok(result?)
    }

    /// A row that was left behind is looked at again a round later and not by the next tick: its
    /// owner waits for the word. After [`FAILED_ROUNDS`] of them in a row the tick is soon enough.
    fn after_writes(&mut self, left: bool, next: Next) -> Next {
        if !left {
            self.left_behind = 0;
            return next;
        }
        self.left_behind += 1;
        if next == Next::Quiet && self.left_behind <= FAILED_ROUNDS {
            return Next::After(self.config.timing.round);
        }
        next
    }

    /// Writes rows and returns what to tell those whose write succeeded. A row that has changed
    /// since it was read is left for the next round.
    async fn change_rows(&self, changes: Vec<RowChange>) -> Result<Written, Broken> {
        let writes = changes.into_iter().map(|change| async move {
            self.still_mine()?;
            let RowChange {
                row,
                expected,
                tell,
            } = change;
            match self.ports.store.put_row(&row, Some(expected)).await {
                Ok(written) => Ok(Put::Done(
                    tell.and_then(|message| Parcel::about(written, message))
                        .map(Box::new),
                )),
                Err(StoreError::LockLost) => Err(Broken::LockLost),
                Err(error) => Ok(self.not_put(&error)),
            }
        });
        in_order(writes).await
    }

    /// Grants waiters on the boot that is ready now: G1, then G2, then what to tell.
    async fn grant(
        &self,
        rows: Vec<Row>,
        spread: Duration,
        ready: Option<BootOf>,
    ) -> Result<Written, Broken> {
        let Some(boot) = ready else {
            return Ok(Written::default());
        };
        let granting = Granting {
            store: self.ports.store.as_ref(),
            tokens: self.ports.stream_tokens.as_ref(),
            config: self.config,
            guards: self.guards,
        };
        let grants = rows.into_iter().map(|row| {
            let boot = &boot;
            async move {
                self.still_mine()?;
                let now = self.now();
                match granting.grant_waiter(&row, boot, spread, now).await {
                    Ok(Some((held, message))) => {
                        Ok(Put::Done(Parcel::about(held, message).map(Box::new)))
                    }
                    Ok(None) => Ok(Put::Done(None)),
                    Err(error) => Ok(self.not_put(&error)),
                }
            }
        });
        in_order(grants).await
    }

    fn not_put(&self, error: &StoreError) -> Put {
        report::row_left(self.fleet, &self.lock, error);
        Put::Left
    }
}

/// What came of one row's write.
enum Put {
    /// It is done, or no longer wanted; this is what to tell.
    Done(Option<Box<Parcel>>),
    /// The row stays behind: it has changed, or the table did not answer.
    Left,
}

/// What came of a round's writes.
#[derive(Default)]
struct Written {
    parcels: Vec<Parcel>,
    /// Some rows stay behind.
    left: bool,
}

/// The instances as the commit leaves them.
fn instances_now(view: &View, commit: Option<&Commit>) -> Vec<Instance> {
    let mut instances = view.records.instances.clone();
    if let Some(commit) = commit {
        for id in &commit.forget_instances {
            instances.remove(id);
        }
        let put = commit.put_instances.iter();
        instances.extend(put.map(|instance| (instance.id.clone(), instance.clone())));
    }
    instances.into_values().collect()
}

/// Over how long clients spread their first proof of a fresh server.
fn verify_spread(granted: usize) -> Duration {
    let granted = u32::try_from(granted).unwrap_or(u32::MAX);
    (Duration::from_secs(1) * granted.saturating_sub(1) / PROOFS_PER_SECOND).min(LONGEST_SPREAD)
}

/// Runs the works, a bounded number at once, and returns what came of them in their order.
async fn in_order<F>(works: impl Iterator<Item = F>) -> Result<Written, Broken>
where
    F: Future<Output = Result<Put, Broken>>,
{
    let mut results = stream::iter(works).buffered(IN_FLIGHT);
    let mut written = Written::default();
    while let Some(result) = results.next().await {
        match result? {
            Put::Done(parcel) => written.parcels.extend(parcel.map(|parcel| *parcel)),
            Put::Left => written.left = true,
        }
    }
    Ok(written)
}
