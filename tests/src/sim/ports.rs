//! Every port of an invocation goes through its process: it takes time, fails, or is its last call.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use serde_json::Value;
use wakecast_lambda::config::LinkCaps;
use wakecast_lambda::model::{
    Connection, ConnectionId, Counters, FleetKey, FleetRecords, Grants, Instance, InstanceId,
    Intent, Lock, Row, RowKey, Timestamp,
};
use wakecast_lambda::ports::{
    Connections, Ec2Error, Ec2Instance, Fleet, Load, MediaError, MediaServer, PostError, Store,
};
use wakecast_lambda::store::{
    Commit, Released, Room, RowCount, StoreError, SubjectLinks, TicketUse,
};

use super::observer::Observer;
use super::process::{Fate, Process, Role};
use crate::judge::Fact;

/// A port behind its process.
#[derive(Clone, Debug)]
pub struct Through<P: ?Sized> {
    process: Process,
    port: Arc<P>,
}

impl<P: ?Sized> Through<P> {
    /// Puts `process` in front of `port`.
    #[must_use]
    pub fn new(process: &Process, port: &Arc<P>) -> Self {
        Self {
            process: process.clone(),
            port: Arc::clone(port),
        }
    }

    async fn call<T, E>(
        &self,
        name: &'static str,
        effect: impl Future<Output = Result<T, E>> + Send,
        lost: impl Fn() -> E + Send,
    ) -> Result<T, E> {
        let fate = self.process.before(name, false).await;
        match fate {
            Fate::RequestLost => return Err(lost()),
            Fate::Late(by) => self.process.host().clock.sleep(by).await,
            Fate::Works | Fate::ReplyLost => {}
        }
        let result = effect.await;
        self.process.after(name).await;
        match fate {
            Fate::Works => result,
            _ => Err(lost()),
        }
    }

    fn observer(&self) -> &Observer {
        &self.process.host().observer
    }
}

impl Through<dyn Fleet> {
    /// Sends a call that changes something. It travels by itself: whatever becomes of its caller,
    /// a request that has left arrives.
    async fn send<T: Send + 'static>(
        &self,
        name: &'static str,
        effect: impl Future<Output = Result<T, Ec2Error>> + Send + 'static,
    ) -> Result<T, Ec2Error> {
        let fate = self.process.before(name, true).await;
        let by = self.process.id();
        self.observer().tell(&Fact::PowerCall { by, call: name });
        let late = match fate {
            Fate::RequestLost => return Err(ec2()),
            Fate::Late(by) => by,
            Fate::Works | Fate::ReplyLost => Duration::ZERO,
        };
        let (arrived, answer) = oneshot::channel();
        let clock = self.process.host().clock.clone();
        let journey = async move {
            clock.sleep(late).await;
            // Whoever asked may be gone.
            let _ = arrived.send(effect.await);
        };
        let _ = self.process.host().travel.unbounded_send(Box::pin(journey));
        let result = answer.await.unwrap_or_else(|_| Err(ec2()));
        self.process.after(name).await;
        match fate {
            Fate::Works => result,
            _ => Err(ec2()),
        }
    }
}

/// Does something if it is dropped before it was told that all went well: a caller that gave up or
/// a process that died has got no answer.
struct Unless<F: FnMut()>(Option<F>);

impl<F: FnMut()> Unless<F> {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl<F: FnMut()> Drop for Unless<F> {
    fn drop(&mut self) {
        if let Some(act) = &mut self.0 {
            act();
        }
    }
}

fn table() -> StoreError {
    StoreError::Unavailable("lost by the simulation".to_owned())
}

fn ec2() -> Ec2Error {
    Ec2Error::Ambiguous("lost by the simulation".to_owned())
}

fn media() -> MediaError {
    MediaError::NotYet("lost by the simulation".to_owned())
}

#[async_trait]
impl Store for Through<dyn Store> {
    async fn put_connection(
        &self,
        connection: &Connection,
        caps: &LinkCaps,
    ) -> Result<(), StoreError> {
        self.call(
            "put_connection",
            self.port.put_connection(connection, caps),
            table,
        )
        .await
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.call("connection", self.port.connection(id), table)
            .await
    }

    async fn renew_connection(&self, id: &ConnectionId, grants: &Grants) -> Result<(), StoreError> {
        self.call(
            "renew_connection",
            self.port.renew_connection(id, grants),
            table,
        )
        .await
    }

    async fn claim(
        &self,
        id: &ConnectionId,
        client_id: &str,
        rows: &BTreeSet<RowKey>,
    ) -> Result<(), StoreError> {
        self.call("claim", self.port.claim(id, client_id, rows), table)
            .await
    }

    async fn disclaim(&self, id: &ConnectionId, rows: &BTreeSet<RowKey>) -> Result<(), StoreError> {
        self.call("disclaim", self.port.disclaim(id, rows), table)
            .await
    }

