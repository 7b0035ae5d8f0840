//! Crashes that are planned: each call of a function is a point, and has a number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::process::Role;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The process dies before its call leaves.
    Before,
    /// The call has its effect, then the process dies: the reply is lost.
    After,
    /// The process dies while its call is under way: the effect comes later than the death.
    Late,
    /// The process freezes for longer than its lock, and goes on then.
    Freezes,
}

impl How {
    pub(super) fn kills(self) -> bool {
        self != Self::Freezes
    }
}

/// The points of a world, by function. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Points(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    passed: BTreeMap<Role, u64>,
    plan: BTreeMap<(Role, u64), How>,
    met: u64,
}

impl Points {
    /// Plans that something happens at the point of this number; the first is 0.
    pub fn plan(&self, role: Role, number: u64, how: How) {
        self.inner().plan.insert((role, number), how);
    }

    /// Returns how many points of a function were passed.
    #[must_use]
    pub fn passed(&self, role: Role) -> u64 {
        self.inner().passed.get(&role).copied().unwrap_or(0)
    }

    /// Returns how many planned things have happened.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.inner().met
    }

    /// Passes the next point of a function.
    pub(super) fn pass(&self, role: Role) -> Option<How> {
        let mut inner = self.inner();
        let passed = inner.passed.entry(role).or_default();
        let number = *passed;
        *passed += 1;
        let how = inner.plan.get(&(role, number)).copied();
        inner.met += u64::from(how.is_some());
        how
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
