//! The laws, judged on the truth of the world as it moves.

use std::time::Duration;

use wakecast_lambda::leases;
use wakecast_lambda::lifecycle::transitions;
use wakecast_lambda::model::{InstanceId, InstanceStatus, Row, RowState};

use super::World;

impl World {
    /// Law 2, on the truth that the reconciler cannot see.
    pub(super) fn check_stop(&mut self, id: &InstanceId) {
        let Some(known) = self.records.instances.get(id).cloned() else {
            return self.breach(format!("{id} is stopped without a record"));
        };
        if self
            .ec2
            .machines
            .get(id)
            .is_some_and(|machine| machine.hold)
        {
            self.breach(format!("{id} is stopped though it is held"));
        }
        if matches!(known.status, InstanceStatus::Stopping { failed: true, .. }) {
            return;
        }
        let timing = self.config.timing;
        if let Some(media) = self.media.get(id).cloned() {
            if media.streams > 0 || media.viewers > 0 || media.hls_viewers > 0 {
                self.breach(format!("{id} is stopped while it serves"));
            }
            let looked = Duration::from_secs(7);
            if media
                .hung_at
                .is_some_and(|at| media.hangs && self.now.since(at) > looked)
            {
                self.breach(format!("{id} is stopped though nobody knows what it does"));
            }
        }
        let boot = known.boot.expect("a boot that was ready");
        let up = boot
            .ready_at
            .map_or(Duration::ZERO, |at| self.now.since(at));
        if up < timing.min_up + timing.settle() && !boot.condemned {
            self.breach(format!("{id} is stopped {up:?} after it was ready"));
        }
        let keeps = |row: &&Row| {
            leases::protects(row, &boot, &timing, self.now)
                || (leases::waits(row, &timing, self.now) && !boot.condemned)
        };
        if let Some(row) = self.rows.values().find(keeps) {
            self.breach(format!("{id} is stopped under {}", row.key.id));
        }
    }

    /// Notes a breach where it happens, each once.
    pub(super) fn breach(&mut self, text: String) {
        if !self.breaches.contains(&text) {
            self.note(format!("BREACH {text}"));
            self.breaches.push(text);
        }
    }

    pub(super) fn check_laws(&mut self) {
        let live = self.ec2.live(self.now).len();
        if live > (self.config.max + self.foreign) as usize {
            self.breach(format!("{live} instances live"));
        }
        let table = transitions();
        let unknown = self
            .transitions
            .iter()
            .find(|step| !table.contains(step))
            .copied();
        if let Some(unknown) = unknown {
            self.breach(format!("{unknown:?} is not in the table"));
        }
        let late = self
            .rows
            .values()
            .find(|row| match &row.state {
                RowState::Waiting { deadline, .. } => {
                    let grace = self.config.timing.tick * 2 + self.config.timing.lock;
                    row.absent_since.is_none() && self.now > *deadline + grace
                }
                _ => false,
            })
            .map(|row| row.key.id.clone());
        if let Some(late) = late {
            self.breach(format!("{late} waits past its deadline"));
        }
    }
}
