//! Rules of tickets, and of rows without a link.

use futures_util::future::join;

use super::{START, after, connection, fleet, row, row_key};
use crate::config::LinkCaps;
use crate::model::Timestamp;
use crate::store::{NoRoom, Room, Store, StoreError, TicketUse};

fn used(subject: &str, ticket: &str, at: Timestamp) -> TicketUse {
    TicketUse {
        tenant: "acme".to_owned(),
        subject: subject.to_owned(),
        ticket: ticket.to_owned(),
        at,
        expires_at: after(10_000),
    }
}

/// Whoever comes later is told of the first; tickets and subjects share nothing.
pub async fn the_first_use_of_a_ticket_is_kept(store: &dyn Store) {
    assert_eq!(store.ticket_use("acme", "alice", "t").await, Ok(None));
    for at in [5, 9, 2] {
        let first = store
            .use_ticket(&used("alice", "t", after(at)), &LinkCaps::OFF)
            .await;
        assert_eq!(first, Ok(after(5)));
    }
    assert_eq!(
        store.ticket_use("acme", "alice", "t").await,
        Ok(Some(after(5)))
    );
    for (tenant, subject, ticket) in [
        ("acme", "alice", "u"),
        ("acme", "bob", "t"),
        ("acme", "alice#t", ""),
        ("other", "alice", "t"),
    ] {
        assert_eq!(store.ticket_use(tenant, subject, ticket).await, Ok(None));
    }
}

/// Both are told the same.
pub async fn of_two_first_uses_at_once_one_is_kept(store: &dyn Store) {
    let (early, late) = (used("alice", "t", after(1)), used("alice", "t", after(2)));
    let (one, two) = join(
        store.use_ticket(&early, &LinkCaps::OFF),
        store.use_ticket(&late, &LinkCaps::OFF),
    )
    .await;
    assert!(one.is_ok());
    assert_eq!(one, two);
}

/// It is counted with the connects, and once; where there is no room for it nothing is noted.
pub async fn a_first_use_is_a_connect_of_its_subject(store: &dyn Store) {
    let caps = LinkCaps {
        connects_per_minute: Some(2),
        open: Some(1),
    };
    for _ in 0..5 {
        let first = store.use_ticket(&used("alice", "t", START), &caps).await;
        assert_eq!(first, Ok(START));
    }
    let links = store.subject_links("acme", "alice", START).await;
    let links = links.expect("a read");
    assert_eq!(
        (links.connects, links.open.len()),
        (1, 0),
        "it is no open link"
    );
    assert_eq!(
        store.put_connection(&connection("c1", START), &caps).await,
        Ok(())
    );
    let refused = store
        .use_ticket(&used("alice", "u", after(59)), &caps)
        .await;
    assert_eq!(refused, Err(StoreError::NoRoom(NoRoom::Connects)));
    assert_eq!(store.ticket_use("acme", "alice", "u").await, Ok(None));
    let again = store
        .use_ticket(&used("alice", "t", after(59)), &caps)
        .await;
    assert_eq!(again, Ok(START), "what is noted needs no room");
    let next = store
        .use_ticket(&used("alice", "u", after(60)), &caps)
        .await;
    assert_eq!(next, Ok(after(60)));
}

/// It is put by its version and counted, and no connection knows of it.
pub async fn a_counted_row_needs_no_connection(store: &dyn Store) {
    let room = |live| Room {
        claimed: Some(0),
        live: Some(live),
        at: START,
        ..Room::default()
    };
    let (one, two) = ["a", "b"]
        .map(|id| row(row_key(&fleet("main"), "alice", id)))
        .into();
    let put = store.put_counted_row(&one, None, &room(1)).await;
    let put = put.expect("a row");
    assert_eq!(store.row(&one.key).await, Ok(Some(put.clone())));
    let stale = store.put_counted_row(&one, None, &room(9)).await;
    assert!(matches!(stale, Err(StoreError::Conflict(Some(_)))));
    let refused = store.put_counted_row(&two, None, &room(1)).await;
    assert!(matches!(refused, Err(StoreError::NoRoom(NoRoom::Live(seen))) if seen.live == 1));
    assert_eq!(store.row(&two.key).await, Ok(None));
    let free = store
        .put_counted_row(&put, Some(put.version), &Room::default())
        .await;
    assert!(free.is_ok());
}
