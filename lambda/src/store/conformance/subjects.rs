//! Rules of what one subject may have: links, rows, protection, starts, and a tenant's days.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join;

use super::fleets::commit;
use super::{START, after, connection, fleet, locked, row, row_key};
use crate::config::LinkCaps;
use crate::model::{
    Connection, ConnectionId, Day, FleetKey, FleetRecords, Row, RowEnd, RowState, Timestamp,
};
use crate::store::{Charge, NoRoom, Room, RowCount, Store, StoreError, SubjectCharge};

const TWO: LinkCaps = LinkCaps {
    connects_per_minute: Some(2),
    open: None,
};

const TWO_OPEN: LinkCaps = LinkCaps {
    connects_per_minute: None,
    open: Some(2),
};

async fn connect(
    store: &dyn Store,
    id: &str,
    at: Timestamp,
    caps: &LinkCaps,
) -> Result<(), StoreError> {
    store.put_connection(&connection(id, at), caps).await
}

const fn no<T>(room: NoRoom) -> Result<T, StoreError> {
    Err(StoreError::NoRoom(room))
}

/// Connects count per minute of the clock and subject; a refused one leaves no trace.
pub async fn a_subject_connects_so_often_a_minute(store: &dyn Store) {
    assert_eq!(connect(store, "c1", after(58), &TWO).await, Ok(()));
    assert_eq!(connect(store, "c2", after(59), &TWO).await, Ok(()));
    let refused = connect(store, "c3", after(59), &TWO).await;
    assert_eq!(refused, no(NoRoom::Connects));
    assert_eq!(store.connection(&ConnectionId::new("c3")).await, Ok(None));
    assert_eq!(store.open_connections(after(59)).await, Ok(2));
    let links = store.subject_links("acme", "alice", after(59)).await;
    assert_eq!(links.expect("a read").connects, 2);

    let mut other = connection("c4", after(59));
    other.grants.subject = "bob".to_owned();
    assert_eq!(store.put_connection(&other, &TWO).await, Ok(()));
    assert_eq!(connect(store, "c5", after(60), &TWO).await, Ok(()));
    let links = store.subject_links("acme", "alice", after(60)).await;
    assert_eq!(links.expect("a read").connects, 1);
}

/// Whatever became of the first answer, the same connect is none more.
pub async fn a_connection_that_is_there_meets_no_cap(store: &dyn Store) {
    let caps = LinkCaps {
        connects_per_minute: Some(1),
        open: Some(1),
    };
    assert_eq!(connect(store, "c1", START, &caps).await, Ok(()));
    assert_eq!(connect(store, "c1", START, &caps).await, Ok(()));
    let links = store.subject_links("acme", "alice", START).await;
    let links = links.expect("a read");
    assert_eq!((links.connects, links.open.len()), (1, 1));
}

/// Open links count until they are deleted or dropped.
pub async fn a_subject_has_so_many_links_open(store: &dyn Store) {
    assert_eq!(connect(store, "c1", START, &TWO_OPEN).await, Ok(()));
    assert_eq!(connect(store, "c2", after(600), &TWO_OPEN).await, Ok(()));
    let refused = connect(store, "c3", after(601), &TWO_OPEN).await;
    assert_eq!(refused, no(NoRoom::Links));
    assert_eq!(store.open_connections(after(601)).await, Ok(2));
    let open = store.subject_links("acme", "alice", after(601)).await;
    let expected = BTreeMap::from([
        (ConnectionId::new("c1"), START),
        (ConnectionId::new("c2"), after(600)),
    ]);
    assert_eq!(open.expect("a read").open, expected);

    let gone = ConnectionId::new("c1");
    store
        .delete_connection(&gone, after(602))
        .await
        .expect("a delete");
    assert_eq!(connect(store, "c3", after(603), &TWO_OPEN).await, Ok(()));
    let refused = connect(store, "c4", after(604), &TWO_OPEN).await;
    assert_eq!(refused, no(NoRoom::Links));
    let dead = BTreeSet::from([ConnectionId::new("c2"), ConnectionId::new("never")]);
    assert_eq!(store.drop_links("acme", "alice", &dead).await, Ok(()));
    assert_eq!(connect(store, "c4", after(605), &TWO_OPEN).await, Ok(()));
}

