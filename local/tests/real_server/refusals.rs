//! A server that cannot stand behind the instances is told at the start, and how to mend it.

use std::net::TcpListener;

use crate::process::{Served, command};
use crate::server::{SERVER_SECRET, STREAM_SECRET, Server};

/// Starts the cloud with this server and returns what it says before it ends.
fn told(url: &str, options: &[&str], secrets: [Option<&str>; 2]) -> String {
    let mut cloud = command();
    cloud.args(["--media-server", url]).args(options);
    let names = ["WAKECAST_MEDIA_SECRET", "WAKECAST_MEDIA_STREAM_SECRET"];
    for (name, secret) in names.into_iter().zip(secrets) {
        if let Some(secret) = secret {
            cloud.env(name, secret);
        }
    }
    let output = cloud.env("RUST_LOG", "trace").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{options:?}");
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("canary"), "a secret was printed: {said}");
    said
}

fn holds(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "`{words}` in: {said}");
    }
}

const RIGHT: [Option<&str>; 2] = [Some(SERVER_SECRET), Some(STREAM_SECRET)];

#[test]
fn what_the_server_has_otherwise_is_named() {
    let server = Server::guarded();
    let url = server.url.as_str();
    let said = told(url, &[], [Some("canary-of-another"), Some(STREAM_SECRET)]);
    holds(
        &said,
        &[
            url,
            "403",
            "Invalid Server JWT Token",
            "--media-secret-file",
            "server.jwtServerSecretKey",
        ],
    );
    let said = told(url, &["--media-app", "LiveApp"], RIGHT);
    holds(&said, &["`LiveApp`", "it lists live", "--media-app"]);
    let said = told(url, &["--media-setting", "mp4MuxingEnabled=true"], RIGHT);
    holds(&said, &["mp4MuxingEnabled = false, expected true"]);
    let said = told(url, &["--media-setting=nothing=1"], RIGHT);
    holds(
        &said,
        &[
            "has no setting `nothing`",
            "expected it to be 1",
            "mend its name",
            "--media-setting",
        ],
    );
    let said = told(url, &["--media-setting=jwtStreamSecretKey=canary"], RIGHT);
    holds(&said, &["jwtStreamSecretKey = …, expected …"]);
    let other = [Some(SERVER_SECRET), Some("canary-of-another")];
    holds(
        &told(url, &[], other),
        &["another secret", "--media-stream-secret-file"],
    );
    let none = [Some(SERVER_SECRET), None];
    holds(
        &told(url, &[], none),
        &[
            "publishJwtControlEnabled = true, expected false",
            "WAKECAST_MEDIA_STREAM_SECRET",
        ],
    );
    let said = told(
        url,
        &["--media-setting=publishJwtControlEnabled=true"],
        none,
    );
    holds(&said, &["playJwtControlEnabled"]);
    let said = told(url, &["--media-edition", "community"], RIGHT);
    holds(&said, &["counts WebRTC", "--media-edition enterprise"]);
    server.stop();
}

#[test]
fn a_server_whose_control_is_off_or_of_the_other_edition_is_named() {
    let server = Server::start(&[]);
    let said = told(&server.url, &[], [Some(SERVER_SECRET), None]);
    holds(
        &said,
        &[
            "Not authenticated user",
            "server.jwtServerControlEnabled=true",
            "red5.properties",
        ],
    );
    let secret = crate::server::SecretFile::holding(SERVER_SECRET);
    let community = ["--media-edition", "community"];
    let mut options = vec!["--media-secret-file", secret.path()];
    options.extend(community);
    let server = Server::start(&options);
    let said = told(&server.url, &[], [Some(SERVER_SECRET), None]);
    holds(
        &said,
        &["does not count WebRTC", "--media-edition community"],
    );
    let said = told(&server.url, &community, RIGHT);
    holds(
        &said,
        &[
            "publishJwtControlEnabled = false, expected true",
            "leave the stream secret out",
        ],
    );
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let said = told(&format!("http://{address}"), &[], RIGHT);
    holds(
        &said,
        &[
            &format!("no media server answers at http://{address}"),
            "connection refused",
            "start the server",
        ],
    );
    // Something answers, but it is no media server, or not with TLS.
    let mut cloud = Served::start(&[]);
    let admin = cloud.line("admin");
    let said = told(&admin, &[], RIGHT);
    holds(&said, &["not understood", "HTTP 404, expected 200"]);
    let said = told(&admin.replace("http://", "https://"), &[], RIGHT);
    holds(&said, &["TLS", "http:// where it serves without TLS"]);
}

#[test]
fn a_secret_that_is_missing_or_cannot_be_read_is_named() {
    let url = "http://127.0.0.1:5080";
    let said = told(url, &[], [None, Some(STREAM_SECRET)]);
    holds(&said, &["--media-secret-file", "WAKECAST_MEDIA_SECRET"]);
    let said = told(
        url,
        &["--media-secret-file", "/nowhere/at/all"],
        [None, None],
    );
    holds(&said, &["/nowhere/at/all", "cannot be read"]);
    let said = told(url, &[], [Some(" "), None]);
    holds(&said, &["WAKECAST_MEDIA_SECRET is empty"]);
}
