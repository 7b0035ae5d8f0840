//! The guards of gateway, reconciler and table.

use wakecast_lambda::guards::{self, Guard};
use wakecast_tests::sim::aim;
use wakecast_tests::sim::guards::Guards;

use crate::{kept, seen};

/// Worlds in which a guard that another one covers is not missed.
const ALONE: u64 = 60;

fn without(guard: Guard) -> Guards {
    Guards {
        cloud: guards::Guards::ALL.without(guard),
        ..Guards::default()
    }
}

#[test]
fn without_cap_servers_are_launched_without_end() {
    seen("cap", without(Guard::Cap), aim::dying_servers);
}

#[test]
fn without_intent_a_crash_launches_twice() {
    seen("intent", without(Guard::Intent), aim::forgotten_launch);
}

#[test]
fn without_attempt_a_lost_reply_launches_twice() {
    seen("attempt", without(Guard::Attempt), aim::lost_replies);
}

#[test]
fn without_settle_a_living_token_finds_no_server() {
    seen("settle", without(Guard::Settle), aim::last_moment_token);
}

#[test]
fn without_last_look_a_stream_of_the_drain_is_cut() {
    seen(
        "last_look",
        without(Guard::LastLook),
        aim::stream_in_the_drain,
    );
}

#[test]
fn without_second_read_a_waiter_is_stopped_away_from_under() {
    seen("second_read", without(Guard::SecondRead), aim::last_minute);
}

/// Two guards at one door: each covers the other, and without both a sleeper overwrites.
fn seen_without_both(name: &str, guard: Guard, other: Guard) {
    kept(
        &format!("without {name} alone"),
        without(guard),
        aim::frozen_writer,
        ALONE,
    );
    let neither = Guards {
        cloud: guards::Guards::ALL.without(guard).without(other),
        ..Guards::default()
    };
    let names = format!("{name} and {}", other.name());
    seen(&names, neither, aim::frozen_writer);
}

#[test]
fn without_lock_owner_the_state_version_alone_refuses_a_sleeper() {
    seen_without_both("lock_owner", Guard::LockOwner, Guard::StateVersion);
}

#[test]
fn without_state_version_the_lock_owner_alone_refuses_a_sleeper() {
    seen_without_both("state_version", Guard::StateVersion, Guard::LockOwner);
}

#[test]
fn without_lock_time_a_sleeper_stops_a_live_stream() {
    seen("lock_time", without(Guard::LockTime), aim::frozen_holder);
}

#[test]
fn without_lease_protection_a_holder_loses_the_server() {
    let without = without(Guard::LeaseProtection);
    seen("lease_protection", without, aim::slow_camera);
}

#[test]
fn without_unknown_is_busy_a_silent_server_is_stopped_under_its_streams() {
    let without = without(Guard::UnknownIsBusy);
    seen("unknown_is_busy", without, aim::silent_server);
}

#[test]
fn without_boot_id_an_old_lease_is_handed_a_new_boot() {
    seen("boot_id", without(Guard::BootId), aim::hot_partition);
}

#[test]
fn without_demand_check_a_wake_is_lost() {
    let without = without(Guard::DemandCheck);
    seen("demand_check", without, aim::demand_at_the_end);
}

#[test]
fn without_connected_at_an_older_link_takes_the_row_back() {
    seen("connected_at", without(Guard::ConnectedAt), aim::older_link);
}

#[test]
fn without_root_only_our_own_probe_resets_the_settings() {
    seen("root_only", without(Guard::RootOnly), aim::early_probes);
}
