//! What a server, or whoever poses as one, may send to a client.

use std::sync::LazyLock;

use wakecast::machine::{Input, RequestKey};
use wakecast::protocol::{MAX_SERVER_MESSAGE, Ready, ServerMessage};
use wakecast::{Acquire, LeaseStatus};

use crate::machine::connected;
use crate::quotes_nothing;
use crate::rig::Rig;
use crate::step::{Step, Wait, What, Wire};
use crate::support::{CANARY, endpoint};

/// How many timers are let fire after a message: times that it told are in them.
const TIMERS_AFTER: usize = 12;

/// How a client gets to hold the lease `b` and to wait for `a`.
static HOLDING: LazyLock<Vec<What>> = LazyLock::new(|| {
    let acquire = |key, id: &str| {
        What::Input(Input::Acquire {
            key: RequestKey(key),
            acquire: Acquire::publish("live", "match").id(id),
        })
    };
    let ready = ServerMessage::Ready(Ready {
        id: "b".to_owned(),
        rev: 1,
        endpoint: endpoint("a"),
        verify_spread_ms: 0,
    });
    let mut steps = connected();
    steps.extend([
        acquire(1, "a"),
        What::Transport(0, Wire::Ack(0)),
        acquire(2, "b"),
        What::Transport(0, Wire::Message(ready)),
        What::Input(Input::Timeout),
        What::Probe(0, true),
    ]);
    steps
});

/// Any text is a message, or a typed error that quotes nothing. A message survives being written and
/// read again. A client that waits and holds keeps its laws with it and after it.
pub fn server_message(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    match ServerMessage::decode(text) {
        Ok(message) => survives(&message),
        Err(error) => quotes_nothing(&error),
    }
    if text.contains(CANARY) {
        // The mark by which secrets are found: what a server says in the open proves nothing.
        return;
    }
    let mut rig = Rig::new();
    let at_once = |what: &What| Step {
        wait: Wait::None,
        what: what.clone(),
    };
    for what in HOLDING.iter() {
        rig.step(&at_once(what));
    }
    assert_eq!(rig.machine.lease_status("b"), Some(LeaseStatus::Held));
    rig.step(&at_once(&What::Transport(
        0,
        Wire::Garbage(text.to_owned()),
    )));
    for _ in 0..TIMERS_AFTER {
        rig.step(&Step {
            wait: Wait::Timer,
            what: What::Input(Input::Timeout),
        });
    }
    rig.step(&at_once(&What::Input(Input::Close)));
}

fn survives(message: &ServerMessage) {
    match message {
        // Skipped, and never written.
        ServerMessage::Unknown { kind } => {
            assert!(!ServerMessage::TYPES.contains(&kind.as_str()));
        }
        ServerMessage::Gateway(_) => assert_eq!(message.kind(), None),
        _ => {
            let again = message.encode();
            if again.len() <= MAX_SERVER_MESSAGE {
                assert_eq!(ServerMessage::decode(&again).as_ref(), Ok(message));
            }
        }
    }
}
