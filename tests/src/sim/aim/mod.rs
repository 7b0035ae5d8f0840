//! Worlds aimed at one guard: the same cloud, people and laws as in a random world, with the one
//! hazard made frequent against which the guard stands. The seed varies everything else: who comes
//! when, how long calls take, where the trouble strikes.
//!
//! With every guard on no law breaks in them; without its guard one soon does.

mod clients;
mod grants;
mod launches;
mod people;
mod stops;

pub use clients::{accept_then_close, late_callbacks, late_tokens, overtaken_pushes};
pub use grants::{hot_partition, last_moment_token, older_link, slow_camera, stream_in_the_drain};
pub use launches::{dying_servers, early_probes, forgotten_launch, lost_replies};
pub use stops::{demand_at_the_end, frozen_holder, frozen_writer, last_minute, silent_server};

use std::time::Duration;

use wakecast_lambda::config::FleetConfig;
use wakecast_local::ec2::Ec2Settings;

use super::chance::Chance;
use super::guards::Guards;
use super::process::CallFaults;
use super::setting;
use super::world::{Hands, Surroundings, World};

/// A family of worlds: the seed and the guards make one, and it is played to its end.
pub type Family = fn(u64, Guards) -> World;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A world that is being set up, and the chance that varies it.
struct Stage {
    world: World,
    chance: Chance,
}

impl Stage {
    fn new(seed: u64, guards: Guards) -> Self {
        Self::with(seed, guards, setting::config(), Ec2Settings::default())
    }

    fn with(seed: u64, guards: Guards, config: FleetConfig, ec2: Ec2Settings) -> Self {
        Self {
            world: World::guarded(seed, config, ec2, guards),
            chance: Chance::from_seed(seed ^ 0xa1ed),
        }
    }

    fn around(&self) -> Surroundings {
        self.world.around().clone()
    }

    /// Lets some calls of the reconciler take seconds, so that other things fall in between.
    fn slow_reconciler(&mut self) {
        let slow = self.chance.within(0..200);
        self.hands(CallFaults {
            slow,
            ..CallFaults::default()
        });
    }

    fn hands(&self, reconciler: CallFaults) {
        self.world.set_hands(Hands {
            reconciler,
            ..Hands::default()
        });
    }

    /// Lets time pass until `done` holds, for `limit` at most; looks every `step`.
    fn until(
        &mut self,
        limit: Duration,
        step: Duration,
        done: impl Fn(&Surroundings) -> bool,
    ) -> bool {
        let end = self.world.around().clock.true_now() + limit;
        while !done(self.world.around()) {
            if self.world.around().clock.true_now() >= end {
                return false;
            }
            self.world.run_for(step);
        }
        true
    }

    fn play(mut self, length: Duration) -> World {
        self.world.run_for(length);
        self.world
    }
}
