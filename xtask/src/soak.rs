//! `cargo xtask soak …`: hundreds of real clients for minutes.

use std::process::ExitCode;

use crate::tools::Workspace;

/// Optimised with every check on, as the simulation: the clients have to share the machine with the
/// cloud they talk to.
const PROGRAM: [&str; 4] = [
    "--quiet",
    "--profile=sim",
    "--package=wakecast-tests",
    "--bin=soak",
];

/// Builds and runs the soak; it reads its own arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let mut run = workspace.cargo(&["run"]);
    run.args(PROGRAM).arg("--").args(arguments);
    let status = run.status();
    let status = status.map_err(|error| format!("cargo cannot be run: {error}"))?;
    // 2 says that the arguments could not be read.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
