//! `cargo xtask fuzz [TARGET] [--minutes N]`: libFuzzer over the functions of `fuzz/`.

use std::fs;
use std::process::{Command, ExitCode};

use crate::tools::{self, Tool, Workspace};

const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    arguments: &["--locked"],
};

/// Long enough for the cheap targets to find what a night would find.
const MINUTES: u64 = 10;

/// An input that takes longer hangs: the slowest seed takes a few milliseconds.
const HANGS_AFTER_S: u64 = 10;

/// A target, where its seeds lie besides `fuzz/corpus`, and how long its inputs get, in bytes.
struct Target {
    name: &'static str,
    seeds: Option<&'static str>,
    longest: u64,
}

const TARGETS: [Target; 4] = [
    Target {
        name: "client_message",
        seeds: Some("sdk-core/tests/golden/client"),
        longest: 4_096,
    },
    Target {
        name: "server_message",
        seeds: Some("sdk-core/tests/golden/server"),
        longest: 4_096,
    },
    Target {
        name: "gateway",
        seeds: None,
        longest: 8_192,
    },
    Target {
        name: "machine",
        seeds: None,
        longest: 2_048,
    },
];

/// Runs one target, or each after the other. Fails if one of them found something.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let (chosen, minutes) = read(arguments)?;
    tools::need(workspace, "fuzz", &CARGO_FUZZ)?;
    for target in chosen {
        println!("{} for {minutes} min", target.name);
        let status = run(workspace, target, minutes)?.status();
        let status = status.map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !status.success() {
            eprintln!(
                "\n{name} found something, or could not be built. The input lies in \
                 fuzz/libfuzzer/artifacts/{name}: copy it to fuzz/corpus/{name} under a name that \
                 says what is wrong, and `cargo test -p wakecast-fuzz` plays it.",
                name = target.name
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command that a check of the programs runs: without libFuzzer, so without a C++ compiler.
pub(crate) fn check(workspace: &Workspace) -> Command {
    let mut check = workspace.cargo(&["clippy", "--manifest-path=fuzz/libfuzzer/Cargo.toml"]);
    check
        .args(["--no-default-features", "--bins"])
        .arg("--target-dir")
        .arg(workspace.target("fuzz-check"))
        .args(["--", "-D", "warnings"]);
    check
}

fn read(arguments: &[String]) -> Result<(Vec<&'static Target>, u64), String> {
    let (mut name, mut minutes) = (None, MINUTES);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.split_once('=').unwrap_or((argument, "")) {
            ("--minutes", inline) => {
                let text = if inline.is_empty() {
                    rest.next().map_or("", String::as_str)
                } else {
                    inline
                };
                minutes = match text.parse() {
                    Ok(minutes @ 1..=1_440) => minutes,
                    _ => return Err(format!("--minutes `{text}`: expected 1 to 1440")),
                };
            }
            _ if name.is_none() && !argument.starts_with('-') => name = Some(argument.as_str()),
            _ => {
                return Err(format!(
                    "`{argument}`: expected `cargo xtask fuzz [TARGET] [--minutes N]`"
                ));
            }
        }
    }
    let chosen: Vec<&Target> = (TARGETS.iter())
        .filter(|target| name.is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!(
            "there is no target `{}`; the targets are: {}",
            name.unwrap_or_default(),
            all.join(", ")
        ));
    }
    Ok((chosen, minutes))
}

fn run(workspace: &Workspace, target: &Target, minutes: u64) -> Result<Command, String> {
    // What is found on the way is kept between runs, but not in the repository.
    let found = workspace.target("fuzz-corpus").join(target.name);
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let mut command = workspace.cargo(&["fuzz", "run", "--fuzz-dir=fuzz/libfuzzer"]);
    command
        // No `unsafe` of our own: the address sanitizer would halve the speed for nothing.
        .arg("--sanitizer=none")
        // The instrumentation is a flag of the compiler that a stable one takes only so.
        .env("RUSTC_BOOTSTRAP", "1")
        .arg(target.name)
        .arg(found)
        .arg(workspace.root.join("fuzz/corpus").join(target.name));
    if let Some(seeds) = target.seeds {
        command.arg(workspace.root.join(seeds));
    }
    let dictionary = workspace.root.join("fuzz/messages.dict");
    command
        .arg("--")
        .arg(format!("-max_total_time={}", minutes * 60))
        .arg(format!("-timeout={HANGS_AFTER_S}"))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-dict={}", dictionary.display()))
        .arg("-print_final_stats=1");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_target_and_the_minutes_are_read_in_any_order() {
        for text in ["gateway --minutes 3", "--minutes=3 gateway"] {
            let (chosen, minutes) = read(&words(text)).unwrap();
            assert_eq!((chosen[0].name, chosen.len(), minutes), ("gateway", 1, 3));
        }
        let (all, minutes) = read(&[]).unwrap();
        assert_eq!((all.len(), minutes), (TARGETS.len(), MINUTES));
    }

    #[test]
    fn an_unknown_target_lists_them_and_other_words_are_refused() {
        let message = read(&words("decoder")).err().unwrap();
        assert!(
            message.contains("client_message, server_message"),
            "{message}"
        );
        for text in ["--minutes", "--minutes 0", "--seeds 3", "machine gateway"] {
            assert!(read(&words(text)).is_err(), "{text}");
        }
    }
}
