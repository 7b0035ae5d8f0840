//! One pass of the reconciler: what it sees, and what of its decision takes effect, up to a crash.

use std::collections::BTreeSet;
use std::time::Duration;

use wakecast::protocol::ServerMessage;
use wakecast_lambda::guards::Guards;
use wakecast_lambda::lifecycle::{Answer, Decision, Next, Power, Snapshot, decide, payers, probes};
use wakecast_lambda::model::{Counters, Day, InstanceStatus, Timestamp};
use wakecast_lambda::store::Commit;

use super::{Crash, World};

impl World {
    /// One pass of the reconciler; `None` if it crashed.
    pub(super) fn pass(&mut self) -> Option<Next> {
        let mut lock = self.lock.clone().expect("the lock is held");
        if self.now.until(lock.until) < Duration::from_secs(20) {
            lock.until = self.now + self.config.timing.lock;
            self.lock = Some(lock.clone());
        }
        let described = self.ec2.describe(self.now);
        let rows = self.rows.values().cloned().collect::<Vec<_>>();
        let records = self.records.clone();
        let blind = Counters::default();
        let answers = std::mem::take(&mut self.answers);
        let (config, fleet) = (self.config.clone(), self.fleet.clone());
        let mut snapshot = Snapshot {
            now: self.now,
            fleet: &fleet,
            config: &config,
            lock: &lock,
            ec2: described.as_deref(),
            records: &records,
            rows: &rows,
            counters: &blind,
            observations: &[],
            answers: &answers,
            guards: Guards::ALL,
        };
        let counters = self.counters(&payers(&snapshot));
        snapshot.counters = &counters;
        let asked = probes(&snapshot);
        let observations = asked
            .into_iter()
            .map(|probe| self.look(probe))
            .collect::<Vec<_>>();
        snapshot.observations = &observations;
        let decision = decide(&snapshot);
        if let Some(witness) = &mut self.witness {
            witness(&snapshot, &decision);
        }
        for why in &decision.why {
            self.note(why);
        }
        if self.crash_at(Crash::BeforeCommit) {
            return None;
        }
        if let Some(commit) = &decision.commit {
            self.commit(commit);
        }
        self.alarms.extend(
            decision
                .alarms
                .iter()
                .map(|alarm| (self.now, alarm.clone())),
        );
        self.transitions.extend(&decision.transitions);
        if self.crash_at(Crash::AfterCommit) {
            return None;
        }
        self.apply_rows(&decision);
        if self.crash_at(Crash::AfterRows) {
            return None;
        }
        for row in &decision.grants {
            self.grant(row.clone());
        }
        for push in &decision.pushes {
            self.tell("push", &push.message);
        }
        if self.crash_at(Crash::AfterGrants) {
            return None;
        }
        for call in &decision.calls {
            let answer = self.call(&call.action, call.not_after);
            self.answers.push(answer);
        }
        let next = decision.next;
        if next == Next::Now && decision.commit.is_none() {
            self.breach(format!(
                "at once again, though nothing changed: {:?}",
                decision.why
            ));
        }
        self.last = Some(decision);
        if self.crash_at(Crash::AfterCalls) {
            return None;
        }
        Some(next)
    }

    fn crash_at(&mut self, point: Crash) -> bool {
        let here = self.crash == Some(point);
        if here {
            self.crash = None;
        }
        here
    }

    /// Adds up how long instances are up, from one commit to the next.
    fn note_up(&mut self) {
        if let Some((since, count)) = self.up_since {
            self.up += self.now.since(since) * count;
        }
        let up = self.records.instances.values().filter(|known| {
            !matches!(known.status, InstanceStatus::Stopped | InstanceStatus::Gone)
        });
        let count = u32::try_from(up.count()).expect("few");
        self.up_since = Some((self.now, count));
    }

