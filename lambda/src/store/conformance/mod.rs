//! What every store must do, one rule a function, callable on any store.
//!
//! Each rule takes a fresh table and explicit times; [`store_conformance!`](crate::store_conformance)
//! makes one test of each.

pub mod connections;
pub mod fleets;
pub mod locks;
pub mod rows;
pub mod subjects;
pub mod tickets;

use std::collections::BTreeSet;
use std::time::Duration;

use wakecast::protocol::{Phase, Purpose};

use crate::config::Offering;
use crate::model::{
    Ask, Connection, ConnectionId, FleetKey, Grants, Instance, InstanceId, InstanceStatus, Intent,
    LaunchKind, Lock, Row, RowKey, RowState, Scope, Timestamp, WaitKind,
};
use crate::store::Store;

/// Makes a test of every rule: `store_conformance!(block_on, MyStore::new())`, where `block_on`
/// runs a future to its end and the expression builds a fresh table for each test.
#[macro_export]
macro_rules! store_conformance {
    ($block_on:path, $store:expr) => {
        $crate::store_conformance! { $block_on, $store;
            connections::a_connection_is_read_back_as_it_was_put,
            connections::a_second_put_neither_replaces_nor_counts,
            connections::a_renewal_replaces_the_grants,
            connections::claims_name_the_client_and_add_up,
            connections::claims_can_be_given_up,
            connections::nothing_is_written_to_a_connection_that_is_gone,
            connections::a_delete_returns_the_last_state_once,
            connections::open_connections_are_counted_and_taken_back,
            connections::windows_over_two_hours_old_count_nothing,
            rows::a_new_row_needs_that_there_is_none,
            rows::a_write_over_another_version_returns_the_row_that_is_there,
            rows::a_write_over_a_row_that_is_gone_is_a_conflict,
            rows::of_two_writers_at_once_one_wins,
            rows::a_claimed_row_and_its_claim_are_one,
            rows::three_thousand_rows_are_read_in_order,
            rows::expired_rows_are_left_out_and_can_be_replaced,
            rows::names_with_separators_never_meet,
            rows::demand_rises_by_one_for_its_fleet_alone,
            rows::a_row_written_before_a_raise_is_seen_after_it,
            fleets::a_fleet_without_records_is_empty,
            locks::the_lock_is_held_until_it_runs_out,
            locks::of_two_takers_at_once_one_wins,
            locks::the_fence_rises_with_every_taking,
            locks::an_owner_takes_its_lock_again,
            locks::only_the_holder_extends_and_only_in_time,
            locks::a_release_is_refused_once_demand_has_risen,
            locks::only_the_holder_releases,
            fleets::a_commit_needs_the_lock,
            fleets::a_commit_needs_the_version_it_was_decided_on,
            fleets::of_two_commits_on_one_version_one_wins,
            fleets::a_commit_puts_and_forgets,
            fleets::a_commit_without_unavailable_offerings_keeps_them,
            fleets::a_commit_replaces_the_boot_history_or_keeps_it,
            fleets::a_spent_cap_refuses_the_whole_commit,
            fleets::a_cap_counts_a_sliding_hour,
            fleets::a_refused_launch_charges_no_start,
            fleets::fleets_share_nothing,
            subjects::a_subject_connects_so_often_a_minute,
            subjects::a_connection_that_is_there_meets_no_cap,
            subjects::a_subject_has_so_many_links_open,
            subjects::a_cap_that_is_off_is_not_counted,
            subjects::a_row_is_counted_with_its_write,
            subjects::of_two_rows_for_one_place_one_wins,
            subjects::rows_are_counted_anew_and_nothing_is_lost,
            subjects::a_subjects_rows_are_its_own,
            subjects::protecting_leases_are_counted_by_the_hour,
            subjects::a_protection_is_given_back,
            subjects::a_link_notes_no_more_new_rows_than_fit,
            tickets::the_first_use_of_a_ticket_is_kept,
            tickets::of_two_first_uses_at_once_one_is_kept,
            tickets::a_first_use_is_a_connect_of_its_subject,
            tickets::a_counted_row_needs_no_connection,
            subjects::a_subjects_starts_are_counted_over_its_fleets,
            subjects::running_time_adds_up_by_the_day,
            subjects::a_spent_budget_refuses_a_start,
        }
    };
    ($block_on:path, $store:expr; $($module:ident :: $rule:ident),+ $(,)?) => {
        $(
            #[test]
            fn $rule() {
                let store = $store;
                $block_on($crate::store::conformance::$module::$rule(&store));
            }
        )+
    };
}

/// A moment far from the epoch, on the border of a ten-minute window.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

async fn locked(store: &dyn Store, fleet: &FleetKey) -> Lock {
    store
        .take_lock(fleet, "me", START, after(30))
        .await
        .expect("a free lock")
}

fn fleet(name: &str) -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: name.to_owned(),
    }
}

fn row_key(fleet: &FleetKey, subject: &str, id: &str) -> RowKey {
    RowKey {
        fleet: fleet.clone(),
        subject: subject.to_owned(),
        id: id.to_owned(),
    }
}

fn row(key: RowKey) -> Row {
    Row {
        key,
        version: 0,
        rev: START.as_millis(),
        ask: Some(Ask {
            purpose: Purpose::Publish,
            app: "live".to_owned(),
            stream_id: Some("match-1".to_owned()),
        }),
        state: RowState::Waiting {
            phase: Phase::Requested,
            deadline: after(600),
            wait_ms: 600_000,
            kind: WaitKind::Acquire,
        },
        link: None,
        absent_since: None,
        created_at: START,
        expires_at: after(1_500),
    }
}

fn connection(id: &str, connected_at: Timestamp) -> Connection {
    Connection {
        id: ConnectionId::new(id),
        connected_at,
        grants: Grants {
            subject: "alice".to_owned(),
            tenant: "acme".to_owned(),
            fleets: vec!["main".to_owned()],
            apps: vec!["live".to_owned()],
            streams: vec!["match-*".to_owned()],
            scopes: BTreeSet::from([Scope::Play, Scope::Publish]),
            expires_at: connected_at + Duration::from_secs(3_600),
        },
        client_id: None,
        rows: BTreeSet::new(),
    }
}

fn offering(zone: &str) -> Offering {
    Offering {
        instance_type: "c7g.xlarge".to_owned(),
        zone: zone.to_owned(),
        subnet: format!("subnet-{zone}"),
    }
}

fn instance(id: &str) -> Instance {
    Instance {
        id: InstanceId::new(id),
        offering: offering("a"),
        status: InstanceStatus::Stopped,
        boot: None,
        missing: None,
    }
}

fn intent(sequence: u64) -> Intent {
    Intent {
        sequence,
        kind: LaunchKind::Start {
            instance: InstanceId::new("i-1"),
        },
        attempt: 0,
        created_at: START,
        charged_to: Some("alice".to_owned()),
        launch_charged: false,
        not_before: START,
        tries: 0,
        unanswered: 0,
    }
}
