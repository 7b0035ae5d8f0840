//! The steps of `cargo xtask test`: what each checks, in the order in which they run.

use std::time::{Duration, Instant};

use crate::cases::Coverage;
use crate::report::{self, Counts};
use crate::runner::{Outcome, Step};
use crate::tools::{self, Run, Workspace};
use crate::{dependencies, fuzz, package, purity, simulation, web};

/// Reads files, or runs a formatter: seconds on any machine.
const QUICK: Duration = Duration::from_secs(5 * 60);

/// Builds everything from nothing: about 5 min on two cores, several times that on a machine that
/// others use, too. Whoever runs for longer hangs.
const BUILD: Duration = Duration::from_secs(30 * 60);

/// Builds it and then runs tests, which take 2 to 6 min by themselves.
const BUILD_AND_RUN: Duration = Duration::from_secs(45 * 60);

/// What the quickstart promises to whoever runs it.
const QUICKSTART_LIMIT: Duration = Duration::from_secs(60);

/// The cheap ones first: a typing slip should be told in seconds.
pub(crate) const ALL: [Step; 12] = [
    Step {
        name: "fmt",
        what: "every file is formatted",
        limit: QUICK,
        run: fmt,
    },
    Step {
        name: "dependencies",
        what: "every direct dependency says why it is there",
        limit: QUICK,
        run: sentences,
    },
    Step {
        name: "cases",
        what: "every required case is held by a test",
        limit: QUICK,
        run: cases,
    },
    Step {
        name: "licences",
        what: "licences, bans and sources of all dependencies",
        limit: BUILD,
        run: licences,
    },
    Step {
        name: "purity",
        what: "the pure parts hold no clock, randomness, runtime or I/O",
        limit: BUILD,
        run: purity,
    },
    Step {
        name: "clippy",
        what: "no lint fires, in any target with any feature",
        limit: BUILD,
        run: clippy,
    },
    Step {
        name: "docs",
        what: "the documentation builds without a warning",
        limit: BUILD,
        run: docs,
    },
    Step {
        name: "tests",
        what: "all tests of the workspace, examples in the docs included",
        limit: BUILD_AND_RUN,
        run: tests,
    },
    Step {
        name: "package",
        what: "the crate as it is shipped builds and passes its tests",
        limit: BUILD_AND_RUN,
        run: package::step,
    },
    Step {
        name: "sim",
        what: "2000 small worlds and five herds keep the laws, and each guard is needed",
        limit: BUILD_AND_RUN,
        run: simulation::step,
    },
    Step {
        name: "quickstart",
        what: "what a newcomer runs first works",
        limit: BUILD,
        run: quickstart,
    },
    Step {
        name: "web",
        what: "the npm package, the example page and the vendor's SDK in a real browser",
        limit: BUILD,
        run: web::step,
    },
];

impl From<Run> for Outcome {
    fn from(run: Run) -> Self {
        if run.ok {
            Self::passed(String::new())
        } else {
            Self::failed(run.output)
        }
    }
}

fn fmt(workspace: &Workspace) -> Outcome {
    // It colours its output in a pipe, too, unless told.
    let check = workspace.cargo(&["fmt", "--all", "--check", "--", "--color=never"]);
    tools::run(workspace, "fmt", check).into()
}

fn sentences(workspace: &Workspace) -> Outcome {
    match dependencies::check(workspace) {
        Ok(count) => Outcome::passed(format!("{count} direct dependencies")),
        Err(faults) => Outcome::failed(faults),
    }
}

fn cases(workspace: &Workspace) -> Outcome {
    match Coverage::read(&workspace.root) {
        Err(message) => Outcome::failed(message),
        Ok(coverage) if coverage.faults().is_empty() => Outcome::passed(coverage.summary()),
        Ok(coverage) => Outcome::failed(coverage.faults() + &coverage.summary()),
    }
}

fn licences(workspace: &Workspace) -> Outcome {
    if let Err(message) = tools::need_cargo_deny(workspace, "licences") {
        return Outcome::failed(message);
    }
    // Not advisories: their database is a git repository, which a test may not depend on.
    let check = workspace.cargo(&[
        "deny",
        "--all-features",
        "check",
        "licenses",
        "bans",
        "sources",
    ]);
    let run = tools::run(workspace, "licences", check);
    if !run.ok {
        return Outcome::failed(report::without_warnings(&run.output));
    }
    let twice = run
        .output
        .lines()
        .filter(|line| line.starts_with("warning[duplicate]"))
        .count();
    Outcome::passed(format!("{twice} crates stand in more than one version"))
}

fn purity(workspace: &Workspace) -> Outcome {
    match purity::check(workspace, "purity") {
        Ok(faults) if faults.is_empty() => Outcome::passed(String::new()),
        Ok(faults) | Err(faults) => Outcome::failed(faults),
    }
}

