//! Random worlds: what clients, EC2, media servers and operators do, drawn from a seed.

use std::time::Duration;

use wakecast::protocol::Purpose;
use wakecast_lambda::model::{InstanceId, InstanceStatus, RowState};
use wakecast_lambda::ports::Ec2State;

use super::ec2::Fault;
use super::{Crash, World};

/// Draws numbers from a seed, the same on every machine (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::try_from(self.below(from.len() as u64)).expect("small");
        from.get(index).cloned()
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl World {
    /// Does one random thing.
    pub fn surprise(&mut self, dice: &mut Dice) {
        match dice.below(24) {
            0..=5 => self.arrive(dice),
            6..=8 => {
                if let Some(id) = self.pick_row(dice) {
                    self.release(&id);
                }
            }
            9..=11 => {
                if let Some(id) = self.pick_row(dice) {
                    self.use_lease(&id);
                }
            }
            12..=13 => self.end_use(),
            14 => {
                if let Some(id) = self.pick_row(dice) {
                    self.leave(&id);
                }
            }
            15 => self.crash_somewhere(dice),
            16 => self.fail_a_launch(dice),
            17 => self.fail_a_stop(dice),
            18 => {
                self.note("EC2 cannot be read for a while");
                self.ec2.unreadable = true;
                let seconds = dice.below(120);
                self.run(seconds);
                self.ec2.unreadable = false;
            }
            19 => self.omit_for_a_while(dice),
            20 => self.hang_or_restart(dice),
            21 => self.lose_or_find_capacity(dice),
            22 => self.take_down_from_outside(dice),
            _ => self.hold_for_a_while(dice),
        }
    }

    /// Mends everything and lets everybody go.
    pub fn heal(&mut self) {
        self.note("everything is mended and everybody goes");
        self.crash = None;
        self.ec2.launch_faults.clear();
        self.ec2.stop_faults.clear();
        self.ec2.no_capacity.clear();
        self.ec2.omitted.clear();
        self.ec2.unreadable = false;
        self.next_media.lose_settings = 0;
        for machine in self.ec2.machines.values_mut() {
            machine.hold = false;
        }
        for media in self.media.values_mut() {
            media.hangs = false;
            media.lose_settings = 0;
        }
        self.end_use();
        for id in self.row_ids() {
            self.release(&id);
        }
    }

    fn arrive(&mut self, dice: &mut Dice) {
        let id = format!("c{}", self.rows.len());
        let purpose = dice
            .pick(&[
                Purpose::Publish,
                Purpose::Publish,
                Purpose::Play,
                Purpose::Play,
                Purpose::Watch,
            ])
            .expect("purposes");
        let wait = Duration::from_secs(60 + dice.below(900));
        // Most ask for themselves, some for one.
        self.subject = dice.once_in(5).then(|| "one".to_owned());
        self.acquire_for(&id, purpose, wait);
    }

    /// Rows that have not ended.
    fn row_ids(&self) -> Vec<String> {
        self.rows
            .values()
            .filter(|row| !matches!(row.state, RowState::Ended { .. }))
            .map(|row| row.key.id.clone())
            .collect()
    }

    fn pick_row(&self, dice: &mut Dice) -> Option<String> {
        dice.pick(&self.row_ids())
    }

    fn use_lease(&mut self, id: &str) {
        match self.row(id).ask.as_ref().map(|ask| ask.purpose) {
            Some(Purpose::Publish) => {
                self.publish(id);
            }
            _ => {
                self.play(id);
            }
        }
    }

    pub fn end_use(&mut self) {
        self.note("streams and viewers end");
        for media in self.media.values_mut() {
            media.streams = 0;
            media.viewers = 0;
        }
    }

    fn crash_somewhere(&mut self, dice: &mut Dice) {
        self.crash = dice.pick(&[
            Crash::BeforeCommit,
            Crash::AfterCommit,
            Crash::AfterRows,
            Crash::AfterGrants,
            Crash::AfterCalls,
        ]);
        self.note(format!("the next pass crashes: {:?}", self.crash));
    }

    fn fail_a_launch(&mut self, dice: &mut Dice) {
        let faults = [
            Fault::Capacity,
            Fault::Throttled,
            Fault::LostDone,
            Fault::LostUndone,
            Fault::Config,
        ];
        let fault = dice.pick(&faults).expect("faults");
        self.note(format!("the next launch fails: {fault:?}"));
        self.ec2.launch_faults.push_back(fault);
    }

    fn fail_a_stop(&mut self, dice: &mut Dice) {
        let faults = [Fault::Throttled, Fault::LostDone, Fault::LostUndone];
        let fault = dice.pick(&faults).expect("faults");
        self.note(format!("the next stop fails: {fault:?}"));
        self.ec2.stop_faults.push_back(fault);
    }

    /// With the longest lag, shorter than the minute after which an instance counts as gone.
    fn omit_for_a_while(&mut self, dice: &mut Dice) {
        let ids = self.ec2.machines.keys().cloned().collect::<Vec<_>>();
        if let Some(id) = dice.pick(&ids) {
            self.note(format!("EC2 does not list {id}"));
            self.ec2.omitted.insert(id);
            let seconds = dice.below(35);
            self.run(seconds);
            self.ec2.omitted.clear();
            self.run(10);
        }
    }

    fn hang_or_restart(&mut self, dice: &mut Dice) {
        let ids = self.media.keys().cloned().collect::<Vec<_>>();
        let (Some(id), now) = (dice.pick(&ids), self.now) else {
            return;
        };
        let running = self.ec2.machines[&id].state(now) == Some(Ec2State::Running);
        let media = self.media.get_mut(&id).expect("a server");
        if dice.once_in(2) {
            media.hangs = !media.hangs;
            media.hung_at = Some(now);
        } else if running {
            media.lose_settings = u32::from(dice.once_in(3));
            media.begin(now);
            media.self_started = true;
        }
        self.note(format!(
            "the server on {id} hangs, answers again or restarts"
        ));
    }

    fn lose_or_find_capacity(&mut self, dice: &mut Dice) {
        let pools = [
            ("c7g.xlarge".to_owned(), "a".to_owned()),
            ("c7g.xlarge".into(), "b".into()),
        ];
        let pool = dice.pick(&pools).expect("pools");
        self.note(format!("capacity changes in {}", pool.1));
        if !self.ec2.no_capacity.remove(&pool) {
            self.ec2.no_capacity.insert(pool);
        }
    }

    fn take_down_from_outside(&mut self, dice: &mut Dice) {
        let ids = self.ec2.live(self.now);
        let Some(id) = dice.pick(&ids).filter(|_| dice.once_in(2)) else {
            return;
        };
        self.note(format!("an operator takes {id} down"));
        if dice.once_in(2) {
            self.ec2.terminate(self.now, &id);
        } else {
            // EC2 refuses it while pending; then nothing happens.
            let _refused = self.ec2.take_down(self.now, &id);
        }
    }

    fn hold_for_a_while(&mut self, dice: &mut Dice) {
        let ids = self
            .ec2
            .machines
            .keys()
            .cloned()
            .collect::<Vec<InstanceId>>();
        if let Some(id) = dice.pick(&ids) {
            self.note(format!("{id} is held"));
            self.ec2.machines.get_mut(&id).expect("a machine").hold = true;
            let seconds = dice.below(600);
            self.run(seconds);
            self.ec2.machines.get_mut(&id).expect("a machine").hold = false;
        }
    }

    /// A viewer comes if the lease's stream token still lives.
    fn play(&mut self, id: &str) {
        let RowState::Held {
            instance,
            granted_at,
            ..
        } = self.state(id).clone()
        else {
            return;
        };
        let lives = self.now < granted_at + self.config.timing.stream_token;
        if lives && self.ec2.live(self.now).contains(&instance) {
            self.note(format!("{id} plays"));
            self.media.get_mut(&instance).expect("a server").viewers += 1;
        }
    }

    /// Whether every instance is at rest.
    pub fn at_rest(&self) -> bool {
        self.ec2.live(self.now).is_empty()
            && self.records.intents.is_empty()
            && self
                .records
                .instances
                .values()
                .all(|known| known.status == InstanceStatus::Stopped)
    }
}
