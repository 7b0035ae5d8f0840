//! Running Node's programs in a folder with a `package.json`, after its packages were got.

use std::process::Command;

use crate::tools::{self, Workspace};

/// A folder with a `package.json` and its lock file, below the workspace's root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folder(pub(crate) &'static str);

impl Folder {
    /// A command that runs in the folder.
    pub(crate) fn command(self, workspace: &Workspace, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(workspace.root.join(self.0));
        command
    }

    /// Makes sure that the packages of the lock file are there, each with its checksum. The error
    /// holds the command to run by hand.
    pub(crate) fn need_packages(self, workspace: &Workspace, step: &str) -> Result<(), String> {
        let folder = workspace.root.join(self.0);
        let modified = |path: &str| folder.join(path).metadata().and_then(|m| m.modified()).ok();
        let installed = modified("node_modules/.package-lock.json");
        if installed.is_some() && installed >= modified("package-lock.json") {
            return Ok(());
        }
        let mut install = self.command(workspace, "npm");
        // No script of a package runs.
        install.args(["ci", "--ignore-scripts"]);
        let run = tools::run(workspace, step, install);
        if run.ok {
            return Ok(());
        }
        Err(format!(
            "{}the packages could not be installed. Run:\n    npm ci --ignore-scripts   (in {})\n",
            run.output, self.0
        ))
    }
}
