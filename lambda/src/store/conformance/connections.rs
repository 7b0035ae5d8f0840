//! Rules of connections.

use std::collections::BTreeSet;

use super::{START, after, connection, fleet, row_key};
use crate::config::LinkCaps;
use crate::model::ConnectionId;
use crate::store::{Store, StoreError};

/// What was put is read.
pub async fn a_connection_is_read_back_as_it_was_put(store: &dyn Store) {
    let put = connection("c=1", START);
    assert_eq!(store.connection(&put.id).await, Ok(None));
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    assert_eq!(store.connection(&put.id).await, Ok(Some(put)));
}

/// A `$connect` that is carried out twice changes nothing.
pub async fn a_second_put_neither_replaces_nor_counts(store: &dyn Store) {
    let put = connection("c=1", START);
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    store
        .claim(&put.id, "client", &BTreeSet::new())
        .await
        .expect("a claim");
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("the same put again");
    let found = store
        .connection(&put.id)
        .await
        .expect("a read")
        .expect("the connection");
    assert_eq!(found.client_id.as_deref(), Some("client"));
    assert_eq!(store.open_connections(START).await, Ok(1));
}

/// `renew` replaces what the token allows and nothing else.
pub async fn a_renewal_replaces_the_grants(store: &dyn Store) {
    let mut put = connection("c=1", START);
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    let rows = BTreeSet::from([row_key(&fleet("main"), "alice", "a")]);
    store
        .claim(&put.id, "client", &rows)
        .await
        .expect("a claim");
    put.grants.expires_at = after(7_000);
    put.grants.apps.push("other".to_owned());
    store
        .renew_connection(&put.id, &put.grants)
        .await
        .expect("a renewal");
    let found = store
        .connection(&put.id)
        .await
        .expect("a read")
        .expect("the connection");
    assert_eq!(found.grants, put.grants);
    assert_eq!(found.client_id.as_deref(), Some("client"));
    assert_eq!(found.rows, rows);
}

/// Rows are added; the client's name is the last one given.
pub async fn claims_name_the_client_and_add_up(store: &dyn Store) {
    let put = connection("c=1", START);
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    let [a, b] = ["a", "b"].map(|id| row_key(&fleet("main"), "alice", id));
    store
        .claim(&put.id, "one", &BTreeSet::from([a.clone()]))
        .await
        .expect("a claim");
    let both = BTreeSet::from([a, b]);
    store
        .claim(&put.id, "two", &both)
        .await
        .expect("a second claim");
    let found = store
        .connection(&put.id)
        .await
        .expect("a read")
        .expect("the connection");
    assert_eq!(found.rows, both);
    assert_eq!(found.client_id.as_deref(), Some("two"));
}

/// Claims that are given up are gone, and nothing else is.
pub async fn claims_can_be_given_up(store: &dyn Store) {
    let put = connection("c=1", START);
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    let [a, b, c] = ["a", "b", "c"].map(|id| row_key(&fleet("main"), "alice", id));
    store
        .claim(&put.id, "one", &BTreeSet::from([a.clone(), b.clone()]))
        .await
        .expect("a claim");
    store
        .disclaim(&put.id, &BTreeSet::from([a, c]))
        .await
        .expect("claims given up");
    let found = store.connection(&put.id).await.expect("a read");
    let found = found.expect("the connection");
    assert_eq!(found.rows, BTreeSet::from([b]));
    assert_eq!(found.client_id.as_deref(), Some("one"));
    assert_eq!(found.grants, put.grants);
}

/// A message that overtakes `$disconnect` does not bring the connection back.
pub async fn nothing_is_written_to_a_connection_that_is_gone(store: &dyn Store) {
    let put = connection("c=1", START);
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    store
        .delete_connection(&put.id, after(1))
        .await
        .expect("a delete");
    let renewed = store.renew_connection(&put.id, &put.grants).await;
    assert_eq!(renewed, Err(StoreError::NotFound));
    let claimed = store.claim(&put.id, "client", &BTreeSet::new()).await;
    assert_eq!(claimed, Err(StoreError::NotFound));
    let disclaimed = store.disclaim(&put.id, &BTreeSet::new()).await;
    assert_eq!(disclaimed, Err(StoreError::NotFound));
    assert_eq!(store.connection(&put.id).await, Ok(None));
}

/// `$disconnect` learns every row that was claimed, and only one caller learns it.
pub async fn a_delete_returns_the_last_state_once(store: &dyn Store) {
    let put = connection("c=1", START);
    store
        .put_connection(&put, &LinkCaps::OFF)
        .await
        .expect("a put");
    let rows = BTreeSet::from([row_key(&fleet("main"), "alice", "a")]);
    store
        .claim(&put.id, "client", &rows)
        .await
        .expect("a claim");
    let last = store
        .delete_connection(&put.id, after(5))
        .await
        .expect("a delete");
    assert_eq!(last.map(|connection| connection.rows), Some(rows));
    assert_eq!(store.delete_connection(&put.id, after(5)).await, Ok(None));
    let unknown = ConnectionId::new("never");
    assert_eq!(store.delete_connection(&unknown, after(5)).await, Ok(None));
}

/// Connects of every window that still counts add up; disconnects subtract from their own.
pub async fn open_connections_are_counted_and_taken_back(store: &dyn Store) {
    assert_eq!(store.open_connections(START).await, Ok(0));
    for (id, at) in [("c1", 0), ("c2", 599), ("c3", 600), ("c4", 3_000)] {
        store
            .put_connection(&connection(id, after(at)), &LinkCaps::OFF)
            .await
            .expect("a put");
    }
    assert_eq!(store.open_connections(after(3_000)).await, Ok(4));
    store
        .delete_connection(&ConnectionId::new("c2"), after(3_001))
        .await
        .expect("a delete");
    assert_eq!(store.open_connections(after(3_001)).await, Ok(3));
    store
        .delete_connection(&ConnectionId::new("c2"), after(3_001))
        .await
        .expect("a delete");
    assert_eq!(store.open_connections(after(3_001)).await, Ok(3));
}

/// A `$disconnect` that never came is forgotten with its window: the gateway cuts at two hours.
pub async fn windows_over_two_hours_old_count_nothing(store: &dyn Store) {
    let window = 600;
    let life = 2 * 3_600;
    store
        .put_connection(&connection("old", START), &LinkCaps::OFF)
        .await
        .expect("a put");
    store
        .put_connection(&connection("new", after(window)), &LinkCaps::OFF)
        .await
        .expect("a put");
    assert_eq!(store.open_connections(after(life)).await, Ok(2));
    assert_eq!(
        store.open_connections(after(life + window - 1)).await,
        Ok(2)
    );
    assert_eq!(store.open_connections(after(life + window)).await, Ok(1));
    let late = after(life + window + 1);
    store
        .delete_connection(&ConnectionId::new("old"), late)
        .await
        .expect("a delete");
    assert_eq!(store.open_connections(late).await, Ok(1));
    assert_eq!(
        store.open_connections(after(life + 2 * window)).await,
        Ok(0)
    );
}