fn clippy(workspace: &Workspace) -> Outcome {
    let run = workspace.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]);
    let whole = tools::run(workspace, "clippy", run);
    if !whole.ok {
        return whole.into();
    }
    // What browsers get: the core without its driver.
    let run = workspace.cargo(&[
        "clippy",
        "--package",
        "wakecast",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ]);
    let pure = tools::run(workspace, "clippy-pure", run);
    if !pure.ok {
        return pure.into();
    }
    // The browser's driver as it is built for browsers, its tests included.
    let run = workspace.cargo(&[
        "clippy",
        "--package",
        "wakecast-wasm",
        "--target",
        tools::WASM,
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let browser = tools::run(workspace, "clippy-wasm", run);
    if !browser.ok {
        return browser.into();
    }
    // Not of the workspace, but one line each over what is.
    tools::run(workspace, "clippy-fuzz", fuzz::check(workspace)).into()
}

fn docs(workspace: &Workspace) -> Outcome {
    let mut command = workspace.cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    tools::run(workspace, "docs", command).into()
}

fn tests(workspace: &Workspace) -> Outcome {
    // Without --all-targets: that would run the benchmarks, and leave out the examples in the docs.
    let features = match simulation::other_features(workspace) {
        Ok(features) => features,
        Err(message) => return Outcome::failed(message),
    };
    let mut run = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
    run.args(["--features", &features]);
    judge_tests(tools::run(workspace, "tests", run))
}

/// Counts what cargo's test runner printed.
pub(crate) fn judge_tests(run: Run) -> Outcome {
    let mut counts = Counts::read(&run.output);
    let mut output = report::without_noise(&run.output);
    if counts.failed == 0 && (!run.ok || counts.passed == 0) {
        // It did not build, a test process died without a result, or nothing was run.
        counts.failed = 1;
        output.push_str("the test command failed without a failed test, or ran none\n");
    }
    Outcome {
        counts,
        remark: format!("{} tests", counts.passed),
        output,
    }
}

fn quickstart(workspace: &Workspace) -> Outcome {
    let build = workspace.cargo(&["build", "--quiet", "--package=quickstart"]);
    let command = workspace.cargo(&["run", "--quiet", "--package=quickstart"]);
    let (outcome, time) = build_then_run(workspace, "quickstart", build, command);
    judge_quickstart(outcome, time)
}

fn judge_quickstart(mut outcome: Outcome, time: Duration) -> Outcome {
    if outcome.counts.failed > 0 {
        return outcome;
    }
    if time > QUICKSTART_LIMIT {
        let limit = report::seconds(QUICKSTART_LIMIT);
        outcome = Outcome::failed(format!("{}took longer than {limit}\n", outcome.remark));
    } else if outcome.remark.contains('\u{1b}') {
        outcome = Outcome::failed(format!(
            "{}\u{1b}[0mcolours or cursor moves although the output is no terminal\n",
            outcome.remark
        ));
    }
    outcome
}

/// Builds first, so that the second time is that of the program alone. What the program says is the
/// remark: the numbers of a simulation and of a demonstration are worth reading when it passed, too.
fn build_then_run(
    workspace: &Workspace,
    step: &str,
    build: std::process::Command,
    command: std::process::Command,
) -> (Outcome, Duration) {
    let built = tools::run(workspace, step, build);
    if !built.ok {
        return (built.into(), Duration::ZERO);
    }
    let begun = Instant::now();
    let run = tools::run(workspace, step, command);
    let time = begun.elapsed();
    if !run.ok {
        return (run.into(), time);
    }
    if run.output.trim().is_empty() {
        return (
            Outcome::failed("it ended well, but said nothing\n".to_owned()),
            time,
        );
    }
    let output = run.output.trim_end();
    (
        Outcome::passed(format!("{output}\n\nran in {}\n", report::seconds(time))),
        time,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ok: bool, output: &str) -> Run {
        Run {
            ok,
            output: output.to_owned(),
        }
    }

    #[test]
    fn a_test_command_that_did_not_build_counts_as_a_failure() {
        let outcome = judge_tests(run(false, "error[E0425]: cannot find value `x`\n"));
        assert_eq!((outcome.counts.passed, outcome.counts.failed), (0, 1));
        assert!(outcome.output.contains("E0425"));
    }

    #[test]
    fn a_test_process_that_died_counts_as_a_failure() {
        let output = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured\n\
                      error: test failed (signal: 6, SIGABRT)\n";
        let counts = judge_tests(run(false, output)).counts;
        assert_eq!((counts.passed, counts.failed), (4, 1));
    }

    #[test]
    fn a_test_command_that_ran_nothing_counts_as_a_failure() {
        assert_eq!(judge_tests(run(true, "")).counts.failed, 1);
    }

    #[test]
    fn failed_tests_are_counted_once() {
        let output = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured\n";
        let counts = judge_tests(run(false, output)).counts;
        assert_eq!((counts.passed, counts.failed), (4, 2));
    }

    #[test]
    fn a_quickstart_that_is_slow_or_paints_a_pipe_fails() {
        let said = |text: &str| Outcome::passed(text.to_owned());
        let quick = Duration::from_secs(30);
        assert_eq!(judge_quickstart(said("ready"), quick).counts.failed, 0);
        assert_eq!(
            judge_quickstart(said("\u{1b}[1mready"), quick)
                .counts
                .failed,
            1
        );
        assert_eq!(
            judge_quickstart(said("ready"), Duration::from_secs(61))
                .counts
                .failed,
            1
        );
    }
}
