//! Herds: thousands of real clients against the real gateway and reconciler, on virtual time.
//!
//! The small worlds look for what goes wrong in odd orders; a herd looks for what goes wrong by
//! numbers. Nothing is random here but delays: each herd has one story, and says what it measured.

mod crowd;
mod stories;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::explore::Summary;

pub use crowd::Crowd;
pub use stories::simultaneous;

/// As many clients as a herd of the test command has.
pub const CLIENTS: usize = 2_000;

/// One herd and its story.
#[derive(Clone, Copy, Debug)]
pub struct Herd {
    /// Its name.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    /// Plays it with so many clients.
    pub play: fn(usize) -> Showed,
}

/// The herds of the test command.
pub const ALL: [Herd; 5] = [
    Herd {
        name: "kick-off",
        what: "everybody wants to play at once, and nothing runs",
        play: stories::kick_off,
    },
    Herd {
        name: "outage",
        what: "all links are cut and the gateway is down for 30 s",
        play: stories::outage,
    },
    Herd {
        name: "death",
        what: "the server dies under everybody",
        play: stories::death,
    },
    Herd {
        name: "watchers",
        what: "everybody watches, then one publishes",
        play: stories::watchers,
    },
    Herd {
        name: "return",
        what: "everybody leaves, and comes back while the server stops",
        play: stories::comes_back,
    },
];

/// What a herd showed.
#[derive(Clone, Debug, Default)]
pub struct Showed {
    /// What the world kept of it, broken laws included.
    pub summary: Summary,
    /// What was measured, one sentence each.
    pub figures: Vec<String>,
    /// Its timeline, if a law broke.
    pub timeline: Option<String>,
}

/// Plays every herd, as many at once as there are threads, and returns them in their order with the
/// time that each took.
#[must_use]
pub fn play_all(threads: usize) -> Vec<(Herd, Showed, Duration)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, ALL.len()) {
            scope.spawn(|| {
                while let Some(herd) = ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let showed = (herd.play)(CLIENTS);
                    if let Ok(mut done) = done.lock() {
                        done.push((*herd, showed, began.elapsed()));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    let place = |herd: &Herd| ALL.iter().position(|other| other.name == herd.name);
    done.sort_by_key(|(herd, ..)| place(herd));
    done
}
