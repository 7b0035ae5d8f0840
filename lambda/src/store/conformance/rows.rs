//! Rules of rows and of demand.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::join;

use super::{START, after, connection, fleet, row, row_key};
use crate::config::LinkCaps;
use crate::model::RowKey;
use crate::store::{Room, Store, StoreError};

/// An id is written first by exactly one caller.
pub async fn a_new_row_needs_that_there_is_none(store: &dyn Store) {
    let key = row_key(&fleet("main"), "alice", "a");
    assert_eq!(store.row(&key).await, Ok(None));
    let written = store
        .put_row(&row(key.clone()), None)
        .await
        .expect("a first write");
    assert_eq!(store.row(&key).await, Ok(Some(written.clone())));
    let again = store.put_row(&row(key), None).await;
    assert_eq!(again, Err(StoreError::Conflict(Some(Box::new(written)))));
}

/// The version rises with every write, and the loser learns what is there without another read.
pub async fn a_write_over_another_version_returns_the_row_that_is_there(store: &dyn Store) {
    let key = row_key(&fleet("main"), "alice", "a");
    let first = store
        .put_row(&row(key.clone()), None)
        .await
        .expect("a first write");
    let mut change = first.clone();
    change.rev += 1;
    let second = store
        .put_row(&change, Some(first.version))
        .await
        .expect("a second write");
    assert!(second.version > first.version);
    assert_eq!(second.rev, change.rev);

    change.rev += 1;
    let stale = store.put_row(&change, Some(first.version)).await;
    assert_eq!(
        stale,
        Err(StoreError::Conflict(Some(Box::new(second.clone()))))
    );
    assert_eq!(store.row(&key).await, Ok(Some(second)));
}

/// A row that was deleted meanwhile is not brought back by a change.
pub async fn a_write_over_a_row_that_is_gone_is_a_conflict(store: &dyn Store) {
    let key = row_key(&fleet("main"), "alice", "a");
    let write = store.put_row(&row(key.clone()), Some(3)).await;
    assert_eq!(write, Err(StoreError::Conflict(None)));
    assert_eq!(store.row(&key).await, Ok(None));
}

/// Gateway and reconciler change a row at once.
pub async fn of_two_writers_at_once_one_wins(store: &dyn Store) {
    let key = row_key(&fleet("main"), "alice", "a");
    let first = store
        .put_row(&row(key.clone()), None)
        .await
        .expect("a first write");
    let [mut one, mut two] = [first.clone(), first.clone()];
    one.rev += 1;
    two.rev += 2;
    let version = Some(first.version);
    let (one, two) = join(store.put_row(&one, version), store.put_row(&two, version)).await;
    assert!(one.is_ok() != two.is_ok(), "{one:?} and {two:?}");
    let winner = one.or(two).expect("a winner");
    assert_eq!(store.row(&key).await, Ok(Some(winner)));
}

/// Whatever refuses one half refuses the other: a link that is gone leaves no row, and a row that
/// was lost to another is no claim.
pub async fn a_claimed_row_and_its_claim_are_one(store: &dyn Store) {
    let link = connection("c=1", START);
    let [one, two] = ["a", "b"].map(|id| row_key(&fleet("main"), "alice", id));
    let gone = store
        .put_claimed_row(&link.id, &row(one.clone()), None, &Room::default())
        .await;
    assert_eq!(gone, Err(StoreError::NotFound));
    assert_eq!(store.row(&one).await, Ok(None));

    store
        .put_connection(&link, &LinkCaps::OFF)
        .await
        .expect("a put");
    let written = store
        .put_claimed_row(&link.id, &row(one.clone()), None, &Room::default())
        .await;
    let written = written.expect("a claim");
    assert_eq!(store.row(&one).await, Ok(Some(written)));
    let there = store
        .put_row(&row(two.clone()), None)
        .await
        .expect("another's row");
    let lost = store
        .put_claimed_row(&link.id, &row(two), None, &Room::default())
        .await;
    assert_eq!(lost, Err(StoreError::Conflict(Some(Box::new(there)))));
    let last = store
        .delete_connection(&link.id, after(1))
        .await
        .expect("a delete");
    assert_eq!(last.map(|link| link.rows), Some(BTreeSet::from([one])));
}

