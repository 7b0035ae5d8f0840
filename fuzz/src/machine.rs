//! Any sequence of inputs to the machine, read from bytes.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use wakecast::machine::{Input, Refusal, RequestKey, StateKind, TransportEnd};
use wakecast::protocol::{
    Bye, Draining, EndpointPush, Lost, LostReason, Moved, Outcome, Phase, Pong, ProgressPush,
    Ready, ServerMessage,
};
use wakecast::{Acquire, Endpoint, ErrorCode};

use crate::rig::Rig;
use crate::step::{Step, Terms, Wait, What, Wire};
use crate::support::{CANARY, endpoint};

/// Longer sequences find little that shorter ones do not, and each costs as much as many short ones.
const MOST_STEPS: usize = 200;

/// The ids that apps and servers talk about.
const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// The statuses of a refused upgrade or of an access check; zero stands for no answer.
const STATUSES: [u16; 11] = [0, 101, 200, 204, 400, 401, 403, 426, 429, 500, 503];

const CLOSE_CODES: [u16; 8] = [1000, 1001, 1008, 1009, 1012, 1013, 4000, 65_535];

/// Whatever happens in whatever order, the seven laws hold; at the end everything is settled within
/// the second that closing takes.
pub fn machine(bytes: &[u8]) {
    machine_states(bytes);
}

/// The same; returns the states that it went through.
pub fn machine_states(bytes: &[u8]) -> Vec<StateKind> {
    let mut bytes = Unstructured::new(bytes);
    let mut rig = Rig::new();
    if bytes.arbitrary().unwrap_or(true) {
        for what in connected() {
            let wait = Wait::None;
            rig.step(&Step { wait, what });
        }
    }
    for _ in 0..MOST_STEPS {
        if bytes.is_empty() {
            break;
        }
        let Ok(step) = step(&mut bytes) else { break };
        rig.step(&step);
    }
    rig.give(Input::Close);
    rig.now += 1_000;
    rig.give(Input::Timeout);
    rig.kinds
}

/// What has to happen before a client is connected.
pub(crate) fn connected() -> Vec<What> {
    vec![
        What::Input(Input::Connect),
        What::Token(0, Ok(1), None),
        What::Transport(0, Wire::Open),
        What::Transport(0, Wire::Welcome(Terms::usual(3_600_000, 7_200_000))),
    ]
}

fn step(bytes: &mut Unstructured<'_>) -> Result<Step> {
    let wait = match bytes.int_in_range(0..=7u8)? {
        0..=3 => Wait::None,
        4 => Wait::Millis(bytes.arbitrary::<u16>()?.into()),
        5 | 6 => Wait::Timer,
        _ => Wait::Late(bytes.arbitrary::<u32>()?.into()),
    };
    Ok(Step {
        wait,
        what: what(bytes)?,
    })
}

fn what(bytes: &mut Unstructured<'_>) -> Result<What> {
    Ok(match bytes.int_in_range(0..=11u8)? {
        0..=2 => What::Input(app_input(bytes)?),
        3..=7 => What::Transport(which(bytes)?, wire(bytes)?),
        8 => {
            let token = if bytes.ratio(1, 8)? {
                Err(())
            } else {
                Ok(bytes.int_in_range(0..=9)?)
            };
            What::Token(which(bytes)?, token, maybe(bytes, millis)?)
        }
        9 => What::Access(which(bytes)?, *bytes.choose(&STATUSES)?),
        10 => What::Probe(which(bytes)?, bytes.arbitrary()?),
        _ => What::Input(Input::Timeout),
    })
}

/// The newest transport or question, mostly; else the one before, or one that never was.
fn which(bytes: &mut Unstructured<'_>) -> Result<u8> {
    Ok(bytes.int_in_range(0..=15u8)?.saturating_sub(13))
}

fn app_input(bytes: &mut Unstructured<'_>) -> Result<Input> {
    Ok(match bytes.int_in_range(0..=15u8)? {
        0..=3 => Input::Acquire {
            key: key(bytes)?,
            acquire: acquire(bytes)?,
        },
        4 => Input::Connect,
        5 => Input::Cancel { key: key(bytes)? },
        6 => Input::Endpoint {
            key: key(bytes)?,
            lease: id(bytes)?,
        },
        7 => Input::Release {
            key: key(bytes)?,
            lease: id(bytes)?,
        },
        8 => Input::Status {
            key: key(bytes)?,
            fleet: maybe(bytes, id)?,
        },
        9 => Input::Retry,
        10 => Input::NetworkUp,
        11 => Input::NetworkDown,
        12 => Input::NetworkChanged,
        13 => Input::Foreground,
        14 => Input::Background,
        _ => match bytes.int_in_range(0..=7u8)? {
            // Rare, since everything after it is only about the silence that must follow.
            0 => Input::Close,
            1 => Input::Detach,
            _ => Input::ClockJumped,
        },
    })
}

fn acquire(bytes: &mut Unstructured<'_>) -> Result<Acquire> {
    let acquire = match bytes.int_in_range(0..=2u8)? {
        0 => Acquire::publish("live", "match"),
        1 => Acquire::play("live", "match"),
        _ => Acquire::watch("live", "match"),
    };
    let mut acquire = acquire.verify(bytes.arbitrary()?);
    if let Some(id) = maybe(bytes, id)? {
        acquire = acquire.id(id);
    }
    if let Some(fleet) = maybe(bytes, id)? {
        acquire = acquire.fleet(fleet);
    }
    Ok(match maybe(bytes, millis)? {
        Some(deadline) => acquire.deadline(Duration::from_millis(deadline)),
        None => acquire,
    })
}

