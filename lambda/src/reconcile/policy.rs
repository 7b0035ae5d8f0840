//! What decides. The loop around it is the same whatever it is.

use std::fmt;

use crate::lifecycle::{self, Decision, Probe, Snapshot};

/// Decides for a fleet: pure functions of what is seen.
pub trait Policy: Send + Sync + fmt::Debug {
    /// Names the looks at media servers that the decision of this pass needs.
    fn probes(&self, snapshot: &Snapshot<'_>) -> Vec<Probe>;

    /// Decides.
    fn decide(&self, snapshot: &Snapshot<'_>) -> Decision;
}

/// The fleet's lifecycle: [`lifecycle::probes`] and [`lifecycle::decide`].
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle;

impl Policy for Lifecycle {
    fn probes(&self, snapshot: &Snapshot<'_>) -> Vec<Probe> {
        lifecycle::probes(snapshot)
    }

    fn decide(&self, snapshot: &Snapshot<'_>) -> Decision {
        lifecycle::decide(snapshot)
    }
}
