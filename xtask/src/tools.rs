//! Running other programs, and getting those that are absent.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// The version that deny.toml was written for; an installed one of another version is used as it is.
const CARGO_DENY: &str = "0.20.2";

const WASM: &str = "wasm32-unknown-unknown";

/// The folder of the workspace, and how to run programs in it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the workspace from where cargo says that xtask lives, else from the current folder up.
    pub(crate) fn find() -> Result<Self, String> {
        let here = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?,
        };
        let root = here
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file() && folder.join("xtask").is_dir())
            .ok_or("run it inside the wakecast repository, as `cargo xtask …`")?
            .to_owned();
        // As cargo reads it: a relative path counts from the current folder.
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map(PathBuf::from)
            .and_then(|folder| std::path::absolute(folder).ok())
            .unwrap_or_else(|| root.join("target"));
        Ok(Self { root, target })
    }

    /// Where the whole output of a step is kept.
    pub(crate) fn log(&self, step: &str) -> PathBuf {
        self.target.join("xtask").join(format!("{step}.log"))
    }

    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        // What `cargo run` told xtask about itself must not reach other builds: a build script that
        // watches these variables (ring's does) would be built anew each time.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(names_this_package) {
                command.env_remove(name);
            }
        }
        // Nothing that runs here may look for an AWS account, or ask for one at the metadata address.
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command
    }
}

/// What a program printed (both streams, in order) and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) ok: bool,
    pub(crate) output: String,
}

/// Runs a program to its end, keeps its output and writes it to the log of the step as it comes.
pub(crate) fn run(workspace: &Workspace, step: &str, command: Command) -> Run {
    let shown = shown(&command);
    match try_run(workspace, step, command) {
        Ok((status, mut output)) => {
            if !status.success() {
                output.push_str(&format!("{shown}: {status}\n"));
            }
            Run {
                ok: status.success(),
                output,
            }
        }
        Err(error) => Run {
            ok: false,
            output: format!("{shown}: cannot be run: {error}\n"),
        },
    }
}

/// Makes sure that `cargo deny` is there. The error holds the command to run by hand.
pub(crate) fn need_cargo_deny(workspace: &Workspace, step: &str) -> Result<(), String> {
    if run(workspace, step, workspace.cargo(&["deny", "--version"])).ok {
        return Ok(());
    }
    let install = [
        "install",
        "cargo-deny",
        "--version",
        CARGO_DENY,
        "--no-default-features",
    ];
    let mut output = String::new();
    // Its own lock file first; without it when a registry does not (yet) hold what the lock names.
    for locked in [&["--locked"][..], &[]] {
        let mut command = workspace.cargo(&install);
        command.args(locked);
        // A tool that runs for a second need not be fast: 85 s to build on two cores.
        command
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
            .env_remove("CARGO_TARGET_DIR");
        let attempt = run(workspace, step, command);
        if attempt.ok {
            return Ok(());
        }
        output = attempt.output;
    }
    Err(format!(
        "{output}cargo-deny is absent and could not be installed. Run:\n    \
         cargo install cargo-deny --version {CARGO_DENY} --locked\n"
    ))
}

/// Makes sure that the WebAssembly target is there. The error holds the command to run by hand.
pub(crate) fn need_wasm_target(workspace: &Workspace, step: &str) -> Result<(), String> {
    let mut print = Command::new("rustc");
    print
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(&workspace.root);
    let answer = run(workspace, step, print);
    if answer.ok && fs::read_dir(answer.output.trim()).is_ok_and(|mut files| files.next().is_some())
    {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", WASM])
        .current_dir(&workspace.root);
    let added = run(workspace, step, add);
    if added.ok {
        return Ok(());
    }
    Err(format!(
        "{}the target {WASM} is absent and could not be added. Run:\n    rustup target add {WASM}\n",
        added.output
    ))
}

fn try_run(
    workspace: &Workspace,
    step: &str,
    mut command: Command,
) -> io::Result<(ExitStatus, String)> {
    let path = workspace.log(step);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut log = File::options().create(true).append(true).open(path)?;
    writeln!(log, "$ {}", shown(&command))?;

    // One pipe for both streams keeps their lines in order.
    let (mut reader, writer) = io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn()?;
    // The command holds our ends of the pipe, which would keep it open for ever.
    drop(command);
    let mut output = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        log.write_all(&buffer[..count])?;
        output.extend_from_slice(&buffer[..count]);
    }
    Ok((child.wait()?, String::from_utf8_lossy(&output).into_owned()))
}

fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut text = program
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn names_this_package(variable: &str) -> bool {
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
    ]
    .iter()
    .any(|prefix| variable.starts_with(prefix))
}
