//! The binary as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_wakecast-local");

/// The binary, with no secrets from the environment of whoever runs the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_remove("WAKECAST_MEDIA_SECRET")
        .env_remove("WAKECAST_MEDIA_STREAM_SECRET");
    command
}

/// A running `wakecast-local`; killed when dropped.
pub(crate) struct Served {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command()
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Reads on to the line that begins with this label and returns the rest of it.
    pub(crate) fn line(&mut self, label: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "no line `{label}`"
            );
            if let Some(rest) = line.trim_start().strip_prefix(label) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Ends it as Ctrl-C does; returns its exit code and what it still said.
    pub(crate) fn interrupt(mut self) -> (i32, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
