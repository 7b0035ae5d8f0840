//! Rules of a fleet's records and caps.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;

use super::{START, after, fleet, instance, intent, locked, offering};
use crate::model::{
    BootHistory, BootPath, BootTimes, Counters, FleetKey, FleetRecords, FleetState, InstanceId,
    Lock, Unavailable,
};
use crate::store::{Charge, Commit, Store, StoreError};

pub(super) fn commit(expected: u64) -> Commit {
    Commit {
        expected,
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

fn charge(launch: bool, at: u64) -> Option<Charge> {
    Some(Charge {
        launch,
        launch_cap: 2,
        start_cap: 3,
        at: after(at),
        subject: None,
        tenant_budget: None,
    })
}

fn nobody() -> BTreeSet<String> {
    BTreeSet::new()
}

/// Nothing has to be set up for a fleet.
pub async fn a_fleet_without_records_is_empty(store: &dyn Store) {
    let main = fleet("main");
    assert_eq!(store.fleet(&main).await, Ok(FleetRecords::default()));
    assert_eq!(store.lock(&main).await, Ok(None));
    assert_eq!(store.instances(&main).await, Ok(Vec::new()));
    assert_eq!(
        store.instance(&main, &InstanceId::new("i-1")).await,
        Ok(None)
    );
    assert_eq!(
        store.counters(&main, &nobody(), START).await,
        Ok(Counters::default())
    );
}

/// Owner, fence and time: each alone refuses.
pub async fn a_commit_needs_the_lock(store: &dyn Store) {
    let main = fleet("main");
    let never = Lock {
        owner: "me".to_owned(),
        fence: crate::model::Fence(1),
        taken_at: START,
        until: after(30),
        demand_seen: 0,
    };
    let lost = Err(StoreError::LockLost);
    assert_eq!(store.commit(&main, &never, START, &commit(0)).await, lost);
    let held = locked(store, &main).await;
    let other_owner = Lock {
        owner: "you".to_owned(),
        ..held.clone()
    };
    assert_eq!(
        store
            .commit(&main, &other_owner, after(1), &commit(0))
            .await,
        lost
    );
    assert_eq!(
        store.commit(&main, &held, after(30), &commit(0)).await,
        lost
    );
    let newer = store
        .take_lock(&main, "me", after(30), after(60))
        .await
        .expect("the lock");
    assert_eq!(
        store.commit(&main, &held, after(31), &commit(0)).await,
        lost
    );
    assert_eq!(store.fleet(&main).await, Ok(FleetRecords::default()));
    assert_eq!(
        store.commit(&main, &newer, after(31), &commit(0)).await,
        Ok(())
    );
}

/// The store raises the version; a decision on an older one is refused as a whole.
pub async fn a_commit_needs_the_version_it_was_decided_on(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    let mut first = commit(0);
    first.state.sequence = 5;
    assert_eq!(store.commit(&main, &held, after(1), &first).await, Ok(()));
    let state = store.fleet(&main).await.expect("a read").state;
    assert_eq!((state.version, state.sequence), (1, 5));

    let mut stale = commit(0);
    stale.put_instances = vec![instance("i-1")];
    assert_eq!(
        store.commit(&main, &held, after(2), &stale).await,
        Err(StoreError::Stale)
    );
    assert_eq!(store.instances(&main).await, Ok(Vec::new()));
    assert_eq!(
        store.commit(&main, &held, after(2), &commit(2)).await,
        Err(StoreError::Stale)
    );
    assert_eq!(
        store.commit(&main, &held, after(2), &commit(1)).await,
        Ok(())
    );
}

/// The same decision, sent twice at once.
pub async fn of_two_commits_on_one_version_one_wins(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    let mut decided = commit(0);
    decided.charge = charge(true, 1);
    let (one, two) = join(
        store.commit(&main, &held, after(1), &decided),
        store.commit(&main, &held, after(1), &decided),
    )
    .await;
    assert!(one.is_ok() != two.is_ok(), "{one:?} and {two:?}");
    assert_eq!(
        store.counters(&main, &nobody(), after(1)).await,
        Ok(Counters {
            launches: 1,
            starts: 1,
            ..Counters::default()
        })
    );
}

/// Everything the reconciler keeps is written by one commit and read by one query.
pub async fn a_commit_puts_and_forgets(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    let mut first = commit(0);
    first.put_instances = vec![instance("i-1"), instance("i-2")];
    first.put_intents = vec![intent(9), intent(10)];
    first.unavailable = Some(vec![Unavailable {
        offering: offering("a"),
        until: after(180),
    }]);
    assert_eq!(store.commit(&main, &held, after(1), &first).await, Ok(()));
    let records = store.fleet(&main).await.expect("a read");
    assert!(
        records
            .instances
            .into_values()
            .eq(first.put_instances.clone())
    );
    assert!(records.intents.into_values().eq(first.put_intents));
    assert_eq!(Some(records.unavailable), first.unavailable);
    assert_eq!(store.instances(&main).await, Ok(first.put_instances));
    let one = store.instance(&main, &InstanceId::new("i-2")).await;
    assert_eq!(one, Ok(Some(instance("i-2"))));

    let mut second = commit(1);
    second.forget_instances = vec![InstanceId::new("i-1"), InstanceId::new("never")];
    second.forget_intents = vec![9];
    second.unavailable = Some(Vec::new());
    assert_eq!(store.commit(&main, &held, after(2), &second).await, Ok(()));
    let records = store.fleet(&main).await.expect("a read");
    assert!(records.instances.into_values().eq([instance("i-2")]));
    assert!(records.intents.into_values().eq([intent(10)]));
    assert_eq!(records.unavailable, []);
}

/// The history is replaced as a whole, and kept by a commit that says nothing of it.
pub async fn a_commit_replaces_the_boot_history_or_keeps_it(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    let mut history = BootHistory::default();
    for path in [BootPath::Running, BootPath::Stopped, BootPath::New] {
        for nth in 0..40 {
            let times = BootTimes {
                launching_ms: nth,
                booting_ms: 12_000,
                warming_ms: 0,
            };
            history.remember(path, times);
        }
    }
    let mut first = commit(0);
    first.history = Some(history.clone());
    assert_eq!(store.commit(&main, &held, after(1), &first).await, Ok(()));
    let second = commit(1);
    assert_eq!(store.commit(&main, &held, after(2), &second).await, Ok(()));
    let kept = store.fleet(&main).await.expect("a read").history;
    assert_eq!(kept, history);
    let mut stale = commit(1);
    stale.history = Some(BootHistory::default());
    let refused = store.commit(&main, &held, after(3), &stale).await;
    assert_eq!(refused, Err(StoreError::Stale));
    assert_eq!(store.fleet(&main).await.expect("a read").history, history);
}

/// `None` says nothing of them.
pub async fn a_commit_without_unavailable_offerings_keeps_them(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    let remembered = vec![Unavailable {
        offering: offering("a"),
        until: after(180),
    }];
    let mut first = commit(0);
    first.unavailable = Some(remembered.clone());
    assert_eq!(store.commit(&main, &held, after(1), &first).await, Ok(()));
    assert_eq!(
        store.commit(&main, &held, after(2), &commit(1)).await,
        Ok(())
    );
    assert_eq!(
        store.fleet(&main).await.expect("a read").unavailable,
        remembered
    );
}

/// State, intent and caps are charged together or not at all.
pub async fn a_spent_cap_refuses_the_whole_commit(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    for version in 0..2 {
        let mut launch = commit(version);
        launch.charge = charge(true, version);
        assert_eq!(store.commit(&main, &held, after(2), &launch).await, Ok(()));
    }
    let before = store.fleet(&main).await.expect("a read");
    let mut third = commit(2);
    third.charge = charge(true, 2);
    third.put_intents = vec![intent(3)];
    third.put_instances = vec![instance("i-1")];
    assert_eq!(
        store.commit(&main, &held, after(3), &third).await,
        Err(StoreError::CapSpent)
    );
    assert_eq!(store.fleet(&main).await, Ok(before));
    assert_eq!(
        store.counters(&main, &nobody(), after(3)).await,
        Ok(Counters {
            launches: 2,
            starts: 2,
            ..Counters::default()
        })
    );
}

/// Not the clock's hour: a burst around its turn would launch twice the cap.
pub async fn a_cap_counts_a_sliding_hour(store: &dyn Store) {
    let main = fleet("main");
    let held = store
        .take_lock(&main, "me", START, after(9_000))
        .await
        .expect("a free lock");
    let mut version = 0;
    let mut start = async |at| {
        let mut start = commit(version);
        start.charge = charge(false, at);
        let result = store.commit(&main, &held, after(at), &start).await;
        version += u64::from(result.is_ok());
        result
    };
    for at in [0, 1_800, 3_599] {
        assert_eq!(start(at).await, Ok(()));
    }
    assert_eq!(start(3_599).await, Err(StoreError::CapSpent));
    assert_eq!(start(3_600).await, Ok(()));
    assert_eq!(start(5_399).await, Err(StoreError::CapSpent));
    assert_eq!(start(5_400).await, Ok(()));
    let spent = async |at| {
        store
            .counters(&main, &nobody(), after(at))
            .await
            .expect("a read")
            .starts
    };
    assert_eq!(spent(5_400).await, 3);
    assert_eq!(spent(7_198).await, 3);
    assert_eq!(spent(7_199).await, 2);
    assert_eq!(spent(9_000).await, 0);
}

/// A launch is a start too: with no room for either, neither is counted.
pub async fn a_refused_launch_charges_no_start(store: &dyn Store) {
    let main = fleet("main");
    let held = locked(store, &main).await;
    let mut refused = commit(0);
    refused.charge = Some(Charge {
        launch: true,
        launch_cap: 0,
        start_cap: 3,
        at: after(1),
        subject: None,
        tenant_budget: None,
    });
    assert_eq!(
        store.commit(&main, &held, after(1), &refused).await,
        Err(StoreError::CapSpent)
    );
    assert_eq!(
        store.counters(&main, &nobody(), after(1)).await,
        Ok(Counters::default())
    );
    refused.charge = Some(Charge {
        launch: true,
        launch_cap: 1,
        start_cap: 0,
        at: after(1),
        subject: None,
        tenant_budget: None,
    });
    assert_eq!(
        store.commit(&main, &held, after(1), &refused).await,
        Err(StoreError::CapSpent)
    );
    assert_eq!(
        store.counters(&main, &nobody(), after(1)).await,
        Ok(Counters::default())
    );
}

/// Names that look alike once joined are still two fleets.
pub async fn fleets_share_nothing(store: &dyn Store) {
    let key = |tenant: &str, name: &str| FleetKey {
        tenant: tenant.to_owned(),
        fleet: name.to_owned(),
    };
    let fleets = [
        key("a#b", "c"),
        key("a", "b#c"),
        key("a", "b"),
        key("a%23b", "c"),
    ];
    for (number, fleet) in (1..).zip(&fleets) {
        let held = locked(store, fleet).await;
        let mut own = commit(0);
        own.state.sequence = number;
        own.charge = charge(true, 1);
        assert_eq!(store.commit(fleet, &held, after(1), &own).await, Ok(()));
    }
    for (number, fleet) in (1..).zip(&fleets) {
        assert_eq!(
            store.fleet(fleet).await.expect("a read").state.sequence,
            number
        );
        let counters = store.counters(fleet, &nobody(), after(1)).await;
        assert_eq!(
            counters,
            Ok(Counters {
                launches: 1,
                starts: 1,
                ..Counters::default()
            })
        );
    }
}
