//! What each message does to a row.

use std::time::Duration;

use wakecast::ErrorCode;
use wakecast::protocol::{LostReason, Phase};

use super::standing::{Standing, standing};
use super::states::{end, end_wait, hold, tell_draining, wait_again, wait_for};
use super::words::{drains, lost_boot};
use super::{dormant, past_deadline, wakes};
use crate::config::Timing;
use crate::guards::Guards;
use crate::model::{Ask, Instance, Link, Row, RowEnd, RowKey, RowState, Timestamp, WaitKind};
use crate::ports::BootOf;

/// One message's view: which row, from which link, when, under which times.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// The row it names.
    pub key: &'a RowKey,
    /// The link it came by.
    pub link: &'a Link,
    /// The fleet's times.
    pub timing: &'a Timing,
    /// When it came.
    pub now: Timestamp,
    /// A boot that is believed to be ready, for a wait that begins: without one it waits.
    pub ready: Option<&'a BootOf>,
    /// The rules in force: all of them.
    pub guards: Guards,
}

/// What a message does to a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The row as it is now, if there is one.
    pub row: Option<Row>,
    /// The row has changed and must be written before anything follows.
    pub write: bool,
    /// What follows.
    pub then: Then,
    /// The link of another client that has lost the row: it is told `lost {taken_over}`.
    pub taken_from: Option<Link>,
}

/// What follows once the row is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// The row holds a boot (G1): an answer goes out only if G2 confirms it.
    Verify {
        /// The row had been dormant.
        revived: bool,
    },
    /// The row waits.
    Wait {
        /// Raise the demand and see that a reconciler runs.
        wake: bool,
    },
    /// The row is at its end; the answer repeats it.
    Over,
    /// Another client has the row.
    TakenOver,
    /// No such row.
    Unknown,
    /// The id stands for another ask.
    OtherAsk,
}

/// How `hello` names a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The client holds it.
    Lease,
    /// The client waits for it.
    Request,
}

/// `acquire`. `wait` is the time the client still waits; it counts only in a first or reviving one.
#[must_use]
pub fn acquire(row: Option<&Row>, visit: &Visit<'_>, ask: &Ask, wait: Duration) -> Step {
    let Some(row) = row else {
        return begin(&blank(visit, Some(ask.clone())), visit, wait);
    };
    if row.ask.as_ref().is_some_and(|known| known != ask) {
        return Step::still(row, Then::OtherAsk);
    }
    let (claimed, taken_from) = match claim(row, visit) {
        Ok(claimed) => claimed,
        Err(step) => return *step,
    };
    let step = match &row.state {
        RowState::Ended {
            end: RowEnd::Lost(_),
            ..
        } => begin(&claimed, visit, wait),
        RowState::Ended { .. } => Step::still(row, Then::Over),
        RowState::Held { .. } => {
            let mut next = touch(claimed, visit);
            if dormant(row, visit.timing, visit.now) {
                next = with_wait(next, wait);
            }
            Step::of(row, next, verify(row, visit))
        }
        RowState::Waiting { .. } if dormant(row, visit.timing, visit.now) => {
            begin(&claimed, visit, wait)
        }
        RowState::Waiting { kind, .. } if past_deadline(row, visit.timing, visit.now) => match kind
        {
            WaitKind::Acquire => {
                Step::of(row, end_wait(&claimed, visit.timing, visit.now), Then::Over)
            }
            WaitKind::Endpoint { .. } | WaitKind::Moving => begin(&claimed, visit, wait),
        },
        RowState::Waiting { .. } => resent(row, claimed),
    };
    step.taking(taken_from)
}

/// One request of a caller that keeps no link: it acts like an `acquire` whose link goes with its
/// answer, so that the row waits or protects for `timing.absence` from here and nothing is pushed.
#[must_use]
pub fn poll(row: Option<&Row>, visit: &Visit<'_>, ask: &Ask, wait: Duration) -> Step {
    let step = acquire(row, visit, ask, wait);
    let keeps = match &step.then {
        Then::Verify { .. } | Then::Wait { .. } => true,
        Then::Over => false,
        Then::TakenOver | Then::Unknown | Then::OtherAsk => return step,
    };
    let after = step.row.map(|row| Row {
        link: None,
        absent_since: keeps.then_some(visit.now),
        ..row
    });
    Step {
        write: step.write || (keeps && after.as_ref() != row),
        row: after,
        ..step
    }
}

/// `endpoint`: a lease's endpoint is asked for; where its instance is not ready this acts like the
/// `acquire` did.
#[must_use]
pub fn endpoint(row: Option<&Row>, visit: &Visit<'_>, request: &str) -> Step {
    let Some(row) = row else {
        return Step::unknown();
    };
    let (claimed, taken_from) = match claim(row, visit) {
        Ok(claimed) => claimed,
        Err(step) => return *step,
    };
    let asked = || WaitKind::Endpoint {
        request: Some(request.to_owned()),
    };
    let step = match &row.state {
        RowState::Ended { .. } => Step::still(row, Then::Over),
        RowState::Held { .. } => Step::of(row, touch(claimed, visit), verify(row, visit)),
        RowState::Waiting { .. } if dormant(row, visit.timing, visit.now) => {
            revive(&claimed, visit, asked())
        }
        RowState::Waiting { .. } if past_deadline(row, visit.timing, visit.now) => {
            Step::of(row, end_wait(&claimed, visit.timing, visit.now), Then::Over)
        }
        RowState::Waiting { .. } => {
            let mut next = claimed;
            if let RowState::Waiting { kind, .. } = &mut next.state
                && *kind != WaitKind::Moving
            {
                *kind = asked();
            }
            resent(row, next)
        }
    };
    step.taking(taken_from)
}

