//! What of a round goes to the fan-out, and what stays: above some hundreds of rows, telling them
//! would hold the lock for longer than a round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use wakecast::protocol::{Phase, ProgressPush, ServerMessage};

use super::{Broken, Run, report};
use crate::fanout::{Errand, Task, common, shard_of, shards_for, with_phase};
use crate::lifecycle::{Call, Push, RowChange};
use crate::model::{Row, RowKey, Timestamp};
use crate::ports::{BootOf, Fanout};
use crate::within::within;

/// Rows that a round tells by itself: at 64 in flight and some 80 ms for writes, reads and post,
/// two thirds of a second, so that it stays a round.
pub const FAN_OUT_ABOVE: usize = 512;

/// How long a row is left to its shard: a cold start, and a full shard twice over. After that the
/// run does it itself: a shard may be lost, and none is asked twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// An invocation is handed over within milliseconds; one that hangs may have been.
const SEND_LIMIT: Duration = Duration::from_secs(2);

/// Of the time that is left for a round's calls to EC2 an errand takes this part at most: a round
/// hands over two, one for grants and one for phases, and writes its other rows before it calls.
const SHARE_OF_CALLS: u32 = 4;

/// Where a run's shards are invoked, and from how many rows on.
#[derive(Clone, Copy)]
pub(super) struct Sharing<'a> {
    pub(super) fanout: &'a dyn Fanout,
    pub(super) above: usize,
}

/// What of a decision is done row by row.
pub(super) struct Work {
    pub(super) rows: Vec<RowChange>,
    pub(super) grants: Vec<Row>,
    pub(super) pushes: Vec<Push>,
}

/// What a run has entrusted to shards.
#[derive(Default)]
pub(super) struct Entrusted {
    granting: Trust<BootOf>,
    telling: Trust<Phase>,
}

/// Rows that shards were asked for.
struct Trust<T> {
    what: Option<T>,
    rows: BTreeMap<RowKey, Asked>,
}

/// In which version a shard was asked for a row, and until when the row is left to it.
#[derive(Clone, Copy)]
struct Asked {
    version: u64,
    until: Timestamp,
}

/// Whose a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// No shard was asked for it.
    Free,
    /// A shard is at it.
    Shard,
    /// A shard was asked for it, and has not come to it.
    Ours,
}

impl Run<'_> {
    /// Entrusts to shards what is too much for a round, and returns the rest. `ready` is the boot
    /// that is granted on; `calls` come later in the round, and are not held up.
    pub(super) async fn share(
        &mut self,
        work: Work,
        before: &[Row],
        ready: Option<&BootOf>,
        verify_spread: Duration,
        calls: &[Call],
    ) -> Result<Work, Broken> {
        let Some(sharing) = self.sharing else {
            return Ok(work);
        };
        self.still_mine()?;
        let limit = self.send_limit(calls);
        let Work {
            rows,
            grants,
            pushes,
        } = work;
        let grants = match ready {
            Some(boot) => {
                self.share_grants(sharing, grants, boot, verify_spread, limit)
                    .await
            }
            None => grants,
        };
        let (rows, pushes) = self
            .share_phases(sharing, rows, pushes, before, limit)
            .await;
        Ok(Work {
            rows,
            grants,
            pushes,
        })
    }

    /// How long an errand may take to be handed over.
    fn send_limit(&self, calls: &[Call]) -> Duration {
        let last = calls.iter().map(|call| call.not_after).min();
        last.map_or(SEND_LIMIT, |last| {
            SEND_LIMIT.min(self.now().until(last) / SHARE_OF_CALLS)
        })
    }

    async fn share_grants(
        &mut self,
        sharing: Sharing<'_>,
        grants: Vec<Row>,
        boot: &BootOf,
        verify_spread: Duration,
        limit: Duration,
    ) -> Vec<Row> {
        let now = self.now();
        let trust = &mut self.entrusted.granting;
        trust.begin(boot);
        let (mut own, mut free) = (Vec::new(), Vec::new());
        for row in grants {
            match trust.whose(&row.key, row.version, now) {
                Whose::Free => free.push(row),
                Whose::Ours => own.push(row),
                Whose::Shard => {}
            }
        }
        if free.len() > sharing.above {
            let task = Task::Grant {
                boot: boot.clone(),
                verify_spread,
            };
            let shards = shards_for(free.len());
            let count = free.len();
            let sent = self.ask_shards(sharing, task, shards, count, limit).await;
            let (with_shards, rest) = split(free, |row| sent.contains(&shard_of(&row.key, shards)));
            let asked = with_shards.into_iter().map(|row| (row.key, row.version));
            self.entrusted.granting.add(asked, self.now());
            free = rest;
        }
        own.extend(free);
        own
    }

    /// The phase that most rows are told: the same words for all of them.
    async fn share_phases(
        &mut self,
        sharing: Sharing<'_>,
        rows: Vec<RowChange>,
        pushes: Vec<Push>,
        before: &[Row],
        limit: Duration,
    ) -> (Vec<RowChange>, Vec<Push>) {
        if rows.len() + pushes.len() <= sharing.above && self.entrusted.telling.is_empty() {
            return (rows, pushes);
        }
        let now = self.now();
        let telling = &self.entrusted.telling;
        let before: BTreeMap<&RowKey, &Row> = before.iter().map(|row| (&row.key, row)).collect();
        let (mut own, mut free) = (Vec::new(), Vec::new());
        for change in rows {
            let (key, version) = (&change.row.key, change.expected);
            match told(&change, &before) {
                Some(progress) if telling.has_reached(progress.phase) => {
                    match telling.whose(key, version, now) {
                        Whose::Free => free.push((progress, change)),
                        Whose::Ours => own.push(change),
                        Whose::Shard => {}
                    }
                }
                Some(progress) => free.push((progress, change)),
                None => own.push(change),
            }
        }
        let Some(words) = most_common(&free, &pushes, sharing.above) else {
            own.extend(free.into_iter().map(|(_, change)| change));
            return (own, pushes);
        };
        let (same, others) = split(free, |(progress, _)| *progress == words);
        own.extend(others.into_iter().map(|(_, change)| change));
        let (again, mut plain) = split(pushes, |push| plain_words(push).as_ref() == Some(&words));
        let count = same.len() + again.len();
        let shards = shards_for(count);
        let task = Task::Tell {
            progress: words.clone(),
            again: !again.is_empty(),
        };
        let sent = self.ask_shards(sharing, task, shards, count, limit).await;
        if u32::try_from(sent.len()) != Ok(shards) {
            // A message alone does not say whose row it is about; told twice is told.
            plain.extend(again);
        }
        let (with_shards, rest) = split(same, |(_, change)| {
            sent.contains(&shard_of(&change.row.key, shards))
        });
        let asked = with_shards
            .into_iter()
            .map(|(_, change)| (change.row.key, change.expected));
        let now = self.now();
        let telling = &mut self.entrusted.telling;
        telling.begin(&words.phase);
        telling.add(asked, now);
        own.extend(rest.into_iter().map(|(_, change)| change));
        (own, plain)
    }

    /// Invokes the shards and returns which may have been.
    async fn ask_shards(
        &self,
        sharing: Sharing<'_>,
        task: Task,
        shards: u32,
        rows: usize,
        limit: Duration,
    ) -> BTreeSet<u32> {
        let asked_at = self.now();
        let sends = (0..shards).map(|shard| {
            let errand = Errand {
                fleet: self.fleet.clone(),
                task: task.clone(),
                shard,
                shards,
                asked_at,
            };
            async move {
                let clock = self.ports.clock.as_ref();
                match within(clock, limit, sharing.fanout.send(&errand)).await {
                    Some(Err(error)) => {
                        report::not_sent(self.fleet, &self.lock, &error);
                        None
                    }
                    Some(Ok(())) | None => Some(shard),
                }
            }
        });
        let sent: BTreeSet<u32> = join_all(sends).await.into_iter().flatten().collect();
        report::shared(self.fleet, &self.lock, rows, sent.len());
        sent
    }
}