/// A cap that is off costs nothing and refuses nothing.
pub async fn a_cap_that_is_off_is_not_counted(store: &dyn Store) {
    for place in 0..100 {
        let id = format!("c{place}");
        assert_eq!(connect(store, &id, START, &LinkCaps::OFF).await, Ok(()));
    }
    let links = store.subject_links("acme", "alice", START).await;
    let links = links.expect("a read");
    assert_eq!((links.connects, links.open.len()), (0, 0));
}

fn room(live: u32, remembered: u32) -> Room {
    Room {
        live: Some(live),
        remembered: Some(remembered),
        at: START,
        ..Room::default()
    }
}

fn ask(id: &str) -> Row {
    row(row_key(&fleet("main"), "alice", id))
}

async fn put(
    store: &dyn Store,
    link: &ConnectionId,
    id: &str,
    room: Room,
) -> Result<Row, StoreError> {
    store.put_claimed_row(link, &ask(id), None, &room).await
}

async fn link(store: &dyn Store) -> Connection {
    let link = connection("c=1", START);
    let put = store.put_connection(&link, &LinkCaps::OFF).await;
    put.expect("a connection");
    link
}

/// The count and the row are one; each cap refuses by itself, and the other errors come first.
pub async fn a_row_is_counted_with_its_write(store: &dyn Store) {
    let link = link(store).await;
    for id in ["a", "b"] {
        let put = put(store, &link.id, id, room(2, 3));
        assert!(put.await.is_ok());
    }
    let seen = RowCount {
        live: 2,
        remembered: 2,
        taken: 0,
    };
    let third = put(store, &link.id, "c", room(2, 3));
    assert_eq!(third.await, no(NoRoom::Live(seen)));
    let third = put(store, &link.id, "c", room(3, 2));
    assert_eq!(third.await, no(NoRoom::Rows(seen)));
    assert_eq!(store.row(&ask("c").key).await, Ok(None));
    let claimed = store.connection(&link.id).await.expect("a read");
    assert_eq!(claimed.expect("the connection").rows.len(), 2);

    let there = put(store, &link.id, "a", room(2, 3));
    assert!(matches!(there.await, Err(StoreError::Conflict(Some(_)))));
    let nobody = ConnectionId::new("gone");
    let gone = put(store, &nobody, "c", room(2, 3));
    assert_eq!(gone.await, Err(StoreError::NotFound));
    // What is not counted needs no room, and neither do another subject and another fleet.
    let free = put(store, &link.id, "c", Room::default());
    assert!(free.await.is_ok());
    for key in [
        row_key(&fleet("main"), "bob", "a"),
        row_key(&fleet("spare"), "alice", "a"),
    ] {
        let (row, room) = (row(key), room(1, 1));
        let other = store.put_claimed_row(&link.id, &row, None, &room);
        assert!(other.await.is_ok());
    }
}

/// Of two links that want the last place one gets it.
pub async fn of_two_rows_for_one_place_one_wins(store: &dyn Store) {
    let link = link(store).await;
    let (rows, room) = ([ask("a"), ask("b")], room(1, 9));
    let (one, two) = join(
        store.put_claimed_row(&link.id, &rows[0], None, &room),
        store.put_claimed_row(&link.id, &rows[1], None, &room),
    )
    .await;
    assert!(one.is_ok() != two.is_ok(), "{one:?} and {two:?}");
}

/// Rows end without being counted down; the new count holds only if nothing was counted meanwhile.
pub async fn rows_are_counted_anew_and_nothing_is_lost(store: &dyn Store) {
    let (main, link) = (fleet("main"), link(store).await);
    let written = put(store, &link.id, "a", room(1, 9));
    let mut ended = written.await.expect("a row");
    ended.state = RowState::Ended {
        end: RowEnd::Released,
        at: after(1),
    };
    let version = Some(ended.version);
    store.put_row(&ended, version).await.expect("its end");
    let refused = put(store, &link.id, "b", room(1, 9));
    let Err(StoreError::NoRoom(NoRoom::Live(seen))) = refused.await else {
        panic!("the count falls only when it is taken anew");
    };
    let recount = async |seen| store.recount_rows(&main, "alice", &seen, 0, 1).await;
    assert_eq!(recount(seen).await, Ok(()));
    assert_eq!(recount(seen).await, Err(StoreError::Stale));
    let put = put(store, &link.id, "b", room(1, 9));
    assert!(put.await.is_ok());
    // The same numbers as before, and yet another count: one row more was put meanwhile.
    assert_eq!(recount(seen).await, Err(StoreError::Stale));
    let third = self::put(store, &link.id, "c", room(1, 9));
    let now = RowCount {
        live: 1,
        remembered: 2,
        taken: 1,
    };
    assert_eq!(third.await, no(NoRoom::Live(now)));
}