/// `cancel` or `release`. An unknown id is remembered, so that an `acquire` which it has overtaken
/// starts nothing.
#[must_use]
pub fn finish(row: Option<&Row>, visit: &Visit<'_>, how: RowEnd) -> Step {
    let Some(row) = row else {
        let mut tomb = end(&blank(visit, None), how, visit.timing, visit.now);
        tomb.rev = visit.now.as_millis();
        return Step {
            row: Some(tomb),
            write: true,
            then: Then::Over,
            taken_from: None,
        };
    };
    let (claimed, taken_from) = match claim(row, visit) {
        Ok(claimed) => claimed,
        Err(step) => return *step,
    };
    let step = match &row.state {
        // A lost row would begin anew with a late copy of its acquire: now it is final.
        RowState::Ended {
            end: RowEnd::Lost(_),
            ..
        }
        | RowState::Waiting { .. }
        | RowState::Held { .. } => {
            Step::of(row, end(&claimed, how, visit.timing, visit.now), Then::Over)
        }
        RowState::Ended { .. } => Step::still(row, Then::Over),
    };
    step.taking(taken_from)
}

/// A row that `hello` names. It is claimed and, if it slept, revived.
#[must_use]
pub fn greet(row: Option<&Row>, visit: &Visit<'_>, named: Named) -> Step {
    let Some(row) = row else {
        return Step::unknown();
    };
    let (claimed, taken_from) = match claim(row, visit) {
        Ok(claimed) => claimed,
        Err(step) => return *step,
    };
    let (timing, now) = (visit.timing, visit.now);
    let step = match (&row.state, named) {
        (RowState::Ended { .. }, _) => Step::still(row, Then::Over),
        (RowState::Held { .. }, _) => Step::of(row, touch(claimed, visit), verify(row, visit)),
        (RowState::Waiting { .. }, _) if past_deadline(row, timing, now) => {
            Step::of(row, end_wait(&claimed, timing, now), Then::Over)
        }
        (RowState::Waiting { kind, .. }, Named::Request) if dormant(row, timing, now) => {
            revive(&claimed, visit, kind.clone())
        }
        (RowState::Waiting { .. }, Named::Lease) if dormant(row, timing, now) => {
            let lost = RowEnd::Lost(LostReason::InstanceGone);
            Step::of(row, end(&claimed, lost, timing, now), Then::Over)
        }
        (RowState::Waiting { .. }, _) => resent(row, claimed),
    };
    step.taking(taken_from)
}

/// A renewed link looks at a row that it claimed once: as `hello` does, if it is still its own.
#[must_use]
pub fn refresh(row: Option<&Row>, visit: &Visit<'_>) -> Step {
    match row {
        Some(row) if !is_own(row, visit) => Step::still(row, Then::TakenOver),
        row => greet(row, visit, Named::Lease),
    }
}

/// The link's new token no longer covers a row that the link claimed: if it is still the link's
/// own and waits, the wait ends and is demand no more. A lease that is held stays, since what runs
/// on it was allowed when it began; it only gets no endpoint.
#[must_use]
pub fn forbid(row: Option<&Row>, visit: &Visit<'_>) -> Step {
    let Some(row) = row else {
        return Step::unknown();
    };
    let how = match &row.state {
        _ if !is_own(row, visit) => return Step::still(row, Then::TakenOver),
        RowState::Waiting {
            kind: WaitKind::Acquire,
            ..
        } => RowEnd::Failed(ErrorCode::Forbidden),
        RowState::Waiting { .. } => RowEnd::Lost(LostReason::Released),
        RowState::Held { .. } | RowState::Ended { .. } => return Step::still(row, Then::Unknown),
    };
    Step::of(row, end(row, how, visit.timing, visit.now), Then::Over)
}

fn is_own(row: &Row, visit: &Visit<'_>) -> bool {
    let link = row.link.as_ref();
    link.is_some_and(|link| link.connection == visit.link.connection)
}

/// G2 did not confirm the boot the row holds: it moves to `ready`, another boot, or waits.
///
/// `kind` is what the message is owed.
#[must_use]
pub fn missed(row: &Row, visit: &Visit<'_>, kind: WaitKind, ready: Option<&BootOf>) -> Step {
    let waiting = wait_again(row, kind, visit.timing, visit.now);
    match ready {
        Some(boot) => {
            let held = hold(&waiting, boot, visit.timing, visit.now);
            Step::of(row, held, Then::Verify { revived: false })
        }
        None => {
            let wake = wakes(&waiting);
            Step::of(row, waiting, Then::Wait { wake })
        }
    }
}

