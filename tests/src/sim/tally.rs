//! What many worlds showed together, and how far they are.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::explore::Summary;

/// Between two lines of progress where the output is no terminal: calm in a log, soon enough to see
/// that it lives.
const CALM: Duration = Duration::from_secs(30);

/// Between two on a terminal: it looks alive, and costs nothing.
const LIVELY: Duration = Duration::from_millis(500);

/// As many broken worlds are told one by one; of the others only the number.
const TOLD: usize = 20;

/// Adds worlds up and prints what a person wants to know of them.
#[derive(Debug)]
pub struct Tally {
    start: u64,
    worlds: u64,
    played: u64,
    began: Instant,
    told_at: Instant,
    served: usize,
    boots: u64,
    outcomes: BTreeMap<String, u64>,
    broken: Vec<u64>,
}

impl Tally {
    /// Begins a run of so many worlds.
    #[must_use]
    pub fn new(start: u64, worlds: u64) -> Self {
        Self {
            start,
            worlds,
            played: 0,
            began: Instant::now(),
            told_at: Instant::now(),
            served: 0,
            boots: 0,
            outcomes: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    /// Adds a world that has ended.
    pub fn add(&mut self, summary: Summary) {
        self.played += 1;
        self.served += summary.served;
        self.boots += summary.boots;
        for (code, count) in summary.outcomes {
            *self.outcomes.entry(code).or_default() += count;
        }
        if let Some(first) = summary.violations.first() {
            self.clear_line();
            if self.broken.len() < TOLD {
                println!("world {} broke {first}", summary.seed);
            }
            self.broken.push(summary.seed);
        }
        self.progress();
    }

    /// Returns the first broken world.
    #[must_use]
    pub fn first_broken(&self) -> Option<u64> {
        self.broken.first().copied()
    }

    /// Prints the sums.
    pub fn end(&self, threads: usize) {
        self.clear_line();
        let last = self.start.saturating_add(self.played).saturating_sub(1);
        let seconds = self.began.elapsed().as_secs_f64();
        let (rate, noun) = (self.rate(), if threads == 1 { "thread" } else { "threads" });
        println!(
            "worlds       {}, seeds {} to {last}",
            self.played, self.start
        );
        println!("rate         {rate:.0} a minute on {threads} {noun}, {seconds:.1} s");
        println!("people       {} served, {} boots", self.served, self.boots);
        for (code, count) in &self.outcomes {
            println!("             {count:>6} ended with {code}");
        }
        match self.broken.len() {
            0 => println!("laws         held in every world"),
            1 => println!("laws         BROKEN in one world"),
            many => println!("laws         BROKEN in {many} worlds"),
        }
    }

    /// Says how far it is, on the error stream: the output is the same for the same seeds.
    fn progress(&mut self) {
        let terminal = io::stderr().is_terminal();
        let pause = if terminal { LIVELY } else { CALM };
        if self.told_at.elapsed() < pause || self.played == self.worlds {
            return;
        }
        self.told_at = Instant::now();
        let rate = self.rate();
        let left = (self.worlds - self.played) as f64 / rate.max(1.0) * 60.0;
        let text = format!(
            "{} of {} worlds, {rate:.0} a minute, {} left, {} broken",
            self.played,
            self.worlds,
            words(Duration::from_secs_f64(left)),
            self.broken.len()
        );
        let (start, end) = if terminal {
            ("\r", "\x1b[K")
        } else {
            ("", "\n")
        };
        let _ = write!(io::stderr(), "{start}{text}{end}");
    }

    fn clear_line(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn rate(&self) -> f64 {
        self.played as f64 / self.began.elapsed().as_secs_f64().max(0.001) * 60.0
    }
}

/// `40 s`, `12 min` or `4 h 10 min`.
fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6_000 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(words(Duration::from_secs(40)), "40 s");
        assert_eq!(words(Duration::from_secs(725)), "12 min");
        assert_eq!(words(Duration::from_secs(15_000)), "4 h 10 min");
    }
}
