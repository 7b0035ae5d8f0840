//! The guards of the client.

use wakecast::machine::{self, Guard};
use wakecast_tests::sim::aim;
use wakecast_tests::sim::guards::Guards;

use crate::seen;

fn without(guard: Guard) -> Guards {
    Guards {
        client: machine::Guards::ALL.without(guard),
        ..Guards::default()
    }
}

#[test]
fn without_epoch_the_late_close_of_an_old_link_ends_the_new_one() {
    seen("epoch", without(Guard::Epoch), aim::late_callbacks);
}

#[test]
fn without_generation_a_late_token_displaces_a_newer_one() {
    seen("generation", without(Guard::Generation), aim::late_tokens);
}

#[test]
fn without_rev_the_app_is_shown_what_is_over() {
    seen("rev", without(Guard::Rev), aim::overtaken_pushes);
}

#[test]
fn without_backoff_reset_a_closing_server_meets_a_storm() {
    let without = without(Guard::BackoffReset);
    seen("backoff_reset", without, aim::accept_then_close);
}