/// The rows of one subject, and of nobody whose name begins alike.
pub async fn a_subjects_rows_are_its_own(store: &dyn Store) {
    let main = fleet("main");
    for (subject, id) in [
        ("ali", "z"),
        ("alice", "a"),
        ("alice", "b"),
        ("alice#", "c"),
    ] {
        let put = store.put_row(&row(row_key(&main, subject, id)), None).await;
        put.expect("a row");
    }
    let mut forgotten = row(row_key(&main, "alice", "old"));
    forgotten.expires_at = after(5);
    store.put_row(&forgotten, None).await.expect("a row");
    let rows = store.subject_rows(&main, "alice", after(5)).await;
    let ids = rows.expect("a read").into_iter().map(|row| row.key.id);
    assert!(ids.eq(["a", "b"]));
}

/// Protection is counted per hour of the clock, beside the other counts and with them.
pub async fn protecting_leases_are_counted_by_the_hour(store: &dyn Store) {
    let link = link(store).await;
    let guarded = |at| Room {
        live: Some(9),
        protections: Some(2),
        at,
        ..Room::default()
    };
    let put = async |id: &str, at| put(store, &link.id, id, guarded(at)).await;
    assert!(put("a", after(3_598)).await.is_ok());
    assert!(put("b", after(3_599)).await.is_ok());
    assert_eq!(put("c", after(3_599)).await, no(NoRoom::Protections));
    assert_eq!(store.row(&ask("c").key).await, Ok(None));
    assert!(put("c", after(3_600)).await.is_ok());
    // The refused one was not counted as live either.
    let full = Room {
        live: Some(3),
        ..Room::default()
    };
    let refused = self::put(store, &link.id, "d", full);
    assert!(matches!(refused.await, Err(StoreError::NoRoom(NoRoom::Live(seen))) if seen.live == 3));
}

/// A protection that is given back makes room in the hour in which it was counted, and in no other.
pub async fn a_protection_is_given_back(store: &dyn Store) {
    let link = link(store).await;
    let room = |protections, given_back, at| Room {
        protections,
        given_back,
        at,
        ..Room::default()
    };
    let counted = |at| room(Some(1), false, at);
    let put = async |row: &Row, room: Room| {
        let expected = Some(row.version).filter(|version| *version > 0);
        store.put_claimed_row(&link.id, row, expected, &room).await
    };
    // Where none is counted there is none to give back.
    let first = put(&ask("a"), room(None, true, START)).await;
    let first = first.expect("a row");
    let second = put(&ask("b"), counted(START)).await.expect("a row");
    let third = put(&ask("c"), counted(after(1))).await;
    assert_eq!(third, no(NoRoom::Protections));
    assert!(put(&first, room(None, true, after(3_600))).await.is_ok());
    let third = put(&ask("c"), counted(after(1))).await;
    assert_eq!(third, no(NoRoom::Protections), "another hour's");
    assert!(put(&second, room(None, true, after(2))).await.is_ok());
    assert!(put(&ask("c"), counted(after(3))).await.is_ok());
}

/// Of rows that begin at once on one link no more are noted than fit; one that is noted already
/// needs no place.
pub async fn a_link_notes_no_more_new_rows_than_fit(store: &dyn Store) {
    let link = link(store).await;
    let two = Room {
        claimed: Some(2),
        ..Room::default()
    };
    let first = put(store, &link.id, "a", two).await.expect("a row");
    assert!(put(store, &link.id, "b", two).await.is_ok());
    let third = put(store, &link.id, "c", two);
    assert_eq!(third.await, no(NoRoom::Claimed));
    assert_eq!(store.row(&ask("c").key).await, Ok(None));
    let version = Some(first.version);
    let again = store.put_claimed_row(&link.id, &first, version, &two);
    assert!(again.await.is_ok());
    assert!(put(store, &link.id, "c", Room::default()).await.is_ok());
}

fn charged(subject: &str, at: u64) -> Charge {
    Charge {
        launch: false,
        launch_cap: 9,
        start_cap: 9,
        at: after(at),
        subject: Some(SubjectCharge {
            subject: subject.to_owned(),
            cap: 2,
        }),
        tenant_budget: None,
    }
}

