//! What may happen to a machine, whatever draws it: random strategies, or the bytes of a fuzzer.

use wakecast::ErrorCode;
use wakecast::Outcome;
use wakecast::machine::{Input, Refusal, TransportEnd};
use wakecast::protocol::ServerMessage;

/// Part of every text from outside that might quote a secret. Errors quote such texts to the app;
/// what the machine says of itself must not.
pub(crate) const LEAK: &str = "leak4f9d1c7ab2e84d06a3f5";

/// What a network stack, a provider or a server might say.
pub(crate) fn says(what: &str) -> String {
    format!(
        "{what} \u{1b}[1m wss://{LEAK}@h.example/{LEAK}?token={LEAK} ({LEAK}) token={LEAK}\r\n{LEAK}"
    )
}

/// One step: some time passes, then one thing happens.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) wait: Wait,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum Wait {
    None,
    Millis(u64),
    /// Exactly until the armed timer.
    Timer,
    /// The timer fires late.
    Late(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Input(Input),
    /// Something about the newest transport (0), the one before (1), or one that never was (2).
    Transport(u8, Wire),
    /// An answer to the newest (0) or an older question.
    Token(u8, Result<u8, ()>, Option<u64>),
    Access(u8, u16),
    Probe(u8, bool),
}

#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Open,
    NoEcho,
    Refuse(Refusal),
    Close(TransportEnd),
    Binary,
    Garbage(String),
    /// The right `welcome` for the last `hello`.
    Welcome(Terms),
    /// An acknowledgement of the last request but n.
    Ack(u8),
    /// An error for it, and whether it is retryable.
    Error(u8, ErrorCode, bool, Outcome),
    Renewed(u64),
    /// A `status` for the last request but n, whatever that was.
    Status(u8),
    Message(ServerMessage),
}

/// What a `welcome` says of the link, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// What is left of the token.
    pub(crate) life: u64,
    /// How old the link may get.
    pub(crate) age: u64,
    pub(crate) heartbeat: u64,
    pub(crate) spread: u64,
}

impl Terms {
    /// What the gateway says of itself, for a token and a link of these lives.
    pub(crate) const fn usual(life: u64, age: u64) -> Self {
        Self {
            life,
            age,
            heartbeat: 270_000,
            spread: 2_000,
        }
    }
}
