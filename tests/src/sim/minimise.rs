//! Makes a broken world small: takes pieces out of its plan for as long as the same law breaks.

use std::collections::BTreeSet;

use super::plan::{Piece, Plan};

/// A smaller world moves everything in time, so that the fault may need other delays to show.
const LUCKS: u64 = 3;

/// A minimised plan.
#[derive(Clone, Debug)]
pub struct Minimised {
    /// What is left of it.
    pub plan: Plan,
    /// What breaks in it, first.
    pub violation: String,
    /// How many worlds were played to find it.
    pub played: u64,
}

/// Takes out of `plan` what the fault does not need, in large parts first and then piece by piece.
/// `breaks` plays a plan and returns the first law that it breaks. `None` if `plan` breaks none.
///
/// A plan counts as broken alike only while it is the same law, since another fault is another
/// search.
pub fn minimise(plan: &Plan, breaks: impl Fn(&Plan) -> Option<String>) -> Option<Minimised> {
    let violation = breaks(plan)?;
    let mut search = Search {
        law: law(&violation).to_owned(),
        breaks,
        best: Minimised {
            plan: plan.clone(),
            violation,
            played: 1,
        },
    };
    loop {
        let before = search.best.plan.pieces().len();
        let mut size = before.div_ceil(2).max(1);
        loop {
            search.without_each(size);
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
        }
        // What one piece hid, another round may take.
        if search.best.plan.pieces().len() == before {
            return Some(search.best);
        }
    }
}

/// The law that a violation names.
#[must_use]
pub fn law(violation: &str) -> &str {
    violation.split(':').next().unwrap_or(violation)
}

struct Search<B> {
    law: String,
    breaks: B,
    best: Minimised,
}

impl<B: Fn(&Plan) -> Option<String>> Search<B> {
    /// Tries to leave out each run of `size` pieces.
    fn without_each(&mut self, size: usize) {
        let mut from = 0;
        loop {
            let pieces = self.best.plan.pieces();
            if from >= pieces.len() {
                return;
            }
            let out = from..(from + size).min(pieces.len());
            let kept = pieces.iter().enumerate();
            let kept: BTreeSet<Piece> = kept
                .filter(|(place, _)| !out.contains(place))
                .map(|(_, piece)| piece.clone())
                .collect();
            if !self.still_breaks(&kept) {
                from += size;
            }
        }
    }

    fn still_breaks(&mut self, kept: &BTreeSet<Piece>) -> bool {
        let before = self.best.plan.luck;
        // The delays as they are first, then others.
        for luck in std::iter::once(before).chain((0..LUCKS).filter(|luck| *luck != before)) {
            let mut smaller = self.best.plan.only(kept);
            smaller.luck = luck;
            self.best.played += 1;
            if let Some(violation) = (self.breaks)(&smaller)
                && law(&violation) == self.law
            {
                self.best.plan = smaller;
                self.best.violation = violation;
                return true;
            }
        }
        false
    }
}
