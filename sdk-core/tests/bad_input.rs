//! Whatever comes in, it is a typed error, and nothing is lost.

mod support;

use support::{CANARY, SECOND, World};
use wakecast::ErrorCode;
use wakecast::machine::{Event, Input};
use wakecast::protocol::{ClientMessage, DecodeError, MAX_CLIENT_MESSAGE, ServerMessage};

fn diagnostics(world: &World) -> Vec<(ErrorCode, String)> {
    (world.events.iter())
        .filter_map(|(_, event)| match event {
            Event::Diagnostic(error) => Some((
                error.code().clone(),
                error.cause().unwrap_or_default().to_owned(),
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn malformed_frames_are_reported_and_skipped() {
    let bad = [
        "",
        "null",
        "[]",
        "[1,2]",
        "\"text\"",
        "{",
        "{\"type\":\"ready\"",
        "{\"type\":7}",
        "{}",
        "{\"type\":\"ready\"}",
        "{\"type\":\"welcome\",\"id\":\"canary\",\"session\":7}",
        "{\"type\":\"progress\",\"id\":\"a\",\"rev\":-1}",
        "{\"type\":\"lost\",\"lease\":\"lease\",\"rev\":\"canary\",\"reason\":\"stopped\"}",
        "{\"type\":\"error\",\"code\":\"canary\"}",
        "\u{0}\u{1}",
    ];
    let mut world = World::holding(1);
    for (at, text) in bad.into_iter().enumerate() {
        let epoch = world.epoch();
        world.push_text(epoch, text);
        world.run(100);
        let told = diagnostics(&world);
        assert_eq!(told.len(), at + 1, "{text}");
        assert_eq!(told[at].0, ErrorCode::ProtocolError, "{text}");
        assert!(
            !told[at].1.is_empty() && !told[at].1.contains(CANARY),
            "{text}: {}",
            told[at].1
        );
        assert!(
            world.is_connected() && world.machine.holds_leases(),
            "{text}"
        );
    }
}

#[test]
fn binary_oversized_and_deep_frames_are_reported_and_skipped() {
    let mut world = World::holding(2);
    let epoch = world.epoch();
    world.input(Input::BinaryFrame { epoch });
    world.push_text(
        epoch,
        format!(
            "{{\"type\":\"pong\",\"pad\":\"{}\"}}",
            "x".repeat(130 * 1024)
        ),
    );
    world.push_text(
        epoch,
        format!("{{\"type\":\"pong\",\"pad\":{}", "[".repeat(100_000)),
    );
    world.run(100);
    let told = diagnostics(&world);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].1.contains("131072"), "{}", told[1].1);
    assert!(world.is_connected() && world.machine.holds_leases());
}

#[test]
fn unknown_types_and_fields_are_skipped_in_silence() {
    let mut world = World::holding(3);
    let events = world.events.len();
    let epoch = world.epoch();
    world.push_text(epoch, r#"{"type":"fireworks","colour":"red"}"#);
    world.push_text(epoch, r#"{"type":"pong","since":7,"nested":{"a":[1,2]}}"#);
    world.run(100);
    assert_eq!(world.events.len(), events);
    assert!(matches!(
        ServerMessage::decode(r#"{"type":"fireworks"}"#),
        Ok(ServerMessage::Unknown { kind }) if kind == "fireworks"
    ));
}

#[test]
fn a_welcome_that_answers_no_hello_proves_nothing() {
    let mut world = World::new(4);
    world.script.welcomes = false;
    world.input(Input::Connect);
    world.run(SECOND);
    let epoch = world.epoch();
    world.push_text(epoch, r#"{"type":"welcome","id":"x","session":"s","token_expires_in_ms":1,"heartbeat_ms":1,"max_age_ms":1,"reconnect_spread_ms":1}"#);
    world.run(100);
    assert!(!world.is_connected());
    assert_eq!(diagnostics(&world).len(), 1);
}

#[test]
fn absurd_numbers_are_bounded() {
    for number in [0, 1, u64::MAX] {
        let mut world = World::new(5);
        world.script.heartbeat = number;
        world.script.max_age = number;
        world.script.spread = number;
        world.script.token_life = number.max(1);
        world.input(Input::Connect);
        world.run(60 * SECOND);
        assert!(
            world.attempts.len() <= 4,
            "{number}: {} links",
            world.attempts.len()
        );
        assert!(
            world.fetches.len() <= 13,
            "{number}: {} provider calls",
            world.fetches.len()
        );
        assert!(
            world.sent.len() < 40,
            "{number}: {} messages",
            world.sent.len()
        );
    }
}

#[test]
fn the_servers_side_refuses_with_the_remedy() {
    let large = format!(
        "{{\"action\":\"ping\",\"pad\":\"{}\"}}",
        "x".repeat(MAX_CLIENT_MESSAGE)
    );
    for (text, part) in [
        ("", "one JSON object"),
        ("{\"action\":\"hello\"}", "`id`"),
        ("{\"id\":\"canary\"}", "`action`"),
        ("{\"action\":\"explode\"}", "names no message"),
        (
            "{\"action\":\"acquire\",\"id\":\"a\",\"app\":\"live\",\"purpose\":\"canary\",\"deadline_ms\":1}",
            "`acquire`",
        ),
        (
            "{\"action\":\"renew\",\"id\":\"a\",\"token\":{\"canary\":1}}",
            "`renew`",
        ),
        (large.as_str(), "at most 32768"),
    ] {
        let error = ClientMessage::decode(text).expect_err(text);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(part), "{shown}");
        assert!(!shown.contains(CANARY), "{shown}");
    }
    assert!(matches!(
        ClientMessage::decode(&large),
        Err(DecodeError::TooLarge { .. })
    ));
}

#[test]
fn a_wrong_version_is_refused_for_good() {
    let mut world = World::new(6);
    world.script.welcomes = false;
    world.acquire(1, wakecast::Acquire::play("live", "match"));
    world.run(SECOND);
    let hello = world.sent[0].2.id().unwrap().to_owned();
    let epoch = world.epoch();
    world.push_text(epoch, format!(
        r#"{{"type":"error","id":"{hello}","code":"client_too_old","message":"version 2 is needed: update","retryable":false,"outcome":"rejected"}}"#
    ));
    world.run(100);
    assert_eq!(*world.error_of(1).code(), ErrorCode::ClientTooOld);
    world.run(600 * SECOND);
    assert_eq!(world.attempts.len(), 1);
}
