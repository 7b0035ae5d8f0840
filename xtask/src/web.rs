//! The step `web`: what runs in a real browser: the driver's units, and all else under Node's own test
//! runner.

use std::process::Command;

use crate::node::Folder;
use crate::npm;
use crate::player;
use crate::report::Counts;
use crate::runner::Outcome;
use crate::steps;
use crate::tools::{self, Run, Workspace};

const BROWSER: Folder = Folder("tests/web");

/// The face of the npm package, without a browser and then in one.
const FOLDERS: [Folder; 2] = [Folder("sdk-wasm"), BROWSER];

const CHROMIUM: Program = Program {
    program: "chromium",
    package: "chromium",
};

/// What the runner of the driver's units steers the browser by.
const DRIVER: Program = Program {
    program: "chromedriver",
    package: "chromium-driver",
};

/// Runs the tests in the browser.
pub(crate) fn step(workspace: &Workspace) -> Outcome {
    if let Err(message) = prepare(workspace, "web") {
        return Outcome::failed(message);
    }
    let units = steps::judge_tests(units(workspace));
    let faces = judge(FOLDERS.map(|folder| {
        let mut test = folder.command(workspace, "node");
        // Other Node versions choose another form when nobody watches.
        test.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]);
        tools::run(workspace, "web", test)
    }));
    let mut counts = units.counts;
    counts.add(faces.counts);
    Outcome {
        counts,
        remark: format!("{} tests of the web package", counts.passed),
        output: units.output + &faces.output,
    }
}

/// Runs the driver's own tests in the browser, by the runner that belongs to its library's version.
fn units(workspace: &Workspace) -> Run {
    let mut test = workspace.cargo(&["test", "--package=wakecast-wasm", "--lib"]);
    test.arg(format!("--target={}", tools::WASM))
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
            workspace.target("debug").join("bindgen-test-runner"),
        )
        .env("CHROMEDRIVER", DRIVER.program);
    tools::run(workspace, "web", test)
}

/// What measures in the browser.
pub(crate) fn bench(workspace: &Workspace) -> Command {
    let mut bench = BROWSER.command(workspace, "node");
    bench.arg("bench.mjs");
    bench
}

/// Builds the local cloud and the npm package, and gets Chromium and the packages if they are absent.
/// The error is what failed, and what to do.
pub(crate) fn prepare(workspace: &Workspace, step: &str) -> Result<(), String> {
    let build = workspace.cargo(&["build", "--quiet", "--package=wakecast-local"]);
    let built = tools::run(workspace, step, build);
    if !built.ok {
        return Err(built.output);
    }
    need_chromium(workspace)?;
    DRIVER.need(workspace, step)?;
    // The example page is tested where it is.
    for folder in FOLDERS.iter().chain([&player::FOLDER]) {
        folder.need_packages(workspace, step)?;
    }
    npm::build(workspace, step)
}

/// Adds up what several runs of the runner came to.
fn judge(runs: impl IntoIterator<Item = Run>) -> Outcome {
    let mut counts = Counts::default();
    let mut output = String::new();
    for run in runs {
        counts.add(count(&run));
        output.push_str(&run.output);
    }
    Outcome {
        counts,
        remark: format!("{} tests of the web package", counts.passed),
        output,
    }
}

fn count(run: &Run) -> Counts {
    let mut counts = read(&run.output);
    if counts.failed == 0 && (!run.ok || counts.passed == 0) {
        // It died without a result, or nothing was run.
        counts.failed = 1;
    }
    counts
}

/// Reads the numbers that the runner closes with: `# pass 3`.
fn read(output: &str) -> Counts {
    let number = |name: &str| -> u64 {
        output
            .lines()
            .filter_map(|line| {
                line.strip_prefix("# ")?
                    .strip_prefix(name)?
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
            .next_back()
            .unwrap_or(0)
    };
    Counts {
        passed: number("pass "),
        failed: number("fail ") + number("cancelled "),
        ignored: number("skipped ") + number("todo "),
    }
}

fn need_chromium(workspace: &Workspace) -> Result<(), String> {
    if std::env::var_os("CHROMIUM").is_some() {
        return Ok(());
    }
    CHROMIUM
        .need(workspace, "web")
        .map_err(|message| message + "or name another one in CHROMIUM\n")
}

/// A program of Debian's that answers `--version`.
struct Program {
    program: &'static str,
    package: &'static str,
}

impl Program {
    /// Installs the program if it is absent. The error holds the command to run by hand.
    fn need(&self, workspace: &Workspace, step: &str) -> Result<(), String> {
        if self.answers(workspace, step) {
            return Ok(());
        }
        let Self { program, package } = self;
        let install = [
            "install",
            "--yes",
            "--quiet",
            "--no-install-recommends",
            package,
        ];
        let mut output = String::new();
        for arguments in [&["update", "--quiet"][..], &install] {
            let mut get = Command::new("apt-get");
            get.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            let run = tools::run(workspace, step, get);
            if !run.ok {
                output = run.output;
            }
        }
        if self.answers(workspace, step) {
            return Ok(());
        }
        Err(format!(
            "{output}`{program}` is absent and could not be installed. Run, as root:\n    \
             apt-get install {package}\n"
        ))
    }

    fn answers(&self, workspace: &Workspace, step: &str) -> bool {
        let mut version = Command::new(self.program);
        version.args(["--no-sandbox", "--version"]);
        tools::run(workspace, step, version).ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(ok: bool, output: &str) -> (u64, u64, u64) {
        let output = output.to_owned();
        let counts = count(&Run { ok, output });
        (counts.passed, counts.failed, counts.ignored)
    }

    #[test]
    fn the_runners_closing_numbers_are_read() {
        let closing =
            "ok 1 - a\n# tests 4\n# pass 3\n# fail 0\n# cancelled 0\n# skipped 1\n# todo 0\n";
        assert_eq!(judged(true, closing), (3, 0, 1));
        let cut = "# tests 3\n# pass 1\n# fail 1\n# cancelled 1\n";
        assert_eq!(judged(false, cut), (1, 2, 0));
    }

    #[test]
    fn every_folder_counts() {
        let run = |output: &str| Run {
            ok: true,
            output: output.to_owned(),
        };
        let runs = [run("# pass 2\n"), run("# pass 3\n# fail 1\n"), run("")];
        let counts = judge(runs).counts;
        assert_eq!((counts.passed, counts.failed), (5, 2));
    }

    #[test]
    fn a_runner_that_died_or_ran_nothing_counts_as_a_failure() {
        assert_eq!(judged(false, "# pass 2\n# fail 0\n"), (2, 1, 0));
        assert_eq!(judged(true, "# pass 0\n# fail 0\n"), (0, 1, 0));
    }
}
