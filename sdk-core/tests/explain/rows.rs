//! Acquisitions, leases and requests: waited for, held, and ended.

use std::time::Duration;

use wakecast::machine::{Condition, Input, Refusal, RequestKey, Subject, Timer, TransportEnd};
use wakecast::protocol::{Draining, EndpointPush, ErrorPush, Lost, ProgressPush, ServerMessage};
use wakecast::{Acquire, ErrorCode, LostReason, Outcome, Phase};

use crate::support::{Accept, MINUTE, Provider, SECOND, World, endpoint};
use crate::{LEAK, Scene, explain};

fn connect(world: &mut World) {
    world.input(Input::Connect);
    world.run(SECOND);
}

fn acquire(world: &mut World) {
    connect(world);
    world.acquire(1, Acquire::publish("live", "match").id("match-1"));
    world.run(SECOND);
}

fn push(world: &mut World, id: &str, phase: Phase, elapsed: u64, p50: u64, p90: u64) {
    world.rev += 1;
    world.push(ServerMessage::Progress(ProgressPush {
        id: id.into(),
        rev: world.rev,
        phase,
        elapsed_ms: elapsed * SECOND,
        eta_p50_ms: p50 * SECOND,
        eta_p90_ms: p90 * SECOND,
        overdue: false,
        note: None,
    }));
    world.run(SECOND);
}

fn starting(world: &mut World, phase: Phase) {
    acquire(world);
    push(world, "match-1", phase, 12, 50, 80);
    world.run(8 * SECOND);
}

fn refusal(code: ErrorCode) -> ErrorPush {
    ErrorPush {
        id: None,
        retryable: code.retryable(),
        code,
        message: format!("no, {LEAK}"),
        retry_after_ms: Some(20_000),
        outcome: Outcome::Rejected,
    }
}

/// The server refuses the acquire with this.
fn refused(world: &mut World, code: ErrorCode) {
    world.script.refused_acquires = 1;
    world.script.acquire_refusal = ErrorPush {
        message: "no".into(),
        ..refusal(code)
    };
    acquire(world);
}

fn holding(world: &mut World) {
    acquire(world);
    world.grant("match-1");
    world.run(10 * SECOND);
}

fn lost(world: &mut World, reason: LostReason) {
    holding(world);
    world.rev += 1;
    let lease = "match-1".into();
    world.push(ServerMessage::Lost(Lost {
        lease,
        rev: world.rev,
        reason,
    }));
    world.run(SECOND);
}

pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        ("an acquisition waits for the link", |world| {
            let message = "no route to host".into();
            world.script.accept = Accept::Refuse(Refusal::Unreachable { message });
            world.acquire(1, Acquire::publish("live", "match").id("match-1"));
            world.run(2 * SECOND);
        }),
        ("an acquisition is not answered yet", |world| {
            connect(world);
            world.script.acks = false;
            world.acquire(1, Acquire::publish("live", "match").id("match-1"));
            world.run(SECOND);
        }),
        ("an acquisition is taken", acquire),
        (
            "an acquisition is taken, and a whole start is told",
            |world| {
                starting(world, Phase::Requested);
            },
        ),
        ("an acquisition is refused for the moment", |world| {
            world.script.refused_acquires = 1;
            acquire(world);
            world.script.refused_acquires = 5;
        }),
        ("there is no capacity", |world| {
            starting(world, Phase::WaitingForCapacity)
        }),
        ("a server is launched", |world| {
            starting(world, Phase::Launching)
        }),
        ("a server boots", |world| starting(world, Phase::Booting)),
        ("a server boots again", |world| {
            starting(world, Phase::Booting);
            world.rev += 1;
            world.push(ServerMessage::Progress(ProgressPush {
                id: "match-1".into(),
                rev: world.rev,
                phase: Phase::Booting,
                elapsed_ms: 40 * SECOND,
                eta_p50_ms: 50 * SECOND,
                eta_p90_ms: 80 * SECOND,
                overdue: false,
                note: Some("restarting".into()),
            }));
            world.run(SECOND);
        }),
        ("the media server starts", |world| {
            starting(world, Phase::Warming)
        }),
        ("a start takes longer than usual", |world| {
            starting(world, Phase::Booting);
            world.run(2 * MINUTE);
        }),
        ("somebody watches", |world| {
            connect(world);
            world.acquire(1, Acquire::watch("live", "match").id("match-1"));
            world.run(5 * MINUTE);
        }),
        ("the proof is spread over a moment", |world| {
            acquire(world);
            world.grant("match-1");
            world.run(25);
        }),
        ("the server is being tried", |world| {
            acquire(world);
            world.grant("match-1");
            world.run(25);
            while world.machine.metrics().proofs == 0 {
                world.run(10);
            }
        }),
        ("this network does not reach the server so far", |world| {
            world.script.endpoint_reachable = false;
            acquire(world);
            world.grant("match-1");
            world.run(10 * SECOND);
        }),
        ("this network does not reach the server", |world| {
            world.script.endpoint_reachable = false;
            acquire(world);
            world.grant("match-1");
            world.run(40 * SECOND);
        }),
        ("a lease is held", holding),
        ("a lease is held while the link is down", |world| {
            holding(world);
            world.cut(TransportEnd::Dropped);
        }),
        ("a lease drains", |world| {
            holding(world);
            world.rev += 1;
            let lease = "match-1".into();
            let deadline_ms = 2 * MINUTE;
            world.push(ServerMessage::Draining(Draining {
                lease,
                rev: world.rev,
                deadline_ms,
            }));
            world.run(SECOND);
        }),
        ("a lease moves", |world| {
            holding(world);
            push(world, "match-1", Phase::Booting, 20, 45, 70);
        }),
        ("a lease moved and is held again", |world| {
            holding(world);
            push(world, "match-1", Phase::Booting, 20, 45, 70);
            world.rev += 1;
            world.push(ServerMessage::Endpoint(EndpointPush {
                id: None,
                lease: "match-1".into(),
                rev: world.rev,
                endpoint: endpoint("b"),
            }));
            world.run(SECOND);
        }),
        ("a lease was lost: stopped", |world| {
            lost(world, LostReason::Stopped)
        }),
        ("a lease was lost: the instance died", |world| {
            lost(world, LostReason::InstanceGone)
        }),
        ("a lease was lost: no start", |world| {
            lost(world, LostReason::StartFailed)
        }),
        ("a lease was lost: taken over", |world| {
            lost(world, LostReason::TakenOver)
        }),
        ("a lease was lost: released", |world| {
            lost(world, LostReason::Released)
        }),
        ("an acquisition was taken over", |world| {
            starting(world, Phase::Booting);
            world.rev += 1;
            let (lease, reason) = ("match-1".into(), LostReason::TakenOver);
            world.push(ServerMessage::Lost(Lost {
                lease,
                rev: world.rev,
                reason,
            }));
            world.run(SECOND);
        }),
        ("no server was ready by the deadline", |world| {
            connect(world);
            let wish = Acquire::play("live", "match").id("match-1");
            world.acquire(1, wish.deadline(Duration::from_secs(20)));
            world.run(25 * SECOND);
        }),
        (
            "no server was ready by the deadline, as there was no link",
            |world| {
                world.script.accept = Accept::Refuse(Refusal::Http {
                    status: 503,
                    retry_after: None,
                });
                let wish = Acquire::play("live", "match").id("match-1");
                world.acquire(1, wish.deadline(Duration::from_secs(20)));
                world.run(25 * SECOND);
            },
        ),
        ("there was no capacity by the deadline", |world| {
            connect(world);
            let wish = Acquire::play("live", "match").id("match-1");
            world.acquire(1, wish.deadline(Duration::from_secs(20)));
            world.run(SECOND);
            push(world, "match-1", Phase::WaitingForCapacity, 1, 60, 90);
            world.run(25 * SECOND);
        }),
        ("no server could be started", |world| {
            starting(world, Phase::Booting);
            let error = ErrorPush {
                id: Some("match-1".into()),
                message: "no".into(),
                ..refusal(ErrorCode::StartFailed)
            };
            world.push(ServerMessage::Error(error));
            world.run(SECOND);
        }),
        ("a quota is used up", |world| {
            refused(world, ErrorCode::QuotaExceeded)
        }),
        ("the service is set up wrongly", |world| {
            refused(world, ErrorCode::Misconfigured)
        }),
        ("the app cancelled", |world| {
            acquire(world);
            world.input(Input::Cancel { key: RequestKey(1) });
            world.run(SECOND);
        }),
        ("an argument is wrong", |world| {
            connect(world);
            world.acquire(1, Acquire::play("", "match"));
        }),
        ("a message is too large", |world| {
            connect(world);
            world.acquire(1, Acquire::play("live", "x".repeat(40_000)));
        }),
        ("too much waits", |world| {
            world.script.provider = Provider::Hang;
            for key in 0..70 {
                world.acquire(
                    key,
                    Acquire::play("live", "match").id(format!("match-{key:02}")),
                );
            }
            world.run(SECOND);
        }),
        ("a request was not answered", |world| {
            connect(world);
            world.script.acks = false;
            world.input(Input::Status {
                key: RequestKey(1),
                fleet: None,
            });
            world.run(31 * SECOND);
        }),
    ]
}

#[test]
fn what_ended_is_history_after_ten_minutes() {
    let mut world = World::new(1);
    lost(&mut world, LostReason::Stopped);
    assert!(
        explain(&world)
            .about("match-1")
            .any(|finding| finding.what == Condition::Lost)
    );
    assert!(!explain(&world).is_fine());
    world.run(10 * MINUTE);
    let all = explain(&world);
    assert_eq!(all.about("match-1").count(), 0, "{all}");
    assert!(all.is_fine());
}

#[test]
fn an_acquisition_tells_when_it_is_asked_again_and_when_it_ends() {
    let mut world = World::new(1);
    starting(&mut world, Phase::Booting);
    let all = explain(&world);
    let wait = all.about("match-1").next().unwrap();
    let timers: Vec<_> = wait.next.iter().map(|step| step.timer).collect();
    assert_eq!(timers, [Timer::Resend, Timer::RequestDeadline]);
    assert_eq!(wait.next[1].after, Duration::from_secs(600 - 10));
}

#[test]
fn the_most_pressing_comes_first_and_the_rest_is_counted() {
    let mut world = World::new(1);
    connect(&mut world);
    for key in 0..30 {
        world.acquire(
            key,
            Acquire::play("live", "match").id(format!("match-{key:02}")),
        );
        world.run(100);
    }
    world.run(SECOND);
    push(&mut world, "match-20", Phase::WaitingForCapacity, 1, 60, 90);
    let all = explain(&world);
    assert_eq!(all.findings.len(), 31);
    assert_eq!(
        all.findings[1].about,
        Subject::Acquisition {
            id: "match-20".into()
        }
    );
    assert_eq!(
        all.findings[2].about,
        Subject::Acquisition {
            id: "match-00".into()
        }
    );
    assert!(
        all.to_string()
            .ends_with("22 more acquisitions and leases are left out.")
    );
}
