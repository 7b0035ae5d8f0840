//! Runs every file of `tests/scenarios`. Each scenario is a test of its own, under its own name:
//! `cargo test -p wakecast --test scenarios live/` runs those of one group.

mod scenario;
mod support;

use std::process::ExitCode;

use scenario::{Scenario, play, read_all};

fn main() -> ExitCode {
    let arguments = Arguments::read(std::env::args().skip(1));
    let scenarios = match read_all() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            println!(
                "\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out"
            );
            return ExitCode::FAILURE;
        }
    };
    let all = scenarios.len();
    let chosen: Vec<Scenario> = (scenarios.into_iter())
        .filter(|scenario| arguments.choose(&scenario.name))
        .collect();
    if arguments.list {
        for scenario in &chosen {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    // A broken law is a failure of its scenario, which tells it.
    std::panic::set_hook(Box::new(|_| {}));
    println!("\nrunning {} tests", chosen.len());
    let mut failures = Vec::new();
    for scenario in &chosen {
        match play(scenario) {
            Ok(()) => println!("test {} ... ok", scenario.name),
            Err(failure) => {
                println!("test {} ... FAILED", scenario.name);
                failures.push(failure);
            }
        }
    }
    for failure in &failures {
        println!("\n{failure}");
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failures.len(),
        failures.len(),
        all - chosen.len()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What test runners pass: `--list`, `--exact`, `--skip TEXT`, and texts to look for in names.
#[derive(Default)]
struct Arguments {
    list: bool,
    exact: bool,
    ignored: bool,
    wanted: Vec<String>,
    skipped: Vec<String>,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut read = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => read.list = true,
                "--exact" => read.exact = true,
                "--ignored" => read.ignored = true,
                "--skip" => read.skipped.extend(arguments.next()),
                // These have a value of their own.
                "--format" | "--test-threads" | "--color" | "-Z" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                _ => read.wanted.push(argument),
            }
        }
        read
    }

    fn choose(&self, name: &str) -> bool {
        let hits = |part: &String| {
            if self.exact {
                name == part
            } else {
                name.contains(part.as_str())
            }
        };
        !self.ignored
            && (self.wanted.is_empty() || self.wanted.iter().any(hits))
            && !self.skipped.iter().any(hits)
    }
}
