//! What CI runs, a person can run: `cargo xtask help` lists the verbs.
//!
//! The standard library alone, so that it builds in a second and starts at once.

mod api;
mod bench;
mod cases;
mod dependencies;
mod fuzz;
mod limit;
mod node;
mod npm;
mod package;
mod player;
mod purity;
mod replay;
mod report;
mod runner;
mod simulation;
mod soak;
mod sources;
mod steps;
mod tools;
mod web;

use std::process::ExitCode;

use tools::Workspace;

const HELP: &str = "\
cargo xtask <verb>

  test [STEP…]             everything CI runs, or only the named steps
  cases [--check]          which case is held by which test; --check fails on a required one that is not
  sim [--seeds N] [--start SEED] [--herds] …
                           play N seeded worlds on all cores; a broken one is told minimised
  sim --replay SEED [--minimise]
                           tell the story of one world; `sim --help` says the rest
  soak --minutes N [--clients 500] [--seed S]
                           real clients against the local cloud, with scripted faults
  fuzz [TARGET] [--minutes 10]
                           random bytes for the decoders, the gateway and the machine
  bench core               measure the client, and write docs/benchmarks.md
  replay <LOG> [--line N | --hash HASH]
                           decide again what a decision log says was decided
  package                  pack the crate `wakecast`, then build and test what is in the archive
  player [--port PORT]     a web page that goes live and watches, with the local cloud behind it
  npm                      build the npm package `wakecast` into target/npm, and pack it
  api [--write]            whether the crate's public surface is what sdk-core/public-api.txt says
  semver <REV>             whether the crate breaks those who built on it at that tag or commit
  help                     this text

Steps of `test`:
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((verb, rest)) = arguments.split_first() else {
        return failed(&usage("which verb?"));
    };
    // Programs of their own answer for themselves.
    let own = matches!(verb.as_str(), "test" | "cases");
    if own
        && rest
            .iter()
            .any(|word| matches!(word.as_str(), "--help" | "-h"))
    {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let outcome = match verb.as_str() {
        "test" => Workspace::find().and_then(|workspace| runner::test(&workspace, rest)),
        "cases" => Workspace::find().and_then(|workspace| cases::command(&workspace, rest)),
        "sim" => Workspace::find().and_then(|workspace| simulation::command(&workspace, rest)),
        "soak" => Workspace::find().and_then(|workspace| soak::run(&workspace, rest)),
        "fuzz" => Workspace::find().and_then(|workspace| fuzz::command(&workspace, rest)),
        "bench" => Workspace::find().and_then(|workspace| bench::command(&workspace, rest)),
        "replay" => Workspace::find().and_then(|workspace| replay::command(&workspace, rest)),
        "package" if rest.is_empty() => {
            Workspace::find().map(|workspace| package::command(&workspace))
        }
        "player" => Workspace::find().and_then(|workspace| player::command(&workspace, rest)),
        "npm" if rest.is_empty() => {
            Workspace::find().and_then(|workspace| npm::command(&workspace))
        }
        "api" => Workspace::find().and_then(|workspace| api::api(&workspace, rest)),
        "semver" => Workspace::find().and_then(|workspace| api::semver(&workspace, rest)),
        "help" | "--help" | "-h" => {
            print!("{}", help());
            Ok(ExitCode::SUCCESS)
        }
        other => Err(usage(&format!("unknown verb `{other}`"))),
    };
    outcome.unwrap_or_else(|message| failed(&message))
}

fn failed(message: &str) -> ExitCode {
    eprintln!("xtask: {message}");
    ExitCode::from(2)
}

/// Words a mistake on the command line, as every program of the workspace does.
pub(crate) fn usage(problem: &str) -> String {
    format!("{problem}\nTry `cargo xtask help`.")
}

fn help() -> String {
    let mut text = HELP.to_owned();
    for step in steps::ALL {
        text.push_str(&format!("  {:<14}{}\n", step.name, step.what));
    }
    text
}
