//! The link: on its way, up, down, and over.

use std::time::Duration;

use wakecast::machine::{
    AccessAnswer, EndCause, Evidence, Headline, Input, Refusal, Timer, TransportEnd,
};
use wakecast::protocol::{Bye, ErrorPush, ServerMessage};
use wakecast::{Acquire, ErrorCode, Outcome};

use crate::support::{Accept, HOUR, MINUTE, Provider, SECOND, World};
use crate::{LEAK, Scene, explain};

fn connect(world: &mut World) {
    world.input(Input::Connect);
    world.run(SECOND);
}

fn refused(world: &mut World, refusal: Refusal) {
    world.script.accept = Accept::Refuse(refusal);
    connect(world);
}

fn status(world: &mut World, status: u16, retry_after: Option<u64>) {
    let retry_after = retry_after.map(Duration::from_secs);
    refused(
        world,
        Refusal::Http {
            status,
            retry_after,
        },
    );
}

fn unreachable() -> Refusal {
    // What a resolver might quote: the address with its query.
    Refusal::Unreachable {
        message: format!(
            "no TCP connection: wss://gateway.example/prod?token={LEAK} refused (os error 111)"
        ),
    }
}

fn hello_refused(world: &mut World, code: ErrorCode) {
    world.script.hello_answer = Some(ServerMessage::Error(ErrorPush {
        id: None,
        retryable: code.retryable(),
        code,
        message: format!("no, {LEAK}"),
        retry_after_ms: None,
        outcome: Outcome::Rejected,
    }));
    connect(world);
}

fn bye(world: &mut World, code: ErrorCode, reconnect: bool) {
    connect(world);
    world.push(ServerMessage::Bye(Bye {
        code,
        retry_after_ms: None,
        reconnect,
    }));
    world.run(40);
}

pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        ("nothing was asked for", |_| {}),
        ("the token provider is asked", |world| {
            world.script.provider = Provider::Hang;
            connect(world);
        }),
        ("the socket is being opened", |world| {
            world.script.accept = Accept::Hang;
            connect(world);
        }),
        ("the welcome should come", |world| {
            world.script.welcomes = false;
            connect(world);
        }),
        ("connected", |world| {
            connect(world);
            world.run(10 * MINUTE);
        }),
        ("a ping is unanswered", |world| {
            connect(world);
            world.script.pongs = false;
            world.run(274 * SECOND);
        }),
        ("the server cannot be reached", |world| {
            refused(world, unreachable());
            world.run(5 * SECOND);
        }),
        ("the certificate is not trusted", |world| {
            let message = "no TLS session: invalid peer certificate: UnknownIssuer".into();
            refused(world, Refusal::Tls { message });
        }),
        ("the socket does not open in time", |world| {
            world.script.accept = Accept::Hang;
            connect(world);
            world.run(10 * SECOND);
        }),
        ("no welcome comes", |world| {
            world.script.welcomes = false;
            connect(world);
            world.run(5 * SECOND);
        }),
        ("the server asks for fewer connections", |world| {
            status(world, 429, Some(30))
        }),
        ("the service cannot answer", |world| {
            status(world, 503, None)
        }),
        ("the answer is not that of a gateway", |world| {
            let message = "not the answer of a gateway: invalid HTTP version parsed".into();
            refused(world, Refusal::BadHandshake { message });
        }),
        ("the subprotocol is not echoed", |world| {
            world.script.accept = Accept::NoEcho;
            connect(world);
        }),
        ("nobody says why, and the service is asked", |world| {
            world.script.accept = Accept::Refuse(Refusal::Opaque);
            world.input(Input::Connect);
            while world.checks.is_empty() {
                world.run(5);
            }
        }),
        ("the access address does not answer either", |world| {
            let message = format!("no TCP connection: https://x.example/?{LEAK}");
            world.script.access = AccessAnswer::Unreachable { message };
            refused(world, Refusal::Opaque);
            world.run(5 * SECOND);
        }),
        ("websockets are blocked", |world| {
            refused(world, Refusal::Opaque);
            world.run(3 * MINUTE);
        }),
        ("the connection was cut", |world| {
            connect(world);
            world.run(3 * MINUTE);
            world.cut(TransportEnd::Dropped);
        }),
        ("the server closed the connection", |world| {
            connect(world);
            world.cut(TransportEnd::Code(1012));
        }),
        ("the connection failed on this side", |world| {
            connect(world);
            let message = "IO error: Network is unreachable (os error 101)".into();
            world.cut(TransportEnd::Failed { message });
        }),
        ("the server no longer answers", |world| {
            connect(world);
            world.script.blackhole = true;
            world.run(5 * MINUTE);
        }),
        ("the server said goodbye", |world| {
            bye(world, ErrorCode::ServiceUnavailable, true)
        }),
        ("the server said goodbye for a reason of its own", |world| {
            bye(world, ErrorCode::Other("brand_new".into()), true);
        }),
        ("the server ended it for good", |world| {
            bye(world, ErrorCode::ClientTooOld, false)
        }),
        ("the hello is refused", |world| {
            hello_refused(world, ErrorCode::ServiceUnavailable)
        }),
        ("a rotation took the link along", |world| {
            connect(world);
            world.script.limits = None;
            world.script.welcomes = false;
            while world.machine.state().kind() == wakecast::machine::StateKind::Connected {
                world.run(SECOND);
            }
        }),
        ("the network changed while connecting", |world| {
            world.script.accept = Accept::Hang;
            connect(world);
            world.input(Input::NetworkChanged);
        }),
        ("there is no network", |world| {
            refused(world, unreachable());
            world.input(Input::NetworkDown);
            world.run(MINUTE);
        }),
        ("in the background", |world| {
            connect(world);
            world.input(Input::Background);
        }),
        ("the token does not allow this", |world| {
            status(world, 403, None)
        }),
        ("the server no longer speaks this version", |world| {
            status(world, 426, None)
        }),
        ("everything is being given back", |world| {
            connect(world);
            world.acquire(1, Acquire::play("live", "match").id("lease").verify(false));
            world.run(SECOND);
            world.grant("lease");
            world.run(SECOND);
            world.script.acks = false;
            world.input(Input::Close);
            world.run(200);
        }),
        ("closed", |world| {
            connect(world);
            world.input(Input::Close);
            world.run(5 * SECOND);
        }),
        ("asked after the end", |world| {
            connect(world);
            world.input(Input::Detach);
            world.acquire(1, Acquire::play("live", "match"));
        }),
        ("API Gateway failed by itself", |world| {
            connect(world);
            let text = format!(
                r#"{{"message":"Internal server error {LEAK}","connectionId":"c","requestId":"r"}}"#
            );
            let epoch = world.epoch();
            world.push_text(epoch, text);
            world.run(SECOND);
        }),
    ]
}

