//! The binary: what it prints, what it refuses, how it ends.
#![cfg(unix)]

#[path = "support/http.rs"]
#[allow(dead_code, reason = "not every test needs all of the client")]
mod http;

#[path = "support/process.rs"]
mod process;

use std::process::Command;

use process::{BINARY, Served};

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
    let another = served.line("another");
    assert_eq!(
        another,
        format!(
            "curl {admin}/token -H content-type:application/json -d '{{\"subject\":\"developer\"}}'"
        )
    );
    let minted = http::send(
        "POST",
        &format!("{admin}/token"),
        &[("content-type", "application/json")],
        "{\"subject\":\"developer\"}",
    )
    .await;
    assert_eq!(minted.status, 200, "what is printed works");
    assert!(
        minted.json()["token"]
            .as_str()
            .is_some_and(|minted| !minted.is_empty())
    );
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
        "--links",
        "--vendor-sdk",
        "--decision-log",
        "--media-server",
        "--media-secret-file",
        "--media-stream-secret-file",
        "--media-app",
        "--media-edition",
        "--media-setting",
        "--media-address",
        "--help",
    ] {
        assert!(help.contains(option), "{option}");
    }
    let output = Command::new(BINARY).args(["media", "--help"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for option in ["--port", "--profile", "--media-secret-file", "--media-app"] {
        assert!(help.contains(option), "{option}");
    }
    assert!(!help.contains("--media-setting"), "{help}");
}

#[test]
fn bad_arguments_are_named_and_end_with_2() {
    for (arguments, words) in [
        (vec!["--nope"], "unknown option `--nope`"),
        (vec!["serve"], "unknown command `serve`"),
        (
            vec!["medai", "--port", "5080"],
            "unknown command `medai`: expected `media`",
        ),
        (vec!["--port", "5080", "media"], "`media` is one too many"),
        (vec!["media", "5080"], "`5080` is one too many"),
        (vec!["--port"], "`--port` needs a value"),
        (vec!["--port", "0"], "expected 1 to 65533"),
        (vec!["--port=70000"], "expected 1 to 65533"),
        (
            vec!["--profile", "fast"],
            "expected default, demonstration or test",
        ),
        (vec!["--vendor-sdk=yes"], "expected no value"),
        (vec!["--links", "0"], "expected a number from 1"),
        (vec!["--token-life", "3601"], "expected seconds, 1 to 3600"),
        (vec!["--token-life", "soon"], "expected seconds, 1 to 3600"),
        (
            vec!["--media-edition", "ultimate"],
            "expected enterprise or community",
        ),
        (vec!["--media-app", "a/b"], "letters, digits"),
        (
            vec!["--media-app", "live"],
            "`--media-server`, which is not given",
        ),
        (
            vec!["--media-address", "0.0.0.0"],
            "one IP address of this machine",
        ),
        (
            vec!["media", "--media-address", "here"],
            "one IP address of this machine",
        ),
        (vec!["--media-setting", "nothing"], "expected NAME=VALUE"),
        (vec!["--media-server", "ftp://127.0.0.1"], "another scheme"),
        (vec!["media", "--port", "70000"], "expected 0 to 65535"),
        (
            vec!["media", "--token-life", "5"],
            "unknown option `--token-life`",
        ),
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
