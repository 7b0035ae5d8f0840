//! The binary: what it prints, what it refuses, how it ends.
#![cfg(unix)]

#[path = "support/http.rs"]
#[allow(dead_code, reason = "not every test needs all of the client")]
mod http;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_wakecast-local");

struct Served {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Reads on to the line that begins with this label and returns the rest of it.
    fn line(&mut self, label: &str) -> String {
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

    fn interrupt(mut self) -> (i32, String) {
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

fn refused(arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn it_prints_how_to_connect_serves_and_ends_on_an_interrupt() {
    let mut served = Served::start(&["--profile", "demonstration", "--token-life=30"]);
    let websocket = served.line("websocket");
    assert!(websocket.starts_with("ws://127.0.0.1:"), "{websocket}");
    let access = served.line("access");
    let admin = served.line("admin");
    let token = served.line("token");
    assert!(!token.contains('\u{1b}'), "plain where it is no terminal");
    assert!(served.line("lives").starts_with("30 s"));
    let status = http::send("GET", &format!("{admin}/status"), &[], "")
        .await
        .json();
    assert_eq!(status["launches"], 0);
    let bearer = format!("Bearer {token}");
    let check = format!("{access}/v1/access");
    let answer = http::send("GET", &check, &[("Authorization", &bearer)], "").await;
    assert_eq!(answer.status, 204, "the printed token works");
    let (code, rest) = served.interrupt();
    assert_eq!(code, 0);
    assert!(rest.ends_with("stopped\n"), "{rest}");
}

#[test]
fn help_names_every_option() {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for option in [
        "--port",
        "--profile",
        "--token-life",
        "--decision-log",
        "--help",
    ] {
        assert!(help.contains(option));
    }
}

#[test]
fn bad_arguments_are_named_and_end_with_2() {
    for (arguments, words) in [
        (vec!["--nope"], "unknown option `--nope`"),
        (vec!["serve"], "unknown option `serve`"),
        (vec!["--port"], "`--port` needs a value"),
        (vec!["--port", "0"], "expected 1 to 65533"),
        (vec!["--port=70000"], "expected 1 to 65533"),
        (
            vec!["--profile", "fast"],
            "expected default or demonstration",
        ),
        (vec!["--token-life", "3601"], "expected seconds, 1 to 3600"),
        (vec!["--token-life", "soon"], "expected seconds, 1 to 3600"),
    ] {
        let error = refused(&arguments);
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert!(error.contains("--help"), "{error}");
    }
}

#[test]
fn a_decision_log_that_cannot_be_written_is_named_and_ends_with_1() {
    let folder = std::env::temp_dir();
    let output = Command::new(BINARY)
        .arg("--decision-log")
        .arg(&folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(folder.to_str().unwrap()), "{error}");
}

#[test]
fn a_taken_port_is_named_and_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().min(65_533).to_string();
    let output = Command::new(BINARY)
        .args(["--port", &port])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&port) && error.contains("--port"), "{error}");
}
