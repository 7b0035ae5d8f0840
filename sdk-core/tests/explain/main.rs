//! What the client says of itself, for each thing that can go wrong: scenes in virtual time, and
//! beside this file the texts that a person would read. `WAKECAST_WRITE=1` writes them anew:
//! `WAKECAST_WRITE=1 cargo test -p wakecast --no-default-features --test explain`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod counters;
mod link;
mod records;
mod rows;
mod tokens;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use support::{CANARY, World};
use wakecast::machine::{
    Condition, Detail, EndCause, Evidence, Explanation, Headline, Remedy, StateKind, TokenFault,
};
use wakecast::{ErrorCode, Instant, LostReason, Phase};

/// Part of every text from outside that might quote a secret. The observer of the laws knows nothing
/// of it, since errors do quote such texts to the app.
pub(crate) const LEAK: &str = "leak4f9d1c7ab2e84d06a3f5";

/// What happens, told by its name.
pub(crate) type Scene = (&'static str, fn(&mut World));

/// Longest explanation: what fits into a terminal that a person scrolls once or twice.
const EXPLANATION_MAX: usize = 16 * 1024;
/// Longest diagnostics as text: what a comment on an issue may hold.
const DIAGNOSTICS_MAX: usize = 64 * 1024;

fn pages() -> [(&'static str, Vec<Scene>); 3] {
    [
        ("link", link::scenes()),
        ("tokens", tokens::scenes()),
        ("rows", rows::scenes()),
    ]
}

pub(crate) fn explain(world: &World) -> Explanation {
    world.machine.explain(Instant::from_millis(world.now))
}

fn played(scene: &Scene, seed: usize) -> World {
    let mut world = World::new(u8::try_from(seed).unwrap());
    scene.1(&mut world);
    world
}

#[test]
fn each_scene_is_told_in_the_words_of_its_page() {
    for (page, scenes) in pages() {
        let mut text = format!("What the client says of itself: {page}\n");
        for (seed, scene) in scenes.iter().enumerate() {
            let world = played(scene, seed);
            write!(text, "\n## {}\n\n{}\n", scene.0, explain(&world)).unwrap();
        }
        compare(&format!("{page}.txt"), &text);
    }
}

/// Compares a text with its page, or writes the page.
pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/explain")
        .join(name);
    #[expect(
        clippy::disallowed_methods,
        reason = "whether the pages are written anew comes from a test's command line"
    )]
    if std::env::var_os("WAKECAST_WRITE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (told, known)) in text.lines().zip(page.lines()).enumerate() {
        assert_eq!(
            told,
            known,
            "{name}, line {}: see the head of main.rs",
            number + 1
        );
    }
    assert_eq!(text, page, "{name}: see the head of main.rs");
}

#[test]
fn each_scene_is_true_bounded_and_safe() {
    for (_, scenes) in pages() {
        for (seed, scene) in scenes.iter().enumerate() {
            let world = played(scene, seed);
            check(&world);
        }
    }
}

/// Checks what must be so in every state.
fn check(world: &World) {
    let now = Instant::from_millis(world.now);
    let all = explain(world);
    assert_eq!(all.state, world.machine.state().kind());
    let text = all.to_string();
    assert!(text.len() <= EXPLANATION_MAX, "{} bytes", text.len());
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    let diagnostics = world.machine.diagnostics(now);
    assert_eq!(diagnostics.explanation, all);
    let (page, json) = (diagnostics.to_string(), diagnostics.to_json());
    assert!(page.len() <= DIAGNOSTICS_MAX, "{} bytes", page.len());
    assert!(page.starts_with(&text));
    for text in [&page, &json, &format!("{diagnostics:?}")] {
        assert!(!text.contains(CANARY) && !text.contains(LEAK), "{text}");
    }
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["explanation"]["headline"], all.headline.as_str());
    assert_eq!(
        read["records"].as_array().unwrap().len(),
        diagnostics.records.len()
    );
    // Times are told from now on, and records in their order.
    let ages: Vec<_> = diagnostics
        .records
        .iter()
        .map(|record| record.ago)
        .collect();
    assert!(ages.is_sorted_by(|one, next| one >= next), "{ages:?}");
}

/// Every word that can be said is said in some scene: nothing is left without a text.
#[test]
fn every_failure_is_among_the_scenes() {
    let mut codes = BTreeSet::new();
    let mut conditions = BTreeSet::new();
    let mut headlines = BTreeSet::new();
    let mut states = BTreeSet::new();
    let mut faults = BTreeSet::new();
    let mut causes = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    let mut remedies = BTreeSet::new();
    let mut phases = BTreeSet::new();
    for (_, scenes) in pages() {
        for (seed, scene) in scenes.iter().enumerate() {
            let all = explain(&played(scene, seed));
            headlines.insert(all.headline);
            states.insert(all.state);
            for finding in &all.findings {
                conditions.insert(finding.what);
                codes.extend(finding.code.clone());
                remedies.extend(finding.remedies.iter().copied());
                for evidence in &finding.evidence {
                    match evidence {
                        Evidence::Attempt { cause, .. } => _ = causes.insert(*cause),
                        Evidence::TokenFault { fault, .. } => _ = faults.insert(*fault),
                        Evidence::Start { phase, .. } => _ = phases.insert(*phase),
                        Evidence::Ended {
                            detail: Some(Detail::Lost(reason)),
                            ..
                        } => {
                            reasons.insert(*reason);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    assert!(codes.contains(&ErrorCode::Other("brand_new".into())));
    let missing: Vec<_> = ErrorCode::ALL
        .iter()
        .filter(|code| !codes.contains(code))
        .collect();
    assert!(missing.is_empty(), "codes without a scene: {missing:?}");
    assert_eq!(conditions, Condition::ALL.iter().copied().collect());
    assert_eq!(headlines, Headline::ALL.iter().copied().collect());
    assert_eq!(faults, TokenFault::ALL.iter().copied().collect());
    assert_eq!(causes, EndCause::ALL.iter().copied().collect());
    assert_eq!(remedies, Remedy::ALL.iter().copied().collect());
    let known: BTreeSet<_> = LostReason::ALL.iter().copied().collect();
    assert!(reasons.is_superset(&known), "{reasons:?}");
    let booting = [
        Phase::Requested,
        Phase::WaitingForCapacity,
        Phase::Launching,
        Phase::Booting,
        Phase::Warming,
    ];
    assert_eq!(phases, booting.into_iter().collect());
    use StateKind::{Closed, Connected, Connecting, Failed, Idle, Paused, Reconnecting};
    let all = [
        Idle,
        Connecting,
        Connected,
        Reconnecting,
        Paused,
        Failed,
        Closed,
    ];
    assert_eq!(states, all.into_iter().collect());
}

#[test]
fn each_code_says_what_was_wrong_and_what_to_do() {
    for code in ErrorCode::ALL {
        let (wrong, mend) = code.remedy().split_once(": ").expect("two halves");
        assert!(!wrong.is_empty() && !mend.is_empty(), "{code}");
    }
}
