//! The reference model: the laws of the cloud, once more and apart.
//!
//! It is told plain facts: what was asked, what the table took, what EC2 did, what media servers
//! reported and what people were told. From them it works out by itself who is protected, who may
//! still come and what must have happened by when. It shares no code with what it judges: it uses
//! the standard library and nothing else, and a test holds it to that.
//!
//! | law | file |
//! |---|---|
//! | 1, 5, 7, 8: what may be done to servers | `power` |
//! | 2: nothing is stopped under anybody | `stops` |
//! | 2: what is handed out can be used | `promises` |
//! | 3: everybody is answered | `waits` |
//! | 4: what nobody needs is stopped | `idle` |
//!
//! Law 6, that crashes, lost replies and their like change none of it, is that these hold in
//! every world: crashes and failed calls are facts too, and only laws 3 and 4 allow more time
//! for them.

mod facts;
mod idle;
mod known;
mod power;
mod promises;
mod stops;
mod waits;

use std::collections::BTreeSet;

pub use facts::{Fact, Media, Moment, Purpose, Rules, Standing};

use known::Known;

/// A law, and how it was broken.
pub type Breach = (&'static str, String);

/// Judges one world.
#[derive(Debug)]
pub struct Judge {
    known: Known,
    /// What was said once is not said each second.
    said: BTreeSet<(&'static str, String)>,
}

impl Judge {
    /// A judge who has seen nothing yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            known: Known::new(rules),
            said: BTreeSet::new(),
        }
    }

    /// Hears a fact and says what it breaks.
    pub fn hear(&mut self, at: Moment, fact: &Fact) -> Vec<Breach> {
        let known = &self.known;
        let mut broken: Vec<Breach> = Vec::new();
        match fact {
            Fact::Started { server, ours } => {
                let what = power::starts_with_address(known, at, server, *ours);
                broken.extend(what.map(|what| ("address", what)));
            }
            Fact::Address {
                server,
                on: false,
                ours: true,
            } => {
                broken.extend(power::loses_address(known, server).map(|what| ("address", what)));
            }
            Fact::StopAccepted { server, ours: true } => {
                let stops = stops::accepted(known, at, server);
                broken.extend(stops.into_iter().map(|what| ("law 2", what)));
                broken.extend(power::held(known, at, server).map(|what| ("law 7", what)));
            }
            Fact::PowerCall { by, call } => {
                broken.extend(power::blind(known, *by, call).map(|what| ("law 8", what)));
            }
            Fact::RanOut => broken.extend(power::idle_run(known, at).map(|what| ("rest", what))),
            Fact::Promised {
                who,
                lease,
                server,
                token_until,
            } => {
                let of = (who.as_str(), lease.as_str());
                let what = promises::usable(known, at, of, server.as_deref(), *token_until);
                broken.extend(what.map(|what| ("law 2", what)));
            }
            Fact::Unreachable { who, lease, server } => {
                let what = promises::unreachable(known, at, (who, lease), server.as_deref());
                broken.extend(what.map(|what| ("law 2", what)));
            }
            Fact::Cut { who, server } => {
                broken.extend(promises::cut(known, at, who, server).map(|what| ("law 2", what)));
            }
            Fact::Media { server, media } => {
                let what = promises::touched(known, server, media.touched_early);
                broken.extend(what.map(|what| ("warming", what)));
            }
            Fact::Closing { server, again } => {
                if let Some(closing) = stops::closing(known, at, server, *again) {
                    self.known.closes(server, closing);
                }
            }
            _ => {}
        }
        self.known.learn(at, fact);
        if *fact == Fact::Intended {
            let caps = power::over_subject_cap(&self.known, at);
            broken.extend(caps.map(|what| ("law 5", what)));
        }
        if matches!(fact, Fact::Launched(_) | Fact::Started { ours: true, .. }) {
            let known = &self.known;
            let live = power::too_many(known, at).map(|what| ("law 1", what));
            let caps = power::over_cap(known, at).map(|what| ("law 5", what));
            broken.extend(live.into_iter().chain(caps));
        }
        broken
    }

    /// Looks at the clock and says what should have happened by now. Each thing is said once.
    pub fn look(&mut self, at: Moment) -> Vec<Breach> {
        let known = &mut self.known;
        let mut late: Vec<(&'static str, String, String)> = Vec::new();
        let mut note = |law, all: Vec<(String, String)>| {
            late.extend(all.into_iter().map(|(name, what)| (law, name, what)));
        };
        note("law 4", idle::look(known, at));
        note("law 3", waits::unanswered(known, at));
        note("law 3", waits::overdue(known, at));
        note("demand", waits::unseen(known, at));
        let said = &mut self.said;
        let fresh = late
            .into_iter()
            .filter(|(law, name, _)| said.insert((law, name.clone())));
        fresh.map(|(law, _, what)| (law, what)).collect()
    }

    /// Returns how often a server was launched or started.
    #[must_use]
    pub fn boots(&self) -> u64 {
        self.known.boots.len() as u64
    }
}
