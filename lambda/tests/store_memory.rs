//! What the in-memory store adds for tests: writers, counts, deletion of what has expired.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::executor::block_on;
use wakecast::protocol::{Phase, Purpose};
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::model::{
    Ask, Connection, ConnectionId, FleetKey, FleetState, Grants, Row, RowKey, RowState, Timestamp,
    WaitKind,
};
use wakecast_lambda::store::memory::{MemoryStore, Writer};
use wakecast_lambda::store::{Commit, Store, StoreError};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn fleet() -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: "main".to_owned(),
    }
}

fn row() -> Row {
    Row {
        key: RowKey {
            fleet: fleet(),
            subject: "alice".to_owned(),
            id: "a".to_owned(),
        },
        version: 0,
        rev: 1,
        ask: Some(Ask {
            purpose: Purpose::Play,
            app: "live".to_owned(),
            stream_id: None,
        }),
        state: RowState::Waiting {
            phase: Phase::Requested,
            deadline: after(600),
            wait_ms: 600_000,
            kind: WaitKind::Acquire,
        },
        link: None,
        absent_since: None,
        created_at: START,
        expires_at: after(1_500),
    }
}

fn connection() -> Connection {
    Connection {
        id: ConnectionId::new("c=1"),
        connected_at: START,
        grants: Grants {
            subject: "alice".to_owned(),
            tenant: "acme".to_owned(),
            fleets: vec!["main".to_owned()],
            apps: Vec::new(),
            streams: Vec::new(),
            scopes: BTreeSet::new(),
            expires_at: after(3_600),
        },
        client_id: None,
        rows: BTreeSet::new(),
    }
}

fn commit() -> Commit {
    Commit {
        expected: 0,
        state: FleetState::default(),
        put_instances: Vec::new(),
        forget_instances: Vec::new(),
        put_intents: Vec::new(),
        forget_intents: Vec::new(),
        unavailable: None,
        history: None,
        charge: None,
        ran: BTreeMap::new(),
    }
}

#[test]
fn the_gateway_writes_nothing_that_the_reconciler_trusts() {
    block_on(async {
        let table = MemoryStore::new();
        let gateway = table.as_gateway();
        gateway
            .put_connection(&connection(), &LinkCaps::OFF)
            .await
            .expect("C# is the gateway's");
        gateway
            .put_row(&row(), None)
            .await
            .expect("D# is the gateway's");
        gateway
            .raise_demand(&fleet())
            .await
            .expect("D# is the gateway's");
        assert_eq!(table.violations(), Vec::<String>::new());

        let taken = gateway
            .take_lock(&fleet(), "gateway", START, after(30))
            .await;
        assert!(matches!(taken, Err(StoreError::Denied(_))), "{taken:?}");
        let held = table
            .as_reconciler()
            .take_lock(&fleet(), "me", START, after(30))
            .await;
        let held = held.expect("F# is the reconciler's");
        let extended = gateway
            .extend_lock(&fleet(), &held, after(1), after(31))
            .await;
        assert!(
            matches!(extended, Err(StoreError::Denied(_))),
            "{extended:?}"
        );
        let committed = gateway.commit(&fleet(), &held, after(1), &commit()).await;
        assert!(
            matches!(committed, Err(StoreError::Denied(_))),
            "{committed:?}"
        );
        let released = gateway.release_lock(&fleet(), &held, 1).await;
        assert!(
            matches!(released, Err(StoreError::Denied(_))),
            "{released:?}"
        );

        assert_eq!(table.violations().len(), 4);
        assert_eq!(
            gateway.lock(&fleet()).await,
            Ok(Some(held)),
            "the gateway reads"
        );
        assert_eq!(
            gateway.fleet(&fleet()).await.expect("a read").state.version,
            0
        );
    });
}

