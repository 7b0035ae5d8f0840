//! What came of one decision, as a person reads it.

use std::fmt::Write as _;

use wakecast_lambda::decisions::{Difference, Line, Parts, Replayed, Summary, Verdict};
use wakecast_lambda::lifecycle::Next;
use wakecast_lambda::model::Timestamp;

/// Reasons that are shown of one decision; the log holds the rest.
const MOST_REASONS: usize = 8;

/// What is said of a line that is not as it was written.
const ALTERED: &str = "the line was altered: its snapshot is not the one that was hashed, or its time, \
                       fleet, fence or version is not the snapshot's";

pub(crate) fn of(number: u64, replayed: &Replayed) -> String {
    let mut text = format!("line {number}");
    let Some(line) = &replayed.line else {
        if let Verdict::Unreadable(why) = &replayed.verdict {
            let _ = writeln!(text, " cannot be read: {why}");
        }
        return text + "\n";
    };
    let Line {
        now, fleet, hash, ..
    } = line;
    let _ = writeln!(text, " · {} · {fleet} · {hash}", utc(*now));
    match &replayed.verdict {
        Verdict::Same => {
            side(&mut text, "then and now", &line.decided);
        }
        Verdict::Differs(difference) => {
            side(&mut text, "then", &line.decided);
            side(&mut text, "now ", &difference.now);
            let _ = writeln!(text, "  {}", where_it_differs(&line.decided, difference));
        }
        Verdict::Altered => {
            side(&mut text, "then and now", &line.decided);
            let _ = writeln!(text, "  {ALTERED}");
        }
        Verdict::NoSnapshot => {
            side(&mut text, "then", &line.decided);
            text.push_str("  this decision's snapshot was too large to log\n");
        }
        Verdict::Unreadable(why) => {
            let _ = writeln!(text, "  cannot be read: {why}");
        }
    }
    text + "\n"
}

fn side(text: &mut String, name: &str, decided: &Summary) {
    let Summary {
        actions,
        transitions,
        alarms,
        why,
        next,
        parts,
    } = decided;
    let mut does: Vec<String> = actions.iter().map(ToString::to_string).collect();
    if does.is_empty() {
        let quiet = parts.commit.is_none();
        does.push(
            if quiet {
                "does nothing"
            } else {
                "notes what it saw"
            }
            .to_owned(),
        );
    }
    let _ = writeln!(text, "  {name}: {}", does.join(", "));
    let indent = " ".repeat(name.chars().count() + 4);
    for step in transitions {
        let _ = writeln!(text, "{indent}{} → {}", step.from, step.to);
    }
    for alarm in alarms {
        let _ = writeln!(text, "{indent}alarm: {alarm}");
    }
    for reason in why.iter().take(MOST_REASONS) {
        let _ = writeln!(text, "{indent}since {reason}");
    }
    if let Some(more @ 1..) = why.len().checked_sub(MOST_REASONS) {
        let _ = writeln!(text, "{indent}and {more} reasons more");
    }
    let _ = match next {
        Next::Now => writeln!(text, "{indent}looks again at once"),
        Next::After(wait) => writeln!(text, "{indent}looks again after {} s", wait.as_secs_f64()),
        Next::Quiet => writeln!(text, "{indent}rests"),
    };
}

fn where_it_differs(then: &Summary, difference: &Difference) -> String {
    let now = &difference.now;
    let Parts {
        commit,
        rows,
        grants,
        pushes,
        calls,
    } = &then.parts;
    let parts = [
        ("the actions", then.actions != now.actions),
        ("the transitions", then.transitions != now.transitions),
        ("the alarms", then.alarms != now.alarms),
        ("the reasons", then.why != now.why),
        ("the next look", then.next != now.next),
        ("the records that are written", *commit != now.parts.commit),
        ("what rows become or are told", *rows != now.parts.rows),
        ("which rows are granted", *grants != now.parts.grants),
        ("the messages", *pushes != now.parts.pushes),
        ("the calls to EC2", *calls != now.parts.calls),
    ];
    let named: Vec<&str> = parts
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| *name)
        .collect();
    let mut text = format!("differs in: {}", named.join(", "));
    if difference.altered {
        text.push_str("; ");
        text.push_str(ALTERED);
    }
    text
}

/// Writes a moment as `2026-11-22 20:30:05.120Z`.
fn utc(at: Timestamp) -> String {
    let millis = at.as_millis();
    let (seconds, fraction) = (millis / 1_000, millis % 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

/// The date of a day since 1970-01-01, in years that begin in March so that a leap day is the last.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year + era * 400 + next, month, day)
}
