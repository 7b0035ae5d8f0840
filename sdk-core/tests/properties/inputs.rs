//! Where the inputs come from: strategies for what an app, a server and a system may do.

use std::time::Duration;

use proptest::prelude::*;
use wakecast::machine::{Input, Refusal, RequestKey, TransportEnd};
use wakecast::protocol::{
    Bye, Draining, EndpointPush, Lost, Moved, Pong, ProgressPush, Ready, ServerMessage,
};
use wakecast::{Acquire, ErrorCode, LostReason, Outcome, Phase};

use crate::step::{LEAK, Step, Terms, Wait, What, Wire, says};
use crate::support::endpoint;

/// The ids that apps and servers of these tests talk about.
const IDS: [&str; 4] = ["a", "b", "c", "d"];

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(&IDS[..]).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = RequestKey> {
    (0u64..12).prop_map(RequestKey)
}

fn code() -> impl Strategy<Value = ErrorCode> {
    let other = [
        ErrorCode::Other("new".into()),
        ErrorCode::Other(LEAK.into()),
    ];
    prop::sample::select(
        ErrorCode::ALL
            .iter()
            .cloned()
            .chain(other)
            .collect::<Vec<_>>(),
    )
}

fn acquire() -> impl Strategy<Value = Acquire> {
    let deadline = prop::option::of(0u64..120_000);
    (0u8..3, prop::option::of(id()), deadline, any::<bool>()).prop_map(
        |(kind, id, deadline, verify)| {
            let acquire = match kind {
                0 => Acquire::publish("live", "match"),
                1 => Acquire::play("live", "match"),
                _ => Acquire::watch("live", "match"),
            };
            let acquire = acquire.verify(verify);
            let acquire = match id {
                Some(id) => acquire.id(id),
                None => acquire,
            };
            match deadline {
                Some(millis) => acquire.deadline(Duration::from_millis(millis)),
                None => acquire,
            }
        },
    )
}

fn app_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => (key(), acquire()).prop_map(|(key, acquire)| Input::Acquire { key, acquire }),
        2 => Just(Input::Connect),
        1 => key().prop_map(|key| Input::Abandon { key }),
        1 => key().prop_map(|key| Input::DetachAcquire { key }),
        1 => id().prop_map(|lease| Input::DetachLease { lease }),
        2 => key().prop_map(|key| Input::Cancel { key }),
        2 => (key(), id()).prop_map(|(key, lease)| Input::Endpoint { key, lease }),
        2 => (key(), id()).prop_map(|(key, lease)| Input::Release { key, lease }),
        2 => (key(), prop::option::of(id())).prop_map(|(key, fleet)| Input::Status { key, fleet }),
        2 => Just(Input::Retry),
        2 => Just(Input::NetworkUp),
        2 => Just(Input::NetworkDown),
        2 => Just(Input::NetworkChanged),
        2 => Just(Input::Foreground),
        2 => Just(Input::Background),
        2 => Just(Input::ClockJumped),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let status = prop::sample::select(vec![200u16, 400, 401, 403, 426, 429, 502, 503]);
    prop_oneof![
        (status, prop::option::of(0u64..60)).prop_map(|(status, secs)| Refusal::Http {
            status,
            retry_after: secs.map(Duration::from_secs),
        }),
        Just(Refusal::Opaque),
        Just(Refusal::BadHandshake {
            message: says("not a handshake")
        }),
        Just(Refusal::Unreachable {
            message: says("no route")
        }),
    ]
}

fn end() -> impl Strategy<Value = TransportEnd> {
    prop_oneof![
        prop::sample::select(vec![1000u16, 1001, 1008, 1009, 1012, 1013, 4001])
            .prop_map(TransportEnd::Code),
        Just(TransportEnd::Dropped),
        Just(TransportEnd::Failed {
            message: says("reset")
        }),
    ]
}

