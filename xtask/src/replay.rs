//! `cargo xtask replay`: the program of the cloud side that decides again what was logged.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::tools::Workspace;

const RUN: [&str; 5] = [
    "run",
    "--quiet",
    "--package=wakecast-lambda",
    "--bin=replay",
    "--",
];

/// Runs the program with these arguments, and ends as it does.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let mut command = workspace.cargo(&RUN);
    command.args(from_here(arguments));
    let status = command
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    // A signal leaves no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The program runs in the workspace's folder; whoever names a log means the folder they stand in.
fn from_here(arguments: &[String]) -> Vec<OsString> {
    let mut value = false;
    let path = |argument: &String| match std::path::absolute(argument) {
        Ok(path) => path.into_os_string(),
        Err(_) => argument.into(),
    };
    arguments
        .iter()
        .map(|argument| {
            let is_path = !value && !argument.starts_with('-');
            value = !value && matches!(argument.as_str(), "--line" | "--hash");
            if is_path {
                path(argument)
            } else {
                argument.into()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &[&str]) -> Vec<OsString> {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        from_here(&arguments)
    }

    #[test]
    fn a_log_is_looked_for_where_the_caller_stands() {
        let here = std::env::current_dir().expect("a current folder");
        let log = here.join("decisions.log").into_os_string();
        assert_eq!(
            words(&["--line", "7", "decisions.log"]),
            ["--line".into(), "7".into(), log.clone()]
        );
        assert_eq!(
            words(&["decisions.log", "--hash=4d"]),
            [log, "--hash=4d".into()]
        );
    }
}
