//! `cargo xtask package`: the crate `wakecast` as a registry would hand it out, built and tested
//! from the unpacked archive. What ships is what is tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::report::Counts;
use crate::runner::Outcome;
use crate::steps;
use crate::tools::{self, Workspace};

const PACKAGE: &str = "wakecast";

const STEP: &str = "package";

/// What nobody would miss until they open the archive: no build fails without these.
const HELD: [&str; 6] = [
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "protocol.md",
    "states.md",
];

/// Why the manifest of a published crate is complete; a registry shows each of them.
const METADATA: [&str; 9] = [
    "categories",
    "description",
    "documentation",
    "keywords",
    "license",
    "name",
    "readme",
    "repository",
    "rust-version",
];

/// `cargo xtask package`.
pub(crate) fn command(workspace: &Workspace) -> ExitCode {
    let outcome = step(workspace);
    let Counts { passed, failed, .. } = outcome.counts;
    if failed > 0 {
        eprint!("{}", outcome.output);
    }
    println!("{}\n{passed} passed, {failed} failed", outcome.remark);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The step `package`.
pub(crate) fn step(workspace: &Workspace) -> Outcome {
    let (archive, folder) = match unpacked(workspace) {
        Ok(unpacked) => unpacked,
        Err(message) => return Outcome::failed(message),
    };
    // The pure half by itself, as a binding takes it.
    let mut pure = cargo(workspace, &folder, "check");
    pure.args(["--lib", "--no-default-features"]);
    let pure = tools::run(workspace, STEP, pure);
    if !pure.ok {
        return pure.into();
    }
    let mut test = cargo(workspace, &folder, "test");
    test.arg("--no-fail-fast");
    let mut outcome = steps::judge_tests(tools::run(workspace, STEP, test));
    let size = fs::metadata(&archive).map_or(0, |file| file.len() / 1024);
    outcome.remark = format!("{} from an archive of {size} KiB", outcome.remark);
    outcome
}

/// Packs the crate and unpacks it. Returns the archive and the folder.
fn unpacked(workspace: &Workspace) -> Result<(PathBuf, PathBuf), String> {
    // Of a working tree as it is: whoever changes something wants to know before the commit.
    let mut pack = workspace.cargo(&["package", "--package", PACKAGE]);
    pack.args(["--no-verify", "--allow-dirty", "--color=never"]);
    let packed = tools::run(workspace, STEP, pack);
    if !packed.ok {
        return Err(packed.output);
    }
    let warnings: Vec<&str> = (packed.output.lines())
        .filter(|line| line.starts_with("warning"))
        .collect();
    if !warnings.is_empty() {
        return Err(format!("{}\n", warnings.join("\n")));
    }
    let name = format!("{PACKAGE}-{}", version(workspace)?);
    let archive = workspace
        .target
        .join("package")
        .join(format!("{name}.crate"));
    let home = workspace.target.join("package-check");
    let cannot = |error| format!("{}: {error}\n", home.display());
    if home.exists() {
        fs::remove_dir_all(&home).map_err(cannot)?;
    }
    fs::create_dir_all(&home).map_err(cannot)?;
    // With the time of now: every archive carries the same old time, and cargo would take the files
    // of this one for those that it has built before.
    let mut tar = Command::new("tar");
    tar.arg("-xzmf").arg(&archive).arg("-C").arg(&home);
    let untarred = tools::run(workspace, STEP, tar);
    if !untarred.ok {
        return Err(untarred.output);
    }
    let folder = home.join(name);
    let faults = faults(&folder);
    if faults.is_empty() {
        Ok((archive, folder))
    } else {
        Err(faults)
    }
}

/// Runs cargo in the unpacked crate, with what other steps have built of its dependencies.
fn cargo(workspace: &Workspace, folder: &Path, verb: &str) -> Command {
    let mut command = workspace.cargo(&[verb, "--locked"]);
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &workspace.target);
    command
}

fn version(workspace: &Workspace) -> Result<String, String> {
    let mut ask = workspace.cargo(&["pkgid", "--package", PACKAGE]);
    ask.arg("--offline");
    let answer = tools::run(workspace, STEP, ask);
    let version = answer.output.trim().rsplit(['#', '@']).next();
    version
        .filter(|version| answer.ok && version.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
        .ok_or_else(|| format!("{}no version of {PACKAGE} was told\n", answer.output))
}

/// What is missing in the archive, one a line.
fn faults(folder: &Path) -> String {
    let mut text = String::new();
    for name in HELD {
        if !folder.join(name).is_file() {
            text.push_str(&format!("the archive holds no {name}\n"));
        }
    }
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    for key in METADATA {
        let named = |line: &str| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(" ="))
        };
        if !manifest.lines().any(named) {
            text.push_str(&format!("Cargo.toml says no `{key}`\n"));
        }
    }
    text
}