impl<T: PartialOrd + Clone> Trust<T> {
    /// Turns to something else: what was entrusted before is over.
    fn begin(&mut self, what: &T) {
        if self.what.as_ref() != Some(what) {
            self.rows.clear();
            self.what = Some(what.clone());
        }
    }

    fn add(&mut self, rows: impl Iterator<Item = (RowKey, u64)>, now: Timestamp) {
        let until = now + PATIENCE;
        let asked = rows.map(|(key, version)| (key, Asked { version, until }));
        self.rows.extend(asked);
    }

    /// A row that was written since is nobody's.
    fn whose(&self, key: &RowKey, version: u64, now: Timestamp) -> Whose {
        match self.rows.get(key) {
            Some(asked) if asked.version == version && now < asked.until => Whose::Shard,
            Some(asked) if asked.version == version => Whose::Ours,
            Some(_) | None => Whose::Free,
        }
    }

    /// Tells whether shards were asked for this or for what comes after it.
    fn has_reached(&self, what: T) -> bool {
        self.what.as_ref().is_some_and(|asked| *asked >= what)
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<T> Default for Trust<T> {
    fn default() -> Self {
        Self {
            what: None,
            rows: BTreeMap::new(),
        }
    }
}

/// Returns what a change tells if it does nothing but move a waiting row to another phase.
fn told(change: &RowChange, before: &BTreeMap<&RowKey, &Row>) -> Option<ProgressPush> {
    let Some(ServerMessage::Progress(progress)) = &change.tell else {
        return None;
    };
    let row = before.get(&change.row.key)?;
    (with_phase(row, progress.phase) == change.row).then(|| common(progress))
}

fn plain_words(push: &Push) -> Option<ProgressPush> {
    match &push.message {
        ServerMessage::Progress(progress) => Some(common(progress)),
        _ => None,
    }
}

/// Returns the words that most rows are told, if those are more than `above`.
fn most_common(
    changes: &[(ProgressPush, RowChange)],
    pushes: &[Push],
    above: usize,
) -> Option<ProgressPush> {
    let mut counts: Vec<(ProgressPush, usize)> = Vec::new();
    let words = changes.iter().map(|(progress, _)| progress.clone());
    for progress in words.chain(pushes.iter().filter_map(plain_words)) {
        match counts.iter_mut().find(|(known, _)| *known == progress) {
            Some((_, count)) => *count += 1,
            None => counts.push((progress, 1)),
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (most.1 > above).then_some(most.0)
}

fn split<T>(all: Vec<T>, first: impl Fn(&T) -> bool) -> (Vec<T>, Vec<T>) {
    all.into_iter().partition(first)
}