/// G2 did not confirm the boot of a lease whose owner only greets: nothing moves, but a lease that
/// slept is lost.
#[must_use]
pub fn told(row: &Row, visit: &Visit<'_>, revived: bool, instance: Option<&Instance>) -> Step {
    if revived {
        return lose(row, visit, lost_boot(row, instance));
    }
    let next = if drains(row, instance) {
        tell_draining(row)
    } else {
        row.clone()
    };
    Step::of(row, next, Then::Over)
}

fn lose(row: &Row, visit: &Visit<'_>, reason: LostReason) -> Step {
    Step::of(
        row,
        end(row, RowEnd::Lost(reason), visit.timing, visit.now),
        Then::Over,
    )
}

impl Step {
    fn unknown() -> Self {
        Self {
            row: None,
            write: false,
            then: Then::Unknown,
            taken_from: None,
        }
    }

    fn still(row: &Row, then: Then) -> Self {
        Self {
            row: Some(row.clone()),
            write: false,
            then,
            taken_from: None,
        }
    }

    /// Notes whose row this was, if the step takes it over by writing it.
    fn taking(self, from: Option<Link>) -> Self {
        let taken_from = from.filter(|_| self.write);
        Self { taken_from, ..self }
    }

    fn of(before: &Row, after: Row, then: Then) -> Self {
        Self {
            write: *before != after,
            row: Some(after),
            then,
            taken_from: None,
        }
    }
}

/// The row with this visit's link, and the link of another client that has lost it thereby.
fn claim(row: &Row, visit: &Visit<'_>) -> Result<(Row, Option<Link>), Box<Step>> {
    let claimed = || Row {
        link: Some(visit.link.clone()),
        absent_since: None,
        ..row.clone()
    };
    match standing(row, visit.link, visit.guards) {
        Standing::Owner => Ok((claimed(), None)),
        Standing::Older => Ok((row.clone(), None)),
        Standing::TakesOver(old) => Ok((claimed(), row.absent_since.is_none().then_some(old))),
        Standing::Lost => Err(Box::new(Step::still(row, Then::TakenOver))),
    }
}

/// A first ask, a revived one, or one that begins anew on a lost row.
fn begin(row: &Row, visit: &Visit<'_>, wait: Duration) -> Step {
    let (timing, now) = (visit.timing, visit.now);
    let mut waiting = wait_for(row, WaitKind::Acquire, wait, timing, now);
    // A row's order of states starts with its time, and never falls behind what was told before.
    waiting.rev = waiting.rev.max(now.as_millis());
    granted_or_waiting(waiting, visit)
}

/// A wait that slept goes on. On a boot that is ready it is granted by this very message, as a new
/// ask is: whoever sleeps and comes back gets no protection that is not counted.
fn revive(claimed: &Row, visit: &Visit<'_>, kind: WaitKind) -> Step {
    granted_or_waiting(wait_again(claimed, kind, visit.timing, visit.now), visit)
}

fn granted_or_waiting(waiting: Row, visit: &Visit<'_>) -> Step {
    let (row, then) = match visit.ready {
        Some(boot) => (
            hold(&waiting, boot, visit.timing, visit.now),
            Then::Verify { revived: false },
        ),
        None => {
            let wake = wakes(&waiting);
            (waiting, Then::Wait { wake })
        }
    };
    Step {
        row: Some(row),
        write: true,
        then,
        taken_from: None,
    }
}

/// A waiting row was named again. Its demand may have been lost in a crash, but only as long as no
/// reconciler has seen it.
fn resent(before: &Row, after: Row) -> Step {
    let unseen = matches!(
        after.state,
        RowState::Waiting {
            phase: Phase::Requested,
            ..
        }
    );
    let wake = unseen && wakes(&after);
    Step::of(before, after, Then::Wait { wake })
}

/// A held row goes through the grant again, on its own boot.
fn touch(row: Row, visit: &Visit<'_>) -> Row {
    match &row.state {
        RowState::Held { instance, boot, .. } => {
            let boot = (instance.clone(), *boot);
            hold(&row, &boot, visit.timing, visit.now)
        }
        RowState::Waiting { .. } | RowState::Ended { .. } => row,
    }
}

/// A reviving `acquire` says anew how long the client waits, should its boot be over.
fn with_wait(row: Row, wait: Duration) -> Row {
    let mut row = row;
    if let RowState::Held { wait_ms, .. } = &mut row.state {
        *wait_ms = super::states::millis(wait);
    }
    row
}

fn verify(row: &Row, visit: &Visit<'_>) -> Then {
    Then::Verify {
        revived: dormant(row, visit.timing, visit.now),
    }
}

fn blank(visit: &Visit<'_>, ask: Option<Ask>) -> Row {
    Row {
        key: visit.key.clone(),
        version: 0,
        rev: 0,
        ask,
        state: RowState::Ended {
            end: RowEnd::Cancelled,
            at: visit.now,
        },
        link: Some(visit.link.clone()),
        absent_since: None,
        created_at: visit.now,
        expires_at: visit.now,
    }
}
