//! What a person wants next, and what they will do with it: drawn, not decided.

use std::time::Duration;

use wakecast::Acquire;
use wakecast_local::random::{Dice, Span};

/// One wish.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) purpose: Purpose,
    pub(super) stream: String,
    pub(super) deadline: Duration,
    pub(super) fate: Fate,
    pub(super) hold: Duration,
    pub(super) streams: bool,
    pub(super) refreshes: u32,
    pub(super) farewell: Farewell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish,
    Play,
    Watch,
}

/// What becomes of the wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It is waited out.
    Await,
    /// It is cancelled after this time, and its outcome awaited.
    Cancel(Duration),
    /// It is dropped after this time.
    Drop(Duration),
    /// After this time it is left to another client with the same id.
    Succeed(Duration),
}

/// What becomes of the lease.
#[derive(Clone, Copy, Debug)]
pub(super) enum Farewell {
    Release,
    /// Released, and the answer not awaited.
    ReleaseAndGo,
    /// Forgotten; the client goes on holding it.
    Forget,
}

impl Wish {
    pub(super) fn draw(dice: &mut Dice, nth: u32, people: u32) -> Self {
        let purpose = match dice.bits() % 100 {
            0..30 => Purpose::Publish,
            30..85 => Purpose::Play,
            _ => Purpose::Watch,
        };
        let other = dice.bits() % u64::from(people.max(1));
        let stream = match purpose {
            Purpose::Publish => format!("stream-{nth}"),
            Purpose::Play | Purpose::Watch => format!("stream-{other}"),
        };
        let deadline = match (purpose, dice.bits() % 10) {
            (Purpose::Watch, _) => Span::millis(3_000, 30_000),
            (_, 0) => Span::millis(1_000, 3_000),
            (_, 1..3) => Span::millis(10_000, 30_000),
            _ => Span::millis(60_000, 180_000),
        };
        let soon = dice.within(Span::millis(0, 3_000));
        Self {
            purpose,
            stream,
            deadline: dice.within(deadline),
            fate: match dice.bits() % 100 {
                0..8 => Fate::Cancel(soon),
                8..15 => Fate::Drop(soon),
                15..22 => Fate::Succeed(soon),
                _ => Fate::Await,
            },
            hold: dice.within(Span::millis(500, 15_000)),
            streams: dice.chance(600),
            refreshes: u32::try_from(dice.bits() % 3).unwrap_or(0),
            farewell: match dice.bits() % 100 {
                0..10 => Farewell::Forget,
                10..20 => Farewell::ReleaseAndGo,
                _ => Farewell::Release,
            },
        }
    }

    pub(super) fn acquire(&self, app: &str) -> Acquire {
        let acquire = match self.purpose {
            Purpose::Publish => Acquire::publish(app, &self.stream),
            Purpose::Play => Acquire::play(app, &self.stream),
            Purpose::Watch => Acquire::watch(app, &self.stream),
        };
        acquire.deadline(self.deadline)
    }
}
