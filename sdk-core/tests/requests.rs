//! Requests: each gets exactly one outcome, is sent again where that is safe, and never too often.

mod support;

use std::time::Duration;

use support::{Accept, HOUR, MINUTE, SECOND, World};
use wakecast::machine::{
    Config, Event, Input, Machine, Output, Refusal, RequestKey, Seed, TransportEnd,
};
use wakecast::protocol::{ClientMessage, ErrorPush, Lost, ServerMessage};
use wakecast::{Acquire, ErrorCode, Instant, LostReason, Outcome, UserAction};

/// A machine that has no link and gets none.
fn machine() -> Machine {
    let config = Config::new("test/1");
    Machine::new(config, Seed([41; 32]))
}

fn now(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn offline(seed: u8) -> World {
    let mut world = World::new(seed);
    world.script.accept = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    world
}

#[test]
fn n36_every_request_settles_after_a_drop() {
    let mut world = World::holding(36);
    world.script.acks = false;
    world.run(MINUTE);
    world.input(Input::Endpoint {
        key: RequestKey(2),
        lease: "lease".into(),
    });
    world.acquire(
        3,
        Acquire::play("live", "x").deadline(Duration::from_secs(45)),
    );
    world.acquire(
        4,
        Acquire::watch("live", "x").deadline(Duration::from_secs(50)),
    );
    world.input(Input::Release {
        key: RequestKey(5),
        lease: "lease".into(),
    });
    world.run(100);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    world.cut(TransportEnd::Dropped);
    world.run(31 * SECOND);
    assert_eq!(*world.error_of(5).code(), ErrorCode::RequestTimeout);
    assert_eq!(world.error_of(5).outcome(), Outcome::Unknown);
    assert!(world.settled.contains_key(&RequestKey(2)));
    world.run(20 * SECOND);
    for key in [3, 4] {
        assert_eq!(*world.error_of(key).code(), ErrorCode::StartTimeout);
        assert!(
            world.error_of(key).cause().is_some(),
            "it names why there was no link"
        );
    }
}

#[test]
fn n36_a_deadline_is_exact_and_says_what_is_known() {
    let mut world = offline(37);
    world.acquire(
        1,
        Acquire::publish("live", "match").deadline(Duration::from_secs(90)),
    );
    world.run(90 * SECOND - 1);
    assert!(world.settled.is_empty());
    world.run(1);
    let error = world.error_of(1);
    assert_eq!(
        (error.code(), error.outcome()),
        (&ErrorCode::StartTimeout, Outcome::NotSent)
    );
    assert_eq!(error.user_action(), UserAction::Retry);

    let mut world = World::connected(38);
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(10 * MINUTE);
    assert_eq!(world.error_of(1).outcome(), Outcome::Unknown);
    assert_eq!(world.count("cancel"), 1, "the server is told");
}

#[test]
fn a_deadline_that_passes_without_a_link_cancels_on_the_next() {
    let mut world = World::connected(39);
    world.acquire(
        1,
        Acquire::play("live", "match")
            .id("a")
            .deadline(Duration::from_secs(60)),
    );
    world.run(SECOND);
    world.script.accept = Accept::Refuse(Refusal::Opaque);
    world.cut(TransportEnd::Dropped);
    world.run(5 * MINUTE);
    assert_eq!(world.count("cancel"), 0);
    world.script.accept = Accept::Yes;
    world.run(2 * MINUTE);
    assert_eq!(world.count("cancel"), 1);
    let named = world
        .sent
        .iter()
        .rev()
        .find_map(|(_, _, message)| match message {
            ClientMessage::Hello(hello) => Some(hello.requests.len()),
            _ => None,
        });
    assert_eq!(named, Some(0), "what has ended is not waited for");
}

#[test]
fn n40_a_lost_answer_creates_one_thing() {
    for (seed, cut) in [(40, false), (41, true)] {
        let mut world = World::connected(seed);
        world.script.acks = false;
        world.acquire(1, Acquire::publish("live", "match"));
        world.run(100);
        if cut {
            world.cut(TransportEnd::Dropped);
        }
        world.run(3 * MINUTE);
        let sent: Vec<&ClientMessage> = (world.sent.iter())
            .map(|(_, _, message)| message)
            .filter(|message| message.action() == "acquire")
            .collect();
        assert!(sent.len() > 2, "it is sent again");
        assert!(
            sent.iter().all(|message| message.id() == sent[0].id()),
            "with the same id"
        );
        assert_eq!(world.rows.len(), 1, "so the server starts one instance");
    }
}

#[test]
fn n40_a_request_that_never_arrived_is_sent_again_after_welcome() {
    let mut world = World::connected(42);
    world.script.blackhole = true;
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(10 * SECOND);
    assert!(world.rows.is_empty());
    world.script.blackhole = false;
    world.run(20 * SECOND);
    assert!(world.rows.contains("a"));
    let hello = world
        .sent
        .iter()
        .rev()
        .find_map(|(_, _, message)| match message {
            ClientMessage::Hello(hello) => Some(hello.clone()),
            _ => None,
        });
    assert_eq!(
        hello.unwrap().requests[0].id,
        "a",
        "hello names what may have arrived"
    );
}

#[test]
fn a_missing_ack_probes_and_sends_the_same_message_once_more() {
    let mut world = World::connected(43);
    world.run(10 * SECOND);
    world.script.acks = false;
    let (pings, at) = (world.count("ping"), world.now);
    world.acquire(1, Acquire::play("live", "match").id("a"));
    world.run(5 * SECOND - 1);
    assert_eq!(world.count("ping"), pings);
    world.run(100);
    assert_eq!(world.count("ping"), pings + 1, "a probe after 5 s");
    assert_eq!(world.count("acquire"), 2, "a pong: sent once more");
    world.run(at + 29 * SECOND - world.now);
    assert_eq!(
        world.count("acquire"),
        2,
        "a slow function is not asked a third time at once"
    );
    assert!(world.is_connected());
}

#[test]
fn n41_the_offline_queue_is_bounded() {
    let mut world = offline(44);
    for key in 0..1_000 {
        world.acquire(key, Acquire::play("live", "match"));
    }
    let full = world.settled.values().filter(|result| {
        matches!(result, Err(error) if *error.code() == ErrorCode::QueueFull
            && error.outcome() == Outcome::NotSent)
    });
    assert_eq!(full.count(), 1_000 - 64);

    let mut world = offline(45);
    let long = "x".repeat(20_000);
    for key in 0..64 {
        world.acquire(key, Acquire::play("live", long.clone()));
    }
    assert_eq!(
        world.settled.len(),
        64 - 12,
        "twelve times 20 kB fit into 256 KB"
    );
}

#[test]
fn n41_a_hundred_thousand_sends_while_offline_keep_memory_flat() {
    let mut machine = machine();
    let (mut full, mut grown) = (0, Vec::new());
    for key in 0..100_000u64 {
        let acquire = Acquire::play("live", "match");
        machine.handle(
            now(key / 100),
            Input::Acquire {
                key: RequestKey(key),
                acquire,
            },
        );
        while let Some(output) = machine.poll() {
            if let Output::Event(Event::Settled { result, .. }) = output {
                let error = result.unwrap_err();
                assert_eq!(*error.code(), ErrorCode::QueueFull);
                assert_eq!(error.outcome(), Outcome::NotSent);
                full += 1;
            }
        }
        if key % 20_000 == 10_000 {
            grown.push(format!("{machine:?}").len());
        }
    }
    assert_eq!(full, 100_000 - 64);
    let (least, most) = (grown.iter().min().unwrap(), grown.iter().max().unwrap());
    // The numbers of 128 records grow by a digit or two. If any part of the twenty thousand sends
    // between two samples stayed, it would take a hundred thousand bytes and more.
    assert!(most - least < 500, "what it holds grows: {grown:?}");
}

#[test]
fn n38_ten_thousand_cancelled_acquires_leave_nothing_behind() {
    let mut world = World::connected(38);
    let held = |world: &World| format!("{:?}", world.machine).len();
    let mut sizes = Vec::new();
    for key in 0..10_000u64 {
        world.acquire(key, Acquire::play("live", "match"));
        world.run(25 * (key % 2));
        world.input(Input::Cancel {
            key: RequestKey(key),
        });
        world.run(25);
        // What the test itself remembers.
        world.events.clear();
        world.sent.clear();
        world.rows.clear();
        if key % 1_000 == 999 {
            sizes.push(held(&world));
        }
    }
    assert!(world.is_connected() && world.settled.len() == 10_000);
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    // Numbers in it grow by a digit; an acquisition takes 500 characters.
    assert!(most - least < 200, "{sizes:?}");
}

#[test]
fn n39_a_cancel_is_written_in_the_same_instant() {
    let mut world = World::connected(39);
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(SECOND);
    let at = world.now;
    world.input(Input::Cancel { key: RequestKey(1) });
    let (written, _, message) = world.sent.last().unwrap();
    assert_eq!((*written, message.action()), (at, "cancel"));
}

#[test]
fn n44_a_message_over_32_kb_is_refused_before_it_is_sent() {
    let mut world = World::connected(46);
    world.acquire(1, Acquire::play("live", "x".repeat(33_000)));
    assert_eq!(*world.error_of(1).code(), ErrorCode::MessageTooLarge);
    assert_eq!(world.error_of(1).outcome(), Outcome::NotSent);
    assert_eq!(world.count("acquire"), 0);
}

#[test]
fn close_1009_fails_what_that_socket_had_not_acknowledged() {
    let mut world = World::connected(47);
    world.acquire(1, Acquire::play("live", "acked").id("acked"));
    world.run(SECOND);
    world.script.acks = false;
    world.acquire(2, Acquire::play("live", "large").id("large"));
    world.run(100);
    world.cut(TransportEnd::Code(1009));
    assert_eq!(*world.error_of(2).code(), ErrorCode::MessageTooLarge);
    world.run(MINUTE);
    let large = world
        .sent
        .iter()
        .filter(|(_, _, message)| message.id() == Some("large"));
    assert_eq!(large.count(), 1, "never sent again");
    assert!(!world.settled.contains_key(&RequestKey(1)));
}

#[test]
fn n45_api_gateways_own_frames_are_not_answers() {
    for words in [
        "Internal server error",
        "Forbidden",
        "Endpoint request timed out",
    ] {
        let mut world = World::connected(48);
        world.run(10 * SECOND);
        world.script.acks = false;
        world.acquire(
            1,
            Acquire::play("live", "a")
                .id("a")
                .deadline(Duration::from_secs(60)),
        );
        world.run(100);
        let epoch = world.epoch();
        let frame = format!(r#"{{"message":"{words}","connectionId":"c=","requestId":"a"}}"#);
        world.push_text(epoch, frame);
        world.run(SECOND);
        let told = world.events.iter().find_map(|(_, event)| match event {
            Event::Diagnostic(error) => Some(error.clone()),
            _ => None,
        });
        let told = told.expect("a typed diagnostic");
        assert_eq!(*told.code(), ErrorCode::GatewayError);
        assert_eq!(told.cause(), Some(words));
        assert!(
            world.settled.is_empty(),
            "it matches no request, even with a request's id"
        );
        assert!(world.is_connected(), "it does not end the link");
        world.run(MINUTE);
        assert_eq!(
            *world.error_of(1).code(),
            ErrorCode::StartTimeout,
            "by its own time"
        );
    }
}

#[test]
fn n09_one_forbidden_request_fails_alone_and_leaves_the_link() {
    let mut world = World::holding(62);
    world.acquire(2, Acquire::play("live", "mine").id("mine"));
    world.run(SECOND);
    world.script.acks = false;
    world.acquire(3, Acquire::play("live", "theirs").id("theirs"));
    world.run(100);
    let session = world.machine.state().clone();
    let hellos = world.count("hello");
    world.push(ServerMessage::Error(ErrorPush {
        id: Some("theirs".into()),
        code: ErrorCode::Forbidden,
        message: "the token does not allow this stream".into(),
        retryable: false,
        retry_after_ms: None,
        outcome: Outcome::Rejected,
    }));
    world.script.acks = true;
    world.run(5 * MINUTE);
    assert_eq!(*world.error_of(3).code(), ErrorCode::Forbidden);
    let theirs = (world.sent.iter()).filter(|(_, _, message)| message.id() == Some("theirs"));
    assert_eq!(theirs.count(), 1, "it does not loop");
    // The link, what is held, and what waits are untouched.
    assert_eq!(*world.machine.state(), session);
    assert_eq!((world.count("hello"), world.attempts.len()), (hellos, 1));
    assert!(world.machine.lease_status("lease").is_some());
    assert!(!world.settled.contains_key(&RequestKey(2)));
}

#[test]
fn an_error_answer_is_the_outcome_with_the_servers_words() {
    let mut world = World::connected(49);
    world.script.acks = false;
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(100);
    world.push(ServerMessage::Error(ErrorPush {
        id: Some("a".into()),
        code: ErrorCode::Other("stream_reserved".into()),
        message: "this stream is reserved: choose another".into(),
        retryable: true,
        retry_after_ms: Some(7_000),
        outcome: Outcome::Rejected,
    }));
    world.run(100);
    let error = world.error_of(1);
    assert_eq!(error.code().as_str(), "stream_reserved");
    assert!(
        error.retryable(),
        "an unknown code: the server's word decides"
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.message(), "this stream is reserved: choose another");
    world.run(MINUTE);
    assert_eq!(
        world.count("cancel"),
        0,
        "a rejected request needs no withdrawal"
    );
}

#[test]
fn cancel_settles_at_once_and_withdraws_what_may_have_arrived() {
    let mut world = World::connected(50);
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(SECOND);
    world.input(Input::Cancel { key: RequestKey(1) });
    assert_eq!(*world.error_of(1).code(), ErrorCode::Cancelled);
    world.run(SECOND);
    let withdrawn = world.sent.iter().any(
        |(_, _, message)| matches!(message, ClientMessage::Cancel(cancel) if cancel.acquire == "a"),
    );
    assert!(withdrawn);

    let mut world = offline(51);
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(SECOND);
    world.input(Input::Cancel { key: RequestKey(1) });
    assert_eq!(world.error_of(1).outcome(), Outcome::NotSent);
    world.script.accept = Accept::Yes;
    world.run(MINUTE);
    assert!(world.is_connected());
    assert_eq!(
        world.count("cancel") + world.count("acquire"),
        0,
        "nobody heard of it"
    );
}

#[test]
fn taken_over_is_the_outcome_of_an_open_acquire() {
    let mut world = World::connected(52);
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.run(SECOND);
    let rev = world.rev + 1;
    let reason = LostReason::TakenOver;
    world.push(ServerMessage::Lost(Lost {
        lease: "a".into(),
        rev,
        reason,
    }));
    world.run(100);
    assert_eq!(*world.error_of(1).code(), ErrorCode::LeaseLost);
    assert!(world.error_of(1).cause().unwrap().contains("taken_over"));
}

#[test]
fn a_key_or_an_id_in_use_cannot_be_used_again() {
    let mut world = World::connected(53);
    world.acquire(1, Acquire::publish("live", "match").id("a"));
    world.acquire(1, Acquire::publish("live", "other").id("b"));
    world.run(SECOND);
    assert_eq!(world.rows.len(), 1, "a key in use names one waiter only");
    world.acquire(2, Acquire::publish("live", "match").id("a"));
    assert_eq!(*world.error_of(2).code(), ErrorCode::InvalidArgument);
}

#[test]
fn bad_arguments_are_refused_with_the_remedy() {
    let mut world = World::connected(54);
    let second = Duration::from_secs(1);
    let bad = [
        Acquire::play("", "match"),
        Acquire::play("live", ""),
        Acquire::play("live", "match").id(""),
        Acquire::play("live", "match").id("with space"),
        Acquire::play("live", "match").id("x".repeat(65)),
        Acquire::play("live", "match").fleet("ümlaut"),
        Acquire::play("live", "match").deadline(second / 2),
        Acquire::watch("live", "match").deadline(second * 86_401),
    ];
    for (key, acquire) in (1..).zip(bad) {
        world.acquire(key, acquire);
        let error = world.error_of(key);
        assert_eq!(*error.code(), ErrorCode::InvalidArgument);
        assert!(
            error.message().contains("must") || error.message().contains("name the"),
            "{error}"
        );
    }
    assert_eq!(world.count("acquire"), 0);
}

#[test]
fn acquires_are_sent_again_every_half_minute_and_watches_every_quarter_hour() {
    let mut world = World::connected(55);
    world.acquire(
        1,
        Acquire::publish("live", "match").deadline(Duration::from_secs(3_600)),
    );
    world.run(10 * MINUTE - SECOND);
    assert_eq!(world.count("acquire"), 20);
    let mut world = World::connected(56);
    world.acquire(1, Acquire::watch("live", "match"));
    world.run(HOUR);
    let mut asked = (world.sent.iter())
        .filter(|(_, _, message)| message.action() == "acquire")
        .map(|(at, _, _)| *at);
    let first = asked.next().unwrap();
    let last = asked.fold(first, |last, at| {
        // In place of the last ping of 270 s before it is due.
        assert!(
            (630 * SECOND..=15 * MINUTE).contains(&(at - last)),
            "{last} {at}"
        );
        at
    });
    assert!(world.now - last <= 15 * MINUTE);
    assert!(
        world.count("ping") <= 10,
        "fewer than the 13 of an idle link, and no busy heartbeat: {}",
        world.count("ping")
    );
    assert!(world.settled.is_empty(), "and has no short deadline");
}

#[test]
fn n32_two_links_never_live_at_once_without_a_rotation() {
    // The observer in `support` checks it after every input; here is the classic cause.
    let mut world = World::new(57);
    for round in 0..50 {
        world.input(Input::Connect);
        world.input(Input::NetworkChanged);
        world.input(Input::Foreground);
        world.acquire(round, Acquire::play("live", "match"));
        world.run(round * 37 % 900);
        assert!(world.open_sockets() <= 1);
        world.input(Input::Cancel {
            key: RequestKey(round),
        });
        world.input(Input::Background);
        world.run(round * 53 % 700);
    }
}

#[test]
fn n41_withdrawals_that_wait_for_a_link_are_bounded() {
    let mut world = World::connected(63);
    world.script.acks = false;
    for key in 0..200 {
        world.acquire(key, Acquire::play("live", "match"));
        world.run(1);
        world.input(Input::Cancel {
            key: RequestKey(key),
        });
    }
    world.cut(TransportEnd::Dropped);
    let cancels = world.count("cancel");
    assert_eq!(cancels, 200);
    world.script.acks = true;
    world.run(20 * SECOND);
    assert!(world.is_connected());
    // One for each row that can be open: the oldest are left to the server's own forgetting.
    assert_eq!(world.count("cancel") - cancels, 128);
}
