//! The table of states: document, code and behaviour agree, in both directions.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use support::{Accept, HOUR, MINUTE, Provider, SECOND, World};
use wakecast::machine::{Event, Input, Refusal, RequestKey, StateKind, TRANSITIONS, TransportEnd};
use wakecast::protocol::{Bye, ErrorPush, ServerMessage};
use wakecast::{Acquire, Outcome};

#[test]
fn the_document_is_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("states.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table = page.split("## Transitions").nth(1).unwrap();
    let documented: Vec<Vec<String>> = (table.lines())
        .filter(|line| line.starts_with("| ") && !line.starts_with("| from"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    let coded: Vec<Vec<String>> = (TRANSITIONS.iter())
        .map(|(from, to, cause)| vec![format!("{from:?}"), format!("{to:?}"), (*cause).to_owned()])
        .collect();
    assert_eq!(documented, coded);
    let unique: BTreeSet<_> = TRANSITIONS.iter().map(|(from, to, _)| (from, to)).collect();
    assert_eq!(unique.len(), TRANSITIONS.len());
}

#[test]
fn n43_the_machine_names_no_clock_of_the_system() {
    // `std::time::Instant::now` traps on wasm32-unknown-unknown, and is first met when a link breaks.
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![sources.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path != sources.join("native") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                for clock in ["std::time::Instant", "Instant::now", "SystemTime"] {
                    assert!(!text.contains(clock), "{}: {clock}", path.display());
                }
            }
        }
    }
    assert!(files > 30, "{files} files");
}

#[test]
fn every_transition_of_the_table_happens_and_no_other() {
    let mut seen = BTreeSet::new();
    for (at, scene) in scenes().into_iter().enumerate() {
        for ending in [None, Some(Input::Close), Some(Input::Detach)] {
            let mut world = World::new(u8::try_from(at).unwrap());
            scene(&mut world);
            if let Some(input) = ending {
                world.input(input);
                world.run(2 * SECOND);
            }
            let mut last = StateKind::Idle;
            for (_, event) in &world.events {
                if let Event::State(state) = event {
                    if state.kind() != last {
                        seen.insert((last, state.kind()));
                    }
                    last = state.kind();
                }
            }
        }
    }
    let table: BTreeSet<_> = TRANSITIONS
        .iter()
        .map(|(from, to, _)| (*from, *to))
        .collect();
    assert_eq!(seen, table);
}

type Scene = fn(&mut World);

fn scenes() -> Vec<Scene> {
    fn refuse(world: &mut World) {
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        });
    }
    fn forbid(world: &mut World) {
        world.script.accept = Accept::Refuse(Refusal::Http {
            status: 403,
            retry_after: None,
        });
    }
    fn connect(world: &mut World) {
        world.input(Input::Connect);
        world.run(SECOND);
    }
    vec![
        |_| {},
        // Connecting, then each way out of it.
        |world| {
            world.script.provider = Provider::Hang;
            connect(world);
        },
        connect,
        |world| {
            world.script.provider = Provider::Hang;
            connect(world);
            world.input(Input::Background);
        },
        |world| {
            forbid(world);
            connect(world);
        },
        // Reconnecting, and each way out of it.
        |world| {
            refuse(world);
            connect(world);
        },
        |world| {
            refuse(world);
            connect(world);
            world.script.accept = Accept::Yes;
            world.run(MINUTE);
        },
        |world| {
            refuse(world);
            connect(world);
            world.input(Input::Background);
        },
        |world| {
            refuse(world);
            connect(world);
            forbid(world);
            world.run(MINUTE);
        },
        // Connected, and each way out of it.
        |world| {
            connect(world);
            world.cut(TransportEnd::Dropped);
        },
        |world| {
            connect(world);
            world.input(Input::Background);
        },
        |world| {
            connect(world);
            let code = wakecast::ErrorCode::Forbidden;
            world.push(ServerMessage::Bye(Bye {
                code,
                retry_after_ms: None,
                reconnect: false,
            }));
            world.run(SECOND);
        },
        // Paused, and each way out of it.
        |world| {
            world.input(Input::Background);
            connect(world);
        },
        |world| {
            world.input(Input::Background);
            connect(world);
            world.acquire(1, Acquire::play("live", "match"));
            world.run(SECOND);
            world.input(Input::Cancel { key: RequestKey(1) });
            world.run(SECOND);
        },
        |world| {
            world.script.accept = Accept::Refuse(Refusal::Http {
                status: 503,
                retry_after: Some(std::time::Duration::from_secs(60)),
            });
            connect(world);
            world.input(Input::Background);
            world.input(Input::Foreground);
        },
        |world| {
            connect(world);
            world.script.acks = false;
            for _ in 0..2 {
                let renewals = world.count("renew");
                while world.count("renew") == renewals {
                    world.run(SECOND);
                }
                let id = world.sent.last().unwrap().2.id().unwrap().to_owned();
                world.push(ServerMessage::Error(ErrorPush {
                    id: Some(id),
                    code: wakecast::ErrorCode::TokenRejected,
                    message: "another subject".into(),
                    retryable: false,
                    retry_after_ms: None,
                    outcome: Outcome::Rejected,
                }));
                world.run(100);
            }
            world.input(Input::Background);
            world.run(HOUR);
            world.acquire(1, Acquire::play("live", "match"));
            world.run(SECOND);
        },
        // Failed, and each way out of it.
        |world| {
            forbid(world);
            connect(world);
            world.input(Input::Retry);
        },
        |world| {
            forbid(world);
            connect(world);
            world.input(Input::Background);
            world.input(Input::Retry);
        },
    ]
}
