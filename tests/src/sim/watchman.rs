//! The laws of the cloud, judged from the truth about instances and media servers.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use wakecast_lambda::leases;
use wakecast_lambda::model::{Instance, InstanceId, InstanceStatus, RowState, Timestamp};
use wakecast_lambda::ports::{Ec2State, Store};
use wakecast_local::ec2::Happened;

use super::setting;
use super::world::Surroundings;

/// How often the world is looked at.
const CADENCE: Duration = Duration::from_secs(1);

/// Looks at the world each second. Never returns.
pub async fn watch(around: Surroundings) {
    let mut watchman = Watchman {
        around,
        boots: Vec::new(),
        not_idle_at: BTreeMap::new(),
        over_deadline: BTreeMap::new(),
        told: false,
    };
    loop {
        watchman.look();
        watchman.around.clock.sleep(CADENCE).await;
    }
}

struct Watchman {
    around: Surroundings,
    /// Accepted launches and starts; the flag says that it was a new instance.
    boots: Vec<(Timestamp, bool)>,
    /// When each running instance last had a reason to run.
    not_idle_at: BTreeMap<InstanceId, Timestamp>,
    /// Since when a waiting row is past its deadline.
    over_deadline: BTreeMap<String, Timestamp>,
    told: bool,
}

impl Watchman {
    fn look(&mut self) {
        self.happenings();
        self.one_instance();
        self.idle_instances();
        self.deadlines();
        self.partitions();
    }

    /// Laws 2 and 5, at each thing that truly happened.
    fn happenings(&mut self) {
        for happening in self.around.farm.take_happenings() {
            self.around.moved(happening.at);
            match happening.what {
                Happened::Launched | Happened::Started => {
                    self.around.booted();
                    let launched = happening.what == Happened::Launched;
                    self.boots.push((happening.at, launched));
                    self.caps(happening.at);
                }
                Happened::StopAccepted => self.unseen_demand(&happening.instance, happening.at),
                _ => {}
            }
        }
    }

    /// Law 2: whoever had written a row before S2 took effect must have been seen by S3. A boot
    /// that lost its settings is no use to a waiter, who waits for the next one.
    fn unseen_demand(&self, id: &InstanceId, at: Timestamp) {
        let record = self
            .around
            .store
            .instance(&setting::fleet(), id)
            .now_or_never();
        let Some(Ok(Some(Instance {
            status,
            boot: Some(boot),
            ..
        }))) = record
        else {
            return;
        };
        let InstanceStatus::Stopping {
            failed: false,
            since,
            ..
        } = status
        else {
            return;
        };
        let writes = &self.around.logs.writes;
        let Some(committed_at) = writes.commit_after(since) else {
            return;
        };
        let rows = self.around.store.rows(&setting::fleet(), at).now_or_never();
        for row in rows.and_then(Result::ok).unwrap_or_default() {
            let timing = &self.around.config.timing;
            let counts = (!boot.condemned && leases::waits(&row, timing, at))
                || leases::protects(&row, &boot, timing, at);
            if counts
                && writes
                    .row(&row.key)
                    .is_some_and(|written| written < committed_at)
            {
                let text = format!("{id} is stopped although {} waits or protects", row.key.id);
                self.around.timeline.violation("law 2", text);
            }
        }
    }

    fn caps(&self, at: Timestamp) {
        let caps = self.around.config.caps;
        let hour = at.saturating_sub(Duration::from_hours(1));
        let recent = || self.boots.iter().filter(|(boot, _)| *boot > hour);
        let starts = recent().count();
        let launches = recent().filter(|(_, launched)| *launched).count();
        if starts > caps.starts_per_hour as usize || launches > caps.launches_per_hour as usize {
            let text = format!("{starts} starts and {launches} launches within an hour");
            self.around.timeline.violation("law 5", text);
        }
    }

    /// Law 1.
    fn one_instance(&mut self) {
        let live = self.around.ec2.with(|model, _| {
            let live = model.instances().filter(|truth| {
                !matches!(
                    truth.state,
                    Ec2State::Stopped | Ec2State::Terminated | Ec2State::ShuttingDown
                )
            });
            live.map(|truth| truth.id.to_string()).collect::<Vec<_>>()
        });
        let ours = self.around.config.max as usize
            + usize::try_from(self.around.notes().strangers).unwrap_or(0);
        if live.len() > ours && !self.told {
            self.told = true;
            let text = format!("{} instances live: {}", live.len(), live.join(", "));
            self.around.timeline.violation("law 1", text);
        }
    }

