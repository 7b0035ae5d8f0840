//! The decision log: one JSON line per decision, from which the decision can be made again.
//!
//! A line says what was seen, what follows and why:
//!
//! ```json
//! {"decision":1,"now":1800000012345,"fleet":"acme/main","fence":7,"version":12,
//!  "hash":"4d5a1f0c93b2e871",
//!  "decided":{"actions":[{"do":"record","instance":"i-1","stand":"booting"},
//!                        {"do":"start","instance":"i-1","sequence":3}],
//!             "transitions":[{"from":"stopped","to":"booting"}],"alarms":[],
//!             "why":["somebody waits: i-1 is started"],"next":"now","parts":{"commit":"…"}},
//!  "snapshot":{…}}
//! ```
//!
//! It stands on one line; the keys come in this order. `hash` is that of the snapshot's text;
//! `now`, `fleet`, `fence` and `version` repeat what stands in the snapshot, so that replaying finds
//! a line in which any of them was changed.
//! `snapshot` is left out where the line would be longer than [`LONGEST_LINE`], and where it is
//! the one of the run's line before. A decision that finds nothing to do and says nothing has no
//! line, so that a fleet at rest costs nothing.
//!
//! No secret is in a line: what a decision sees holds none but the value of the app's known
//! setting, and a text there is replaced by a word: whether it is the configured one. The token of a launch is in it; it names a
//! request to EC2 and opens nothing.

mod line;
mod replay;
mod snapshot;
mod summary;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

pub use line::{LONGEST_LINE, Line, VERSION, line};
pub use replay::{Difference, Replay, Replayed, Verdict};
pub use snapshot::LoggedSnapshot;
pub use summary::{Action, Parts, Summary, is_quiet};

/// Where decision lines go.
pub trait DecisionLog: Send + Sync + fmt::Debug {
    /// Takes one line, without its end. A line that cannot be kept is lost: nothing that is decided
    /// waits for it.
    fn write(&self, line: &str);
}

/// Writes each line to a file or a stream as it comes. What a Lambda function writes to its
/// standard output is its log.
pub struct JsonLines<W>(Mutex<W>);

impl JsonLines<io::Stdout> {
    /// Writes to the standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write> JsonLines<W> {
    /// Writes to `to`.
    #[must_use]
    pub const fn new(to: W) -> Self {
        Self(Mutex::new(to))
    }
}

impl<W: Write + Send> DecisionLog for JsonLines<W> {
    fn write(&self, line: &str) {
        // In one piece, so that a crash leaves no line half written before another.
        let line = format!("{line}\n");
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = to.write_all(line.as_bytes()).and_then(|()| to.flush());
        if let Err(error) = written {
            tracing::warn!(%error, "a line of the decision log was lost");
        }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}
