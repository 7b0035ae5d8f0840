//! Whose turn it is in a round that cannot write every row: the oldest come first.

use crate::lifecycle::RowChange;
use crate::model::{Row, Timestamp};

/// One write of a round.
enum Turn {
    Change(RowChange),
    Grant(Row),
}

impl Turn {
    fn since(&self) -> Timestamp {
        match self {
            Self::Change(change) => change.row.created_at,
            Self::Grant(row) => row.created_at,
        }
    }
}

/// Keeps the `most` oldest of a round's row changes and grants, each in the order of their ages,
/// and tells whether some are left over.
///
/// Rows come in the order of their keys, which whoever asks can choose; since when it asks it
/// cannot, so nobody keeps others waiting for good.
pub(super) fn oldest_first(
    changes: Vec<RowChange>,
    grants: Vec<Row>,
    most: usize,
) -> (Vec<RowChange>, Vec<Row>, bool) {
    let mut turns: Vec<Turn> = changes.into_iter().map(Turn::Change).collect();
    turns.extend(grants.into_iter().map(Turn::Grant));
    // Stable: those of one age keep the order that they came in.
    turns.sort_by_key(Turn::since);
    let over = turns.len() > most;
    turns.truncate(most);
    let (mut changes, mut grants) = (Vec::new(), Vec::new());
    for turn in turns {
        match turn {
            Turn::Change(change) => changes.push(change),
            Turn::Grant(row) => grants.push(row),
        }
    }
    (changes, grants, over)
}
