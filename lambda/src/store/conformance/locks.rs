//! Rules of a fleet's lock.

use futures_util::future::join;

use super::{START, after, fleet, locked};
use crate::model::Lock;
use crate::store::{Released, Store, StoreError};

/// A second taker learns when to come again; the lock is free the moment it runs out.
pub async fn the_lock_is_held_until_it_runs_out(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    assert_eq!(
        (held.owner.as_str(), held.taken_at, held.until),
        ("me", START, after(30))
    );
    assert_eq!(store.lock(&main).await, Ok(Some(held)));
    let refused = store.take_lock(&main, "you", after(29), after(59)).await;
    assert_eq!(refused, Err(StoreError::LockHeld { until: after(30) }));
    let taken = store
        .take_lock(&main, "you", after(30), after(60))
        .await
        .expect("the lock");
    assert_eq!(store.lock(&main).await, Ok(Some(taken)));
}

/// A tick and a wake come at once.
pub async fn of_two_takers_at_once_one_wins(store: &dyn Store) {
    let main = fleet("main");
    let (one, two) = join(
        store.take_lock(&main, "one", START, after(30)),
        store.take_lock(&main, "two", START, after(30)),
    )
    .await;
    assert!(one.is_ok() != two.is_ok(), "{one:?} and {two:?}");
}

/// Through releases and run-out locks alike, so that a paused holder is always an old one.
pub async fn the_fence_rises_with_every_taking(store: &dyn Store) {
    let main = fleet("main");
    let first = locked(store, &main).await;
    assert_eq!(
        store.release_lock(&main, &first, 0).await,
        Ok(Released::Free)
    );
    assert_eq!(store.lock(&main).await, Ok(None));
    let second = store
        .take_lock(&main, "me", after(1), after(31))
        .await
        .expect("the lock");
    assert!(second.fence > first.fence);
    let third = store
        .take_lock(&main, "you", after(31), after(61))
        .await
        .expect("the lock");
    assert!(third.fence > second.fence);
}

/// The reply of the first try was lost.
pub async fn an_owner_takes_its_lock_again(store: &dyn Store) {
    let main = fleet("main");
    let first = locked(store, &main).await;
    let again = store
        .take_lock(&main, "me", after(1), after(31))
        .await
        .expect("my own lock");
    assert!(again.fence > first.fence);
    assert_eq!(again.until, after(31));
    let stale = store.extend_lock(&main, &first, after(2), after(32)).await;
    assert_eq!(stale, Err(StoreError::LockLost));
}

/// An extension proves that nobody else had the lock in between.
pub async fn only_the_holder_extends_and_only_in_time(store: &dyn Store) {
    let main = fleet("main");
    let mut held = locked(store, &main).await;
    held.demand_seen = 7;
    let held = store
        .extend_lock(&main, &held, after(29), after(59))
        .await
        .expect("in time");
    assert_eq!(
        (held.taken_at, held.until, held.demand_seen),
        (START, after(59), 7)
    );
    assert_eq!(store.lock(&main).await, Ok(Some(held.clone())));

    let foreign = Lock {
        owner: "you".to_owned(),
        ..held.clone()
    };
    let refused = store
        .extend_lock(&main, &foreign, after(30), after(60))
        .await;
    assert_eq!(refused, Err(StoreError::LockLost));
    let late = store.extend_lock(&main, &held, after(59), after(89)).await;
    assert_eq!(late, Err(StoreError::LockLost));
    assert_eq!(store.lock(&main).await, Ok(Some(held)));
}

/// No wake-up is lost: whoever raised demand saw the lock held, and relies on its holder.
pub async fn a_release_is_refused_once_demand_has_risen(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    store.raise_demand(&main).await.expect("a raise");
    assert_eq!(
        store.release_lock(&main, &held, 0).await,
        Ok(Released::DemandRose)
    );
    assert_eq!(store.lock(&main).await, Ok(Some(held.clone())));
    assert_eq!(
        store.release_lock(&main, &held, 1).await,
        Ok(Released::Free)
    );
    assert_eq!(store.lock(&main).await, Ok(None));
}

/// A late holder does not free another's lock.
pub async fn only_the_holder_releases(store: &dyn Store) {
    let main = fleet("main");
    let old = locked(store, &main).await;
    let new = store
        .take_lock(&main, "you", after(30), after(60))
        .await
        .expect("the lock");
    assert_eq!(
        store.release_lock(&main, &old, 0).await,
        Err(StoreError::LockLost)
    );
    assert_eq!(store.lock(&main).await, Ok(Some(new.clone())));
    assert_eq!(store.release_lock(&main, &new, 0).await, Ok(Released::Free));
    assert_eq!(
        store.release_lock(&main, &new, 0).await,
        Err(StoreError::LockLost)
    );
}