fn message() -> impl Strategy<Value = ServerMessage> {
    let rev = 1u64..6;
    let phase = prop::sample::select(Phase::ALL);
    let reason = prop::sample::select(LostReason::ALL);
    let host = prop::sample::select(vec!["a", "b"]).prop_map(endpoint);
    prop_oneof![
        Just(ServerMessage::Pong(Pong {})),
        (id(), rev.clone(), phase, 0u64..90_000, 0u64..90_000).prop_map(
            |(id, rev, phase, elapsed_ms, eta)| {
                ServerMessage::Progress(ProgressPush {
                    id,
                    rev,
                    phase,
                    elapsed_ms,
                    eta_p50_ms: eta,
                    eta_p90_ms: eta * 2,
                    overdue: false,
                    note: (elapsed_ms % 2 == 0).then(|| LEAK.to_owned()),
                })
            }
        ),
        (id(), rev.clone(), host.clone(), 0u64..20_000).prop_map(
            |(id, rev, endpoint, verify_spread_ms)| {
                ServerMessage::Ready(Ready {
                    id,
                    rev,
                    endpoint,
                    verify_spread_ms,
                })
            }
        ),
        (id(), rev.clone(), host.clone()).prop_map(|(lease, rev, endpoint)| {
            ServerMessage::Endpoint(EndpointPush {
                id: None,
                lease,
                rev,
                endpoint,
            })
        }),
        (id(), rev.clone()).prop_map(|(lease, rev)| {
            ServerMessage::Draining(Draining {
                lease,
                rev,
                deadline_ms: 60_000,
            })
        }),
        (id(), rev.clone(), host).prop_map(|(lease, rev, endpoint)| {
            ServerMessage::Moved(Moved {
                lease,
                rev,
                endpoint,
            })
        }),
        (id(), rev, reason)
            .prop_map(|(lease, rev, reason)| { ServerMessage::Lost(Lost { lease, rev, reason }) }),
        (code(), any::<bool>()).prop_map(|(code, reconnect)| {
            ServerMessage::Bye(Bye {
                code,
                retry_after_ms: None,
                reconnect,
            })
        }),
    ]
}

fn wire() -> impl Strategy<Value = Wire> {
    prop_oneof![
        6 => Just(Wire::Open),
        10 => (1u64..4_000_000, 1u64..8_000_000)
            .prop_map(|(life, age)| Wire::Welcome(Terms::usual(life, age))),
        1 => Just(Wire::NoEcho),
        2 => refusal().prop_map(Wire::Refuse),
        2 => end().prop_map(Wire::Close),
        1 => Just(Wire::Binary),
        1 => "\\PC{0,40}".prop_map(Wire::Garbage),
        6 => (0u8..6).prop_map(Wire::Ack),
        2 => (0u8..6, code(), any::<bool>(), prop::sample::select(Outcome::ALL))
            .prop_map(|(last, code, retryable, outcome)| Wire::Error(last, code, retryable, outcome)),
        3 => (1u64..4_000_000).prop_map(Wire::Renewed),
        2 => (0u8..4).prop_map(Wire::Status),
        10 => message().prop_map(Wire::Message),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let which = prop_oneof![12 => Just(0u8), 1 => Just(1u8), 1 => Just(2u8)];
    let token = prop_oneof![6 => (0u8..9).prop_map(Ok), 1 => Just(Err(()))];
    let life = prop::option::of(0u64..4_000_000);
    let status = prop::sample::select(vec![204u16, 401, 403, 429, 500, 503, 0]);
    prop_oneof![
        10 => app_input().prop_map(What::Input),
        20 => (which.clone(), wire()).prop_map(|(which, wire)| What::Transport(which, wire)),
        6 => (which.clone(), token, life).prop_map(|(which, token, life)| What::Token(which, token, life)),
        1 => (which.clone(), status).prop_map(|(which, status)| What::Access(which, status)),
        2 => (which, any::<bool>()).prop_map(|(which, reached)| What::Probe(which, reached)),
        6 => Just(What::Input(Input::Timeout)),
        // Rare, since everything after it is only about the silence that must follow.
        1 => prop_oneof![12 => Just(Input::Timeout), 1 => Just(Input::Close), 1 => Just(Input::Detach),
            1 => Just(Input::HandlesGone)]
            .prop_map(What::Input),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        8 => Just(Wait::None),
        2 => (1u64..2_000).prop_map(Wait::Millis),
        5 => Just(Wait::Timer),
        1 => (1u64..100_000).prop_map(Wait::Late),
    ];
    (wait, what()).prop_map(|(wait, what)| Step { wait, what })
}
