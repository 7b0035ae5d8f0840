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

/// For glibc: one arena, and large buffers given back at once. What its allocator keeps for later
/// after a herd would else be read as growth, and hide the growth that matters.
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// Builds and runs the soak; it reads its own arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let cargo = |verb: &str| {
        let mut command = workspace.cargo(&[verb]);
        command.args(PROGRAM);
        command
    };
    let mut run = cargo("run");
    run.arg("--").args(arguments).envs(ALLOCATOR);
    // Built first, so that the compiler keeps its allocator as it is.
    for mut command in [cargo("build"), run] {
        let status = command.status();
        let status = status.map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !status.success() {
            // 2 says that the arguments could not be read.
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
    }
    Ok(ExitCode::SUCCESS)
}