fn wire(bytes: &mut Unstructured<'_>) -> Result<Wire> {
    Ok(match bytes.int_in_range(0..=15u8)? {
        0 | 1 => Wire::Open,
        2 | 3 => Wire::Welcome(if bytes.ratio(3, 4)? {
            Terms::usual(3_600_000, 7_200_000)
        } else {
            Terms {
                life: millis(bytes)?,
                age: millis(bytes)?,
                heartbeat: millis(bytes)?,
                spread: millis(bytes)?,
            }
        }),
        4 => Wire::NoEcho,
        5 => Wire::Refuse(refusal(bytes)?),
        6 => Wire::Close(end(bytes)?),
        7 => Wire::Binary,
        8 => Wire::Garbage(unmarked(bytes.arbitrary()?)),
        9 | 10 => Wire::Ack(bytes.int_in_range(0..=5)?),
        11 => Wire::Error(
            bytes.int_in_range(0..=5)?,
            code(bytes)?,
            bytes.arbitrary()?,
            *bytes.choose(Outcome::ALL)?,
        ),
        12 => Wire::Renewed(millis(bytes)?),
        13 => Wire::Status(bytes.int_in_range(0..=3)?),
        _ => Wire::Message(message(bytes)?),
    })
}

/// The mark by which secrets are found means one, whoever wrote it.
fn unmarked(text: String) -> String {
    text.replace(CANARY, "")
}

fn message(bytes: &mut Unstructured<'_>) -> Result<ServerMessage> {
    Ok(match bytes.int_in_range(0..=7u8)? {
        0 => ServerMessage::Progress(ProgressPush {
            id: id(bytes)?,
            rev: rev(bytes)?,
            phase: *bytes.choose(Phase::ALL)?,
            elapsed_ms: millis(bytes)?,
            eta_p50_ms: millis(bytes)?,
            eta_p90_ms: millis(bytes)?,
            overdue: bytes.arbitrary()?,
            note: None,
        }),
        1 | 2 => ServerMessage::Ready(Ready {
            id: id(bytes)?,
            rev: rev(bytes)?,
            endpoint: host(bytes)?,
            verify_spread_ms: millis(bytes)?,
        }),
        3 => ServerMessage::Endpoint(EndpointPush {
            id: maybe(bytes, id)?,
            lease: id(bytes)?,
            rev: rev(bytes)?,
            endpoint: host(bytes)?,
        }),
        4 => ServerMessage::Draining(Draining {
            lease: id(bytes)?,
            rev: rev(bytes)?,
            deadline_ms: millis(bytes)?,
        }),
        5 => ServerMessage::Moved(Moved {
            lease: id(bytes)?,
            rev: rev(bytes)?,
            endpoint: host(bytes)?,
        }),
        6 => ServerMessage::Lost(Lost {
            lease: id(bytes)?,
            rev: rev(bytes)?,
            reason: *bytes.choose(LostReason::ALL)?,
        }),
        _ if bytes.arbitrary()? => ServerMessage::Bye(Bye {
            code: code(bytes)?,
            retry_after_ms: maybe(bytes, millis)?,
            reconnect: bytes.ratio(7, 8)?,
        }),
        _ => ServerMessage::Pong(Pong {}),
    })
}

fn refusal(bytes: &mut Unstructured<'_>) -> Result<Refusal> {
    let message = "no route".to_owned();
    Ok(match bytes.int_in_range(0..=7u8)? {
        0 => Refusal::Opaque,
        1 => Refusal::BadHandshake { message },
        2 => Refusal::Unreachable { message },
        3 => Refusal::Tls { message },
        _ => Refusal::Http {
            status: *bytes.choose(&STATUSES)?,
            retry_after: maybe(bytes, millis)?.map(Duration::from_millis),
        },
    })
}

fn end(bytes: &mut Unstructured<'_>) -> Result<TransportEnd> {
    Ok(match bytes.int_in_range(0..=3u8)? {
        0 => TransportEnd::Dropped,
        1 => TransportEnd::Failed {
            message: "reset".to_owned(),
        },
        _ => TransportEnd::Code(*bytes.choose(&CLOSE_CODES)?),
    })
}

fn code(bytes: &mut Unstructured<'_>) -> Result<ErrorCode> {
    Ok(if bytes.ratio(1, 16)? {
        ErrorCode::Other("new".into())
    } else {
        bytes.choose(ErrorCode::ALL)?.clone()
    })
}

fn host(bytes: &mut Unstructured<'_>) -> Result<Endpoint> {
    let mut endpoint = endpoint(bytes.choose(&["a", "b"])?);
    if bytes.ratio(1, 4)? {
        endpoint.stream_token_expires_in_ms = maybe(bytes, millis)?;
    }
    Ok(endpoint)
}

fn id(bytes: &mut Unstructured<'_>) -> Result<String> {
    Ok((*bytes.choose(&IDS)?).to_owned())
}

fn key(bytes: &mut Unstructured<'_>) -> Result<RequestKey> {
    Ok(RequestKey(bytes.int_in_range(0..=11)?))
}

/// Revisions near each other, and now and then the last one that there is.
fn rev(bytes: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match bytes.int_in_range(0..=7u64)? {
        7 => bytes.arbitrary()?,
        near => near,
    })
}

/// Times of every size: what a server says is not to be trusted.
fn millis(bytes: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match bytes.int_in_range(0..=7u8)? {
        0 => 0,
        1..=3 => bytes.arbitrary::<u16>()?.into(),
        4..=6 => bytes.arbitrary::<u32>()?.into(),
        _ => bytes.arbitrary()?,
    })
}

fn maybe<T>(
    bytes: &mut Unstructured<'_>,
    draw: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    Ok(if bytes.arbitrary()? {
        Some(draw(bytes)?)
    } else {
        None
    })
}