async fn start(store: &dyn Store, fleet: &FleetKey, charge: Charge) -> Result<(), StoreError> {
    let (now, lock) = (charge.at, store.lock(fleet).await.expect("a read"));
    let lock = lock.expect("the lock");
    let version = store.fleet(fleet).await.expect("a read").state.version;
    let mut decided = commit(version);
    decided.charge = Some(charge);
    store.commit(fleet, &lock, now, &decided).await
}

/// A subject's starts slide over ten minutes, at all fleets of its tenant.
pub async fn a_subjects_starts_are_counted_over_its_fleets(store: &dyn Store) {
    let (main, spare) = (fleet("main"), fleet("spare"));
    for fleet in [&main, &spare] {
        let taken = store.take_lock(fleet, "me", START, after(9_000)).await;
        taken.expect("a free lock");
    }
    assert_eq!(start(store, &main, charged("alice", 0)).await, Ok(()));
    assert_eq!(start(store, &spare, charged("alice", 300)).await, Ok(()));
    let before = store.fleet(&main).await;
    let spent = Err(StoreError::CapSpent);
    assert_eq!(start(store, &main, charged("alice", 599)).await, spent);
    assert_eq!(store.fleet(&main).await, before);
    assert_eq!(start(store, &main, charged("bob", 599)).await, Ok(()));

    let asked = BTreeSet::from(["alice".to_owned(), "carol".to_owned()]);
    let counters = store.counters(&main, &asked, after(599)).await;
    let counters = counters.expect("a read");
    assert_eq!(counters.starts, 2, "a refused one is charged to nobody");
    let by_subject = [
        ("alice".to_owned(), vec![after(300), START]),
        ("carol".to_owned(), Vec::new()),
    ];
    assert_eq!(counters.by_subject, BTreeMap::from(by_subject));
    assert_eq!(start(store, &main, charged("alice", 600)).await, Ok(()));
    assert_eq!(start(store, &main, charged("alice", 601)).await, spent);
    let foreign = FleetKey {
        tenant: "other".to_owned(),
        ..main
    };
    locked(store, &foreign).await;
    assert_eq!(start(store, &foreign, charged("alice", 1)).await, Ok(()));
}

/// Running time adds up per tenant and day, once for each commit that takes place.
pub async fn running_time_adds_up_by_the_day(store: &dyn Store) {
    let (main, spare) = (fleet("main"), fleet("spare"));
    let today = Day::of(START);
    let tomorrow = Day(today.0 + 1);
    let ran = |store, at| tenant_ran(store, at);
    for (fleet, time) in [(&main, 60), (&spare, 30)] {
        let held = locked(store, fleet).await;
        let mut counted = commit(0);
        counted.ran = BTreeMap::from([
            (today, Duration::from_secs(time)),
            (tomorrow, Duration::from_secs(1)),
        ]);
        assert_eq!(store.commit(fleet, &held, after(1), &counted).await, Ok(()));
        let again = store.commit(fleet, &held, after(1), &counted).await;
        assert_eq!(again, Err(StoreError::Stale), "sent twice, counted once");
    }
    assert_eq!(ran(store, START).await, Duration::from_secs(90));
    assert_eq!(ran(store, tomorrow.start()).await, Duration::from_secs(2));
    assert_eq!(ran(store, tomorrow.end()).await, Duration::ZERO);
}

async fn tenant_ran(store: &dyn Store, at: Timestamp) -> Duration {
    let counters = store.counters(&fleet("main"), &BTreeSet::new(), at).await;
    counters.expect("a read").tenant_ran
}

/// A start needs room in the day's budget of the tenant, whichever fleet has spent it.
pub async fn a_spent_budget_refuses_a_start(store: &dyn Store) {
    let (main, spare) = (fleet("main"), fleet("spare"));
    let held = locked(store, &main).await;
    locked(store, &spare).await;
    let mut counted = commit(0);
    counted.ran = BTreeMap::from([(Day::of(START), Duration::from_secs(600))]);
    assert_eq!(store.commit(&main, &held, after(1), &counted).await, Ok(()));
    let within = |budget| Charge {
        subject: None,
        tenant_budget: Some(Duration::from_secs(budget)),
        ..charged("", 2)
    };
    let refused = start(store, &spare, within(600)).await;
    assert_eq!(refused, Err(StoreError::CapSpent));
    assert_eq!(store.fleet(&spare).await, Ok(FleetRecords::default()));
    assert_eq!(start(store, &spare, within(601)).await, Ok(()));
}
