//! One message on one row: read, let the rules decide, write, grant, announce.

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use wakecast::protocol::{Endpoint, Lost, LostReason, ServerMessage};

use super::Gateway;
use super::call::Caller;
use super::limits::{is_counted, room};
use super::push::push;
use crate::auth::{NotAllowed, allows};
use crate::config::FleetConfig;
use crate::grant::{self, Granted, Granting};
use crate::leases::{self, Step, Then, Visit};
use crate::model::{FleetKey, Instance, Link, Row, RowKey, RowState, Timestamp, WaitKind};
use crate::ports::{BootOf, Store};
use crate::store::{NoRoom, Room, StoreError};

/// A row that changes under us is looked at again this often; at most a handful of writers (two
/// links, the reconciler) ever meet on one row.
const ROUNDS: u32 = 6;

/// Rows that are looked at together: enough to hide the table's latency, few enough to spare it.
const TOGETHER: usize = 16;

/// One message on one row.
pub(super) struct RowCall<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) caller: &'a Caller,
    pub(super) key: RowKey,
    pub(super) config: &'a FleetConfig,
    /// What is known of the row before.
    pub(super) known: Known,
    /// A boot that is believed to be ready. Where it was not asked for, a wait that slept asks.
    pub(super) ready: Option<BootOf>,
    /// The row's fleet and ask must still be covered by the token.
    pub(super) guarded: bool,
    /// What follows where a held row's boot is not ready.
    pub(super) on_miss: OnMiss,
}

/// What is known of a row before a message is carried out on it.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// Nothing: it is read.
    Unread,
    /// It is believed to be new: it is written unread, and read only if that is refused.
    New,
    /// It was just read.
    Read(Box<Row>),
}

/// What follows where a held row's boot is not ready.
#[derive(Clone, Debug)]
pub(super) enum OnMiss {
    /// The row waits for another, and its demand is raised.
    Wait(WaitKind),
    /// The client is told the state and nothing moves, so that an idle tab undoes no drain. A row
    /// that had been dormant is lost.
    Tell,
}

/// How a message on a row ended.
#[derive(Debug)]
pub(super) enum Answer {
    Granted(Box<Row>, Box<Endpoint>),
    NotReady(Box<Row>, Option<Box<Instance>>),
    /// It waits. `resumed`: it already did so on another link.
    Waiting {
        row: Box<Row>,
        resumed: bool,
    },
    Over(Box<Row>),
    TakenOver(Box<Row>),
    OtherAsk,
    NotAllowed(NotAllowed),
    /// The link, or its subject, has no room for a row that this would have created.
    Full,
    /// The subject waits for and holds as much as it may.
    Quota,
    Unknown,
}

