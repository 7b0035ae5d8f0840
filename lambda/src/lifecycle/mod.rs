//! Decides for one fleet: what it sees and the time lead to records, row changes, pushes and calls.
//!
//! Nothing here reads a clock, draws a random number, sleeps, spawns, locks or does I/O. A pass is
//! two pure steps: [`probes`] says which looks at media servers are needed, and [`decide`] what
//! follows from everything that was seen.
//!
//! Rules that every file keeps:
//! - What is not known counts as busy, once a boot has been ready.
//! - Nothing is started or stopped while EC2 cannot be read.
//! - A record says that a call is made before the call is made.
//! - Leases are told from the records, so that a crash between the two is mended by the next pass.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod alarm;
mod answers;
mod boots;
mod budget;
mod decision;
mod drain;
mod elastic;
mod ends;
mod eta;
mod forecast;
mod launch;
mod load;
mod observe;
mod outlook;
mod pass;
mod probes;
mod progress;
mod snapshot;
mod stop;
mod subjects;
mod token;
mod transition;
mod waiters;
mod warm;

pub use alarm::Alarm;
pub use decision::{Call, Decision, Next, Power, Push, RowChange};
pub use eta::{Eta, remaining};
pub use forecast::Forecast;
pub use outlook::Outlook;
pub use probes::probes;
pub use snapshot::{Answer, Observation, Probe, Question, Reply, Snapshot};
pub use subjects::payers;
pub use transition::{Stand, Transition, transitions};

use pass::Pass;

/// Decides what follows from a snapshot.
#[must_use]
pub fn decide(snapshot: &Snapshot<'_>) -> Decision {
    let mut pass = Pass::new(snapshot);
    // What has become known.
    answers::step(&mut pass);
    observe::step(&mut pass);
    load::step(&mut pass);
    // What each instance does next. A stop goes before a drain: S3 needs rows that were read after
    // the commit of S2, so S2 and S3 are never in one pass.
    warm::step(&mut pass);
    stop::step(&mut pass);
    drain::step(&mut pass);
    elastic::step(&mut pass);
    // What the fleet and its clients need.
    ends::step(&mut pass);
    launch::step(&mut pass);
    waiters::step(&mut pass);
    progress::step(&mut pass);
    budget::step(&mut pass);
    pass.finish()
}
