//! Which changes of state the worlds have taken, and which they may leave untaken.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use wakecast::machine::{StateKind, TRANSITIONS};
use wakecast_lambda::lifecycle::{Stand, Transition, transitions};

use super::explore::Summary;

/// Transitions of an instance that no world of the test command takes, each with its reason.
pub const LIFECYCLE_EXCUSES: &[(Stand, Stand, &str)] = &[(
    Stand::Booting,
    Stand::Gone,
    "a lease must outlive the stop and the next start of its instance, which takes a table that \
     refuses each write of its row from the stop until that instance is terminated unseen",
)];

/// Transitions of a client that no world of the test command takes, each with its reason.
pub const CLIENT_EXCUSES: &[(StateKind, StateKind, &str)] = &[(
    StateKind::Paused,
    StateKind::Failed,
    "two renewals must be refused on a link that lives on, then its app goes to the background with \
     nothing held and asks again before the token has ended; a scene of `states.rs` holds it",
)];

/// How many worlds took each transition.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    lifecycle: BTreeMap<(Stand, Stand), u64>,
    client: BTreeMap<(StateKind, StateKind), u64>,
}

impl Coverage {
    /// Adds what a world took.
    pub fn add(&mut self, summary: &Summary) {
        for Transition { from, to } in &summary.transitions {
            *self.lifecycle.entry((*from, *to)).or_default() += 1;
        }
        for step in &summary.states {
            *self.client.entry(*step).or_default() += 1;
        }
    }

    /// Judges the coverage of a fixed range of worlds: a transition that is not taken, not excused
    /// or not in the table, and an excuse that is stale.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = judge(
            "lifecycle",
            &lifecycle(),
            &self.lifecycle,
            LIFECYCLE_EXCUSES,
        );
        faults.extend(judge("client", &client(), &self.client, CLIENT_EXCUSES));
        faults
    }
}

/// The table that a run prints: taken, and what is not, with the reason where there is one. `{:#}`
/// leaves to [`Coverage::faults`] what has none.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table(
            f,
            "lifecycle",
            &lifecycle(),
            &self.lifecycle,
            LIFECYCLE_EXCUSES,
        )?;
        table(f, "client", &client(), &self.client, CLIENT_EXCUSES)
    }
}

fn lifecycle() -> Vec<(Stand, Stand)> {
    let all = transitions().iter();
    all.map(|step| (step.from, step.to)).collect()
}

fn client() -> Vec<(StateKind, StateKind)> {
    let all = TRANSITIONS.iter();
    all.map(|(from, to, _)| (*from, *to)).collect()
}

/// A step as a person reads it.
fn named<S: Debug>((from, to): &(S, S)) -> String {
    format!("{from:?} to {to:?}")
}

fn excuse<'a, S: PartialEq>(step: &(S, S), excuses: &'a [(S, S, &str)]) -> Option<&'a str> {
    let mut all = excuses.iter();
    all.find(|(from, to, _)| (from, to) == (&step.0, &step.1))
        .map(|(_, _, reason)| *reason)
}

fn judge<S: Debug + Ord>(
    what: &str,
    all: &[(S, S)],
    taken: &BTreeMap<(S, S), u64>,
    excuses: &[(S, S, &str)],
) -> Vec<String> {
    let mut faults = Vec::new();
    for step in all {
        let name = named(step);
        match (taken.contains_key(step), excuse(step, excuses)) {
            (false, None) => faults.push(format!(
                "{what}: no world took {name}: let one take it, or excuse it with a reason"
            )),
            (true, Some(_)) => faults.push(format!(
                "{what}: {name} is excused and was taken: strike it off the list"
            )),
            _ => {}
        }
    }
    for step in taken.keys().filter(|step| !all.contains(step)) {
        let name = named(step);
        faults.push(format!("{what}: {name} was taken and is in no table"));
    }
    for (from, to, _) in excuses {
        if !all.iter().any(|step| (from, to) == (&step.0, &step.1)) {
            faults.push(format!(
                "{what}: {from:?} to {to:?} is excused and in no table"
            ));
        }
    }
    faults
}

/// Steps by where they begin; each with the number of worlds that took it.
fn table<S: Debug + Ord>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    all: &[(S, S)],
    taken: &BTreeMap<(S, S), u64>,
    excuses: &[(S, S, &str)],
) -> fmt::Result {
    let count = all.iter().filter(|step| taken.contains_key(step)).count();
    writeln!(
        f,
        "{what:<12} {count} of {} transitions taken, in so many worlds",
        all.len()
    )?;
    let mut froms: Vec<&S> = Vec::new();
    for (from, _) in all {
        if !froms.contains(&from) {
            froms.push(from);
        }
    }
    for from in froms {
        let name = format!("{from:?}");
        write!(f, "  {name:<12}")?;
        for step in all.iter().filter(|(start, _)| start == from) {
            let to = format!("{:?}", step.1);
            let worlds = taken.get(step).map_or("-".to_owned(), u64::to_string);
            write!(f, " {to:>12} {worlds:<5}")?;
        }
        writeln!(f)?;
    }
    for step in all.iter().filter(|step| !taken.contains_key(step)) {
        let reason = excuse(step, excuses);
        if reason.is_some() || !f.alternate() {
            let reason = reason.unwrap_or("not seen in these worlds");
            writeln!(f, "  not taken: {}: {reason}", named(step))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(u8, u8); 3] = [(0, 1), (1, 2), (2, 0)];

    fn taken(steps: &[(u8, u8)]) -> BTreeMap<(u8, u8), u64> {
        steps.iter().map(|step| (*step, 1)).collect()
    }

    #[test]
    fn a_transition_that_no_world_takes_is_an_error_unless_it_is_excused() {
        let without = taken(&[(0, 1), (1, 2)]);
        let faults = judge("test", &ALL, &without, &[]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("no world took 2 to 0"), "{faults:?}");
        assert!(judge("test", &ALL, &without, &[(2, 0, "far")]).is_empty());
    }

    #[test]
    fn an_excuse_that_is_stale_or_excuses_nothing_is_an_error() {
        let whole = taken(&ALL);
        assert!(judge("test", &ALL, &whole, &[]).is_empty());
        let faults = judge("test", &ALL, &whole, &[(2, 0, "far"), (7, 8, "odd")]);
        assert!(faults[0].contains("strike it off"), "{faults:?}");
        assert!(faults[1].contains("in no table"), "{faults:?}");
    }

    #[test]
    fn a_transition_that_is_in_no_table_is_an_error() {
        let mut odd = taken(&ALL);
        odd.insert((9, 9), 1);
        let faults = judge("test", &ALL, &odd, &[]);
        assert!(faults[0].contains("9 to 9 was taken"), "{faults:?}");
    }
}
