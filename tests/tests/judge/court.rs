//! A judge at work: its clock, one server, and the facts of its life.

use wakecast_tests::judge::{Fact, Judge, Media, Purpose, Rules, Standing};

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;

/// A judge, and the time.
pub(crate) struct Court {
    judge: Judge,
    pub(crate) at: u64,
    /// What it found to be broken.
    pub(crate) broken: Vec<String>,
}

impl Court {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules {
            max: 1,
            min: 0,
            starts_per_hour: 3,
            launches_per_hour: 3,
            subject_starts: 2,
            grace: 5 * MINUTE,
            min_up: 5 * MINUTE,
            stream_token: MINUTE,
            protect_publish: 15 * MINUTE,
            protect_play: 2 * MINUTE,
            absence: 2 * MINUTE,
            boot: 10 * MINUTE,
            tick: MINUTE,
            lock: 30 * SECOND,
            clocks_apart: 0,
        };
        change(&mut rules);
        Self {
            judge: Judge::new(rules),
            at: 1_000_000 * MINUTE,
            broken: Vec::new(),
        }
    }

    /// A server that has just become ready.
    pub(crate) fn ready() -> Self {
        let mut court = Self::new();
        court.hear(Fact::Launched(id()));
        court.opens();
        court
    }

    pub(crate) fn opens(&mut self) {
        self.hear(Fact::Runs(id()));
        self.hear(Fact::Media {
            server: id(),
            media: up(),
        });
        let since = self.at;
        self.hear(Fact::Opened {
            server: id(),
            boot: 1,
            since,
        });
    }

    pub(crate) fn hear(&mut self, fact: Fact) {
        let broken = self.judge.hear(self.at, &fact);
        let told = broken
            .into_iter()
            .map(|(law, what)| format!("{law}: {what}"));
        self.broken.extend(told);
    }

    pub(crate) fn pass(&mut self, time: u64) {
        for _ in 0..time / SECOND {
            self.at += SECOND;
            let broken = self.judge.look(self.at);
            let told = broken
                .into_iter()
                .map(|(law, what)| format!("{law}: {what}"));
            self.broken.extend(told);
        }
    }

    pub(crate) fn report(&mut self, counts: Option<(u64, u64)>) {
        let (server, began) = (id(), self.at);
        self.hear(Fact::Reported {
            by: 1,
            server,
            began,
            counts,
        });
    }

    /// Zeros, one a second, for so long.
    pub(crate) fn zeros(&mut self, time: u64) {
        for _ in 0..time / SECOND {
            self.at += SECOND;
            self.report(Some((0, 0)));
        }
    }

    pub(crate) fn described(&mut self, by: u64, readable: bool) {
        let as_of = self.at;
        self.hear(Fact::Described {
            by,
            readable,
            as_of,
        });
    }

    pub(crate) fn record(&mut self, lease: &str, purpose: Purpose, standing: Standing) {
        self.hear(Fact::Recorded {
            lease: lease.to_owned(),
            subject: lease.to_owned(),
            purpose: Some(purpose),
            standing,
            gone_since: None,
        });
    }

    pub(crate) fn promise(&mut self, who: &str, token_until: u64) {
        self.hear(Fact::Promised {
            who: who.to_owned(),
            lease: who.to_owned(),
            server: Some(id()),
            token_until,
        });
    }

    pub(crate) fn stop(&mut self) {
        self.hear(Fact::Closing {
            server: id(),
            again: false,
        });
        self.at += SECOND;
        self.hear(Fact::Halted {
            server: id(),
            streams: 0,
            viewers: 0,
        });
        self.hear(Fact::StopAccepted {
            server: id(),
            ours: true,
        });
    }

    pub(crate) fn said(&self, what: &str) -> bool {
        self.broken.iter().any(|line| line.contains(what))
    }

    pub(crate) fn broke(&self, law: &str, what: &str) {
        let found = self
            .broken
            .iter()
            .any(|line| line.starts_with(law) && line.contains(what));
        assert!(found, "{law} … {what}: {:?}", self.broken);
    }
}

pub(crate) fn id() -> String {
    "i-1".to_owned()
}

pub(crate) fn held() -> Standing {
    Standing::Holds {
        server: id(),
        boot: 1,
    }
}

pub(crate) fn up() -> Media {
    Media {
        up: true,
        sound: true,
        ..Media::default()
    }
}
