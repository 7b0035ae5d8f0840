//! What a person reads: the lines of a run, and the numbers read from a runner's output.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// How many checks passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Adds up every `test result:` line that cargo's test runner printed.
    pub(crate) fn read(output: &str) -> Self {
        let mut total = Self::default();
        for line in output.lines() {
            if let Some(counts) = Self::read_line(line) {
                total.add(counts);
            }
        }
        total
    }

    fn read_line(line: &str) -> Option<Self> {
        let numbers = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?
            .1;
        let mut counts = Self::default();
        for part in numbers.split("; ") {
            let Some((number, name)) = part.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            match name {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "ignored" => counts.ignored = number,
                _ => {}
            }
        }
        Some(counts)
    }
}

/// Leaves out of a test run's output what says nothing about a failure, passing test programs
/// included.
pub(crate) fn without_noise(output: &str) -> String {
    const NOISE: [&str; 10] = [
        "Compiling ",
        "Downloaded ",
        "Downloading ",
        "Updating ",
        "Locking ",
        "Blocking ",
        "Finished ",
        "Adding ",
        "running ",
        "test result: ok.",
    ];
    let mut kept = String::new();
    // The test program that is running, named only if it has something to say.
    let mut program = None;
    for line in output.lines() {
        let text = line.trim_start();
        if text.starts_with("Running ") || text.starts_with("Doc-tests ") {
            program = Some(line);
            continue;
        }
        let passed = text.starts_with("test ") && text.ends_with(" ... ok");
        let repeated_gap = text.is_empty() && (kept.is_empty() || kept.ends_with("\n\n"));
        if passed || repeated_gap || NOISE.iter().any(|noise| text.starts_with(noise)) {
            continue;
        }
        if !text.is_empty()
            && let Some(program) = program.take()
        {
            kept.push_str(program);
            kept.push('\n');
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// Leaves out of cargo-deny's output the warnings, so that the error is not the last of many blocks.
pub(crate) fn without_warnings(output: &str) -> String {
    let blocks = output
        .split("\n\n")
        .filter(|block| !block.trim_start().starts_with("warning"));
    blocks.collect::<Vec<_>>().join("\n\n")
}

/// `0.4 s`, `12.3 s` or `4 min 05 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        let whole = time.as_secs_f64().round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// Writes the lines of a run. Colours only on a terminal, and never when `NO_COLOR` is set.
#[derive(Debug)]
pub(crate) struct Screen {
    colours: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    pub(crate) fn line(&self, text: &str) {
        // A closed pipe (`| head`) is no reason to stop testing.
        let _ = writeln!(io::stdout(), "{text}");
        let _ = io::stdout().flush();
    }

    /// Prints a block of somebody else's output, set off from our own lines.
    pub(crate) fn block(&self, text: &str) {
        for line in text.lines() {
            self.line(format!("          {line}").trim_end());
        }
    }

    pub(crate) fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let output = "\
     Running tests/backoff.rs (target/debug/deps/backoff-1)
running 3 tests
test n01_jitter_stays_spread ... ok

test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.52s

   Doc-tests wakecast
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.2s
";
        assert_eq!(
            Counts::read(output),
            Counts {
                passed: 15,
                failed: 2,
                ignored: 1
            }
        );
    }

    #[test]
    fn text_that_only_looks_like_a_result_counts_nothing() {
        let output = "test result: unknown\nthe test result: ok. 5 passed; 0 failed\n5 passed\n";
        assert_eq!(Counts::read(output), Counts::default());
    }

    #[test]
    fn noise_goes_and_failures_stay() {
        let output = "\
   Compiling wakecast v0.1.0
     Running tests/fine.rs (target/debug/deps/fine-1)

running 1 test
test a ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/x.rs (target/debug/deps/x-1)

running 2 tests
test a ... ok
test b ... FAILED

failures:

---- b stdout ----
thread 'b' panicked at tests/x.rs:3:5:
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
error: test failed, to rerun pass `-p wakecast --test x`
";
        let kept = without_noise(output);
        for noise in ["Compiling", "test a", "fine.rs", "running", "result: ok"] {
            assert!(!kept.contains(noise), "{noise} is left in:\n{kept}");
        }
        for needed in [
            "tests/x.rs (",
            "test b ... FAILED",
            "b stdout",
            "panicked at",
            "rerun pass",
        ] {
            assert!(kept.contains(needed), "{needed} is missing in:\n{kept}");
        }
    }

    #[test]
    fn errors_stay_and_warnings_go() {
        let output =
            "warning[duplicate]: twice\n  a 1\n\nerror[banned]: crate\n  b 2\n\nbans FAILED\n";
        assert_eq!(
            without_warnings(output),
            "error[banned]: crate\n  b 2\n\nbans FAILED\n"
        );
    }

    #[test]
    fn times_read_well() {
        assert_eq!(seconds(Duration::from_millis(5)), "0.1 s");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.4 s");
        assert_eq!(seconds(Duration::from_millis(59_990)), "1 min 00 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }
}