#[test]
fn a_wait_is_told_with_its_cause_and_its_end() {
    let mut world = World::new(1);
    status(&mut world, 429, Some(30));
    let all = explain(&world);
    assert_eq!(all.headline, Headline::Reconnecting);
    let link = &all.findings[0];
    assert_eq!(link.code, Some(ErrorCode::Throttled));
    let (at, timer) = world.machine.next_timeout().unwrap();
    assert_eq!(timer, Timer::Attempt);
    assert_eq!(link.next.len(), 1);
    assert_eq!(link.next[0].timer, Timer::Attempt);
    assert_eq!(
        link.next[0].after.as_millis(),
        u128::from(at.as_millis() - world.now)
    );
    let Evidence::AskedToWait { left } = link.evidence[0] else {
        panic!("{:?}", link.evidence);
    };
    assert!(
        left <= Duration::from_secs(30) && left > Duration::from_secs(28),
        "{left:?}"
    );
    assert!(matches!(
        link.evidence[1],
        Evidence::Attempt {
            cause: EndCause::HttpStatus,
            ..
        }
    ));
    // Asked a second later, everything is a second nearer or older.
    let later = world
        .machine
        .explain(wakecast::Instant::from_millis(world.now + SECOND));
    assert_eq!(
        later.findings[0].next[0].after + Duration::from_secs(1),
        link.next[0].after
    );
}

#[test]
fn only_the_last_four_attempts_are_told() {
    let mut world = World::new(1);
    refused(&mut world, unreachable());
    world.run(10 * MINUTE);
    assert!(world.attempts.len() > 10);
    let all = explain(&world);
    let attempts: Vec<_> = (all.findings[0].evidence.iter())
        .filter_map(|evidence| match evidence {
            Evidence::Attempt { ago, .. } => Some(*ago),
            _ => None,
        })
        .collect();
    assert_eq!(attempts.len(), 4);
    assert!(attempts.is_sorted(), "the newest first: {attempts:?}");
}

#[test]
fn a_connection_that_is_well_again_is_fine() {
    let mut world = World::new(1);
    refused(&mut world, unreachable());
    assert!(!explain(&world).is_fine());
    world.script.accept = Accept::Yes;
    world.run(HOUR);
    let all = explain(&world);
    assert!(all.is_fine(), "{all}");
    assert!(
        all.to_string()
            .starts_with("Connected; everything is fine."),
        "{all}"
    );
}