/// No page is missed.
pub async fn three_thousand_rows_are_read_in_order(store: &dyn Store) {
    let main = fleet("main");
    let keys: Vec<RowKey> = (0..3_000)
        .map(|n| row_key(&main, &format!("subject-{n:04}"), "a"))
        .collect();
    for key in keys.iter().rev() {
        store
            .put_row(&row(key.clone()), None)
            .await
            .expect("a write");
    }
    let found = store.rows(&main, START).await.expect("a read");
    assert!(found.into_iter().map(|row| row.key).eq(keys));
}

/// Expiry is a comparison of times; the deletion comes later or never.
pub async fn expired_rows_are_left_out_and_can_be_replaced(store: &dyn Store) {
    let main = fleet("main");
    let [short, long] = ["a", "b"].map(|id| row_key(&main, "alice", id));
    let mut expiring = row(short.clone());
    expiring.expires_at = after(100);
    let expiring = store.put_row(&expiring, None).await.expect("a write");
    store
        .put_row(&row(long.clone()), None)
        .await
        .expect("a write");

    let keys_at = async |seconds| {
        let rows = store.rows(&main, after(seconds)).await.expect("a read");
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(keys_at(99).await, [short.clone(), long.clone()]);
    assert_eq!(keys_at(100).await, std::slice::from_ref(&long));

    // The item may still be there or not: a caller replaces what it reads.
    let there = store
        .row(&short)
        .await
        .expect("a read")
        .map(|row| row.version);
    assert!(there.is_none() || there == Some(expiring.version));
    store
        .put_row(&row(short.clone()), there)
        .await
        .expect("a replacement");
    assert_eq!(keys_at(100).await, [short, long]);
}

/// Subjects and ids come from outside: none may reach another's row.
pub async fn names_with_separators_never_meet(store: &dyn Store) {
    let main = fleet("main");
    let names = ["a", "a#b", "a%23b", "b", "b#a", "#", "##", "%", ""];
    let mut keys = Vec::new();
    for subject in names {
        keys.extend(names.map(|id| row_key(&main, subject, id)));
    }
    for key in &keys {
        store
            .put_row(&row(key.clone()), None)
            .await
            .expect("a row of its own");
    }
    let mut found: Vec<RowKey> = store
        .rows(&main, START)
        .await
        .expect("a read")
        .into_iter()
        .map(|row| row.key)
        .collect();
    found.sort();
    keys.sort();
    assert_eq!(found, keys);
}

/// Each raise is a number of its own, so that none is lost between two others.
pub async fn demand_rises_by_one_for_its_fleet_alone(store: &dyn Store) {
    let main = fleet("main");
    assert_eq!(store.demand(&main).await, Ok(0));
    let (one, two) = join(store.raise_demand(&main), store.raise_demand(&main)).await;
    let mut raised = [one.expect("a raise"), two.expect("a raise")];
    raised.sort_unstable();
    assert_eq!(raised, [1, 2]);
    assert_eq!(store.demand(&main).await, Ok(2));
    assert_eq!(store.demand(&fleet("other")).await, Ok(0));
    assert_eq!(store.rows(&main, START).await, Ok(Vec::new()));
}

/// The order on which the lock's release rests: row, raise, read of the raise, read of the rows.
pub async fn a_row_written_before_a_raise_is_seen_after_it(store: &dyn Store) {
    let main = fleet("main");
    let gateway = async {
        for id in ["a", "b", "c"] {
            store
                .put_row(&row(row_key(&main, "alice", id)), None)
                .await
                .expect("a write");
            pass_the_turn().await;
            store.raise_demand(&main).await.expect("a raise");
            pass_the_turn().await;
        }
    };
    let reconciler = async {
        for _ in 0..8 {
            let demand = store.demand(&main).await.expect("a read");
            pass_the_turn().await;
            let rows = store.rows(&main, START).await.expect("a read");
            assert!(
                rows.len() as u64 >= demand,
                "{demand} raises, {} rows",
                rows.len()
            );
        }
    };
    join(gateway, reconciler).await;
}

/// Lets the other side go on, also where the store answers at once.
async fn pass_the_turn() {
    let mut passed = false;
    poll_fn(|context| {
        if passed {
            return Poll::Ready(());
        }
        passed = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
