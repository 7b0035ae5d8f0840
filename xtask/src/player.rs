//! `cargo xtask player`: the web page that goes live and watches, with the local cloud behind it.

use std::process::{Command, ExitCode};

use crate::node::Folder;
use crate::npm;
use crate::tools::{self, Workspace};

/// The page and its server.
pub(crate) const FOLDER: Folder = Folder("examples/web-player");

/// Builds what the page needs and serves it until Ctrl-C. `arguments` are the server's own.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    eprintln!("xtask: builds the npm package and the local cloud, minutes the first time");
    FOLDER.need_packages(workspace, "player")?;
    npm::build(workspace, "player")?;
    let build = workspace.cargo(&["build", "--quiet", "--package=wakecast-local"]);
    let built = tools::run(workspace, "player", build);
    if !built.ok {
        return Err(built.output);
    }
    let mut serve = FOLDER.command(workspace, "node");
    serve
        .arg("server/main.mjs")
        .arg("--local")
        .arg(workspace.target("debug").join("wakecast-local"))
        .arg("--package")
        .arg(workspace.target("npm").join("wakecast"))
        .args(arguments);
    become_it(&mut serve)
}

/// Takes the program's place, so that Ctrl-C and the exit code are its own.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Result<ExitCode, String> {
    use std::os::unix::process::CommandExt as _;
    Err(format!("node cannot be run: {}", command.exec()))
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Result<ExitCode, String> {
    let status = command
        .status()
        .map_err(|error| format!("node cannot be run: {error}"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
