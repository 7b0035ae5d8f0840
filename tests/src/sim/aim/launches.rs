//! A launch that goes wrong, and a boot that must not be touched.

use std::collections::BTreeSet;
use std::time::Duration;

use wakecast_lambda::ports::Ec2State;
use wakecast_local::ec2::{CallFault, CallName, Ec2Settings};
use wakecast_local::random::Span;

use super::super::guards::Guards;
use super::super::setting;
use super::super::world::{Surroundings, World};
use super::people::{publish, ready};
use super::{MINUTE, SECOND, Stage};

/// Every server dies soon after it is ready, and people go on coming.
#[must_use]
pub fn dying_servers(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    for number in 0..stage.chance.within(12..20) {
        let person = stage.person(&format!("ada-{number}"));
        let comes = stage.chance.millis(0..50 * 60_000);
        stage.world.spawn(async move {
            person.sleep(comes).await;
            // With the cap spent they are told so: that is no broken law.
            let asked = publish(&person).deadline(MINUTE * 5);
            let _ = person.client.acquire(asked).1.await;
        });
    }
    let around = stage.around();
    let mut chance = stage.chance.fork();
    stage.world.spawn(async move {
        around.excuse_until(around.clock.true_now() + Duration::from_hours(2));
        loop {
            around.clock.sleep(SECOND).await;
            if ready(&around) {
                around.clock.sleep(chance.millis(1_000..60_000)).await;
                terminate(&around);
                around.clock.sleep(SECOND * 30).await;
            }
        }
    });
    stage.play(MINUTE * 65)
}

/// Terminates the instance that lives.
pub(super) fn terminate(around: &Surroundings) {
    around.ec2.with(|model, now| {
        let lives = |state| matches!(state, Ec2State::Pending | Ec2State::Running);
        let id = model.instances().find(|truth| lives(truth.state));
        if let Some(id) = id.map(|truth| truth.id.clone()) {
            model.terminate(now, &id);
        }
    });
}

/// EC2 accepts a launch, its caller dies at once, and `describe` shows nothing for a while.
#[must_use]
pub fn forgotten_launch(seed: u64, guards: Guards) -> World {
    // Later than a crashed run's lock lasts, sooner than an instance counts as gone.
    let ec2 = Ec2Settings {
        describe_lag: Span::millis(20_000, 50_000),
        ..Ec2Settings::default()
    };
    let mut stage = Stage::with(seed, guards, setting::config(), ec2);
    for number in 0..stage.chance.within(2..6) {
        let person = stage.person(&format!("ada-{number}"));
        let comes = stage.chance.millis(0..90_000);
        stage.world.spawn(async move {
            person.sleep(comes).await;
            person.acquire().await;
        });
    }
    let step = Duration::from_millis(10);
    if stage.until(MINUTE * 3, step, |around| around.boots() > 0) {
        let late = stage.chance.millis(0..1_500);
        stage.world.run_for(late);
        stage.world.crash_reconcilers();
    }
    stage.play(MINUTE * 8)
}

/// EC2 accepts launches whose answers are lost, and `describe` shows nothing for a while.
#[must_use]
pub fn lost_replies(seed: u64, guards: Guards) -> World {
    let ec2 = Ec2Settings {
        describe_lag: Span::millis(500, 20_000),
        ..Ec2Settings::default()
    };
    let mut stage = Stage::with(seed, guards, setting::config(), ec2);
    let times = u32::try_from(stage.chance.within(1..4)).unwrap_or(1);
    let script = |around: &Surroundings| {
        around.ec2.with(|model, _| {
            model
                .script()
                .fail(CallName::Run, CallFault::LostReply, times);
        });
    };
    script(&stage.around());
    for number in 0..stage.chance.within(1..5) {
        let person = stage.person(&format!("ada-{number}"));
        let comes = stage.chance.millis(0..90_000);
        stage.world.spawn(async move {
            person.sleep(comes).await;
            person.acquire().await;
        });
    }
    stage.play(MINUTE * 8)
}

/// Servers boot, and nothing of ours may touch an app before it is listed.
#[must_use]
pub fn early_probes(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    stage.slow_reconciler();
    for number in 0..stage.chance.within(1..5) {
        let person = stage.person(&format!("ada-{number}"));
        let comes = stage.chance.millis(0..200_000);
        stage.world.spawn(async move {
            person.sleep(comes).await;
            person.acquire().await;
        });
    }
    stage.world.spawn(settings_stay(stage.around()));
    stage.play(MINUTE * 8)
}

/// The law: no app loses its settings. In these worlds nobody else touches one early.
async fn settings_stay(around: Surroundings) {
    let mut told = BTreeSet::new();
    loop {
        around.clock.sleep(SECOND).await;
        let ids = around.ec2.with(|model, _| {
            let all = model.instances().map(|truth| truth.id.clone());
            all.collect::<Vec<_>>()
        });
        for id in ids {
            let lost = around.farm.status(&id).map(|status| status.settings_lost);
            for app in lost.unwrap_or_default() {
                if told.insert((id.clone(), app.clone())) {
                    let text = format!("{app} on {id} has lost its settings to an early touch");
                    around.timeline.violation("settings", text);
                }
            }
        }
    }
}
