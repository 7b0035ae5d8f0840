//! `replay`: decides again what a decision log says was decided, and tells where it would not be
//! the same.

mod arguments;
mod words;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ExitCode;

use wakecast_lambda::decisions::{Replay, Replayed, Verdict};

use arguments::{Arguments, Which};

/// A decision would not be the same, or its line is not the one that was written.
const DIFFERS: u8 = 1;

/// Something could not be read, or was not asked for in words that are known.
const FAILED: u8 = 2;

#[derive(Default)]
struct Counts {
    same: u32,
    differ: u32,
    altered: u32,
    without: u32,
    unreadable: u32,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print(arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => return failed(&format!("{message}\nTry `cargo xtask replay --help`.")),
    };
    match replay(&arguments) {
        Ok(counts) if counts.unreadable > 0 => ExitCode::from(FAILED),
        Ok(counts) if counts.differ + counts.altered > 0 => ExitCode::from(DIFFERS),
        Ok(_) => ExitCode::SUCCESS,
        Err(message) => failed(&message),
    }
}

fn replay(arguments: &Arguments) -> Result<Counts, String> {
    let path = arguments.log.display();
    let file = File::open(&arguments.log).map_err(|error| format!("{path}: {error}"))?;
    let mut lines = BufReader::new(file);
    let (mut replay, mut counts, mut text) = (Replay::new(), Counts::default(), Vec::new());
    let mut any = false;
    for number in 1_u64.. {
        text.clear();
        let read = lines.read_until(b'\n', &mut text);
        if read.map_err(|error| format!("{path}, line {number}: {error}"))? == 0 {
            break;
        }
        // Lines of other programs need not be text.
        let Some(replayed) = replay.line(&String::from_utf8_lossy(&text)) else {
            continue;
        };
        any = true;
        let line = replayed.line.as_ref();
        let asked = match &arguments.which {
            Which::All => true,
            Which::Line(wanted) => *wanted == number,
            Which::Hash(wanted) => line.is_some_and(|line| line.hash.starts_with(wanted)),
        };
        if asked {
            counts.add(&replayed.verdict);
            tell(&arguments.which, number, &replayed);
        }
    }
    if !any {
        return Err(format!(
            "{path} holds no decision: a line of the decision log begins with {{\"decision\":1"
        ));
    }
    if counts.total() == 0 {
        return Err(match &arguments.which {
            Which::Line(number) => format!("{path}: line {number} holds no decision"),
            Which::Hash(hash) => format!("{path}: no decision has the hash {hash}"),
            Which::All => format!("{path} holds no decision"),
        });
    }
    print(&counts.to_string());
    Ok(counts)
}

/// One that was asked for by name is shown whatever came of it; of all, those that differ.
fn tell(which: &Which, number: u64, replayed: &Replayed) {
    let wanted = *which != Which::All;
    let shown = matches!(
        replayed.verdict,
        Verdict::Differs(_) | Verdict::Altered | Verdict::Unreadable(_)
    );
    if wanted || shown {
        print(&words::of(number, replayed));
    }
}

impl Counts {
    const fn add(&mut self, verdict: &Verdict) {
        let count = match verdict {
            Verdict::Same => &mut self.same,
            Verdict::Differs(_) => &mut self.differ,
            Verdict::Altered => &mut self.altered,
            Verdict::NoSnapshot => &mut self.without,
            Verdict::Unreadable(_) => &mut self.unreadable,
        };
        *count += 1;
    }

    const fn total(&self) -> u32 {
        self.same + self.differ + self.altered + self.without + self.unreadable
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (total, same, differ) = (self.total(), self.same, self.differ);
        let one = if total == 1 { "" } else { "s" };
        write!(f, "{total} decision{one} · {same} same · {differ} differ")?;
        write!(f, " · {} without snapshot", self.without)?;
        if self.altered > 0 {
            write!(f, " · {} altered", self.altered)?;
        }
        if self.unreadable > 0 {
            write!(f, " · {} unreadable", self.unreadable)?;
        }
        writeln!(f)
    }
}

/// Prints and lets a closed pipe be.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn failed(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "replay: {message}");
    ExitCode::from(FAILED)
}
