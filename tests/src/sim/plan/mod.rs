//! What happens in a random world: who comes, and what hurts. A plan is drawn from a seed, is a
//! value like any other, and can be played with parts of it left out.

mod draw;
mod faults;
mod pieces;
mod trouble;

use std::time::Duration;

use super::chance::Chance;
use super::client::ClientSetup;
use super::guards::Guards;
use super::moods::{self, Mood};
use super::setting;
use super::users::Part;
use super::world::{Hands, World};

pub use faults::{Fault, Faults};
pub use pieces::Piece;
pub use trouble::{Stage, Timed, Trouble};

/// People come within this time, and random faults are over by then.
pub const BUSY: Duration = Duration::from_mins(25);
/// A world goes on until everybody is gone and the fleet had time to stop.
const WHOLE: Duration = Duration::from_mins(75);

/// Two regions' clocks, where their time servers are badly reached.
pub const CLOCKS_APART: Duration = Duration::from_secs(5);

/// A world to come.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was drawn from. It also seeds every delay and every random fault.
    pub seed: u64,
    /// Other delays and other random faults for the same people and troubles.
    pub luck: u64,
    /// The fleet has an Elastic IP.
    pub elastic: bool,
    /// As many instances are always kept.
    pub min: u32,
    /// Nothing at all was drawn to go wrong, so that everybody must be served.
    pub kind: bool,
    /// What goes wrong at random.
    pub faults: Faults,
    /// Who comes.
    pub people: Vec<Person>,
    /// What befalls the cloud.
    pub troubles: Vec<Timed>,
    /// The clocks of its functions are up to [`CLOCKS_APART`] apart.
    pub clocks_apart: bool,
}

/// One person of a plan, with their device.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their device.
    pub setup: ClientSetup,
    /// What they want and do.
    pub part: Part,
    /// What their device goes through.
    pub moods: Vec<Mood>,
}

/// A world that has ended.
#[derive(Debug)]
pub struct Played {
    /// The world.
    pub world: World,
    /// Its seed.
    pub seed: u64,
}

/// Builds the world of a seed and runs it to its end.
#[must_use]
pub fn play(seed: u64) -> Played {
    Plan::draw(seed).play()
}

impl Plan {
    /// Builds the world and runs it to its end.
    #[must_use]
    pub fn play(&self) -> Played {
        self.play_with(Guards::default())
    }

    /// Builds the world with these guards and runs it to its end.
    #[must_use]
    pub fn play_with(&self, guards: Guards) -> Played {
        let mut config = setting::config();
        if self.elastic {
            config.endpoint = setting::elastic();
        }
        config.min = self.min;
        // Luck 0 is the seed itself.
        let luck = Chance::from_seed(self.luck).bits();
        let seed = if self.luck == 0 {
            self.seed
        } else {
            self.seed ^ luck
        };
        let mut world = World::guarded(seed, config, self.faults.ec2(), guards);
        if self.clocks_apart {
            world.skew_clocks(CLOCKS_APART);
        }
        if self.kind {
            world.around().declare_kind();
        }
        for Person { setup, part, moods } in &self.people {
            let client = world.person(setup.clone(), part.clone());
            for mood in moods {
                let around = world.around().clone();
                world.spawn(moods::befall(around, client.clone(), *mood));
            }
        }
        world.set_network(self.faults.network(), self.faults.calls());
        world.set_hands(self.faults.hands());
        for timed in &self.troubles {
            let around = world.around().clone();
            world.spawn(timed.befall(around));
        }
        calm_down(&world);
        world.run_for(WHOLE);
        Played {
            world,
            seed: self.seed,
        }
    }
}

/// Ends the random faults when the busy time is over, so that every world can come to rest.
fn calm_down(world: &World) {
    let around = world.around().clone();
    let hands = world.hands();
    world.spawn(async move {
        around.clock.sleep(BUSY).await;
        around.timeline.say("world", "grows calm");
        around
            .network
            .set_faults(Default::default(), Default::default());
        *hands.borrow_mut() = Hands::default();
        around.ec2.with(|model, _| {
            let script = model.script();
            script.calls.clear();
            script.capacity.clear();
        });
        around.farm.set_faults(&Default::default());
    });
}
