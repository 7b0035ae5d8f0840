//! The simulation itself: worlds are the same however they are played, small ones are found, and
//! a thousand who ask at once launch once.

use std::collections::BTreeSet;

use wakecast_lambda::guards::Guard;
use wakecast_tests::sim::explore::{Summary, explore};
use wakecast_tests::sim::guards::Guards;
use wakecast_tests::sim::herd;
use wakecast_tests::sim::minimise::{law, minimise};
use wakecast_tests::sim::plan::{Piece, Plan};

#[test]
fn a_thousand_simultaneous_acquires_launch_once() {
    let showed = herd::simultaneous(1_000);
    let broken = &showed.summary.violations;
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!((showed.summary.served, showed.summary.boots), (1_000, 1));
}

#[test]
fn the_same_seeds_give_the_same_worlds_on_any_number_of_threads() {
    let on = |threads| {
        let mut all = Vec::new();
        explore(1..25, threads, true, |summary| all.push(summary));
        all
    };
    let alone = on(1);
    assert_eq!(alone.len(), 24);
    assert!(alone.iter().map(|summary| summary.seed).eq(1..25));
    assert!(alone == on(3), "threads change what a world does");
}

#[test]
fn a_plan_of_all_its_pieces_is_itself_and_of_none_is_empty() {
    for seed in 1..200 {
        let plan = Plan::draw(seed);
        let pieces = plan.pieces();
        let all: BTreeSet<Piece> = pieces.iter().cloned().collect();
        assert_eq!(all.len(), pieces.len(), "two pieces of {seed} share a name");
        assert_eq!(plan.only(&all).to_string(), plan.to_string());
        assert!(plan.only(&BTreeSet::new()).pieces().is_empty());
        for piece in pieces {
            assert_eq!(Ok(piece.clone()), piece.to_string().parse());
        }
    }
}

/// A world in which no lease protects a server breaks for the sake of one or two. All else is noise,
/// and goes.
#[test]
fn a_broken_world_is_minimised_to_those_whom_the_fault_needs() {
    let guards = Guards {
        cloud: wakecast_lambda::guards::Guards::ALL.without(Guard::LeaseProtection),
        ..Guards::default()
    };
    let breaks = |plan: &Plan| {
        let played = plan.play_with(guards);
        Summary::from(&played).violations.into_iter().next()
    };
    let crowded = |plan: &Plan| plan.people.len() >= 4 && plan.pieces().len() >= 12;
    let broken = (1..400)
        .map(Plan::draw)
        .filter(crowded)
        .find_map(|plan| Some((breaks(&plan)?, plan)));
    let Some((violation, plan)) = broken else {
        panic!("no world needed the lease's protection");
    };
    let Some(small) = minimise(&plan, breaks) else {
        panic!("the world broke once and not again");
    };
    assert_eq!(law(&small.violation), law(&violation));
    let left = small.plan.pieces();
    assert!(
        left.len() * 3 < plan.pieces().len(),
        "of {} pieces these are left:\n{}",
        plan.pieces().len(),
        small.plan
    );
    // Nothing is left that could go.
    for piece in &left {
        let kept = left.iter().filter(|other| *other != piece).cloned();
        let broken = breaks(&small.plan.only(&kept.collect()));
        let same = broken.is_some_and(|other| law(&other) == law(&violation));
        assert!(!same, "{piece} is not needed:\n{}", small.plan);
    }
    assert!(!small.plan.people.is_empty(), "{}", small.plan);
    // What is printed to play it again does so.
    let kept: BTreeSet<Piece> = small.plan.pieces().into_iter().collect();
    let mut again = Plan::draw(plan.seed).only(&kept);
    again.luck = small.plan.luck;
    assert_eq!(breaks(&again), Some(small.violation));
    // With the rule back the world holds.
    assert_eq!(Summary::of(&again).violations, Vec::<String>::new());
}