    /// Law 4.
    fn idle_instances(&mut self) {
        let now = self.around.clock.true_now();
        let running = self.around.ec2.with(|model, _| {
            let running = model
                .instances()
                .filter(|truth| truth.state == Ec2State::Running);
            running
                .map(|truth| (truth.id.clone(), truth.hold))
                .collect::<Vec<_>>()
        });
        self.not_idle_at
            .retain(|id, _| running.iter().any(|(other, _)| other == id));
        for (id, hold) in running {
            // A return to ready restarts the grace: whoever undid the drain may be gone within a
            // second, between two looks.
            let last = *self.not_idle_at.entry(id.clone()).or_insert(now);
            let last = last.max(self.granting_since(&id).unwrap_or(last));
            if hold || self.around.config.min > 0 || self.has_reason(&id, last) {
                self.not_idle_at.insert(id, now);
                continue;
            }
            let bound = self.stop_bound(last);
            if now.since(last) > bound {
                let idle = now.since(last).as_secs();
                let text = format!(
                    "{id} is idle for {idle} s, {} s are allowed",
                    bound.as_secs()
                );
                self.around.timeline.violation("law 4", text);
                self.not_idle_at.insert(id, now);
            }
        }
    }

    fn granting_since(&self, id: &InstanceId) -> Option<Timestamp> {
        let record = self
            .around
            .store
            .instance(&setting::fleet(), id)
            .now_or_never()?;
        record.ok()??.boot?.granting_since
    }

    fn has_reason(&self, id: &InstanceId, since: Timestamp) -> bool {
        let now = self.around.clock.true_now();
        let timing = &self.around.config.timing;
        let Some(status) = self.around.farm.status(id) else {
            return true;
        };
        if status.counts.live_streams > 0
            || status.counts.webrtc_viewers > 0
            || self.around.excused()
        {
            return true;
        }
        // An unreadable sample is no zero: the count begins anew.
        let recent = self.around.logs.faults.since(now.saturating_sub(CADENCE));
        if recent
            .iter()
            .any(|(at, call)| *at > since && matches!(*call, "load" | "describe"))
        {
            return true;
        }
        let record = self
            .around
            .store
            .instance(&setting::fleet(), id)
            .now_or_never();
        let Some(Ok(Some(Instance {
            status,
            boot: Some(boot),
            ..
        }))) = record
        else {
            return true;
        };
        if matches!(
            status,
            InstanceStatus::Booting | InstanceStatus::Recovering { .. }
        ) || matches!(status, InstanceStatus::Stopping { failed: true, .. })
        {
            return true;
        }
        let rows = self
            .around
            .store
            .rows(&setting::fleet(), now)
            .now_or_never();
        let Some(Ok(rows)) = rows else { return true };
        rows.iter()
            .any(|row| leases::protects(row, &boot, timing, now) || leases::waits(row, timing, now))
    }

    /// What law 4 allows: more for each crash and each failed stop call, and for nothing else.
    fn stop_bound(&self, since: Timestamp) -> Duration {
        let timing = &self.around.config.timing;
        let crash = timing.lock + timing.tick + Duration::from_secs(75);
        let faults = self.around.logs.faults.since(since);
        let failed_stops = count(faults.iter().filter(|(_, call)| *call == "stop"));
        timing.grace.max(timing.min_up)
            + timing.settle()
            + timing.tick * 2
            + Duration::from_secs(15)
            + crash * self.crashes_since(since)
            + Duration::from_secs(75) * failed_stops
    }

    fn crashes_since(&self, since: Timestamp) -> u32 {
        let broken = self.around.notes().broken_runs;
        // Who is frozen past the lock is as good as dead until then.
        let faults = self.around.logs.faults.since(since);
        let paused = faults.iter().filter(|(_, call)| *call == "pause");
        count(broken.iter().filter(|at| **at >= since)) + count(paused)
    }

    /// Law 3, on the server: a row past its deadline ends within one tick.
    fn deadlines(&mut self) {
        let now = self.around.clock.true_now();
        let timing = &self.around.config.timing;
        let Some(Ok(rows)) = self
            .around
            .store
            .rows(&setting::fleet(), now)
            .now_or_never()
        else {
            return;
        };
        let mut late = BTreeMap::new();
        for row in rows {
            let RowState::Waiting { .. } = row.state else {
                continue;
            };
            if leases::past_deadline(&row, timing, now) {
                let id = row.key.id.clone();
                let since = self.over_deadline.get(&id).copied().unwrap_or(now);
                late.insert(id, since);
            }
        }
        let troubled = timing.lock + timing.tick * 3;
        for (id, since) in &late {
            let crashes = self.crashes_since(since.saturating_sub(troubled));
            let allowed =
                timing.tick + Duration::from_secs(5) + (timing.lock + timing.tick) * crashes;
            if now.since(*since) > allowed {
                let text = format!(
                    "row {id} is past its deadline for {} s",
                    now.since(*since).as_secs()
                );
                self.around.timeline.violation("law 3", text);
            }
        }
        self.over_deadline = late;
    }

    /// Nobody writes another's partition.
    fn partitions(&self) {
        for violation in self.around.store.violations() {
            self.around.timeline.violation("writers", violation);
        }
    }
}

fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    u32::try_from(all.count()).unwrap_or(u32::MAX)
}