    fn commit(&mut self, commit: &Commit) {
        self.note_up();
        assert_eq!(
            commit.expected, self.records.state.version,
            "a commit over another version"
        );
        if let Some(charge) = &commit.charge {
            let spent = self.counters(&charge.subject.iter().map(|c| c.subject.clone()).collect());
            assert!(spent.starts < charge.start_cap, "the start cap is exceeded");
            assert!(
                !charge.launch || spent.launches < charge.launch_cap,
                "the launch cap is exceeded"
            );
            if let Some(charged) = &charge.subject {
                let used = spent.by_subject[&charged.subject].len();
                assert!(used < charged.cap as usize, "a subject's cap is exceeded");
                self.charged.push((self.now, charged.subject.clone()));
            }
            let budget = charge.tenant_budget;
            assert!(
                budget.is_none_or(|budget| spent.tenant_ran < budget),
                "a start after the tenant's budget was spent"
            );
            self.charges.push((self.now, charge.launch));
        }
        for (day, time) in &commit.ran {
            let ran = self.ran.entry(*day).or_default();
            *ran += *time;
        }
        self.commits += 1;
        let version = self.records.state.version + 1;
        self.records.state = commit.state.clone();
        self.records.state.version = version;
        for id in &commit.forget_instances {
            self.records.instances.remove(id);
        }
        for instance in &commit.put_instances {
            self.records
                .instances
                .insert(instance.id.clone(), instance.clone());
        }
        for sequence in &commit.forget_intents {
            self.records.intents.remove(sequence);
        }
        for intent in &commit.put_intents {
            self.records.intents.insert(intent.sequence, intent.clone());
        }
        if let Some(unavailable) = &commit.unavailable {
            self.records.unavailable.clone_from(unavailable);
        }
        self.note_up();
        let counted: Duration = self.ran.values().sum();
        if counted > self.up + self.ran_before {
            self.breach(format!("{counted:?} are counted, {:?} have run", self.up));
        }
        if let Some(history) = &commit.history {
            self.records.history.clone_from(history);
        }
    }

    fn apply_rows(&mut self, decision: &Decision) {
        for change in &decision.rows {
            let current = self.rows.get(&change.row.key).map(|row| row.version);
            if current != Some(change.expected) {
                continue;
            }
            let mut row = change.row.clone();
            row.version += 1;
            self.rows.insert(row.key.clone(), row);
            if let Some(message) = &change.tell {
                self.tell(&change.row.key.id, message);
            }
        }
    }

    fn tell(&mut self, to: &str, message: &ServerMessage) {
        self.note(format!("→ {to}: {}", message.encode()));
        self.told.push((
            self.now,
            message_id(message).unwrap_or(to.to_owned()),
            message.clone(),
        ));
    }

    fn call(&mut self, power: &Power, not_after: Timestamp) -> Answer {
        if self.now > not_after {
            return Answer {
                action: power.clone(),
                result: Ok(None),
                dropped: true,
            };
        }
        if self.ec2.unreadable {
            self.breach(format!("{power:?} while EC2 cannot be read"));
        }
        self.note(format!("call {power:?}"));
        self.calls.push((self.now, power.clone()));
        let now = self.now;
        let result = match power {
            Power::Run { sequence, token } => {
                let intent = self.records.intents[sequence].clone();
                self.ec2.run(now, &intent, token).map(Some)
            }
            Power::Start { instance, .. } => self.ec2.start(now, instance).map(|()| None),
            Power::Stop { instance } => {
                self.check_stop(instance);
                self.ec2.stop(now, instance).map(|()| None)
            }
            Power::Associate { instance } => {
                self.ec2.associate(instance);
                Ok(None)
            }
            Power::Disassociate => {
                self.ec2.disassociate(now);
                Ok(None)
            }
        };
        Answer {
            action: power.clone(),
            result,
            dropped: false,
        }
    }

    fn counters(&self, subjects: &BTreeSet<String>) -> Counters {
        let lately = self
            .charges
            .iter()
            .filter(|(at, _)| self.now.since(*at) < Duration::from_secs(3600))
            .collect::<Vec<_>>();
        Counters {
            launches: u32::try_from(lately.iter().filter(|(_, launch)| *launch).count())
                .expect("few"),
            starts: u32::try_from(lately.len()).expect("few"),
            by_subject: subjects
                .iter()
                .map(|subject| (subject.clone(), self.charged_lately(subject)))
                .collect(),
            tenant_ran: self
                .ran
                .get(&Day::of(self.now))
                .copied()
                .unwrap_or_default(),
        }
    }

    fn charged_lately(&self, subject: &str) -> Vec<Timestamp> {
        let window = Duration::from_secs(600);
        let own = self.charged.iter().rev();
        own.filter(|(at, who)| who == subject && self.now.since(*at) < window)
            .map(|(at, _)| *at)
            .collect()
    }
}

/// Returns the row's id that a message is about.
fn message_id(message: &ServerMessage) -> Option<String> {
    match message {
        ServerMessage::Progress(progress) => Some(progress.id.clone()),
        ServerMessage::Draining(draining) => Some(draining.lease.clone()),
        ServerMessage::Lost(lost) => Some(lost.lease.clone()),
        ServerMessage::Error(error) => error.id.clone(),
        _ => None,
    }
}
