//! Every seed, and every input that ever broke something, keeps the laws.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wakecast::machine::StateKind;
use wakecast_fuzz::{TARGETS, gateway_told, machine_states};

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of seeds");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed").path()).collect();
    files.sort();
    files
}

/// Plays what is kept for a target, and returns how much that was.
fn replay(name: &str, more: &[&str]) -> usize {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, target) = TARGETS
        .iter()
        .find(|(target, _)| *target == name)
        .expect("a target");
    let mut count = 0;
    // A target whose seeds are the recorded messages has a folder only once something was found.
    let own = here.join("corpus").join(name);
    let own = own.exists().then_some(own);
    for folder in own
        .into_iter()
        .chain(more.iter().map(|more| here.join(more)))
    {
        for seed in files(&folder) {
            // Shown if it breaks something.
            println!("{}", seed.display());
            target(&fs::read(&seed).expect("a seed"));
            count += 1;
        }
    }
    count
}

#[test]
fn client_messages() {
    assert!(replay("client_message", &["../sdk-core/tests/golden/client"]) >= 9);
}

#[test]
fn server_messages() {
    assert!(replay("server_message", &["../sdk-core/tests/golden/server"]) >= 14);
}

#[test]
fn scripts_of_the_gateway() {
    assert!(replay("gateway", &[]) >= 10);
}

#[test]
fn inputs_of_the_machine() {
    assert!(replay("machine", &[]) >= 10);
}

#[test]
fn the_scripts_bring_the_gateway_to_say_everything_that_it_answers() {
    let told: BTreeSet<String> = seeds("gateway")
        .flat_map(|seed| gateway_told(&seed))
        .collect();
    for kind in [
        "welcome", "ack", "ready", "endpoint", "renewed", "status", "pong", "error", "bye",
    ] {
        assert!(told.contains(kind), "{kind} is not among {told:?}");
    }
}

#[test]
fn the_inputs_bring_the_machine_into_every_state() {
    use StateKind::{Closed, Connected, Connecting, Failed, Idle, Paused, Reconnecting};
    let seen: BTreeSet<StateKind> = seeds("machine")
        .flat_map(|seed| machine_states(&seed))
        .collect();
    let all = [
        Idle,
        Connecting,
        Connected,
        Reconnecting,
        Paused,
        Failed,
        Closed,
    ];
    assert_eq!(seen, BTreeSet::from(all));
}

fn seeds(name: &str) -> impl Iterator<Item = Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    files(&folder)
        .into_iter()
        .map(|seed| fs::read(seed).expect("a seed"))
}
