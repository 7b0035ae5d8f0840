//! The pure parts hold no clock, randomness, sleep, task, lock or I/O: in their dependencies, on a
//! platform that has none of them, and in their source.

use crate::sources::{self, Source};
use crate::tools::{self, Workspace};

/// Files and folders that are pure, but for what lies under an exception.
const PURE: [(&str, &[&str]); 4] = [
    ("sdk-core/src", &["sdk-core/src/native/"]),
    ("lambda/src/lifecycle", &[]),
    // The rules of a row, which gateway and lifecycle share, and what they speak about.
    ("lambda/src/leases", &[]),
    ("lambda/src/model", &[]),
];

/// Crates that bring a runtime, a browser or a random source.
const REFUSED_CRATES: [&str; 4] = ["tokio", "wasm-bindgen", "web-sys", "getrandom"];

/// What may not be named. `std::time::Duration` is a length and may; an own `Instant` has no `now`.
const REFUSED_NAMES: [&str; 22] = [
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "sleep",
    "tokio",
    "async_std",
    "getrandom",
    "OsRng",
    "thread_rng",
    "from_os_rng",
    "RandomState",
    "std::thread",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::io",
    "Mutex",
    "RwLock",
    "println!",
    "eprintln!",
    "dbg!",
];

/// Every way in which the pure parts are not pure, one a line; empty when they are.
pub(crate) fn check(workspace: &Workspace, step: &str) -> Result<String, String> {
    let mut faults = tree(workspace, step);
    faults.push_str(&wasm(workspace, step));
    for (place, exceptions) in PURE {
        let files = sources::rust_files(&workspace.root, place)?;
        if files.is_empty() {
            faults.push_str(&format!("{place}: no source found; was it moved?\n"));
        }
        for file in files {
            if !exceptions
                .iter()
                .any(|exception| file.path.starts_with(exception))
            {
                faults.push_str(&scan(&file));
            }
        }
    }
    Ok(faults)
}

fn tree(workspace: &Workspace, step: &str) -> String {
    let listing = workspace.cargo(&[
        "tree",
        "--package=wakecast",
        "--no-default-features",
        "--edges=normal",
        "--target=all",
        "--prefix=none",
        "--format={p}",
    ]);
    let listing = tools::run(workspace, step, listing);
    if !listing.ok {
        return listing.output;
    }
    impure_crates(&listing.output)
        .map(|name| format!("wakecast without features depends on {name}\n"))
        .collect()
}

fn impure_crates(listing: &str) -> impl Iterator<Item = &str> {
    listing
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| REFUSED_CRATES.contains(name))
}

fn wasm(workspace: &Workspace, step: &str) -> String {
    if let Err(message) = tools::need_wasm_target(workspace, step) {
        return message;
    }
    let build = tools::run(
        workspace,
        step,
        workspace.cargo(&[
            "build",
            "--package=wakecast",
            "--no-default-features",
            "--target=wasm32-unknown-unknown",
        ]),
    );
    if build.ok {
        String::new()
    } else {
        build.output
    }
}

fn scan(file: &Source) -> String {
    let mut faults = String::new();
    for (number, line) in file.text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for name in REFUSED_NAMES.iter().filter(|name| names(code, name)) {
            faults.push_str(&format!(
                "{}:{}: `{name}` in a pure part: take it as an input, or move it to a driver\n",
                file.path,
                number + 1
            ));
        }
    }
    faults
}

/// Whether the code holds the name as a whole word.
fn names(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        scan(&Source {
            path: "pure.rs".to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_clock_a_lock_and_a_runtime_are_found_with_their_line() {
        let found =
            faults("use std::time::Duration;\nlet t = Instant::now();\nuse tokio::spawn;\n");
        assert!(found.contains("pure.rs:2: `Instant::now`"), "{found}");
        assert!(found.contains("pure.rs:3: `tokio`"), "{found}");
        assert_eq!(found.lines().count(), 2, "{found}");
        assert!(faults("lock: std::sync::Mutex<u8>,").contains("`Mutex`"));
    }

    #[test]
    fn comments_and_longer_words_are_let_through() {
        assert_eq!(
            faults("/// tokio drives it\nlet asleep = sleep_ms; // SystemTime\n"),
            ""
        );
        assert_eq!(
            faults("use std::time::Duration;\nuse crate::time::Instant;\n"),
            ""
        );
    }

    #[test]
    fn impure_crates_are_found_by_their_whole_name() {
        let listing = "wakecast v0.1.0 (/x)\nserde v1.0\ntokio-util v0.7\ngetrandom v0.4.1\n";
        assert_eq!(impure_crates(listing).collect::<Vec<_>>(), ["getrandom"]);
    }
}