    async fn delete_connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        self.call(
            "delete_connection",
            self.port.delete_connection(id, now),
            table,
        )
        .await
    }

    async fn open_connections(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.call("open_connections", self.port.open_connections(now), table)
            .await
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>, StoreError> {
        self.call("row", self.port.row(key), table).await
    }

    async fn rows(&self, fleet: &FleetKey, now: Timestamp) -> Result<Vec<Row>, StoreError> {
        let mut began = None;
        let read = async {
            began = Some(self.process.host().clock.true_now().as_millis());
            self.port.rows(fleet, now).await
        };
        let rows = self.call("rows", read, table).await;
        if let (Some(began), true, Role::Reconciler) =
            (began, rows.is_ok(), self.process.host().role)
        {
            self.observer().tell(&Fact::Read { began });
        }
        rows
    }

    async fn put_row(&self, row: &Row, expected: Option<u64>) -> Result<Row, StoreError> {
        let put = async {
            let written = self.port.put_row(row, expected).await?;
            self.observer().row(&written);
            Ok(written)
        };
        self.call("put_row", put, table).await
    }

    async fn put_claimed_row(
        &self,
        connection: &ConnectionId,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError> {
        let put = async {
            let written = self
                .port
                .put_claimed_row(connection, row, expected, room)
                .await?;
            self.observer().row(&written);
            Ok(written)
        };
        self.call("put_claimed_row", put, table).await
    }

    async fn put_counted_row(
        &self,
        row: &Row,
        expected: Option<u64>,
        room: &Room,
    ) -> Result<Row, StoreError> {
        let put = async {
            let written = self.port.put_counted_row(row, expected, room).await?;
            self.observer().row(&written);
            Ok(written)
        };
        self.call("put_counted_row", put, table).await
    }

    async fn use_ticket(
        &self,
        ticket: &TicketUse,
        caps: &LinkCaps,
    ) -> Result<Timestamp, StoreError> {
        self.call("use_ticket", self.port.use_ticket(ticket, caps), table)
            .await
    }

    async fn ticket_use(
        &self,
        tenant: &str,
        subject: &str,
        ticket: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let noted = self.port.ticket_use(tenant, subject, ticket);
        self.call("ticket_use", noted, table).await
    }

    async fn subject_links(
        &self,
        tenant: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<SubjectLinks, StoreError> {
        let links = self.port.subject_links(tenant, subject, now);
        self.call("subject_links", links, table).await
    }

    async fn drop_links(
        &self,
        tenant: &str,
        subject: &str,
        links: &BTreeSet<ConnectionId>,
    ) -> Result<(), StoreError> {
        let dropped = self.port.drop_links(tenant, subject, links);
        self.call("drop_links", dropped, table).await
    }

    async fn subject_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.port.subject_rows(fleet, subject, now);
        self.call("subject_rows", rows, table).await
    }

    async fn recount_rows(
        &self,
        fleet: &FleetKey,
        subject: &str,
        seen: &RowCount,
        live: u32,
        remembered: u32,
    ) -> Result<(), StoreError> {
        let counted = self
            .port
            .recount_rows(fleet, subject, seen, live, remembered);
        self.call("recount_rows", counted, table).await
    }

    async fn raise_demand(&self, fleet: &FleetKey) -> Result<u64, StoreError> {
        self.call("raise_demand", self.port.raise_demand(fleet), table)
            .await
    }

    async fn lock(&self, fleet: &FleetKey) -> Result<Option<Lock>, StoreError> {
        self.call("lock", self.port.lock(fleet), table).await
    }

    async fn take_lock(
        &self,
        fleet: &FleetKey,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError> {
        self.call(
            "take_lock",
            self.port.take_lock(fleet, owner, now, until),
            table,
        )
        .await
    }

    async fn extend_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lock, StoreError> {
        self.call(
            "extend_lock",
            self.port.extend_lock(fleet, lock, now, until),
            table,
        )
        .await
    }

    async fn release_lock(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        demand_seen: u64,
    ) -> Result<Released, StoreError> {
        self.call(
            "release_lock",
            self.port.release_lock(fleet, lock, demand_seen),
            table,
        )
        .await
    }

    async fn demand(&self, fleet: &FleetKey) -> Result<u64, StoreError> {
        self.call("demand", self.port.demand(fleet), table).await
    }

    async fn fleet(&self, fleet: &FleetKey) -> Result<FleetRecords, StoreError> {
        self.call("fleet", self.port.fleet(fleet), table).await
    }

    async fn instance(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<Instance>, StoreError> {
        self.call("instance", self.port.instance(fleet, id), table)
            .await
    }

    async fn instances(&self, fleet: &FleetKey) -> Result<Vec<Instance>, StoreError> {
        self.call("instances", self.port.instances(fleet), table)
            .await
    }

    async fn commit(
        &self,
        fleet: &FleetKey,
        lock: &Lock,
        now: Timestamp,
        commit: &Commit,
    ) -> Result<(), StoreError> {
        let put = async {
            self.port.commit(fleet, lock, now, commit).await?;
            self.observer().wrote(self.process.id(), commit);
            Ok(())
        };
        self.call("commit", put, table).await
    }

    async fn counters(
        &self,
        fleet: &FleetKey,
        subjects: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Counters, StoreError> {
        self.call("counters", self.port.counters(fleet, subjects, now), table)
            .await
    }
}

#[async_trait]
impl Fleet for Through<dyn Fleet> {
    async fn describe(&self, fleet: &FleetKey) -> Result<Vec<Ec2Instance>, Ec2Error> {
        let by = self.process.id();
        let now = || self.process.host().clock.true_now().as_millis();
        let tell = |readable, as_of| {
            self.observer().tell(&Fact::Described {
                by,
                readable,
                as_of,
            });
        };
        let unanswered = Unless(Some(|| {
            if !self.process.is_dead() {
                tell(false, now());
            }
        }));
        let mut as_of = None;
        let describe = async {
            let shown = self.port.describe(fleet).await;
            as_of = Some(now());
            shown
        };
        let shown = self.call("describe", describe, ec2).await;
        unanswered.answered();
        tell(shown.is_ok(), as_of.unwrap_or_else(now));
        shown
    }

    async fn run(
        &self,
        fleet: &FleetKey,
        launch: &Intent,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error> {
        let port = Arc::clone(&self.port);
        let (fleet, launch, token) = (fleet.clone(), launch.clone(), token.to_owned());
        self.send(
            "run",
            async move { port.run(&fleet, &launch, &token).await },
        )
        .await
    }

    async fn start(&self, instance: &InstanceId) -> Result<(), Ec2Error> {
        let (port, instance) = (Arc::clone(&self.port), instance.clone());
        self.send("start", async move { port.start(&instance).await })
            .await
    }

    async fn stop(&self, instance: &InstanceId) -> Result<(), Ec2Error> {
        let (port, instance) = (Arc::clone(&self.port), instance.clone());
        let observer = self.observer().clone();
        let failed = Unless(Some(|| self.observer().tell(&Fact::StopFailed)));
        let stop = async move {
            observer.stopping(&instance, true);
            let result = port.stop(&instance).await;
            observer.stopping(&instance, false);
            result
        };
        let result = self.send("stop", stop).await;
        if result.is_ok() {
            failed.answered();
        }
        result
    }

    async fn associate(&self, fleet: &FleetKey, instance: &InstanceId) -> Result<(), Ec2Error> {
        let port = Arc::clone(&self.port);
        let (fleet, instance) = (fleet.clone(), instance.clone());
        let observer = self.observer().clone();
        self.send("associate", async move {
            observer.addressing(true);
            let result = port.associate(&fleet, &instance).await;
            observer.addressing(false);
            result
        })
        .await
    }

    async fn disassociate(&self, fleet: &FleetKey) -> Result<(), Ec2Error> {
        let (port, fleet) = (Arc::clone(&self.port), fleet.clone());
        let observer = self.observer().clone();
        self.send("disassociate", async move {
            observer.addressing(true);
            let result = port.disassociate(&fleet).await;
            observer.addressing(false);
            result
        })
        .await
    }
}

#[async_trait]
impl MediaServer for Through<dyn MediaServer> {
    async fn liveness(&self, address: &str) -> Result<(), MediaError> {
        self.call("liveness", self.port.liveness(address), media)
            .await
    }

    async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError> {
        self.call("applications", self.port.applications(address), media)
            .await
    }

    async fn setting(
        &self,
        address: &str,
        app: &str,
        name: &str,
    ) -> Result<Option<Value>, MediaError> {
        self.call("setting", self.port.setting(address, app, name), media)
            .await
    }

    async fn ping(&self, address: &str, app: &str) -> Result<(), MediaError> {
        self.call("ping", self.port.ping(address, app), media).await
    }

    async fn ping_endpoint(&self, websocket_url: &str) -> Result<(), MediaError> {
        self.call(
            "ping_endpoint",
            self.port.ping_endpoint(websocket_url),
            media,
        )
        .await
    }

    async fn load(&self, address: &str) -> Result<Load, MediaError> {
        let (by, began) = (self.process.id(), self.process.host().clock.true_now());
        let tell = |load: Option<&Load>| self.observer().reported(by, address, began, load);
        let unanswered = Unless(Some(|| {
            if !self.process.is_dead() {
                tell(None);
            }
        }));
        let load = self.call("load", self.port.load(address), media).await;
        unanswered.answered();
        tell(load.as_ref().ok());
        load
    }
}

#[async_trait]
impl Connections for Through<dyn Connections> {
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError> {
        self.call("post", self.port.post(connection, text), || {
            PostError::Unavailable
        })
        .await
    }

    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError> {
        self.call("delete", self.port.delete(connection), || {
            PostError::Unavailable
        })
        .await
    }
}
