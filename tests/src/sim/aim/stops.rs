//! A stop that meets somebody.

use std::time::Duration;

use wakecast::machine::Input;
use wakecast_local::media::Faults;

use super::super::guards::Guards;
use super::super::process::CallFaults;
use super::super::setting;
use super::super::world::World;
use super::grants::left_idle;
use super::people::{announced, looked_once, passes_through, publish, ready, status};
use super::{MINUTE, SECOND, Stage};
use wakecast_lambda::model::InstanceStatus;
use wakecast_local::ec2::Ec2Settings;

/// People ask in the last seconds before the stop.
#[must_use]
pub fn last_minute(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    stage.slow_reconciler();
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
    stage.play(MINUTE * 15)
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
        // The run that follows is the one that freezes.
        stage.world.crash_reconcilers();
        let pause = stage.chance.within(40..160);
        stage.hands(CallFaults {
            pause,
            ..CallFaults::default()
        });
        stage.world.run_for(MINUTE * 4);
        stage.hands(CallFaults::default());
    }
    stage.play(MINUTE * 12)
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

/// Somebody asks while the last round over a stopped server ends, and the tick is far away.
#[must_use]
pub fn demand_at_the_end(seed: u64, guards: Guards) -> World {
    let mut config = setting::config();
    // A tick that would help only whoever waits for ten minutes.
    config.timing.tick = MINUTE * 10;
    let mut stage = Stage::with(seed, guards, config, Ec2Settings::default());
    let slow = stage.chance.within(100..500);
    stage.hands(CallFaults {
        slow,
        ..CallFaults::default()
    });
    let opener = stage.person("opener");
    stage.world.spawn(passes_through(opener, SECOND * 5));
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("bob-{number}"));
        let late = stage.chance.millis(0..6_000);
        person.give(Input::Connect);
        stage.world.spawn(async move {
            person.until(ready).await;
            person
                .until(|around| status(around) == Some(InstanceStatus::Stopped))
                .await;
            person.sleep(late).await;
            let patience = Duration::from_mins(3);
            person.acquire_as(publish(&person), patience).await;
        });
    }
    stage.play(MINUTE * 40)
}
