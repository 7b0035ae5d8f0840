//! What a client must not believe, and must not do.

use std::time::Duration;

use wakecast::machine::{ConnectionState, Input};
use wakecast_lambda::config::LinkCaps;

use super::super::client::{ClientSetup, ProviderFaults};
use super::super::guards::Guards;
use super::super::network::NetworkFaults;
use super::super::process::CallFaults;
use super::super::world::World;
use super::people::looked_once;
use super::{MINUTE, SECOND, Stage};

/// Links die silently, the client gives them up, and their close is told seconds later.
#[must_use]
pub fn late_callbacks(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    stage.network(NetworkFaults {
        late_close: 1_000,
        ..NetworkFaults::default()
    });
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("ada-{number}"));
        let mut chance = stage.chance.fork();
        stage.world.spawn(async move {
            person.give(Input::Connect);
            for _ in 0..20 {
                person.sleep(chance.millis(5_000..60_000)).await;
                person.around.network.swallow_client(&person.client.name);
                person.give(Input::NetworkChanged);
            }
        });
    }
    stage.play(MINUTE * 20)
}

/// The token provider is silent for a while and then answers every question at once.
#[must_use]
pub fn late_tokens(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    for number in 0..stage.chance.within(2..6) {
        let begins = stage.chance.millis(0..100_000);
        let lasts = stage.chance.millis(16_000..90_000);
        let mut setup = ClientSetup::named(&format!("ada-{number}"));
        setup.token_life = stage.chance.millis(60_000..180_000);
        setup.provider = ProviderFaults {
            silent_between: Some((begins, begins + lasts)),
            ..ProviderFaults::default()
        };
        let person = stage.someone(setup);
        person.give(Input::Connect);
    }
    stage.play(MINUTE * 6)
}

/// Pushes overtake each other while people wait, drain and come back.
#[must_use]
pub fn overtaken_pushes(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    let (reorder, slow) = (stage.chance.within(200..700), stage.chance.within(100..400));
    stage.network(NetworkFaults {
        reorder,
        slow,
        ..NetworkFaults::default()
    });
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("ada-{number}"));
        let comes = stage.chance.millis(0..40_000);
        let first = stage.chance.millis(1_000..20_000);
        stage.world.spawn(async move {
            person.sleep(comes).await;
            if let Some((_, handed)) = person.acquire().await {
                person.publish(&handed, first).await;
            }
        });
    }
    // Somebody undoes the drain.
    let late = stage.person("bob");
    late.give(Input::Connect);
    stage.world.spawn(async move {
        late.until(looked_once).await;
        late.acquire().await;
    });
    stage.play(MINUTE * 20)
}

/// A server that accepts every link and closes it within a second or two.
#[must_use]
pub fn accept_then_close(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    // The gateway's own cap would slow a storm down: who closes here may stand in front of it.
    stage.world.around().links.set(LinkCaps::OFF);
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("ada-{number}"));
        let mut chance = stage.chance.fork();
        stage.world.spawn(async move {
            person.give(Input::Connect);
            loop {
                let connected = matches!(
                    person.client.state(),
                    Some(ConnectionState::Connected { .. })
                );
                if connected {
                    person.sleep(chance.millis(0..1_500)).await;
                    person.around.network.cut_client(&person.client.name);
                }
                person.sleep(Duration::from_millis(50)).await;
            }
        });
    }
    stage.play(SECOND * 900)
}

impl Stage {
    fn network(&self, faults: NetworkFaults) {
        self.world.set_network(faults, CallFaults::default());
    }
}
