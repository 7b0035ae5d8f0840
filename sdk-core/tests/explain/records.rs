//! The records: how many are kept, what they cost, and what they hold.

use std::time::Duration;

use wakecast::machine::{
    AccessAnswer, Config, Detail, Happening, Input, Machine, Refusal, RequestKey, Seed,
    TransportEnd,
};
use wakecast::{Acquire, Instant};

use crate::support::{Accept, HOUR, MINUTE, Provider, SECOND, World};
use crate::{DIAGNOSTICS_MAX, compare, explain};

#[test]
fn a_ticket_reads_like_this() {
    let mut world = World::new(3);
    let message = "no TCP connection: Connection refused (os error 111)".into();
    world.script.accept = Accept::Refuse(Refusal::Unreachable { message });
    world.acquire(1, Acquire::publish("live", "match").id("match-1"));
    world.run(2 * SECOND);
    world.script.accept = Accept::Yes;
    world.run(10 * SECOND);
    world.grant("match-1");
    world.run(5 * SECOND);
    world.cut(TransportEnd::Code(1001));
    let diagnostics = world.machine.diagnostics(Instant::from_millis(world.now));
    compare("ticket.txt", &diagnostics.to_string());
}

#[test]
fn the_records_are_bounded_and_the_newest_stay() {
    let mut world = World::new(1);
    let message = format!("{} {}", "word".repeat(40), "far too long ".repeat(1_000));
    world.script.accept = Accept::Refuse(Refusal::Unreachable { message });
    world.input(Input::Connect);
    world.run(HOUR);
    let diagnostics = world.machine.diagnostics(Instant::from_millis(world.now));
    assert_eq!(diagnostics.records.len(), 128);
    assert!(diagnostics.forgotten > 100);
    let newest = diagnostics.records.last().unwrap();
    assert!(newest.ago <= Duration::from_secs(31), "{newest}");
    for record in &diagnostics.records {
        if let Happening::Ended {
            detail: Some(Detail::Text(text)),
            ..
        } = &record.what
        {
            assert!(text.len() <= 200, "{text}");
        }
    }
    assert!(diagnostics.to_string().len() < DIAGNOSTICS_MAX);
}

#[test]
fn the_same_in_a_row_is_one_record() {
    let mut world = World::new(1);
    world.script.provider = Provider::Hang;
    for key in 0..1_000 {
        world.acquire(key, Acquire::play("", "match"));
    }
    let diagnostics = world.machine.diagnostics(Instant::from_millis(world.now));
    assert!(diagnostics.records.len() <= 128);
    let all = explain(&world);
    assert_eq!(all.findings.len(), 2, "{all}");
    assert!(all.to_string().contains("for the 1000th time"), "{all}");
}

#[test]
fn a_quiet_day_leaves_few_records() {
    let mut world = World::connected(1);
    let at = |world: &World| world.machine.diagnostics(Instant::from_millis(world.now));
    let before = at(&world).records.len();
    world.run(40 * MINUTE);
    assert_eq!(at(&world).records.len(), before, "pings leave no records");
}

#[test]
fn a_machine_that_did_nothing_keeps_nothing() {
    let mut machine = Machine::new(Config::new("test/1"), Seed([1; 32]));
    let told = [
        Input::NetworkDown,
        Input::NetworkUp,
        Input::NetworkChanged,
        Input::Background,
        Input::Foreground,
        Input::ClockJumped,
        Input::Timeout,
    ];
    for (at, input) in told.into_iter().enumerate() {
        machine.handle(Instant::from_millis(at as u64), input);
        assert_eq!(machine.poll(), None);
    }
    assert!(format!("{machine:?}").contains("Journal(None)"));
    let diagnostics = machine.diagnostics(Instant::from_millis(100));
    assert!(diagnostics.records.is_empty());
}

#[test]
fn no_text_from_outside_brings_a_secret_along() {
    // A token as providers give them: a JWT, a long opaque text, and one in a query.
    let secrets = [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
        "4f9d1c7ab2e84d06a3f5",
        "ya29.A0ARrdaM-k9Vq7",
    ];
    let jwt = secrets[0];
    let texts = [
        format!("refused by wss://gw.example/prod?access_token={jwt} (os error 111)"),
        format!("refused by wss://user:{jwt}@gw.example/prod"),
        format!("GET https://gw.example/v1/hints/{jwt} failed"),
        format!("header Authorization: Bearer {jwt} is not allowed"),
        format!("token={}", secrets[1]),
        format!("connect {}.gw.example?{} failed", secrets[1], secrets[2]),
        format!("{}{}", secrets[1], secrets[1]),
        format!("a\u{1b}[2J{jwt}\nb"),
    ];
    for text in texts {
        let mut world = World::new(1);
        let ways = [
            Accept::Refuse(Refusal::Unreachable {
                message: text.clone(),
            }),
            Accept::Refuse(Refusal::Tls {
                message: text.clone(),
            }),
            Accept::Refuse(Refusal::BadHandshake {
                message: text.clone(),
            }),
            Accept::ThenClose(
                100,
                TransportEnd::Failed {
                    message: text.clone(),
                },
            ),
        ];
        world.script.access = AccessAnswer::Unreachable {
            message: text.clone(),
        };
        world.input(Input::Connect);
        for way in ways {
            world.script.accept = way;
            world.run(MINUTE);
        }
        world.script.accept = Accept::Yes;
        world.input(Input::Release {
            key: RequestKey(9),
            lease: format!("{text} "),
        });
        world.input(Input::Endpoint {
            key: RequestKey(8),
            lease: format!("{text} "),
        });
        world.acquire(7, Acquire::play("live", "match").id(format!("{text} ")));
        world.acquire(6, Acquire::play(text.clone(), text.clone()));
        world.run(MINUTE);
        let diagnostics = world.machine.diagnostics(Instant::from_millis(world.now));
        for told in [
            diagnostics.to_string(),
            diagnostics.to_json(),
            format!("{diagnostics:?}"),
        ] {
            for secret in ["eyJ", "c2lnbmF0dXJl", secrets[1], secrets[2], "\u{1b}"] {
                assert!(!told.contains(secret), "{text:?} left {secret} in {told}");
            }
        }
    }
}

#[test]
fn what_helps_is_kept() {
    for text in [
        "no TCP connection: Connection refused (os error 111)",
        "the host name could not be resolved: failed to lookup address information: Name or service not known",
        "no TLS session: invalid peer certificate: UnknownIssuer",
        "no TCP connection: 127.0.0.1:54321 refused",
        "no route to [2001:db8:1234:5678:9abc:def0:1234:5678]:443",
        "no pong from the media server within 5 s",
    ] {
        let mut world = World::new(1);
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: text.into(),
        });
        world.input(Input::Connect);
        world.run(SECOND);
        assert!(
            explain(&world).to_string().contains(text),
            "{}",
            explain(&world)
        );
    }
}
