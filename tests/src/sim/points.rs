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
    /// The process freezes for longer than its lock before its call leaves, and goes on then. A
    /// call that changes EC2 has left: nothing could guard against that.
    FreezesBefore,
    /// The process freezes for longer than its lock when the answer is there, and goes on then.
    FreezesAfter,
}

impl How {
    pub(super) fn kills(self) -> bool {
        matches!(self, Self::Before | Self::After | Self::Late)
    }
}

/// The points of a world, by function. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Points(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    passed: Vec<(Role, &'static str)>,
    /// How many of each function.
    counts: BTreeMap<Role, usize>,
    plan: BTreeMap<(Role, usize), How>,
    met: usize,
}

impl Points {
    /// Plans that something happens at the point of this number; the first is 0.
    pub fn plan(&self, role: Role, number: usize, how: How) {
        self.inner().plan.insert((role, number), how);
    }

    /// Returns the calls of a function so far, in their order.
    #[must_use]
    pub fn passed(&self, role: Role) -> Vec<&'static str> {
        let inner = self.inner();
        let own = inner.passed.iter().filter(|(of, _)| *of == role);
        own.map(|(_, call)| *call).collect()
    }

    /// Returns how many points of `other` were passed before the point of this number.
    #[must_use]
    pub fn passed_before(&self, role: Role, number: usize, other: Role) -> usize {
        let (mut own, mut others) = (0, 0);
        for (of, _) in &self.inner().passed {
            if *of == role && own == number {
                break;
            }
            own += usize::from(*of == role);
            others += usize::from(*of == other);
        }
        others
    }

    /// Returns how many planned things have happened.
    #[must_use]
    pub fn met(&self) -> usize {
        self.inner().met
    }

    /// Passes the next point of a function.
    pub(super) fn pass(&self, role: Role, call: &'static str) -> Option<How> {
        let mut inner = self.inner();
        inner.passed.push((role, call));
        let count = inner.counts.entry(role).or_default();
        let number = *count;
        *count += 1;
        let how = inner.plan.get(&(role, number)).copied();
        inner.met += usize::from(how.is_some());
        how
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
