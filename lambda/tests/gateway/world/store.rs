//! The gateway's table, which can fail or crash at any operation.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Mutex;

use async_trait::async_trait;
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::model::{
    Connection, ConnectionId, Counters, FleetKey, FleetRecords, Grants, Instance, InstanceId, Lock,
    Row, RowKey, Timestamp,
};
use wakecast_lambda::store::memory::MemoryStore;
use wakecast_lambda::store::{
    Commit, Released, Room, RowCount, Store, StoreError, SubjectLinks, TicketUse,
};

type Event = Box<dyn FnOnce() + Send>;

/// What happens at an operation.
pub(crate) enum Trouble {
    /// It does not take place, and the answer says so.
    Fails,
    /// It takes place, and the answer is lost.
    ReplyLost,
    /// The caller dies before it.
    CrashBefore,
    /// The caller dies after it.
    CrashAfter,
    /// Something else happens before it.
    Meanwhile(Event),
}

pub(crate) struct Troubled {
    table: MemoryStore,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    passed: Vec<&'static str>,
    at_number: Option<(usize, Trouble)>,
    at_name: Vec<(&'static str, Trouble)>,
}

impl Troubled {
    pub(crate) fn new(table: MemoryStore) -> Self {
        Self {
            table,
            plan: Mutex::default(),
        }
    }

    /// Plans trouble at the operation of that number, counted from now.
    pub(crate) fn at(&self, number: usize, trouble: Trouble) {
        let mut plan = self.plan.lock().expect("the plan");
        plan.passed.clear();
        plan.at_number = Some((number, trouble));
    }

    /// Plans trouble at the next operation of that name.
    pub(crate) fn next(&self, name: &'static str, trouble: Trouble) {
        self.plan
            .lock()
            .expect("the plan")
            .at_name
            .push((name, trouble));
    }

    pub(crate) fn calm(&self) {
        *self.plan.lock().expect("the plan") = Plan::default();
    }

    /// Returns the operations since the last plan, in order.
    pub(crate) fn passed(&self) -> Vec<&'static str> {
        self.plan.lock().expect("the plan").passed.clone()
    }

    fn trouble(&self, name: &'static str) -> Option<Trouble> {
        let mut plan = self.plan.lock().expect("the plan");
        let number = plan.passed.len();
        plan.passed.push(name);
        if plan.at_number.as_ref().is_some_and(|(at, _)| *at == number) {
            return plan.at_number.take().map(|(_, trouble)| trouble);
        }
        let place = plan.at_name.iter().position(|(at, _)| *at == name)?;
        Some(plan.at_name.remove(place).1)
    }

    async fn pass<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let unavailable = || Err(StoreError::Unavailable("scripted".to_owned()));
        match self.trouble(name) {
            None => call.await,
            Some(Trouble::Fails) => unavailable(),
            Some(Trouble::ReplyLost) => {
                call.await?;
                unavailable()
            }
            Some(Trouble::CrashBefore) => pending().await,
            Some(Trouble::CrashAfter) => {
                call.await?;
                pending().await
            }
            Some(Trouble::Meanwhile(event)) => {
                event();
                call.await
            }
        }
    }
}

impl std::fmt::Debug for Troubled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Troubled").finish_non_exhaustive()
    }
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)+) => {
        #[async_trait]
        impl Store for Troubled {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$out, StoreError> {
                self.pass(stringify!($name), self.table.$name($($arg),*)).await
            })+
        }
    };
}

forward! {
    put_connection(connection: &Connection, caps: &LinkCaps) -> ();
    subject_links(tenant: &str, subject: &str, now: Timestamp) -> SubjectLinks;
    drop_links(tenant: &str, subject: &str, links: &BTreeSet<ConnectionId>) -> ();
    connection(id: &ConnectionId) -> Option<Connection>;
    renew_connection(id: &ConnectionId, grants: &Grants) -> ();
    claim(id: &ConnectionId, client_id: &str, rows: &BTreeSet<RowKey>) -> ();
    disclaim(id: &ConnectionId, rows: &BTreeSet<RowKey>) -> ();
    delete_connection(id: &ConnectionId, now: Timestamp) -> Option<Connection>;
    open_connections(now: Timestamp) -> u64;
    row(key: &RowKey) -> Option<Row>;
    rows(fleet: &FleetKey, now: Timestamp) -> Vec<Row>;
    put_row(row: &Row, expected: Option<u64>) -> Row;
    put_claimed_row(id: &ConnectionId, row: &Row, expected: Option<u64>, room: &Room) -> Row;
    put_counted_row(row: &Row, expected: Option<u64>, room: &Room) -> Row;
    use_ticket(ticket: &TicketUse, caps: &LinkCaps) -> Timestamp;
    ticket_use(tenant: &str, subject: &str, ticket: &str) -> Option<Timestamp>;
    subject_rows(fleet: &FleetKey, subject: &str, now: Timestamp) -> Vec<Row>;
    recount_rows(fleet: &FleetKey, subject: &str, seen: &RowCount, live: u32, all: u32) -> ();
    raise_demand(fleet: &FleetKey) -> u64;
    demand(fleet: &FleetKey) -> u64;
    lock(fleet: &FleetKey) -> Option<Lock>;
    take_lock(fleet: &FleetKey, owner: &str, now: Timestamp, until: Timestamp) -> Lock;
    extend_lock(fleet: &FleetKey, lock: &Lock, now: Timestamp, until: Timestamp) -> Lock;
    release_lock(fleet: &FleetKey, lock: &Lock, demand_seen: u64) -> Released;
    fleet(fleet: &FleetKey) -> FleetRecords;
    instance(fleet: &FleetKey, id: &InstanceId) -> Option<Instance>;
    instances(fleet: &FleetKey) -> Vec<Instance>;
    commit(fleet: &FleetKey, lock: &Lock, now: Timestamp, commit: &Commit) -> ();
    counters(fleet: &FleetKey, subjects: &BTreeSet<String>, now: Timestamp) -> Counters;
}
