//! What decides. The loop around it is the same whatever it is.

use std::fmt;

use crate::lifecycle::{Decision, Probe, Snapshot};

/// Decides for a fleet: pure functions of what is seen.
pub trait Policy: Send + Sync + fmt::Debug {
    /// Names the looks at media servers that the decision of this pass needs.
    fn probes(&self, snapshot: &Snapshot<'_>) -> Vec<Probe>;

    /// Decides.
    fn decide(&self, snapshot: &Snapshot<'_>) -> Decision;
}
