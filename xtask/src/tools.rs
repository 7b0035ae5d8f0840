//! Running other programs, and getting those that are absent.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limit;

/// The version that deny.toml was written for; an installed one of another version is used as it is.
const CARGO_DENY: &str = "0.20.2";

pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// The folder of the workspace, and how to run programs in it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// Programs that run until then are killed: the step that runs them hangs.
    deadline: Cell<Option<Instant>>,
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
        Ok(Self {
            root,
            target,
            deadline: Cell::new(None),
        })
    }

    /// Says when the programs that are run from here on must have ended.
    pub(crate) fn end_at(&self, deadline: Instant) {
        self.deadline.set(Some(deadline));
    }

    /// A folder beside what cargo builds, for what need not be kept.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.target.join(name)
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
        Ok((Some(status), mut output)) => {
            if !status.success() {
                output.push_str(&format!("{shown}: {status}\n"));
            }
            Run {
                ok: status.success(),
                output,
            }
        }
        Ok((None, mut output)) => {
            output.push_str(&format!(
                "{shown}: killed, since the step `{step}` ran for longer than its limit: it hangs, or \
                 the machine is very slow\n"
            ));
            Run { ok: false, output }
        }
        Err(error) => Run {
            ok: false,
            output: format!("{shown}: cannot be run: {error}\n"),
        },
    }
}

/// A subcommand of cargo that is installed from the registry when it is absent.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Of `cargo install`, beside the version.
    pub(crate) arguments: &'static [&'static str],
}

/// Makes sure that `cargo deny` is there. The error holds the command to run by hand.
pub(crate) fn need_cargo_deny(workspace: &Workspace, step: &str) -> Result<(), String> {
    // Its own lock file first; without it when a registry does not (yet) hold what the lock names.
    let [locked, free] = [
        &["--no-default-features", "--locked"][..],
        &["--no-default-features"],
    ]
    .map(|arguments| Tool {
        name: "cargo-deny",
        version: CARGO_DENY,
        arguments,
    });
    need(workspace, step, &locked).or_else(|_| need(workspace, step, &free))
}

/// Makes sure that a tool is there, in whatever version. The error holds the command to run by hand.
pub(crate) fn need(workspace: &Workspace, step: &str, tool: &Tool) -> Result<(), String> {
    let Tool {
        name,
        version,
        arguments,
    } = tool;
    let verb = name.trim_start_matches("cargo-");
    if run(workspace, step, workspace.cargo(&[verb, "--version"])).ok {
        return Ok(());
    }
    eprintln!("xtask: installs {name} {version}, which takes minutes");
    let mut install = workspace.cargo(&["install", name, "--version", version]);
    // A tool that runs for a second need not be fast: cargo-deny takes 85 s to build on two cores.
    install
        .args(*arguments)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
        .env_remove("CARGO_TARGET_DIR");
    let installed = run(workspace, step, install);
    if installed.ok {
        return Ok(());
    }
    Err(format!(
        "{}{name} is absent and could not be installed. Run:\n    \
         cargo install {name} --version {version} {}\n",
        installed.output,
        arguments.join(" ")
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
) -> io::Result<(Option<ExitStatus>, String)> {
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
    let (pieces, inbox) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        // Ends with the last program that writes, or when nobody listens any more.
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            if pieces.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut output = Vec::new();
    let in_time = loop {
        let left = match workspace.deadline.get() {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        match inbox.recv_timeout(left) {
            Ok(piece) => {
                log.write_all(&piece)?;
                output.extend_from_slice(&piece);
            }
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    if !in_time {
        limit::kill_tree(child.id());
    }
    let status = child.wait()?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok((in_time.then_some(status), output))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        Workspace {
            root: PathBuf::from("."),
            target: std::env::temp_dir().join(format!("xtask-limit-{}", std::process::id())),
            deadline: Cell::new(None),
        }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_hangs_is_killed_with_its_children_and_says_so() {
        let workspace = workspace();
        workspace.end_at(Instant::now() + Duration::from_millis(300));
        let begun = Instant::now();
        // The grandchild holds the pipe: were it not killed, this would last for an hour.
        let run = run(&workspace, "demo", shell("echo begun; sleep 3600 & wait"));
        assert!(!run.ok);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert!(run.output.starts_with("begun\n"), "{}", run.output);
        assert!(
            run.output.contains("step `demo` ran for longer"),
            "{}",
            run.output
        );
        let _ = fs::remove_dir_all(&workspace.target);
    }

    #[test]
    fn what_ends_in_time_keeps_its_output_and_its_status() {
        let workspace = workspace();
        workspace.end_at(Instant::now() + Duration::from_secs(600));
        let well = run(&workspace, "calm", shell("echo one; echo two >&2"));
        assert!(well.ok);
        assert_eq!(well.output, "one\ntwo\n");
        assert!(!run(&workspace, "calm", shell("exit 3")).ok);
    }
}
