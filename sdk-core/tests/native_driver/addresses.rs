//! Addresses that could never work, or would send a token in plain text, are refused before
//! anything is opened.

use wakecast::{Client, ErrorCode, Outcome, Token, TokenError, TokenReason};

use crate::harness::CANARY;

fn build(
    url: &str,
    access: Option<&str>,
    insecure: Option<&str>,
) -> Result<Client, wakecast::Error> {
    let mut builder = Client::builder(url)
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new(CANARY)) });
    if let Some(access) = access {
        builder = builder.access_url(access);
    }
    if let Some(host) = insecure {
        builder = builder.allow_insecure_host(host);
    }
    builder.build()
}

#[track_caller]
fn refused(result: Result<Client, wakecast::Error>, remedy: &str) {
    let error = result.expect_err("a refusal");
    assert_eq!(*error.code(), ErrorCode::InvalidArgument);
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.message().contains(remedy), "{}", error.message());
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
}

#[tokio::test]
async fn bad_gateway_addresses_say_what_was_expected() {
    for (url, remedy) in [
        ("", "expected wss://"),
        ("gateway.example.com/prod", "expected wss://"),
        ("https://gateway.example.com/prod", "expected wss://"),
        ("ftp://gateway.example.com", "expected wss://"),
        ("wss://", "expected wss://"),
        ("wss://user@gateway.example.com/prod", "token provider"),
        (
            "wss://user:canary-7f3a9c@gateway.example.com/prod",
            "token provider",
        ),
        (
            "wss://gateway.example.com/prod?token=canary-7f3a9c",
            "never in a URL",
        ),
        (
            "wss://gateway.example.com/prod#canary-7f3a9c",
            "leave it out",
        ),
    ] {
        refused(build(url, None, None), remedy);
    }
}

#[tokio::test]
async fn bad_access_addresses_say_what_was_expected() {
    let good = "wss://gateway.example.com/prod";
    for (url, remedy) in [
        ("wss://access.example.com", "expected https://"),
        (
            "https://access.example.com/?key=canary-7f3a9c",
            "never in a URL",
        ),
        (
            "http://access.example.com/prod",
            "allow_insecure_host(\"access.example.com\")",
        ),
    ] {
        refused(build(good, Some(url), None), remedy);
    }
}

#[tokio::test]
async fn plain_text_is_for_loopback_or_by_name() {
    refused(
        build("ws://gateway.example.com/", None, None),
        "unencrypted",
    );
    refused(build("ws://192.168.1.7/", None, None), "unencrypted");
    refused(
        build("ws://localhost.example.com/", None, None),
        "unencrypted",
    );
    refused(
        build("ws://test.lan/", None, Some("other.lan")),
        "unencrypted",
    );
    for (url, insecure) in [
        ("ws://127.0.0.1:8080/prod", None),
        ("ws://[::1]:8080/prod", None),
        ("ws://localhost:8080/prod", None),
        ("ws://test.lan/prod", Some("TEST.lan")),
        ("wss://gateway.example.com/prod", None),
    ] {
        build(url, None, insecure).expect(url);
    }
}

#[tokio::test]
async fn a_client_needs_a_provider_and_usable_certificates() {
    refused(
        Client::builder("wss://gateway.example.com/").build(),
        "token_provider",
    );
    let pem = b"-----BEGIN CERTIFICATE-----".to_vec();
    let builder = Client::builder("wss://gateway.example.com/")
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new(CANARY)) })
        .root_certificate(pem);
    refused(builder.build(), "expected DER");
}

#[test]
fn a_client_needs_a_runtime() {
    refused(build("wss://gateway.example.com/", None, None), "runtime");
}
