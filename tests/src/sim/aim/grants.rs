//! Whoever was handed an endpoint can use it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use wakecast::machine::{Acquire, Input};

use super::super::client::ClientSetup;
use super::super::guards::Guards;
use super::super::users::APP;
use super::super::world::World;
use super::people::{announced, drains_within, passes_through, publish, ready};
use super::{MINUTE, SECOND, Stage};

/// Somebody whose stream is over asks for the endpoint once more just before the server drains,
/// and uses the token while it lives.
#[must_use]
pub fn last_moment_token(seed: u64, guards: Guards) -> World {
    comes_back(seed, guards, 20_000..58_000)
}

/// The same, a little sooner: the stream begins while the server drains.
#[must_use]
pub fn stream_in_the_drain(seed: u64, guards: Guards) -> World {
    comes_back(seed, guards, 1_000..58_000)
}

fn comes_back(seed: u64, guards: Guards, hesitates: std::ops::Range<u64>) -> World {
    let mut stage = Stage::new(seed, guards);
    stage.slow_reconciler();
    for number in 0..stage.chance.within(1..4) {
        let person = stage.person(&format!("ada-{number}"));
        let first = stage.chance.millis(2_000..20_000);
        let early = stage.chance.millis(0..10_000);
        let late = stage.chance.millis(0..70_000);
        let hesitates = stage.chance.millis(hesitates.clone());
        stage.world.spawn(async move {
            let Some((lease, handed)) = person.acquire().await else {
                return;
            };
            person.publish(&handed, first).await;
            person.until(|around| drains_within(around, early)).await;
            person.sleep(late).await;
            if let Some(handed) = person.endpoint(&lease).await {
                person.sleep(hesitates).await;
                person.publish(&handed, MINUTE).await;
            }
        });
    }
    stage.play(MINUTE * 15)
}

/// Somebody takes minutes to choose a camera.
#[must_use]
pub fn slow_camera(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    for number in 0..stage.chance.within(1..3) {
        let person = stage.person(&format!("ada-{number}"));
        let chooses = stage.chance.millis(200_000..880_000);
        stage.world.spawn(async move {
            let Some((lease, _)) = person.acquire().await else {
                return;
            };
            person.sleep(chooses).await;
            if let Some(handed) = person.endpoint(&lease).await {
                person.publish(&handed, MINUTE).await;
            }
            person.release(&lease).await;
        });
    }
    stage.play(MINUTE * 20)
}

/// Two devices of one subject share an id. The newer link asks first, and a late word of the older
/// one comes in after it.
#[must_use]
pub fn older_link(seed: u64, guards: Guards) -> World {
    const ID: &str = "0123456789abcdef0123456789abcdef";
    let mut stage = Stage::new(seed, guards);
    let device = |name: &str| ClientSetup {
        subject: Some("ada".to_owned()),
        client_id: Some(name.to_owned()),
        ..ClientSetup::named(name)
    };
    let phone = stage.someone(device("phone"));
    let laptop = stage.someone(device("laptop"));
    let opens = stage.chance.millis(2_000..20_000);
    let asks = stage.chance.millis(500..5_000);
    let late = stage.chance.millis(100..60_000);
    let shared = || Acquire::publish(APP, "match").id(ID);
    let asked = opens + asks;
    stage.world.spawn(async move {
        phone.give(Input::Connect);
        phone.sleep(asked + late).await;
        // It may or may not be told that the row is another's.
        let _ = phone.client.acquire(shared().deadline(MINUTE)).1.await;
    });
    stage.world.spawn(async move {
        laptop.sleep(opens).await;
        laptop.give(Input::Connect);
        laptop.sleep(asks).await;
        if let Some((lease, handed)) = laptop.acquire_as(shared(), MINUTE * 3).await {
            let Some(instance) = laptop.around.instance() else {
                return;
            };
            laptop.publish(&handed, SECOND * 5).await;
            laptop.clone().keeps(lease, instance.id, MINUTE * 3).await;
        }
    });
    stage.play(MINUTE * 5)
}

/// The table refuses row writes while a server stops and starts again, so that a lease of the boot
/// before is still unsettled when its holder asks for the endpoint.
#[must_use]
pub fn hot_partition(seed: u64, guards: Guards) -> World {
    let mut stage = Stage::new(seed, guards);
    // The old boot's holder, whose client stays.
    let holder = stage.person("ada");
    let first = stage.chance.millis(2_000..10_000);
    let asks = stage.chance.millis(0..2_000);
    stage.world.spawn(async move {
        let Some((lease, handed)) = holder.acquire().await else {
            return;
        };
        holder.publish(&handed, first).await;
        let boots = |around: &super::Surroundings| around.boots();
        holder
            .until(|around| boots(around) == 2 && ready(around))
            .await;
        holder.sleep(asks).await;
        let Some(instance) = holder.around.instance() else {
            return;
        };
        if let Some(handed) = holder.endpoint(&lease).await {
            let keeps = holder.clone().keeps(lease, instance.id, MINUTE);
            let streams = holder.publish(&handed, SECOND * 40);
            futures::join!(keeps, streams);
        }
    });
    // The next one, for whom the server is started again.
    let next = stage.person("bob");
    next.give(Input::Connect);
    let comes = stage.chance.millis(0..5_000);
    let cools = stage.chance.millis(0..2_000);
    stage.world.spawn(async move {
        next.until(announced).await;
        next.sleep(comes).await;
        let heat = next.clone();
        let rows = std::sync::Arc::clone(&next.around.hot_rows);
        let cooling = async move {
            heat.until(|around| around.waiters() > 0).await;
            rows.store(1_000, Ordering::Relaxed);
            heat.until(|around| around.boots() == 2 && ready(around))
                .await;
            heat.sleep(cools).await;
            rows.store(0, Ordering::Relaxed);
        };
        let asking = next.acquire_as(publish(&next), Duration::from_mins(10));
        futures::join!(cooling, asking);
    });
    stage.play(MINUTE * 20)
}

/// Leaves an idle server behind, for those who come while it goes.
pub(super) fn left_idle(stage: &mut Stage) {
    let opener = stage.person("opener");
    let length = stage.chance.millis(1_000..20_000);
    stage.world.spawn(passes_through(opener, length));
}
