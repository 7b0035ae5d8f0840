//! `cargo xtask api` and `cargo xtask semver`: what the crate `wakecast` promises to whoever builds
//! on it, and whether a change breaks that.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::tools::{self, Tool, Workspace};

/// The listing of everything public, which a change of the surface has to change, too.
const LISTING: &str = "sdk-core/public-api.txt";

/// Reads the JSON that the pinned compiler's rustdoc writes (format 57, in its lock file): another
/// compiler asks for another version here.
const PUBLIC_API: Tool = Tool {
    name: "cargo-public-api",
    version: "0.52.0",
    arguments: &["--locked"],
};

/// Takes about 12 min to build, so no step of `test` needs it.
const SEMVER_CHECKS: Tool = Tool {
    name: "cargo-semver-checks",
    version: "0.51.0",
    arguments: &["--locked"],
};

const API_USAGE: &str = "api takes nothing, or --write to accept the surface as it is";

const SEMVER_USAGE: &str = "semver takes a tag or commit to compare with; \
     nothing is on the registry yet that it could compare with by itself";

/// The tool's words are those of 1.0 and later.
const BEFORE_ONE: &str = "\
     callers would have to change something, or the check could not be made. Before 1.0 a \"new major \
     version\" is the next second number: 0.1.x is followed by 0.2.0.";

/// `cargo xtask api [--write]`.
pub(crate) fn api(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let write = match arguments {
        [] => false,
        [flag] if flag == "--write" => true,
        _ => return Err(API_USAGE.to_owned()),
    };
    tools::need(workspace, "api", &PUBLIC_API)?;
    let now = listing(workspace)?;
    let path = workspace.root.join(LISTING);
    if write {
        fs::write(&path, now).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("wrote {LISTING}");
        return Ok(ExitCode::SUCCESS);
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    let changes = changes(&before, &now);
    if changes.is_empty() {
        println!(
            "the public surface is what {LISTING} says: {} lines",
            now.lines().count()
        );
        return Ok(ExitCode::SUCCESS);
    }
    print!("{changes}");
    println!("the public surface has changed; if that is meant: cargo xtask api --write");
    Ok(ExitCode::FAILURE)
}

/// `cargo xtask semver <REV>`.
pub(crate) fn semver(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let [baseline] = arguments else {
        return Err(SEMVER_USAGE.to_owned());
    };
    tools::need(workspace, "semver", &SEMVER_CHECKS)?;
    let mut check = workspace.cargo(&["semver-checks", "--package=wakecast"]);
    check.args(["--baseline-rev", baseline, "--default-features"]);
    let status = check.status();
    let status = status.map_err(|error| format!("cargo cannot be run: {error}"))?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{BEFORE_ONE}");
    Ok(ExitCode::FAILURE)
}

/// Lists the surface with the default features, one item a line, without what every type has by
/// derives and blanket implementations.
fn listing(workspace: &Workspace) -> Result<String, String> {
    let target = workspace.target.join("public-api");
    let mut document = workspace.cargo(&["rustdoc", "--package=wakecast", "--lib"]);
    document.args(["--", "-Z", "unstable-options", "--output-format=json"]);
    // The JSON is a nightly feature of a stable compiler. A target folder of its own: build scripts
    // look at this variable, and would be run again in the shared one.
    document
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target);
    let documented = tools::run(workspace, "api", document);
    if !documented.ok {
        return Err(documented.output);
    }
    let json: PathBuf = target.join("doc").join("wakecast.json");
    let mut list = workspace.cargo(&["public-api", "--color=never", "-sss"]);
    list.arg("--rustdoc-json").arg(&json);
    let listed = tools::run(workspace, "api", list);
    if listed.ok {
        Ok(listed.output)
    } else {
        Err(listed.output)
    }
}

/// The lines that went (`-`) and came (`+`).
fn changes(before: &str, now: &str) -> String {
    let mut text = String::new();
    let both: [(&str, &str, char); 2] = [(before, now, '-'), (now, before, '+')];
    for (here, there, sign) in both {
        let there: std::collections::BTreeSet<&str> = there.lines().collect();
        for line in here.lines().filter(|line| !there.contains(line)) {
            text.push_str(&format!("{sign} {line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_surface_is_told_line_by_line() {
        assert_eq!(changes("a\nb\n", "a\nb\n"), "");
        assert_eq!(changes("a\nb\n", "a\nc\n"), "- b\n+ c\n");
    }
}