impl RowCall<'_> {
    /// Carries out `step` on the row as it is.
    pub(super) async fn run(
        &self,
        step: impl Fn(Option<&Row>, &Visit<'_>) -> Step,
    ) -> Result<Answer, StoreError> {
        let mut stored = match &self.known {
            Known::Unread => self.store().row(&self.key).await?,
            Known::New => None,
            Known::Read(row) => Some(Row::clone(row)),
        };
        for _ in 0..ROUNDS {
            match self.attempt(stored.as_ref(), &step).await {
                Err(StoreError::Conflict(row)) => stored = row.map(|row| *row),
                answer => return answer,
            }
        }
        Err(StoreError::Unavailable("the row kept changing".to_owned()))
    }

    async fn attempt(
        &self,
        stored: Option<&Row>,
        step: impl Fn(Option<&Row>, &Visit<'_>) -> Step,
    ) -> Result<Answer, StoreError> {
        let now = self.gateway.ports.clock.now();
        // One that cannot be read is written over, as one that has expired is.
        let known = stored.filter(|row| row.expires_at > now && !row.is_unreadable());
        if self.guarded
            && let Some(ask) = known.and_then(|row| row.ask.as_ref())
            && let Err(error) = allows(&self.caller.connection.grants, &self.key.fleet, ask)
        {
            return Ok(Answer::NotAllowed(error));
        }
        let ready = self.ready_for(known, now).await?;
        let step = step(known, &self.visit(now, ready.as_ref()));
        let Some(row) = step.row else {
            return Ok(Answer::Unknown);
        };
        if known.is_none()
            && step.write
            && !self.is_claimed()
            && self
                .gateway
                .is_full(&self.caller.connection, 1, now)
                .await?
        {
            return self.refuse(stored, now).await;
        }
        let (mut row, mut paid) = (row, false);
        if step.write {
            let version = stored.map(|row| row.version);
            let room = room(self.config, known, &row, now);
            row = match self.put(&row, version, room).await {
                Err(StoreError::NoRoom(NoRoom::Live(_))) => return Ok(Answer::Quota),
                Err(StoreError::NoRoom(_)) => return Ok(Answer::Full),
                written => written?,
            };
            paid = room.protections.is_some() && is_counted(&row);
        }
        if let Some(old) = &step.taken_from {
            self.tell_taken_over(old, &row).await;
        }
        match step.then {
            Then::Verify { revived } => self.verify(row, revived, paid, now).await,
            Then::Wait { wake } => {
                let resumed = known.is_some_and(|before| self.takes_up(before));
                self.wait(row, wake, resumed).await
            }
            Then::Over => Ok(Answer::Over(Box::new(row))),
            Then::TakenOver => Ok(Answer::TakenOver(Box::new(row))),
            Then::Unknown => Ok(Answer::Unknown),
            Then::OtherAsk => Ok(Answer::OtherAsk),
        }
    }

    /// Returns the boot on which a wait that begins, or slept and goes on, is granted at once.
    async fn ready_for(
        &self,
        known: Option<&Row>,
        now: Timestamp,
    ) -> Result<Option<BootOf>, StoreError> {
        let timing = &self.config.timing;
        let sleeps = known.is_some_and(|row| {
            matches!(row.state, RowState::Waiting { .. }) && leases::dormant(row, timing, now)
        });
        match &self.ready {
            None if sleeps => self.gateway.believed_ready(&self.key.fleet).await,
            ready => Ok(ready.clone()),
        }
    }

    /// G2, and where it fails one more boot that is ready, if there is one. `paid`: the row was
    /// counted as one that protects.
    async fn verify(
        &self,
        row: Row,
        revived: bool,
        paid: bool,
        put_at: Timestamp,
    ) -> Result<Answer, StoreError> {
        let mut row = row;
        let mut paid = paid;
        let mut boots_tried = 0_u32;
        loop {
            let ports = &self.gateway.ports;
            let now = ports.clock.now();
            let granting = Granting {
                store: self.store(),
                tokens: &*ports.stream_tokens,
                config: self.config,
                guards: self.gateway.guards,
            };
            let instance = match granting.verify(&row, put_at, now).await? {
                Granted::Ready(endpoint) => {
                    let boot = grant::held_boot(&row);
                    self.gateway
                        .recall
                        .remember_ready(&self.key.fleet, boot.as_ref());
                    return Ok(Answer::Granted(Box::new(row), endpoint));
                }
                Granted::NotReady(instance) => instance,
            };
            let visit = self.visit(now, None);
            let step = match &self.on_miss {
                OnMiss::Tell => {
                    let step = leases::told(&row, &visit, revived, instance.as_deref());
                    return self.tell(step, row, instance).await;
                }
                OnMiss::Wait(kind) => {
                    let ready = match boots_tried {
                        0 => self.gateway.find_ready(&self.key.fleet).await?,
                        _ => None,
                    };
                    leases::missed(&row, &visit, kind.clone(), ready.as_ref())
                }
            };
            boots_tried = boots_tried.saturating_add(1);
            let Some(next) = &step.row else {
                return Ok(Answer::Unknown);
            };
            // A grant on another boot is counted once; one that did not come about is given back.
            let cap = self.config.caps.subject.protections_per_hour;
            let room = Room {
                protections: cap.filter(|_| !paid && is_counted(next)),
                given_back: paid && !is_counted(next),
                at: put_at,
                ..Room::default()
            };
            row = self.put(next, Some(row.version), room).await?;
            paid = is_counted(&row);
            match step.then {
                Then::Verify { .. } => {}
                Then::Wait { wake } => return self.wait(row, wake, false).await,
                _ => return Ok(Answer::Over(Box::new(row))),
            }
        }
    }

    async fn tell(
        &self,
        step: Step,
        row: Row,
        instance: Option<Box<Instance>>,
    ) -> Result<Answer, StoreError> {
        let row = match step.row {
            Some(next) if step.write => self.put(&next, Some(row.version), Room::default()).await?,
            _ => row,
        };
        Ok(match row.state {
            RowState::Held { .. } => Answer::NotReady(Box::new(row), instance),
            RowState::Waiting { .. } | RowState::Ended { .. } => Answer::Over(Box::new(row)),
        })
    }

    async fn wait(&self, row: Row, wake: bool, resumed: bool) -> Result<Answer, StoreError> {
        if wake {
            self.gateway.announce(&self.key.fleet).await?;
        }
        let row = Box::new(row);
        Ok(Answer::Waiting { row, resumed })
    }

    /// Tells whether this message takes up a wait that another link has left.
    fn takes_up(&self, before: &Row) -> bool {
        let here = &self.caller.link.connection;
        let link = before.link.as_ref();
        let elsewhere = link.is_none_or(|link| link.connection != *here);
        elsewhere && matches!(before.state, RowState::Waiting { .. })
    }

    /// Writes the row within what its subject may have, and claims it in the same request where
    /// there is a link that has not yet.
    async fn put(&self, row: &Row, expected: Option<u64>, room: Room) -> Result<Row, StoreError> {
        let uncounted = Room {
            at: room.at,
            ..Room::default()
        };
        if self.is_claimed() && room == uncounted {
            return self.store().put_row(row, expected).await;
        }
        let caller = self.caller;
        let link = caller.is_stored.then_some(&caller.connection.id);
        self.gateway
            .put_within(link, &self.config.timing, row, expected, room)
            .await
    }

    /// Tells whether nothing is left to note at the link.
    fn is_claimed(&self) -> bool {
        !self.caller.is_stored || self.caller.connection.rows.contains(&self.key)
    }

    /// Creates no row on a link that is full. One that was only believed to be new is looked at.
    async fn refuse(&self, stored: Option<&Row>, now: Timestamp) -> Result<Answer, StoreError> {
        let unread = matches!(self.known, Known::New) && stored.is_none();
        let row = match unread {
            true => self.store().row(&self.key).await?,
            false => None,
        };
        match row.filter(|row| row.expires_at > now && !row.is_unreadable()) {
            Some(row) => Err(StoreError::Conflict(Some(Box::new(row)))),
            None => Ok(Answer::Full),
        }
    }

    async fn tell_taken_over(&self, old: &Link, row: &Row) {
        let lost = ServerMessage::Lost(Lost {
            lease: row.key.id.clone(),
            rev: row.rev,
            reason: LostReason::TakenOver,
        });
        let ports = &self.gateway.ports;
        let until = self.caller.patience;
        push(&*ports.connections, &*ports.clock, old, &lost, until).await;
    }

    fn visit<'v>(&'v self, now: Timestamp, ready: Option<&'v BootOf>) -> Visit<'v> {
        Visit {
            key: &self.key,
            link: &self.caller.link,
            timing: &self.config.timing,
            now,
            ready,
            guards: self.gateway.guards,
        }
    }

    fn store(&self) -> &dyn Store {
        &*self.gateway.ports.store
    }
}

impl Gateway {
    /// Returns the boot that was last seen ready, else looks for one. G2 decides whether it is.
    pub(super) async fn believed_ready(
        &self,
        fleet: &FleetKey,
    ) -> Result<Option<BootOf>, StoreError> {
        match self.recall.ready(fleet) {
            Some(boot) => Ok(Some(boot)),
            None => self.find_ready(fleet).await,
        }
    }

    /// Looks for a ready boot, and remembers what it found.
    pub(super) async fn find_ready(&self, fleet: &FleetKey) -> Result<Option<BootOf>, StoreError> {
        let instances = self.ports.store.instances(fleet).await?;
        let ready = grant::ready_boot(&instances);
        self.recall.remember_ready(fleet, ready.as_ref());
        Ok(ready)
    }
}

/// Changes a row by a rule that needs no answer; a row that changes meanwhile is looked at again.
pub(super) async fn change(
    store: &dyn Store,
    key: &RowKey,
    rule: impl Fn(&Row) -> Option<Row>,
) -> Result<(), StoreError> {
    let mut stored = store.row(key).await?;
    for _ in 0..ROUNDS {
        let Some((row, next)) = stored.as_ref().and_then(|row| Some((row, rule(row)?))) else {
            return Ok(());
        };
        match store.put_row(&next, Some(row.version)).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict(row)) => stored = row.map(|row| *row),
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Unavailable("the row kept changing".to_owned()))
}

/// Works on several rows at a time and keeps their order.
pub(super) async fn together<T>(works: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(works).buffered(TOGETHER).collect().await
}
