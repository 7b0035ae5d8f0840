//! The working state of one decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wakecast::protocol::ServerMessage;

use super::{Alarm, Call, Decision, Next, Power, Push, RowChange, Snapshot};
use super::{subjects, transition};
use crate::config::{Caps, FleetConfig, SubjectCaps};
use crate::guards::Guard;
use crate::leases;
use crate::model::{
    Boot, BootHistory, Day, FleetState, Instance, InstanceId, InstanceStatus, Intent, Row, RowKey,
    Timestamp, Unavailable,
};
use crate::ports::{Ec2Instance, Ec2State};
use crate::store::{Charge, Commit};

use super::load::Look;

/// Copies of the records that the steps change, and what they want done.
pub(super) struct Pass<'a> {
    pub(super) now: Timestamp,
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) config: &'a FleetConfig,
    pub(super) state: FleetState,
    pub(super) instances: BTreeMap<InstanceId, Instance>,
    pub(super) intents: BTreeMap<u64, Intent>,
    pub(super) unavailable: Vec<Unavailable>,
    pub(super) history: BootHistory,
    pub(super) charge: Option<Charge>,
    /// Running time that this pass counts.
    pub(super) ran: BTreeMap<Day, Duration>,
    /// A waiter has been refused since a budget is spent.
    pub(super) refused_for_budget: bool,
    pub(super) grants: Vec<Row>,
    pub(super) pushes: Vec<Push>,
    /// This pass's look at each server that has been ready.
    pub(super) looks: BTreeMap<InstanceId, Look>,
    /// A boot has failed in this pass and is tried again: waiters are told.
    pub(super) restarting: bool,
    rows: BTreeMap<RowKey, Row>,
    changes: BTreeMap<RowKey, Option<ServerMessage>>,
    calls: Vec<Call>,
    alarms: BTreeSet<Alarm>,
    why: Vec<String>,
    again: bool,
    moving: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(snapshot: &'a Snapshot<'a>) -> Self {
        let records = snapshot.records;
        let rows = snapshot
            .rows
            .iter()
            .map(|row| (row.key.clone(), row.clone()))
            .collect();
        Self {
            now: snapshot.now,
            snapshot,
            config: snapshot.config,
            state: records.state.clone(),
            instances: records.instances.clone(),
            intents: records.intents.clone(),
            unavailable: records.unavailable.clone(),
            history: records.history.clone(),
            charge: None,
            ran: BTreeMap::new(),
            refused_for_budget: false,
            grants: Vec::new(),
            pushes: Vec::new(),
            looks: BTreeMap::new(),
            restarting: false,
            rows,
            changes: BTreeMap::new(),
            calls: Vec::new(),
            alarms: BTreeSet::new(),
            why: Vec::new(),
            again: false,
            moving: false,
        }
    }

    // What is seen.

    /// Returns what EC2 shows of an instance; `None` too while EC2 cannot be read.
    pub(super) fn shown(&self, id: &InstanceId) -> Option<&'a Ec2Instance> {
        self.listed().iter().find(|shown| shown.id == *id)
    }

    /// Returns what EC2 lists; nothing while it cannot be read.
    pub(super) fn listed(&self) -> &'a [Ec2Instance] {
        self.snapshot.ec2.unwrap_or_default()
    }

    /// Tells whether EC2 shows the instance as running.
    pub(super) fn runs(&self, id: &InstanceId) -> bool {
        self.shown(id)
            .is_some_and(|shown| shown.state == Ec2State::Running)
    }

    /// Tells whether the operator's tag forbids every power action and every drain.
    pub(super) fn held(&self, id: &InstanceId) -> bool {
        self.shown(id).is_some_and(|shown| shown.hold)
    }

    /// Returns every instance that lives, is on its way up, or is coming down: what the maximum
    /// counts beside an open intent. A record counts as long as EC2 has not shown its end.
    pub(super) fn live(&self) -> BTreeSet<InstanceId> {
        let recorded = self.instances.values().filter(|instance| {
            !matches!(
                instance.status,
                InstanceStatus::Stopped | InstanceStatus::Gone
            )
        });
        let listed = self
            .listed()
            .iter()
            .filter(|shown| !matches!(shown.state, Ec2State::Stopped | Ec2State::Terminated));
        recorded
            .map(|instance| instance.id.clone())
            .chain(listed.map(|shown| shown.id.clone()))
            .collect()
    }

    /// Returns the instance that grants.
    pub(super) fn ready(&self) -> Option<&Instance> {
        self.instances
            .values()
            .find(|instance| instance.status == InstanceStatus::Ready)
    }

    /// Returns the ids of all known instances.
    pub(super) fn ids(&self) -> Vec<InstanceId> {
        self.instances.keys().cloned().collect()
    }

    // What is wanted.

    /// Returns the caps in force.
    pub(super) fn caps(&self) -> Caps {
        if self.guarded(Guard::Cap) {
            return self.config.caps;
        }
        Caps {
            launches_per_hour: u32::MAX,
            starts_per_hour: u32::MAX,
            subject: SubjectCaps::OFF,
        }
    }

    /// Returns the rows as this pass has changed them so far.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Tells whether somebody waits who may wake an instance.
    pub(super) fn awaited(&self) -> bool {
        self.rows().any(|row| self.demands(row))
    }

    /// Tells whether a row waits and may wake an instance: its subject has not woken it in vain too
    /// often.
    pub(super) fn demands(&self, row: &Row) -> bool {
        leases::waits(row, &self.config.timing, self.now)
            && subjects::idle_room_at(self, &row.key.subject).is_none()
    }

    /// Tells whether an instance is wanted.
    pub(super) fn wanted(&self) -> bool {
        self.config.min > 0 || self.awaited()
    }

    /// Tells whether a lease keeps this boot from being stopped.
    pub(super) fn protected(&self, boot: &Boot) -> bool {
        self.guarded(Guard::LeaseProtection)
            && self
                .rows()
                .any(|row| leases::protects(row, boot, &self.config.timing, self.now))
    }

    /// Tells whether a guard is on, as it always is but in a test of its absence.
    pub(super) const fn guarded(&self, guard: Guard) -> bool {
        self.snapshot.guards.on(guard)
    }

    // What is decided.

    /// Tells whether this pass has changed the row.
    pub(super) fn touched(&self, row: &Row) -> bool {
        self.changes.contains_key(&row.key)
    }

    /// Tells whether this pass has changed the row without telling its owner so far.
    pub(super) fn untold(&self, row: &Row) -> bool {
        self.changes.get(&row.key).is_some_and(Option::is_none)
    }

    /// Changes a row; an owner without a link is not told.
    pub(super) fn change(&mut self, row: Row, tell: Option<ServerMessage>) {
        let tell = tell.filter(|_| row.absent_since.is_none() && row.link.is_some());
        self.changes.insert(row.key.clone(), tell);
        self.rows.insert(row.key.clone(), row);
    }

    /// Sends a message to the row's link, if it has one.
    pub(super) fn push(&mut self, row: &Row, message: ServerMessage) {
        if let (Some(link), None) = (&row.link, row.absent_since) {
            self.pushes.push(Push {
                link: link.clone(),
                message,
            });
        }
    }

    /// Tells whether the lock lasts long enough for a power call.
    pub(super) fn lock_lasts(&self) -> bool {
        self.now + self.config.timing.lock_reserve <= self.snapshot.lock.until
            || !self.guarded(Guard::LockTime)
    }

    /// Calls EC2 once the commit stands.
    pub(super) fn call(&mut self, action: Power) {
        let not_after = self
            .snapshot
            .lock
            .until
            .saturating_sub(self.config.timing.lock_reserve);
        self.calls.push(Call { action, not_after });
        self.moving = true;
    }

    /// Reports to the operator, once while it holds.
    pub(super) fn alarm(&mut self, alarm: Alarm) {
        self.alarms.insert(alarm);
    }

    /// Notes a reason.
    pub(super) fn why(&mut self, reason: impl Into<String>) {
        self.why.push(reason.into());
    }

    /// Asks for the next pass at once: something was answered.
    pub(super) const fn again(&mut self) {
        self.again = true;
    }

    /// Asks for the next pass after a round: something moves.
    pub(super) const fn stay(&mut self) {
        self.moving = true;
    }

    /// Gathers what has changed into a decision.
    pub(super) fn finish(mut self) -> Decision {
        let records = self.snapshot.records;
        if self.snapshot.ec2.is_err() {
            // What could not be looked at still holds.
            self.alarms.extend(records.state.raised.iter().cloned());
        }
        let alarms = self
            .alarms
            .difference(&records.state.raised)
            .cloned()
            .collect();
        self.state.raised = std::mem::take(&mut self.alarms);
        let transitions = transition::between(records, &self.instances);
        let next = match (self.again, self.moving) {
            (true, _) => Next::Now,
            (false, true) => Next::After(self.config.timing.round),
            (false, false) => Next::Quiet,
        };
        let rows = self.row_changes();
        Decision {
            commit: self.commit(),
            rows,
            grants: self.grants,
            pushes: self.pushes,
            calls: self.calls,
            next,
            alarms,
            transitions,
            why: self.why,
        }
    }

    fn row_changes(&mut self) -> Vec<RowChange> {
        let versions = self
            .snapshot
            .rows
            .iter()
            .map(|row| (&row.key, row.version))
            .collect::<BTreeMap<_, _>>();
        std::mem::take(&mut self.changes)
            .into_iter()
            .filter_map(|(key, tell)| {
                let row = self.rows.get(&key)?.clone();
                Some(RowChange {
                    expected: *versions.get(&key)?,
                    row,
                    tell,
                })
            })
            .collect()
    }

    fn commit(&self) -> Option<Commit> {
        let records = self.snapshot.records;
        let commit = Commit {
            expected: records.state.version,
            state: self.state.clone(),
            put_instances: changed(&records.instances, &self.instances),
            forget_instances: removed(&records.instances, &self.instances),
            put_intents: changed(&records.intents, &self.intents),
            forget_intents: removed(&records.intents, &self.intents),
            unavailable: (self.unavailable != records.unavailable)
                .then(|| self.unavailable.clone()),
            history: (self.history != records.history).then(|| self.history.clone()),
            charge: self.charge.clone(),
            ran: self.ran.clone(),
        };
        let nothing = commit.state == records.state
            && commit.put_instances.is_empty()
            && commit.forget_instances.is_empty()
            && commit.put_intents.is_empty()
            && commit.forget_intents.is_empty()
            && commit.unavailable.is_none()
            && commit.history.is_none()
            && commit.charge.is_none();
        (!nothing).then_some(commit)
    }
}

fn changed<K: Ord, V: Clone + PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> Vec<V> {
    after
        .iter()
        .filter(|(key, value)| before.get(key) != Some(value))
        .map(|(_, value)| value.clone())
        .collect()
}

fn removed<K: Ord + Clone, V>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Vec<K> {
    before
        .keys()
        .filter(|key| !after.contains_key(key))
        .cloned()
        .collect()
}
