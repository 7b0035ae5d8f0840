//! A stop that meets somebody.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use wakecast::machine::Input;
use wakecast_lambda::model::InstanceStatus;
use wakecast_local::ec2::Ec2Settings;
use wakecast_local::media::Faults;

use super::super::guards::Guards;
use super::super::network::NetworkFaults;
use super::super::process::CallFaults;
use super::super::setting;
use super::super::world::{Surroundings, World};
use super::grants::left_idle;
use super::launches::terminate;
use super::people::{
    announced, drains, looked_once, passes_through, publish, ready, serves, status,
};
use super::{MINUTE, SECOND, Stage};

/// People ask in the last seconds before the stop, and a reconciler whose calls take seconds is
/// about to carry it out.
#[must_use]
pub fn last_minute(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    left_idle(&mut stage);
    for number in 0..stage.chance.within(1..5) {
        let person = stage.person(&format!("bob-{number}"));
        let late = stage.chance.millis(4_000..9_000);
        person.give(Input::Connect);
        stage.world.spawn(async move {
            person.until(looked_once).await;
            person.sleep(late).await;
            person.acquire().await;
        });
    }
    if stage.until(MINUTE * 15, SECOND, drains) {
        let late = stage.chance.millis(0..40_000);
        stage.world.run_for(late);
        // The slow one takes over.
        stage.world.crash_reconcilers();
        let slow = stage.chance.within(100..500);
        stage.hands(CallFaults {
            slow,
            ..CallFaults::default()
        });
    }
    stage.play(MINUTE * 8)
}

/// The reconciler freezes for longer than its lock while it stops a server, and thaws when the next
/// one has given that server to somebody.
#[must_use]
pub fn frozen_holder(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    left_idle(&mut stage);
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("bob-{number}"));
        let late = stage.chance.millis(0..60_000);
        person.give(Input::Connect);
        stage.world.spawn(async move {
            person.until(announced).await;
            person.sleep(late).await;
            if let Some((lease, handed)) = person.acquire().await {
                person.publish(&handed, MINUTE * 5).await;
                person.release(&lease).await;
            }
        });
    }
    if stage.until(MINUTE * 15, SECOND, looked_once) {
        stage.freeze_one_run();
    }
    stage.play(MINUTE * 12)
}

/// The reconciler freezes for longer than its lock while it writes down that a server has died. The
/// next one launches two others meanwhile; then the sleeper's old state is written, by which their
/// numbers, and so their tokens, are free again.
#[must_use]
pub fn frozen_writer(seed: u64, guards: Guards) -> World {
    let mut config = setting::config();
    // Two launches must fit into the sleep.
    config.timing.tick = SECOND * 15;
    let mut stage = Stage::with(seed, guards, config, Ec2Settings::default());
    let first = stage.person("ada");
    let others = ["bob", "cleo"].map(|name| stage.person(name));
    let last = stage.person("dan");
    let mut chance = stage.chance.fork();
    let gone = Rc::new(Cell::new(false));
    let gone_too = Rc::clone(&gone);
    stage.world.spawn(async move {
        passes_through(first, SECOND).await;
        gone_too.set(true);
        if !last.until(frozen).await {
            return;
        }
        let broken = last.around.observer.crashes();
        for person in others {
            person.until(|around| !serves(around)).await;
            passes_through(person, chance.millis(500..5_000)).await;
            // The second one serves until the sleeper wakes up and finds that its lock is gone.
            if last.around.boots() > 2 {
                let woken = |around: &Surroundings| around.observer.crashes() > broken;
                last.until(woken).await;
                last.sleep(chance.millis(500..5_000)).await;
            }
            terminate(&last.around);
        }
        last.until(|around| !serves(around)).await;
        last.acquire().await;
    });
    if stage.until(MINUTE * 5, SECOND, |_| gone.get()) {
        terminate(stage.world.around());
        stage.freeze_one_run();
    }
    stage.play(MINUTE * 12)
}

/// A process has been frozen.
fn frozen(around: &Surroundings) -> bool {
    around.observer.freezes() > 0
}

impl Stage {
    /// Kills the reconciler, and freezes the run that follows at one of its commits.
    fn freeze_one_run(&mut self) {
        let pause = self.chance.within(200..700);
        self.world.crash_reconcilers();
        self.hands(CallFaults {
            pause,
            pause_at: Some("commit"),
            ..CallFaults::default()
        });
        self.until(MINUTE * 4, SECOND, frozen);
        self.hands(CallFaults::default());
    }
}

/// The media server does not answer for minutes while people publish.
#[must_use]
pub fn silent_server(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("ada-{number}"));
        let comes = stage.chance.millis(0..60_000);
        stage.world.spawn(async move {
            person.sleep(comes).await;
            if let Some((lease, handed)) = person.acquire().await {
                person.publish(&handed, MINUTE * 25).await;
                person.release(&lease).await;
            }
        });
    }
    let begins = stage.chance.millis(180_000..500_000);
    let lasts = stage.chance.millis(60_000..900_000);
    let around = stage.around();
    stage.world.spawn(async move {
        around.clock.sleep(begins).await;
        around.farm.set_faults(&Faults {
            hang: true,
            ..Faults::default()
        });
        around.clock.sleep(lasts).await;
        around.farm.set_faults(&Faults::default());
    });
    stage.play(MINUTE * 30)
}

/// Somebody asks while the last round over a stopped server ends, and is in a tunnel then: nothing
/// they send reminds the cloud. When they are back the server is long up.
#[must_use]
pub fn demand_at_the_end(seed: u64, guards: Guards) -> World {
    let mut config = setting::config();
    // A tick that helps nobody who waits for a minute.
    config.timing.tick = MINUTE * 10;
    let mut stage = Stage::with(seed, guards, config, Ec2Settings::default());
    left_idle(&mut stage);
    let person = stage.person("bob");
    let late = stage.chance.millis(0..5_000);
    person.give(Input::Connect);
    stage.world.spawn(async move {
        person.until(ready).await;
        let stopped = Some(InstanceStatus::Stopped);
        person.until(|around| status(around) == stopped).await;
        person.sleep(late).await;
        let asked = person.acquire_as(publish(&person), TUNNEL + SECOND * 22);
        let tunnel = async {
            person.sleep(SECOND * 2).await;
            person.around.tunnel(true);
            person.around.network.swallow_client("bob");
            person.sleep(TUNNEL).await;
            person.around.tunnel(false);
            person.give(Input::NetworkChanged);
            // A change that meets an attempt under way may leave a long wait: the next one cuts it.
            person.sleep(SECOND * 6).await;
            person.give(Input::NetworkChanged);
        };
        futures::join!(asked, tunnel);
    });
    stage.until(MINUTE * 5, SECOND, ready);
    let slow = stage.chance.within(50..250);
    stage.hands(CallFaults {
        slow,
        ..CallFaults::default()
    });
    stage.play(MINUTE * 35)
}

/// A start takes half a minute, and more where calls are slow; after two minutes nobody waits.
const TUNNEL: Duration = Duration::from_secs(100);

impl Surroundings {
    /// Lets nobody connect, or everybody.
    fn tunnel(&self, closed: bool) {
        let faults = NetworkFaults {
            connect_fails: u64::from(closed) * 1_000,
            ..NetworkFaults::default()
        };
        self.network.set_faults(faults, CallFaults::default());
    }
}