#[test]
fn the_reconciler_writes_no_connection() {
    block_on(async {
        let table = MemoryStore::new();
        let reconciler = table.as_reconciler();
        let put = reconciler
            .put_connection(&connection(), &LinkCaps::OFF)
            .await;
        assert!(matches!(put, Err(StoreError::Denied(_))), "{put:?}");
        assert_eq!(
            reconciler.open_connections(START).await,
            Ok(0),
            "neither half took place"
        );

        table
            .as_gateway()
            .put_connection(&connection(), &LinkCaps::OFF)
            .await
            .expect("C# is the gateway's");
        let id = connection().id;
        assert!(
            reconciler
                .renew_connection(&id, &connection().grants)
                .await
                .is_err()
        );
        assert!(
            reconciler
                .claim(&id, "client", &BTreeSet::new())
                .await
                .is_err()
        );
        assert!(reconciler.delete_connection(&id, after(1)).await.is_err());
        assert_eq!(
            reconciler.connection(&id).await,
            Ok(Some(connection())),
            "it reads"
        );
        assert_eq!(table.violations().len(), 4);
        reconciler
            .put_row(&row(), None)
            .await
            .expect("it moves phases in D#");
    });
}

#[test]
fn partitions_are_split_by_writer() {
    for (partition, gateway, reconciler, fanout) in [
        ("C#c=1", true, false, false),
        ("D#acme#main", true, true, true),
        ("F#acme#main", false, true, false),
        ("B#CONNECTIONS", true, false, false),
        ("B#S#acme#alice", true, false, false),
        ("B#F#acme#main", false, true, false),
        ("B#U#acme#alice", false, true, false),
        ("B#T#acme", false, true, false),
        ("X#anything", false, false, false),
    ] {
        assert_eq!(Writer::Gateway.may_write(partition), gateway, "{partition}");
        assert_eq!(
            Writer::Reconciler.may_write(partition),
            reconciler,
            "{partition}"
        );
        assert_eq!(Writer::Fanout.may_write(partition), fanout, "{partition}");
        assert!(Writer::Anyone.may_write(partition));
    }
}

#[test]
fn every_item_lies_in_a_partition_of_its_writer() {
    block_on(async {
        let table = MemoryStore::new();
        let (gateway, reconciler) = (table.as_gateway(), table.as_reconciler());
        gateway
            .put_connection(&connection(), &LinkCaps::OFF)
            .await
            .expect("a put");
        gateway.put_row(&row(), None).await.expect("a put");
        gateway.raise_demand(&fleet()).await.expect("a raise");
        let held = reconciler
            .take_lock(&fleet(), "me", START, after(30))
            .await
            .expect("the lock");
        reconciler
            .commit(&fleet(), &held, after(1), &commit())
            .await
            .expect("a commit");
        let keys: Vec<String> = table
            .keys()
            .into_iter()
            .map(|(partition, sort)| format!("{partition} {sort}"))
            .collect();
        assert_eq!(
            keys,
            [
                "B#CONNECTIONS W#00000001800000000000",
                "C#c=1 CONNECTION",
                "D#acme#main DEMAND",
                "D#acme#main L#alice#a",
                "F#acme#main LOCK",
                "F#acme#main STATE",
            ]
        );
    });
}

#[test]
fn calls_are_counted_for_each_writer() {
    block_on(async {
        let table = MemoryStore::new();
        let gateway = table.as_gateway();
        gateway.put_row(&row(), None).await.expect("a put");
        gateway.put_row(&row(), None).await.expect_err("a conflict");
        gateway.raise_demand(&fleet()).await.expect("a raise");
        table
            .as_reconciler()
            .demand(&fleet())
            .await
            .expect("a read");
        assert_eq!(gateway.call_count(), 3);
        assert_eq!(
            gateway.calls().get("put_row"),
            Some(&2),
            "refused calls cost as well"
        );
        assert_eq!(table.as_reconciler().call_count(), 1);
    });
}

#[test]
fn a_purge_deletes_what_has_expired_and_nothing_else() {
    block_on(async {
        let table = MemoryStore::new();
        table.put_row(&row(), None).await.expect("a put");
        table
            .put_connection(&connection(), &LinkCaps::OFF)
            .await
            .expect("a put");
        table.raise_demand(&fleet()).await.expect("a raise");
        let life = Duration::from_secs(1_800);
        table.purge(after(1_499), life);
        assert!(table.row(&row().key).await.expect("a read").is_some());
        table.purge(after(1_500), life);
        assert_eq!(table.row(&row().key).await, Ok(None));
        table.purge(after(1_800), life);
        let kept = table.connection(&connection().id).await.expect("a read");
        assert!(kept.is_some(), "as old as it may become");
        table.purge(after(1_801), life);
        assert_eq!(table.connection(&connection().id).await, Ok(None));
        assert_eq!(
            table.demand(&fleet()).await,
            Ok(1),
            "a number must never fall"
        );
    });
}
