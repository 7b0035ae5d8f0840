//! `cargo xtask npm`: the npm package `wakecast` as the registry would hand it out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::node::Folder;
use crate::tools::{self, WASM, Workspace};

/// What builds the package: its tools, and the JavaScript face that is shipped.
const FOLDER: Folder = Folder("sdk-wasm");

/// `cargo xtask npm`.
pub(crate) fn command(workspace: &Workspace) -> Result<ExitCode, String> {
    build(workspace, "npm")?;
    println!(
        "{}\n{}",
        folder(workspace, "wakecast").display(),
        folder(workspace, "wakecast.tgz").display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Builds `target/npm/wakecast` and packs it into `target/npm/wakecast.tgz`. The error is what the
/// program that failed printed.
pub(crate) fn build(workspace: &Workspace, step: &str) -> Result<(), String> {
    FOLDER.need_packages(workspace, step)?;
    let package = folder(workspace, "wakecast");
    renew(&package).map_err(|error| format!("{}: {error}\n", package.display()))?;
    compile(workspace, step)?;
    bind(workspace, step, &package)?;
    optimise(workspace, step, &package)?;
    pack(workspace, step)
}

fn folder(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target("npm").join(name)
}

/// The face and the licences, in an otherwise empty folder.
fn renew(package: &Path) -> std::io::Result<()> {
    if package.exists() {
        fs::remove_dir_all(package)?;
    }
    fs::create_dir_all(package)
}

fn compile(workspace: &Workspace, step: &str) -> Result<(), String> {
    let mut module = workspace.cargo(&[
        "build",
        "--quiet",
        "--profile=wasm",
        "--package=wakecast-wasm",
    ]);
    module.arg(format!("--target={WASM}"));
    // The module names the files in which it may panic: none of them by where this machine keeps it.
    if let Some(home) = cargo_home() {
        let sources = home.join("registry").join("src");
        let remap = format!("--remap-path-prefix={}=", sources.display());
        module.env("CARGO_ENCODED_RUSTFLAGS", remap);
    }
    let tools = workspace.cargo(&["build", "--quiet", "--package=wakecast-wasm-tools"]);
    run(workspace, step, module).and_then(|()| run(workspace, step, tools))
}

/// Where cargo keeps what it downloads.
fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
}

/// Writes the module and its glue into the package.
fn bind(workspace: &Workspace, step: &str, package: &Path) -> Result<(), String> {
    let mut bindgen = Command::new(workspace.target("debug").join("bindgen"));
    bindgen
        .args([
            "--target=web",
            "--no-typescript",
            // The face fetches the module, and so can say what is wrong when it is not there.
            "--omit-default-module-path",
            "--remove-name-section",
            "--remove-producers-section",
            "--out-name=wakecast",
            "--out-dir",
        ])
        .arg(package.join("wasm"))
        .arg(
            workspace
                .target(WASM)
                .join("wasm")
                .join("wakecast_wasm.wasm"),
        );
    run(workspace, step, bindgen)
}

/// Shrinks the module and the glue, and adds the face.
fn optimise(workspace: &Workspace, step: &str, package: &Path) -> Result<(), String> {
    let mut finish = FOLDER.command(workspace, "node");
    finish.arg("build.mjs").arg(package);
    run(workspace, step, finish)
}

fn pack(workspace: &Workspace, step: &str) -> Result<(), String> {
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", "--ignore-scripts", "./wakecast"])
        .current_dir(workspace.target("npm"));
    run(workspace, step, pack)?;
    let version = env!("CARGO_PKG_VERSION");
    fs::rename(
        folder(workspace, &format!("wakecast-{version}.tgz")),
        folder(workspace, "wakecast.tgz"),
    )
    .map_err(|error| format!("npm pack wrote no wakecast-{version}.tgz: {error}\n"))
}

fn run(workspace: &Workspace, step: &str, command: Command) -> Result<(), String> {
    let run = tools::run(workspace, step, command);
    if run.ok { Ok(()) } else { Err(run.output) }
}
