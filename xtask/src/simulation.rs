//! The simulation: one optimised build, then worlds and herds, then the tests that need the feature
//! `ablation`. Those run here and in no other step.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::report::{self, Counts};
use crate::runner::Outcome;
use crate::sources;
use crate::tools::{self, Workspace};

/// The package of the simulation.
const PACKAGE: &str = "wakecast-tests";

/// Lets worlds run without a guard; the tests that do have it as their required feature.
const FEATURE: &str = "ablation";

/// What the test command plays: small worlds from a fixed range of seeds, so that a transition that
/// is not taken is a fault of the code or of the plan, and not of the day.
const PLAYED: [&str; 4] = ["--seeds", "2000", "--herds", "--require-coverage"];

/// The worlds of a test run on two threads each: more would wait for one another.
const TEST_THREADS: &str = "--test-threads=2";

/// `cargo xtask sim …`: hands everything to the simulation, built optimised.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let mut command = play(workspace);
    command.args(arguments);
    let status = command
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(2) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    })
}

/// The step `sim`.
pub(crate) fn step(workspace: &Workspace) -> Outcome {
    let targets = match targets(workspace) {
        Ok(targets) => targets,
        Err(message) => return Outcome::failed(message),
    };
    let mut build = cargo(workspace, &["build", "--quiet"]);
    build.args(["--bin", "sim"]);
    name(&mut build, &targets);
    let built = tools::run(workspace, "sim", build);
    if !built.ok {
        return built.into();
    }
    let begun = Instant::now();
    let mut worlds = play(workspace);
    worlds.args(PLAYED);
    let played = tools::run(workspace, "sim", worlds);
    let mut counts = checks(&played.output);
    let mut remark = played.output.trim_end().to_owned();
    let mut output = String::new();
    if !played.ok || counts.passed == 0 {
        // Broken laws are counted by the simulation; a crash of its own is one.
        counts.failed = counts.failed.max(1);
        output.push_str(&played.output);
    }
    let time = report::seconds(begun.elapsed());
    remark.push_str(&format!("\n\nworlds and herds ran in {time}\n"));
    if !targets.is_empty() {
        let begun = Instant::now();
        let mut tests = cargo(workspace, &["test", "--no-fail-fast"]);
        name(&mut tests, &targets);
        tests.args(["--", TEST_THREADS]);
        let tested = crate::steps::judge_tests(tools::run(workspace, "sim", tests));
        counts.add(tested.counts);
        output.push_str(&tested.output);
        let time = report::seconds(begun.elapsed());
        remark.push_str(&format!(
            "{} tests of {} ran in {time}\n",
            tested.counts.passed,
            targets.join(", ")
        ));
    }
    Outcome {
        counts,
        remark,
        output,
    }
}

/// Every feature of every member, written as cargo takes them with `--workspace`, but for those that
/// let guards be turned off: their tests run in this step, all others as a user's build is.
pub(crate) fn other_features(workspace: &Workspace) -> Result<String, String> {
    let mut all = Vec::new();
    for member in sources::members(&workspace.root)? {
        let manifest = sources::read_text(&workspace.root.join(&member).join("Cargo.toml"))?;
        let package = value_of(&manifest, "[package]", "name")
            .ok_or_else(|| format!("{member}/Cargo.toml names no package"))?;
        for feature in keys_of(&manifest, "[features]") {
            if feature != "default" && feature != FEATURE {
                all.push(format!("{package}/{feature}"));
            }
        }
    }
    Ok(all.join(","))
}

fn cargo(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = workspace.cargo(words);
    command.args(["--profile=sim", "--package", PACKAGE, "--features", FEATURE]);
    command
}

fn play(workspace: &Workspace) -> Command {
    let mut command = cargo(workspace, &["run", "--quiet"]);
    command.args(["--bin", "sim", "--"]);
    command
}

fn name(command: &mut Command, targets: &[String]) {
    for target in targets {
        command.args(["--test", target]);
    }
}

/// The test targets that say that they need the feature.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let path = workspace.root.join("tests").join("Cargo.toml");
    Ok(targets_in(&sources::read_text(&path)?))
}

fn targets_in(manifest: &str) -> Vec<String> {
    let tables = manifest.split("\n[").skip(1);
    tables
        .filter_map(|table| table.strip_prefix("[test]]"))
        .filter(|table| {
            let required = value_of_line(table, "required-features");
            required.is_some_and(|features| features.contains(&format!("\"{FEATURE}\"")))
        })
        .filter_map(|table| value_of_line(table, "name"))
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}

/// Reads `checks  N passed, M failed`, with which the simulation ends.
fn checks(output: &str) -> Counts {
    let mut lines = output.lines().rev();
    let numbers = lines.find_map(|line| line.strip_prefix("checks "));
    let (passed, failed) = numbers
        .and_then(|numbers| numbers.trim().strip_suffix(" failed"))
        .and_then(|numbers| numbers.split_once(" passed, "))
        .unwrap_or_default();
    Counts {
        passed: passed.parse().unwrap_or(0),
        failed: failed.parse().unwrap_or(0),
        ..Counts::default()
    }
}

/// The lines of a table of a manifest.
fn table<'a>(manifest: &'a str, title: &str) -> impl Iterator<Item = &'a str> {
    let mut lines = manifest.lines();
    let _ = lines.find(|line| line.trim() == title);
    lines.take_while(|line| !line.starts_with('['))
}

fn keys_of(manifest: &str, title: &str) -> Vec<String> {
    let keys = table(manifest, title).filter_map(|line| line.split_once(" = "));
    keys.filter(|(key, _)| !key.starts_with([' ', '#']))
        .map(|(key, _)| key.to_owned())
        .collect()
}

fn value_of(manifest: &str, title: &str, key: &str) -> Option<String> {
    let mut lines = table(manifest, title).filter_map(|line| line.split_once(" = "));
    let (_, value) = lines.find(|(name, _)| *name == key)?;
    Some(value.trim_matches('"').to_owned())
}

fn value_of_line<'a>(table: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = table.lines().filter_map(|line| line.split_once(" = "));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "
[package]
name = \"x-tests\"

[features]
default = []
# A reason.
ablation = [\"y/ablation\"]
many = [
    \"dep:a\",
]

[[test]]
name = \"crashes\"
required-features = [\"ablation\"]

[[test]]
name = \"other\"

[[test]]
name = \"worlds\"
path = \"tests/worlds.rs\"
required-features = [\"ablation\"]

[lints]
workspace = true
";

    #[test]
    fn the_targets_that_need_the_feature_are_read() {
        assert_eq!(targets_in(MANIFEST), ["crashes", "worlds"]);
    }

    #[test]
    fn features_and_names_are_read() {
        assert_eq!(
            keys_of(MANIFEST, "[features]"),
            ["default", "ablation", "many"]
        );
        assert_eq!(value_of(MANIFEST, "[package]", "name").unwrap(), "x-tests");
    }

    #[test]
    fn the_last_line_of_the_simulation_is_counted() {
        let output = "worlds       2000\nchecks       7 passed, 1 failed\n";
        let counts = checks(output);
        assert_eq!((counts.passed, counts.failed), (7, 1));
        assert_eq!(checks("panicked\n"), Counts::default());
    }
}
