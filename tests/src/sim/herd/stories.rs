//! The stories of the herds.

use std::time::Duration;

use wakecast::machine::{Acquire, Input, LeaseChange, LeaseStatus, StateKind};
use wakecast_lambda::model::InstanceStatus;
use wakecast_lambda::ports::Ec2State;
use wakecast_local::gateway::Limits;

use super::Showed;
use super::crowd::{Crowd, Span};
use crate::sim::network::NetworkFaults;
use crate::sim::users::APP;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A cold start, the wait for one's turn to connect, and the spread of the first proofs.
const SERVED: Duration = Duration::from_mins(3);

/// How long the gateway is down.
const OUTAGE: Duration = Duration::from_secs(30);

/// Everybody asks in the same moment, over no link yet, and nothing runs.
pub(super) fn kick_off(count: usize) -> Showed {
    let mut crowd = Crowd::of(count, 1);
    let everybody = crowd.everybody();
    crowd.ask(everybody, |_| Acquire::play(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, count, served);
    boots(&mut crowd, 1);
    upgrades(&mut crowd);
    crowd.end()
}

/// Everybody asks in the same moment over a link that stands.
#[must_use]
pub fn simultaneous(count: usize) -> Showed {
    let mut crowd = Crowd::of(count, 2);
    connect(&mut crowd);
    let everybody = crowd.everybody();
    crowd.ask(everybody, |_| Acquire::publish(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, count, served);
    boots(&mut crowd, 1);
    crowd.end()
}

/// Half hold a lease and half are only there; then nobody reaches the gateway for a while.
pub(super) fn outage(count: usize) -> Showed {
    let mut crowd = Crowd::of(count, 3);
    connect(&mut crowd);
    let half = count / 2;
    crowd.ask(0..half, |_| Acquire::play(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, half, served);
    crowd.world.run_for(SECOND * 20);
    let _ = crowd.around().network.take_upgrades();
    let down = NetworkFaults {
        connect_fails: 1_000,
        ..NetworkFaults::default()
    };
    let network = crowd.around().network.clone();
    network.set_faults(down, Default::default());
    network.cut_all();
    crowd.world.run_for(OUTAGE);
    crowd.law(
        "law 3",
        crowd.in_state(StateKind::Reconnecting) == count,
        "somebody does not know that the link is down",
    );
    network.set_faults(Default::default(), Default::default());
    let back = crowd.until("law 3: all are connected again", MINUTE * 2, |crowd| {
        crowd.in_state(StateKind::Connected) == count
    });
    crowd.figure(format!(
        "all {count} back {:.1} s after the outage",
        back.as_secs_f64()
    ));
    upgrades(&mut crowd);
    // Nothing is told of a lease that stays what it is.
    let ended = crowd.leases_told(|_| true);
    let held = crowd.leases.len().saturating_sub(ended);
    crowd.law(
        "law 2",
        held == half,
        format!("{held} of {half} leases outlive the outage"),
    );
    crowd.figure(format!("{held} of {half} leases kept"));
    boots(&mut crowd, 1);
    crowd.end()
}

/// Everybody holds a lease on a server that is terminated.
pub(super) fn death(count: usize) -> Showed {
    let mut crowd = Crowd::of(count, 4);
    let everybody = crowd.everybody();
    crowd.ask(everybody, |_| Acquire::publish(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, count, served);
    crowd.world.run_for(SECOND * 10);
    let noticed = MINUTE * 4;
    let until = crowd.now() + noticed;
    crowd.around().excuse_until(until);
    crowd.around().ec2.with(|model, now| {
        let id = model.instances().next().map(|truth| truth.id.clone());
        id.is_some_and(|id| model.terminate(now, &id))
    });
    let told = |change: &LeaseChange| {
        matches!(change, LeaseChange::Moved { .. } | LeaseChange::Lost { .. })
    };
    let took = crowd.until("law 3: all are told what became of it", noticed, |crowd| {
        crowd.leases_told(told) == count
    });
    let moved = crowd.leases_told(|change| matches!(change, LeaseChange::Moved { .. }));
    let lost = crowd.leases_that_are(LeaseStatus::Lost);
    crowd.law(
        "law 3",
        moved == count,
        format!("{moved} of {count} protected leases moved, {lost} are lost"),
    );
    crowd.figure(format!(
        "{moved} moved and {lost} lost {:.1} s after the death",
        took.as_secs_f64()
    ));
    boots(&mut crowd, 2);
    crowd.end()
}

/// All but one watch; nothing starts for them, and all are there once somebody publishes.
pub(super) fn watchers(count: usize) -> Showed {
    let mut crowd = Crowd::of(count, 5);
    let last = count.saturating_sub(1);
    crowd.ask(0..last, |_| Acquire::watch(APP, "match"));
    crowd.world.run_for(MINUTE * 3);
    boots(&mut crowd, 0);
    upgrades(&mut crowd);
    crowd.ask([last], |_| Acquire::publish(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, count, served);
    boots(&mut crowd, 1);
    crowd.end()
}

/// Everybody leaves at once; the server drains and stops, and then everybody is back.
pub(super) fn comes_back(count: usize) -> Showed {
    let mut crowd = Crowd::of(count, 6);
    let everybody = crowd.everybody();
    crowd.ask(everybody.clone(), |_| Acquire::play(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, count, served);
    crowd.release_all();
    let timing = crowd.around().config.timing;
    let limit = timing.grace + timing.settle() + timing.tick * 2 + SECOND * 15;
    let stops = crowd.until("law 4: the server stops", limit, |crowd| {
        crowd.around().stop_accepted()
    });
    crowd.figure(format!(
        "the stop is accepted {:.0} s after all left",
        stops.as_secs_f64()
    ));
    crowd.ask(everybody, |_| Acquire::play(APP, "match"));
    let served = crowd.all_served(SERVED);
    tell_served(&mut crowd, count, served);
    boots(&mut crowd, 2);
    let instances = crowd.around().ec2.with(|model, _| {
        let all = model.instances();
        all.filter(|truth| truth.state != Ec2State::Terminated)
            .count()
    });
    crowd.law(
        "law 1",
        instances == 1,
        format!("{instances} instances, where one came back"),
    );
    let ready = crowd.around().instance();
    crowd.law(
        "law 3",
        ready.is_some_and(|instance| instance.status == InstanceStatus::Ready),
        "the server is not ready",
    );
    crowd.end()
}

/// Opens everybody's link, slowly enough for the account's rate.
fn connect(crowd: &mut Crowd) {
    let count = crowd.clients.len();
    for chunk in crowd.everybody().chunks(100) {
        for number in chunk {
            if let Some(client) = crowd.clients.get(*number) {
                client.give(Input::Connect);
            }
        }
        crowd.world.run_for(SECOND);
    }
    crowd.until("law 3: all are connected", MINUTE, |crowd| {
        crowd.in_state(StateKind::Connected) == count
    });
}

fn tell_served(crowd: &mut Crowd, count: usize, served: Span) {
    let held = crowd.leases.len();
    crowd.figure(format!(
        "{held} of {count} served, {:.1} to {:.1} s",
        served.first.as_secs_f64(),
        served.last.as_secs_f64()
    ));
}

/// Law 1: a herd wakes once.
fn boots(crowd: &mut Crowd, expected: u64) {
    let boots = crowd.around().boots();
    crowd.law(
        "law 1",
        boots == expected,
        format!("{boots} boots instead of {expected}"),
    );
    crowd.figure(match boots {
        1 => "1 boot".to_owned(),
        boots => format!("{boots} boots"),
    });
}

/// How hard the herd knocked, against what the account lets in.
fn upgrades(crowd: &mut Crowd) {
    let upgrades = crowd.around().network.take_upgrades();
    let limit = Limits::default().connects_per_second;
    let each = upgrades.all as f64 / crowd.clients.len().max(1) as f64;
    crowd.figure(format!(
        "peak {} upgrades a second of {limit}, {} refused, {each:.2} each",
        upgrades.peak, upgrades.refused
    ));
}
